"""Objects of classes that the reader doesn't know: inert beside a generator, refused where it reaches them."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from chunky_core.checkpoints.containers.content import open_content
from chunky_core.checkpoints.generators import load_generator, read_checkpoint
from chunky_core.checkpoints.pickles.rebuild import Record, unknown_in
from chunky_core.errors import UnsupportedCheckpointError
from tests.checkpoint_writers import (
    ProjectedDiscriminator,
    foreign_names,
    persistent_generator,
    state_of,
    write_projected,
)
from tests.fuzz.seeds import seed_generator
from tests.hostile_tools import refusal, written

pytestmark = pytest.mark.usefixtures("nothing_created")
NAME = "pg_modules.discriminator.ProjectedDiscriminator"


def write(path: Path, **content: Any) -> Path:
    with foreign_names(), path.open("wb") as file:
        pickle.dump(content, file, protocol=4)
    return path


@pytest.fixture
def network() -> Any:
    return persistent_generator(seed_generator("ada"))


def test_beside_the_generator_it_is_an_entry_that_is_not_used(tmp_path: Path) -> None:
    source = seed_generator("ada")
    write_projected(source, tmp_path / "best_model.pkl")
    with read_checkpoint(tmp_path / "best_model.pkl") as checkpoint:
        assert "D (ProjectedDiscriminator)" in checkpoint.ignored
    found = load_generator(tmp_path / "best_model.pkl").module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in state_of(source).items())


@pytest.mark.parametrize("save", ["zip", "legacy"])
def test_in_torchs_containers(save: str, tmp_path: Path) -> None:
    source = seed_generator("plain")
    with foreign_names():
        torch.save(
            {"D": ProjectedDiscriminator(), "g_ema": state_of(source)},
            tmp_path / "file.pt",
            _use_new_zipfile_serialization=save == "zip",
        )
    assert torch.equal(load_generator(tmp_path / "file.pt").w_avg, source.w_avg)


def test_it_is_a_record_of_what_the_file_says(tmp_path: Path) -> None:
    path = write(tmp_path / "file.pkl", D=ProjectedDiscriminator())
    with open_content(path, unknown=True) as content:
        found = content.value["D"]
        assert isinstance(found, Record) and found.unknown and found.name == NAME
        assert found.state["feature_network"] == [{"norm": 1.0}]
        assert unknown_in(content.value) == NAME
    with pytest.raises(UnsupportedCheckpointError, match="projected-gan"), open_content(path):
        pass


@pytest.mark.parametrize("place", ["attribute", "module", "buffer", "argument"])
def test_a_generator_that_reaches_it_is_refused(place: str, network: Any, tmp_path: Path) -> None:
    found = ProjectedDiscriminator()
    if place == "attribute":
        network.state["extra"] = [{"deep": (found,)}]
    elif place == "argument":
        network.state["_init_kwargs"]["extra"] = found
    else:
        network.state[f"_{place}s"]["extra"] = found
    for content in ({"G_ema": network}, {"G_ema": network, "G": persistent_generator(seed_generator("ada"))}):
        assert NAME in refusal(write(tmp_path / "file.pkl", **content))


def test_what_lies_inside_it_is_not_looked_at(network: Any, tmp_path: Path) -> None:
    holder = ProjectedDiscriminator()
    holder.G_ema = network  # type: ignore[attr-defined]
    holder.g_ema = state_of(seed_generator("plain"))  # type: ignore[attr-defined]
    assert NAME in refusal(write(tmp_path / "file.pkl", holder=holder))


def test_a_reference_without_an_object_counts_too(network: Any, tmp_path: Path) -> None:
    assert load_generator(write(tmp_path / "file.pkl", G_ema=network, D=ProjectedDiscriminator)).c_dim == 0
    network.state["kind"] = ProjectedDiscriminator
    assert NAME in refusal(write(tmp_path / "file.pkl", G_ema=network))


class Called:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


CALLS = {
    "a class called": (ProjectedDiscriminator, NAME),
    "functools.partial": (partial, "functools.partial"),
    "a method": (dict.fromkeys, "getattr"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_what_would_be_called_is_refused_even_beside(kind: str, network: Any, tmp_path: Path) -> None:
    function, name = CALLS[kind]
    called = Called(function, print) if function is partial else Called(function)
    assert name in refusal(write(tmp_path / "file.pkl", D=called, G_ema=network))


def spelled(name: str, how: str) -> bytes:
    """An instance of a class, made by an opcode that calls it (i, o) or makes an empty one (NEWOBJ)."""
    module, _, kind = name.rpartition(".")
    text = f"{module}\n{kind}\n".encode()
    return {"i": b"(i" + text, "o": b"(c" + text + b"o", "NEWOBJ": b"c" + text + b")\x81"}[how]


@pytest.mark.parametrize(
    ("name", "how", "opens"),
    [
        (NAME, "i", False),
        (NAME, "o", False),
        (NAME, "NEWOBJ", True),
        ("subprocess.Popen", "NEWOBJ", False),
        ("os.system", "NEWOBJ", False),
        ("builtins.eval", "NEWOBJ", False),
    ],
)
def test_opcodes_beside_a_generator(
    name: str, how: str, opens: bool, good: Callable[[str], Path], tmp_path: Path
) -> None:
    data = good("ada").read_bytes()
    proto, body = data[:2], data[2:]
    if body[:1] == b"\x95":  # the first frame's length
        body = body[9:]
    # a tuple of both, so that the generator stays what it was
    path = written(tmp_path / "file.pkl", proto + spelled(name, how) + body[:-1] + b"\x86.")
    if opens:
        assert load_generator(path).c_dim == 0
    else:
        assert name in refusal(path)


def test_dangerous_names_are_refused_though_nothing_calls_them(network: Any, tmp_path: Path) -> None:
    import os

    assert "wants to run" in refusal(write(tmp_path / "file.pkl", note=os.system, G_ema=network))


def test_many_objects_stay_within_the_budget(tmp_path: Path) -> None:
    one = b"cx\ny\n)\x81"
    many = b"\x80\x02](" + one + b"0" + b"N" + b"e" + one * 3 + b"00" + b"."
    assert "x.y" in refusal(written(tmp_path / "few.pkl", many))
    deep = b"\x80\x02" + one + (b"q\x00}X" + struct.pack("<I", 1) + b"ah\x00sb") + b"."
    assert "without end" in refusal(written(tmp_path / "cycle.pkl", deep))
