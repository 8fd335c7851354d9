"""The house: imports run one way, the core knows no host, importing is light, and nothing dangerous is called."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "chunky_core"
# In the order in which data flows; a room may import from itself and from those before it.
ROOMS = (
    "errors", "saving", "wording", "checks", "callbacks", "mask_shapes", "devices", "memory_layout", "boxes", "images",
    "generator", "checkpoints", "segments", "losses", "encoders", "inversion", "editing", "compositing", "alignment",
    "visualization", "evaluation", "demo", "cli",
)  # fmt: skip
HOST = {"comfy", "comfy_api", "folder_paths", "server", "execution", "nodes"}
MODULES = sorted(CORE.rglob("*.py"))


def imported_modules(path: Path) -> Iterator[tuple[str, ...]]:
    """Absolute dotted names of everything that a file of the project imports."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = base + tuple((node.module or "").split(".") if node.module else ())
            yield from (module + (alias.name,) for alias in node.names)


def room_of(parts: tuple[str, ...]) -> str | None:
    return parts[1] if len(parts) > 1 and parts[0] == "chunky_core" and parts[1] in ROOMS else None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(CORE)))
def test_imports_run_downward_and_never_touch_the_host(path: Path):
    here = path.relative_to(CORE).with_suffix("").parts[0]
    for module in imported_modules(path):
        assert module[0] not in HOST, f"{path} imports the host: {'.'.join(module)}"
        room = room_of(module)
        if room and here in ROOMS:
            assert ROOMS.index(room) <= ROOMS.index(here), f"{here} imports upward from {room}"


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "nodes").rglob("*.py"))], ids=str)
def test_nothing_runs_code_from_files_or_touches_global_state(path: Path):
    forbidden = {
        "eval",
        "exec",
        "compile",
        "torch.manual_seed",
        "np.random.seed",
        "pickle.load",
        "pickle.loads",
    }
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in forbidden, f"{path}:{node.lineno}"
            arguments = {k.arg: k.value for k in node.keywords}
            weights_only = arguments.get("weights_only")
            assert not (isinstance(weights_only, ast.Constant) and weights_only.value is False), path
            if ast.unparse(node.func) == "torch.load":
                assert isinstance(weights_only, ast.Constant) and weights_only.value is True, (
                    f"{path}:{node.lineno}"
                )


def test_importing_is_light_and_leaves_no_trace():
    code = (
        "import sys, json, torch; before = set(sys.modules); flags = torch.backends.cudnn.benchmark\n"
        "import chunky_core, chunky_core.inversion, chunky_core.compositing, chunky_core.segments\n"
        "import chunky_core.checkpoints.generators, chunky_core.alignment, chunky_core.editing\n"
        "import chunky_core.evaluation, chunky_core.visualization\n"
        "print(json.dumps([sorted(set(sys.modules) - before), flags == torch.backends.cudnn.benchmark]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, same_flags = json.loads(done.stdout)
    heavy = {"cv2", "lpips", "matplotlib", "torchvision", "scipy", "skimage"}
    assert same_flags
    assert not heavy & {name.split(".")[0] for name in loaded}


def test_the_pack_can_be_imported_without_a_host():
    code = (
        f"import importlib.util as u; s = u.spec_from_file_location('pack', {str(ROOT / '__init__.py')!r})\n"
        + ("m = u.module_from_spec(s); s.loader.exec_module(m); print(hasattr(m, 'comfy_entrypoint'))")
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_plans_and_costs_know_no_network():
    """Geometry, cost and batching stand below the networks, which import them; not even a type goes the other way."""
    room = CORE / "generator"
    for name in ("region_plan", "cost", "batches"):
        for module in imported_modules(room / f"{name}.py"):
            if module[:2] == ("chunky_core", "generator"):
                assert module[2] in ("region_plan", "cost", "batches"), f"{name} imports {'.'.join(module)}"
