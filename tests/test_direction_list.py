"""The lists of Latent Edit and Load Direction for a generator: the server's answer, and what the page makes of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.pack_on_double import TINY, Pack

ROOT = Path(__file__).parent.parent
DEMO = "demo (built in)"
ROUTE = "/chunkygan/directions"
W, LAYERS = 32, 10  # of the tiny generator
UNKNOWN = {"directions": None, "files": None}


@pytest.fixture(scope="module", autouse=True)
def files(pack: Pack) -> Iterator[Path]:
    """Directions for the tiny generator, for the demo, for neither, and for both in one file."""
    folder = pack.base / "models" / "stylegan_directions"
    before = set(folder.iterdir())
    rng = np.random.default_rng(0)
    np.save(folder / "late.npy", rng.normal(size=(LAYERS, W)).astype(np.float32))
    np.save(folder / "for_demo.npy", np.ones(48, np.float32))
    np.save(folder / "for_none.npy", np.ones((18, 512), np.float32))
    mixed = {"directions/narrow": torch.ones(W), "directions/wide": torch.ones(48)}
    save_file(mixed, folder / "mixed.safetensors")
    yield folder
    for path in set(folder.iterdir()) - before:
        path.unlink()


class Request:
    def __init__(self, **query: str) -> None:
        self.query = query


def ask(pack: Pack, **query: str) -> dict[str, Any]:
    return json.loads(asyncio.run(pack.server.routes.handlers[ROUTE](Request(**query))).text)


def listed(pack: Pack, node: str, widget: str) -> list[str]:
    (entry,) = [one for one in pack.schemas[node].inputs if one.id == widget]
    return entry.widget["options"]


def test_only_what_fits_is_answered(pack: Pack) -> None:
    answer = ask(pack, generator=TINY, upsampling="auto")
    assert answer["directions"] == [
        "late.npy/late",
        "mixed.safetensors/narrow",
        f"{TINY}/gaze_x",
        f"{TINY}/smile",
    ]
    assert answer["files"] == ["late.npy", TINY]  # Load Direction opens a file as a whole
    demo = ask(pack, generator=DEMO)
    assert "smile" in demo["directions"] and "for_demo.npy/for_demo" in demo["directions"]
    assert "mixed.safetensors/wide" in demo["directions"] and not any(
        TINY in one for one in demo["directions"]
    )
    assert demo["files"] == [DEMO, "for_demo.npy"]


@pytest.mark.parametrize("generator", [TINY, DEMO])
def test_what_is_answered_is_what_opens(pack: Pack, generator: str) -> None:
    """The oracle: each entry of the lists, opened for the generator itself."""
    (hosted,) = pack.run("ChunkyGAN_LoadStyleGAN", name=generator)
    sources = sys.modules[f"{pack.module.__name__}.nodes.direction_sources"]
    directions = sys.modules[f"{pack.module.__name__}.nodes.directions"]

    def opens(read: Any, *given: Any) -> bool:
        try:
            read(*given)
        except pack.errors.InvalidInputError:
            return False
        return True

    answer = ask(pack, generator=generator)
    names = listed(pack, "ChunkyGAN_LatentEdit", "direction")
    network = hosted.generator
    assert answer["directions"] == [
        one for one in names if opens(sources.direction_by_name, one, network, "raw")
    ]
    files = listed(pack, "ChunkyGAN_LoadDirection", "file")
    assert answer["files"] == [one for one in files if opens(directions.directions_in, network, one, "raw")]


def test_a_changed_file_is_read_anew(pack: Pack, files: Path) -> None:
    before = ask(pack, generator=TINY)
    np.save(files / "for_none.npy", np.ones((LAYERS, W), np.float32))
    assert set(ask(pack, generator=TINY)["files"]) - set(before["files"]) == {"for_none.npy"}
    stylegan = pack.base / "models" / "stylegan"
    shutil.copy(stylegan / TINY, stylegan / "other.safetensors")
    try:
        assert ask(pack, generator="other.safetensors") == ask(pack, generator=TINY)
        demo = sys.modules[f"{pack.module.__name__}.chunky_core.checkpoints.generators"].DEMO
        shutil.copy(demo, stylegan / "other.safetensors")
        assert ask(pack, generator="other.safetensors") == ask(pack, generator=DEMO)
    finally:
        (stylegan / "other.safetensors").unlink()


def test_nothing_but_listed_generators_is_opened(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[f"{pack.module.__name__}.nodes.direction_list"]
    opened: list[str] = []
    monkeypatch.setattr(module, "path_of", opened.append)
    for asked in ({}, {"generator": "../stylegan_directions/late.npy"}, {"generator": "demo"}):
        assert ask(pack, **asked) == UNKNOWN
    absolute = str(pack.base / "models" / "stylegan" / TINY)
    assert ask(pack, generator=absolute) == UNKNOWN and not opened


def test_what_is_no_generator_gets_no_answer(pack: Pack) -> None:
    damaged = pack.base / "models" / "stylegan" / "damaged.pkl"
    damaged.write_bytes(b"no pickle")
    try:
        assert ask(pack, generator="damaged.pkl") == UNKNOWN
        assert ask(pack, generator=TINY, upsampling="sideways") == UNKNOWN
    finally:
        damaged.unlink()


def test_the_server_goes_on_while_files_are_read(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[f"{pack.module.__name__}.nodes.direction_list"]
    threads: list[int] = []

    def note(*_: str) -> dict[str, Any]:
        threads.append(threading.get_ident())
        return {}

    monkeypatch.setattr(module, "fitting_lists", note)
    assert ask(pack, generator=TINY) == {}
    assert threads and threads[0] != threading.get_ident()


def test_the_page_in_node(tmp_path: Path) -> None:
    """tests/direction_list_page.mjs runs the script against a page of a few lines."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run scripts of the page")
    script = tmp_path / "extensions" / "pack" / "js"
    script.mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(ROOT / "web" / "js" / "direction_list.js", script)
    for name in ("app", "api"):
        (tmp_path / "scripts" / f"{name}.js").write_text(f"export const {name} = globalThis.{name}\n")
    program = ROOT / "tests" / "direction_list_page.mjs"
    done = subprocess.run(
        [node, str(program), str(script / "direction_list.js")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == 10, done.stdout
