"""Inversions that an earlier state of the program has saved open, draw what they drew, and go on as they would have.

tests/data/README.md says how the files were made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from chunky_core.compositing.render import render
from chunky_core.generator.generator import Generator
from chunky_core.inversion import Inversion, ProjectionConfig, load_inversion, project
from tests.projection_tools import codes

DATA = Path(__file__).parent / "data"
FILES = ("finished", "joint", "delta", "warmup", "companion")
CONFIGS = {
    "warmup": ProjectionConfig(num_steps=10, dilation=1),
    "companion": ProjectionConfig(num_steps=10, dilation=1, code_noise=0.05, space="w"),
}


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=4, resolution=16, w_dim=8, channel_base=64, channel_max=8)


def opened(name: str) -> Inversion:
    return load_inversion(DATA / f"earlier_{name}.safetensors")


def expected(name: str) -> Tensor:
    with safe_open(str(DATA / "earlier_expected.safetensors"), framework="pt") as file:
        return file.get_tensor(name).clone()


@pytest.mark.parametrize("name", FILES)
def test_an_earlier_file_draws_what_it_drew(generator: Generator, name: str) -> None:
    inversion = opened(name)
    assert inversion.fingerprint == generator.fingerprint
    drawn = render(generator, inversion)[..., ::2, ::2]
    assert torch.allclose(drawn, expected(name), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["warmup", "companion"])
def test_an_earlier_run_goes_on_to_the_end_that_it_would_have_had(generator: Generator, name: str) -> None:
    inversion = opened(name)
    assert inversion.is_unfinished and inversion.photo is not None
    ended = project(generator, inversion.photo, inversion.masks, CONFIGS[name], start=inversion, resume=True)
    assert ended.stopped is None and {len(curve) for curve in ended.losses.values()} == {10}
    for index, code in enumerate(codes(ended)):
        assert torch.allclose(code, expected(f"{name}/codes/{index}"), atol=1e-3, rtol=0)


def test_the_state_holds_what_the_files_are_named_after() -> None:
    """One code for all segments in the warm-up; after it one each, and the shared one beside them."""
    warmup, companion = opened("warmup").state, opened("companion").state
    assert warmup is not None and (warmup.step, warmup.numbers["spaces"]) == (2, ["w+"])
    assert companion is not None and (companion.step, companion.numbers["spaces"]) == (5, ["w"] * 3)
    assert companion.numbers["companion"]["spaces"] == ["w"] and "companion/values/0" in companion.tensors


def test_all_parts_of_a_record_come_back() -> None:
    finished, delta, joint = opened("finished"), opened("delta"), opened("joint")
    assert [segment.code.space for segment in finished.segments] == ["w+", "w", "s"]
    assert [map_.shape[-1] for map_ in finished.noise] == [4, 8, 8, 16, 16] and len(finished.edits) == 1
    assert finished.edits[0].strength == 0.5 and finished.edits[0].segments == ("block", "band")
    assert [segment.redrawn for segment in delta.segments] == [False, True, False]
    assert list(delta.segments[0].delta) == ["synthesis.b16.conv0.weight"]
    assert delta.alignment is not None and delta.alignment.original_size == (480, 640)
    assert joint.photo is None and set(joint.losses) == {"rest", "band", "block", "together"}
    assert joint.settings["mode"] == "joint" and joint.with_photo(opened("delta").photo).photo is not None
