"""`pip install .`: the wheel holds chunky_core alone, says what it needs, and works without the repository."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import chunky_core

pytestmark = pytest.mark.cpu("files and processes")
ROOT = Path(__file__).parent.parent
OLDEST_PYTHON = (3, 10)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that pip built offline from a copy of the pack; lies where a host keeps its packs and ignores them."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("the build backend is absent: pip install -r requirements-dev.txt")
    host = tmp_path_factory.mktemp("host")
    (host / ".git").mkdir()
    (host / ".gitignore").write_text("/custom_nodes/\n*.safetensors\n")
    pack = host / "custom_nodes" / "a pack, version 2"
    no_caches = shutil.ignore_patterns("__pycache__")
    for name in ("chunky_core", "nodes", "web", "workflows"):
        shutil.copytree(ROOT / name, pack / name, ignore=no_caches)
    for name in ("pyproject.toml", "README.md", "LICENSE", "__init__.py", "requirements.txt"):
        shutil.copy(ROOT / name, pack)
    before = sorted(pack.rglob("*"))
    pip("wheel", ".", "--no-build-isolation", "--wheel-dir", str(host / "dist"), cwd=pack)
    assert sorted(pack.rglob("*")) == before, "building leaves something in the pack"
    (built,) = (host / "dist").iterdir()
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed, without what it depends on."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", str(wheel), "--target", str(folder), cwd=folder.parent)
    return folder


def pip(command: str, *arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, "--no-deps", "--no-index", "--quiet", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_installed(installed: Path, *command: str) -> str:
    """Standard output of a command that finds the package in `installed` alone."""
    done = subprocess.run(
        command,
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def metadata_of(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path)


def requirements() -> list[str]:
    lines = (line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    return sorted(line for line in lines if line and not line.startswith("#"))


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "chunky_core"
    kept = {p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert names == {path.relative_to(ROOT).as_posix() for path in kept}
    assert {"chunky_core/py.typed", "chunky_core/demo/assets/generator.safetensors"} < names


def test_the_wheel_says_what_it_is_and_needs(wheel: Path):
    metadata = message_from_bytes(metadata_of(wheel, "METADATA"))
    assert metadata["Version"] == chunky_core.__version__
    assert sorted(metadata.get_all("Requires-Dist")) == requirements()
    assert metadata["Requires-Python"] == ">=" + ".".join(map(str, OLDEST_PYTHON))
    assert "chunkygan = chunky_core.cli:main" in metadata_of(wheel, "entry_points.txt").decode()


def test_what_is_written_twice_agrees():
    """Tools of the host read pyproject.toml and requirements.txt as they are, so neither can refer to another."""
    tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == chunky_core.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])  # what the registry takes
    assert sorted(project["dependencies"]) == requirements()


def test_the_installed_package_works_without_the_repository(installed: Path):
    code = (
        "import chunky_core, torch; G = chunky_core.load_generator('demo')\n"
        "image = G.synthesis(G.w_avg.expand(1, G.num_ws, -1))\n"
        "print(chunky_core.__file__, *image.shape, bool(torch.isfinite(image).all()), sep='|')"
    )
    file, *rest = run_installed(installed, sys.executable, "-c", code).strip().split("|")
    assert Path(file).is_relative_to(installed)
    assert rest == ["1", "3", "256", "256", "True"]


def test_the_installed_script_calls_itself_by_its_name(installed: Path):
    script = next(p for p in (installed / "bin", installed / "Scripts") if p.is_dir()) / "chunkygan"
    assert "usage: chunkygan [-h]" in run_installed(installed, str(script), "--help")
    by_module = run_installed(installed, sys.executable, "-m", "chunky_core", "inspect", "--help")
    assert "usage: python -m chunky_core inspect" in by_module


@pytest.mark.parametrize("folder", ["chunky_core", "nodes"])
def test_the_oldest_python_can_read_the_syntax(folder: str):
    """What the standard library offers there is checked by mypy, whose `python_version` is the oldest, too."""
    assert (
        f'python_version = "{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]}"' in (ROOT / "pyproject.toml").read_text()
    )
    for path in sorted((ROOT / folder).rglob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=OLDEST_PYTHON)
