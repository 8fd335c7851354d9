"""Averages under the raw weights' names without dots, as latent-diffusion's LitEma stores them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chunky_core.checkpoints.generators import load_generator
from chunky_core.errors import UnsupportedCheckpointError
from chunky_core.generator.generator import Generator
from tests.checkpoint_writers import state_of
from tests.foreign_layouts import rosinality_state

State = dict[str, Tensor]
BUFFERS = ("w_avg", "noise_const", "resample_filter")


@pytest.fixture(scope="module")
def raw(make_generator: Callable[..., Generator]) -> State:
    small = make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16)
    return {name: tensor.clone() for name, tensor in state_of(small).items()}


@pytest.fixture(scope="module")
def averaged(raw: State) -> State:
    """What averaging makes of the parameters; buffers stay as they are."""
    return {name: tensor if name.endswith(BUFFERS) else tensor + 1 for name, tensor in raw.items()}


def shadow(state: State, inner: str = "") -> State:
    """LitEma's own state: parameters without dots, and two counters."""
    plain = {
        f"{inner}{name}".replace(".", ""): tensor
        for name, tensor in state.items()
        if not name.endswith((*BUFFERS, "kernel")) and "noises." not in name
    }
    return {**plain, "decay": torch.tensor(0.9999), "num_updates": torch.tensor(7)}


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def loaded_from(content: object, path: Path) -> tuple[State, str]:
    torch.save(content, path)
    loaded = load_generator(path)
    return loaded.module.state_dict(), loaded.metadata.get("notes", "")


LAYOUTS: dict[str, Callable[[State, State], object]] = {
    "model": lambda r, a: {**under("model.", r), **under("model_ema.", shadow(a))},
    "in a state dict": lambda r, a: {"state_dict": {**under("model.", r), **under("model_ema.", shadow(a))}},
    "average first": lambda r, a: {**under("model_ema.", shadow(a)), **under("model.", r)},
    "of the whole model": lambda r, a: {**under("model.G.", r), **under("model_ema.", shadow(a, "G."))},
    "of the generator": lambda r, a: {**under("model.G.", r), **under("other.", shadow(a))},
    "compiled": lambda r, a: {**under("model._orig_mod.", r), **under("model_ema.", shadow(a, "_orig_mod."))},
    "compiled later": lambda r, a: {**under("model._orig_mod.", r), **under("model_ema.", shadow(a))},
    "in DDP": lambda r, a: {**under("module.model.", r), **under("module.model_ema.", shadow(a))},
    "bare": lambda r, a: {**r, **under("model_ema.", shadow(a))},
    "side by side": lambda r, a: {"model": r, "model_ema": shadow(a)},
    "beside a discriminator": lambda r, a: {
        **under("model.G.", r), "model.D.b4.fc.weight": torch.ones(2, 2), "model_ema.Db4fcweight": torch.ones(2, 2),
        **under("model_ema.", shadow(a, "G.")),
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_average_is_used(layout: str, raw: State, averaged: State, tmp_path: Path) -> None:
    found, notes = loaded_from(LAYOUTS[layout](raw, averaged), tmp_path / "file.ckpt")
    assert all(torch.equal(tensor, averaged[name]) for name, tensor in found.items())
    assert "the averaged weights" in notes and "not used" not in notes


def test_under_the_names_of_rosinality(raw: State, averaged: State, tmp_path: Path) -> None:
    first, second = rosinality_state(raw), rosinality_state(averaged)
    content = {**under("model.", first), **under("model_ema.", shadow(second))}
    found, notes = loaded_from(content, tmp_path / "file.ckpt")
    expected, _ = loaded_from({"g_ema": second}, tmp_path / "expected.pt")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert "the averaged weights" in notes


@pytest.mark.parametrize("spoiled", ["missing", "shape", "ambiguous"])
def test_an_average_that_does_not_match_is_told_and_not_used(
    spoiled: str, raw: State, averaged: State, tmp_path: Path
) -> None:
    stored = shadow(averaged)
    content = under("model.", raw)
    if spoiled == "missing":
        del stored["synthesisb4const"]
    elif spoiled == "shape":
        stored["synthesisb4const"] = torch.zeros(1, 4, 4)
    else:
        content["model.synthesis.b4const"] = raw["synthesis.b4.const"]
    torch.save({**content, **under("model_ema.", stored)}, tmp_path / "file.ckpt")
    if spoiled == "ambiguous":
        with pytest.raises(UnsupportedCheckpointError, match="b4const"):
            load_generator(tmp_path / "file.ckpt")
        return
    loaded = load_generator(tmp_path / "file.ckpt")
    assert torch.equal(loaded.module.state_dict()["synthesis.b4.const"], raw["synthesis.b4.const"])
    notes = loaded.metadata["notes"]
    assert "the average (model_ema) is stored without dots" in notes and "not used; model is used" in notes
