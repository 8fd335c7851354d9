"""Documents that speak of code: the page for Python runs as it stands, and ARCHITECTURE.md names what is there."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest
import torch

import chunky_core as cg
from tests.test_structure import ROOMS

pytestmark = pytest.mark.cpu("what the page prints is of the CPU")
ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
STEPS = 3  # instead of the page's 100


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str, Path]:
    """What the page's code leaves: its names, what it printed, and the folder with what it wrote."""
    folder = tmp_path_factory.mktemp("page")
    code, replaced = re.subn(r"\bnum_steps=\d+", f"num_steps={STEPS}", "\n".join(BLOCKS))
    assert replaced == 2
    script = folder / "page.py"
    script.write_text(code, encoding="utf-8")
    printed: list[str] = []
    told = {"print": lambda *values: printed.append(" ".join(map(str, values)))}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        names = runpy.run_path(str(script), told)
    return names, "\n".join(printed), folder


def test_it_prints_what_the_page_says(ran):
    """The comment after a print is its output."""
    _, printed, _ = ran
    said = re.findall(r"^print\(\w[\w.]*\) +# (.*)$", PAGE, re.MULTILINE)
    assert len(said) == 4
    for line in said:
        assert line in printed


def test_it_does_what_the_page_says(ran):
    names, _, folder = ran
    photo, edited = names["photo"], cg.load_image(folder / "edited.png")
    changed = (edited != photo).any(dim=1)[0]
    mouth_and_eyes = sum(names["masks"][one] for one in ("mouth", "left_eye", "right_eye"))[0, 0] > 0
    assert changed.any() and not changed[~mouth_and_eyes].any()
    assert torch.equal(cg.composite(names["G"], names["reopened"]), names["picture"])
    assert len(names["reopened"].losses["mouth"]) == STEPS
    family, pasted = names["family"], cg.load_image(folder / "family.png")
    differs = ((pasted - family).abs() > 1 / 127).any(dim=1)[0]  # more than a level, which saving rounds by
    top, left = (differs.nonzero().min(dim=0).values - torch.tensor([60, 40])).tolist()
    bottom, right = (differs.nonzero().max(dim=0).values - torch.tensor([60, 40])).tolist()
    assert 0 < top < bottom < 384 and 0 < left < right < 384 and bottom - top < 150


ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", ARCHITECTURE)
PLACES = sorted({one for one in CODE if re.match(r"[\w./]+/[\w.]+", one)})


def place_of(name: str) -> Path:
    """A file or folder, from the root or from chunky_core."""
    return next((path for path in (ROOT / name, ROOT / "chunky_core" / name) if path.exists()), ROOT / name)


@pytest.mark.parametrize("named", PLACES)
def test_what_the_architecture_names_is_there(named: str):
    """`folder/file.py`, `file.py: name` and `tests/file.py::test`."""
    name, _, inside = named.partition("::") if "::" in named else named.partition(": ")
    path = place_of(name)
    assert path.exists()
    if inside:
        defined = {
            node.name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        assert inside in defined


def test_the_architecture_names_every_room_in_the_order_of_imports():
    table = re.search(r"^\| room of .*?\n\n", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    assert table is not None
    rooms = [
        room
        for row in table[0].strip().splitlines()[2:]
        for room in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert tuple(rooms) == ROOMS
    assert all(place_of(room).exists() or place_of(f"{room}.py").exists() for room in rooms)


def test_the_architecture_names_enough():
    assert (
        len([one for one in PLACES if "::" in one]) > 20 and len([one for one in PLACES if ": " in one]) > 10
    )


def test_the_words_with_code_are_offered_somewhere():
    """The last word in `code` of a row of the glossary is a class or function of the package."""
    words = ARCHITECTURE.partition("\n## Words\n")[2]
    names = {name for row in words.splitlines() for name in re.findall(r"`([A-Za-z]\w+)`", row)}
    defined = set()
    for path in (ROOT / "chunky_core").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert len(names) > 10 and names <= defined
