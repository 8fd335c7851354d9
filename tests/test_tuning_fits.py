"""What a tuning says of how near its segments came: from the pivot's picture to the tuned one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from chunky_core.compositing.render import render
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.inversion import Edit, Inversion, ProjectionConfig, project, tune
from chunky_core.inversion.tuning.fits import fitting_errors
from tests.projection_tools import Interrupted, photo_of_parts, pieces, stopping_at
from tests.tuning_tools import QUICK


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def pivot(generator: Generator) -> Inversion:
    masks = pieces(generator.img_resolution)
    photo = photo_of_parts(generator, masks)
    return project(generator, photo, masks, ProjectionConfig(num_steps=12, dilation=1))


def drawn_error(generator: Generator, inversion: Inversion, name: str) -> float:
    """Of the segment alone, drawn whole by `render` with a mask of ones."""
    segment, photo = inversion.segments[name], inversion.photo
    assert photo is not None
    whole = replace(segment, mask=torch.ones_like(segment.mask))
    alone = replace(
        inversion, segments=(whole,), static_mask=torch.zeros_like(segment.mask), edits=(), fits={}
    )
    squares = (render(generator, alone) - photo).square() * segment.mask
    return 127.5 * (squares.sum() / (3 * segment.mask.sum())).sqrt().item()


@pytest.mark.parametrize("options", [{}, {"shared": False}, {"tune_codes": True}], ids=str)
def test_they_lead_from_the_pivots_picture_to_the_tuned_one(
    generator: Generator, pivot: Inversion, options: dict
) -> None:
    tuned = tune(generator, pivot, QUICK, **options)
    assert tuned.fits.keys() == set(pivot.names)
    for name, fit in tuned.fits.items():
        assert fit.start == pytest.approx(drawn_error(generator, pivot, name), rel=1e-4)
        assert fit.end == pytest.approx(drawn_error(generator, tuned, name), rel=1e-4)
    assert sum(fit.end for fit in tuned.fits.values()) < sum(fit.start for fit in tuned.fits.values())


def test_those_of_segments_that_stay_stay(generator: Generator, pivot: Inversion) -> None:
    tuned = tune(generator, pivot, QUICK, segments="block")
    assert {name for name in pivot.names if tuned.fits[name] != pivot.fits[name]} == {"block"}
    again = tune(generator, tuned, QUICK, segments="block")  # from its delta, which it replaces
    assert again.fits["block"].start == pytest.approx(tuned.fits["block"].end, rel=1e-4)


def test_an_interrupted_run_ends_with_the_same_ones(generator: Generator, pivot: Inversion) -> None:
    whole, kept = tune(generator, pivot, QUICK), []
    with pytest.raises(Interrupted):
        tune(generator, pivot, QUICK, callback=stopping_at(5, Interrupted()), autosave=kept.append)
    assert {fit.start for fit in kept[-1].fits.values()} == {fit.start for fit in whole.fits.values()}
    assert tune(generator, kept[-1], QUICK, resume=True).fits == whole.fits


def test_edits_do_not_count_and_what_is_not_finite_is_left_out(
    generator: Generator, pivot: Inversion
) -> None:
    direction = Direction("any", "w", torch.ones(generator.w_dim))
    edited = pivot.with_edits(Edit(direction, 3.0))
    assert fitting_errors(generator, edited, pivot.names) == fitting_errors(generator, pivot, pivot.names)
    broken = pivot.segments["block"]
    code = replace(broken.code, tensor=broken.code.tensor * torch.inf)
    segments = [replace(one, code=code) if one.name == "block" else one for one in pivot.segments]
    found = fitting_errors(generator, replace(pivot, segments=tuple(segments)), pivot.names)
    assert found.keys() == set(pivot.names) - {"block"}
