"""Old names: everything public that version 0.1 had can still be imported, and says what it is called now."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from chunky_core import deprecated
from chunky_core.deprecated.names import MOVED, RENAMED
from chunky_core.generator.generator import Generator
from chunky_core.inversion import Inversion, ProjectionConfig, project
from tests.projection_tools import photo_of_parts, pieces
from tests.test_structure import imported_modules

CORE = Path(deprecated.__file__).parent.parent
OLD = json.loads((Path(__file__).parent / "data" / "names_0_1.json").read_text())
# Workings that nobody could use without the rest of what was rebuilt.
GONE = {
    "editing.direction_files": {"named_vectors"},
    "inversion.canvas": {"Canvas"},
    "inversion.companion": {"Companion", "checks_of"},
    "inversion.fit": {"Fit", "FitState", "Lbfgs"},
    "inversion.judge": {"Judge"},
    "inversion.resumption": {"restored_companion", "restored_fit"},
    "inversion.run": {"Moment", "Run", "Search", "Source"},
    "compositing.poisson": {"check_pictures"},
    "compositing.warp": {"Region"},
    "evaluation.plots": {"Span", "drawable_runs", "linear_ticks", "log_ticks", "step_ticks"},
    "segments.signed_distance": {"signed_distance"},
    "demo.shipped": {"write_shipped_photos"},
}


@pytest.mark.parametrize("module", OLD)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_public_name_of_0_1_is_there(module: str) -> None:
    wanted = set(OLD[module]) - GONE.get(module, set())
    if wanted:
        found = importlib.import_module(f"chunky_core.{module}".rstrip("."))
        assert not [name for name in sorted(wanted) if not hasattr(found, name)]


@pytest.mark.parametrize("module", MOVED)
def test_a_module_that_moved_is_found_in_both_places(module: str) -> None:
    importlib.import_module(f"chunky_core.{module}")
    importlib.import_module(f"chunky_core.{MOVED[module]}")


def test_every_file_of_an_old_module_is_in_the_table() -> None:
    folder = CORE / "deprecated"
    files = {path.relative_to(folder).with_suffix("") for path in folder.glob("*/**/*.py")}
    names = {".".join(path.parts).removesuffix(".__init__") for path in files}
    assert not names - MOVED.keys()


def old_places(module: str) -> list[str]:
    """The modules under whose names 0.1 had what the table lists under `module`."""
    return [module] if module in OLD else [old for old, new in MOVED.items() if new == module]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (old, name)
        for module, names in RENAMED.items()
        for old in old_places(module)
        for name in names
        if name in OLD.get(old, ())
    ],
)
def test_an_old_name_warns_and_gives_the_new_thing(module: str, name: str) -> None:
    place = deprecated.new_place(module, name)
    assert place is not None
    home, new = place
    with pytest.warns(DeprecationWarning, match=name):
        found = getattr(importlib.import_module(f"chunky_core.{module}"), name)
    assert found is getattr(importlib.import_module(f"chunky_core.{home}"), new)


def test_a_name_that_never_was_is_an_ordinary_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from chunky_core.generator.files import nothing  # type: ignore[import-not-found]  # noqa: F401


def test_importing_todays_names_warns_of_nothing() -> None:
    modules = sorted(
        ".".join(("chunky_core", *path.relative_to(CORE).with_suffix("").parts)).removesuffix(".__init__")
        for path in CORE.rglob("*.py")
        if "deprecated" not in path.parts and path.name != "__main__.py"
    )
    code = (
        "import importlib, warnings; warnings.simplefilter('error', DeprecationWarning)\n"
        f"for name in {modules}: importlib.import_module(name)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CORE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_old_knobs_and_arguments_of_a_projection(generator: Generator) -> None:
    with pytest.warns(DeprecationWarning, match="'steps' is now 'num_steps'"):
        config = ProjectionConfig(steps=2, optimise_noise=True)  # type: ignore[call-arg]
    assert config == ProjectionConfig(num_steps=2, optimize_noise=True)
    with pytest.warns(DeprecationWarning, match="'steps' is now 'num_steps'"):
        assert config.steps == 2  # type: ignore[attr-defined]
    masks = pieces(generator.img_resolution)
    photo = photo_of_parts(generator, masks).clamp(-1, 1)
    kept: list[Inversion] = []
    with pytest.warns(DeprecationWarning, match="'keep' is now 'autosave'"):
        result = project(
            generator,
            photo,
            segments=masks,
            config=config,
            keep=kept.append,
            keep_seconds=0,  # type: ignore[call-arg]
        )
    assert len(kept) == 1 and result.settings["steps"] == 2  # files keep the old names
    with pytest.warns(DeprecationWarning):
        assert result.masks() is not None


def test_old_modules_are_attributes_of_their_rooms() -> None:
    code = (
        "import chunky_core.inversion, chunky_core.generator\n"
        "print(chunky_core.inversion.files.__name__, chunky_core.generator.checkpoints.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CORE.parent, capture_output=True, text=True)
    assert done.stdout.split() == ["chunky_core.inversion.files", "chunky_core.generator.checkpoints"], (
        done.stderr
    )


def test_the_old_name_of_a_boxs_relative_cost(generator: Generator) -> None:
    with pytest.warns(DeprecationWarning, match="relative_cost"):
        assert generator.effort((0, 0, 8, 8)) == generator.relative_cost((0, 0, 8, 8))


@pytest.mark.parametrize("folder", ["chunky_core", "nodes", "benchmarks", "docs"])
def test_nothing_of_the_project_itself_uses_old_names(folder: str) -> None:
    found = []
    for path in sorted((CORE.parent / folder).rglob("*.py")):
        for module in imported_modules(path):
            place = ".".join(module[module.index("chunky_core") + 1 : -1]) if "chunky_core" in module else ""
            old = f"{place}.{module[-1]}" in MOVED and f"{place}.{module[-1]}" not in MOVED.values()
            if "deprecated" not in path.parts and (old or module[-1] in RENAMED.get(place, {})):
                found.append(f"{path.relative_to(CORE.parent)}: {place}.{module[-1]}")
    assert not found
