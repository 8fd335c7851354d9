"""`import chunky_core as cg`: what it offers, how much that costs, and one order of arguments everywhere."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import chunky_core as cg
from chunky_core.inversion import check_generator
from chunky_core.saving import save_bytes, save_tensors
from tests.inversion_tools import make_inversion

pytestmark = pytest.mark.cpu("names, files and processes")
ROOT = Path(__file__).parent.parent
CORE = ROOT / "chunky_core"
# Positional parameters stand in this order; those of no rank may stand anywhere after the first ranked one.
ORDER = (
    {"generator", "own"},
    {"inversion"},
    {"photo", "original"},
    {"reconstruction", "rendering", "image", "picture"},
    {"edited", "painted"},
    {"segments", "masks", "mask"},
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def offered_to_checkers() -> dict[str, str]:
    """Name -> module of every import below TYPE_CHECKING."""
    tree = ast.parse(Path(cg.__file__).read_text())
    block, *_ = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def test_the_three_lists_of_what_is_offered_agree():
    assert offered_to_checkers() == cg._HOMES
    assert sorted([*cg._HOMES, "__version__"]) == sorted(cg.__all__) == dir(cg)


@pytest.mark.parametrize("name", cg.__all__)
def test_every_name_is_there_documented_and_no_old_one(name: str, recwarn):
    found = getattr(cg, name)
    assert not recwarn.list
    if name != "__version__" and name != "Callback":
        assert inspect.getdoc(found)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'chunky_core' has no attribute 'lode_image'"):
        cg.lode_image  # noqa: B018


def test_importing_brings_nothing_heavy_before_the_first_use():
    code = (
        "import sys, json; import chunky_core as cg; dir(cg); light = sorted(sys.modules)\n"
        "cg.load_image; print(json.dumps([light, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    light, then = json.loads(done.stdout)
    assert not {"torch", "numpy", "PIL", "cv2"} & {name.partition(".")[0] for name in light}
    assert then


def public_functions() -> Iterator[tuple[str, list[str]]]:
    """Where a public function or method is, and its positional parameters."""
    for path in sorted(CORE.rglob("*.py")):
        if "deprecated" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        for scope in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
            for node in scope.body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    positional = [one.arg for one in node.args.posonlyargs + node.args.args]
                    yield (
                        f"{path.relative_to(ROOT)}: {node.name}",
                        [a for a in positional if a not in ("self", "cls")],
                    )


def test_arguments_stand_in_one_order():
    """Generator, inversion, photo, rendering, masks, options; each function has the ranked ones first."""
    wrong = []
    for where, parameters in public_functions():
        ranks = [RANK.get(name, len(ORDER)) for name in parameters]
        ranked = [rank for rank in ranks if rank < len(ORDER)]
        if ranked != sorted(ranked) or ("generator" in parameters and parameters[0] != "generator"):
            wrong.append(f"{where}({', '.join(parameters)})")
    assert not wrong


def test_what_is_saved_stands_before_its_path():
    savers = [
        (where, names) for where, names in public_functions() if ": save_" in where or ": write_" in where
    ]
    assert len(savers) > 5
    assert not [where for where, names in savers if names[0] in ("path", "folder")]


def test_the_old_orders_of_arguments_work_and_warn(tmp_path: Path, generator: cg.Generator):
    image, labels, inversion = torch.zeros(1, 3, 2, 2), torch.ones(2, 2).int(), make_inversion(generator)
    a, b, c, d, e, f, g, h = (tmp_path / f"{letter}.png" for letter in "abcdefgh")
    old_and_new = [
        (lambda: cg.save_image(a, image), lambda: cg.save_image(image, b)),
        (lambda: cg.save_label_map(c, labels), lambda: cg.save_label_map(labels, d)),
        (lambda: save_bytes(e, b"x"), lambda: save_bytes(b"x", f)),
        (lambda: save_tensors(g, {"x": image}, {}), lambda: save_tensors({"x": image}, h, {})),
        (lambda: check_generator(*(inversion, generator)), lambda: check_generator(generator, inversion)),
    ]
    for old, new in old_and_new:
        with pytest.warns(DeprecationWarning, match="first.*the other order goes with version 0.3") as warned:
            old()
        assert [one.filename for one in warned] == [__file__]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            new()
    contents = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert len(contents) == 8 and contents[0::2] == contents[1::2]
