"""How near each segment came to the photo, against where it set out from: measured, kept, and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from chunky_core.compositing.render import render
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.inversion import (
    Inversion,
    ProjectionConfig,
    SegmentCode,
    SegmentFit,
    fit_report,
    load_inversion,
    project,
)
from chunky_core.inversion.initialization import mean_latent
from chunky_core.inversion.photo_detail import segment_details
from chunky_core.segments import SegmentMasks
from tests.projection_tools import Interrupted, photo_of_parts, pieces, stopping_at

SHORT = ProjectionConfig(num_steps=12, dilation=1)


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def masks(generator: Generator) -> SegmentMasks:
    return pieces(generator.img_resolution)


@pytest.fixture(scope="module")
def photo(generator: Generator, masks: SegmentMasks) -> Tensor:
    return photo_of_parts(generator, masks)


@pytest.fixture(scope="module")
def projected(generator: Generator, photo: Tensor, masks: SegmentMasks) -> Inversion:
    return project(generator, photo, masks, SHORT)


def expected_errors(generator: Generator, inversion: Inversion, codes: list[LatentCode]) -> list[float]:
    """Of each segment alone, drawn whole by `render` with a mask of ones."""
    found = []
    assert inversion.photo is not None
    for segment, code in zip(inversion.segments, codes, strict=True):
        whole = SegmentCode(segment.name, torch.ones_like(segment.mask), code)
        alone = replace(
            inversion, segments=(whole,), static_mask=torch.zeros_like(segment.mask), edits=(), fits={}
        )
        gray = (render(generator, alone) - inversion.photo) * 127.5
        weights = segment.mask.expand_as(gray)
        found.append(((gray.square() * weights).sum() / weights.sum()).sqrt().item())
    return found


@pytest.mark.parametrize(
    "settings", [{}, {"mode": "joint"}, {"warmup": 0.0, "space": "s"}, {"coarse": 0.5}], ids=str
)
def test_fits_are_errors_within_the_segments_own_masks(
    generator: Generator, photo: Tensor, masks: SegmentMasks, settings: dict
) -> None:
    made = project(generator, photo, masks, replace(SHORT, **settings))
    assert tuple(made.fits) == masks.names
    mean = LatentCode("w", mean_latent(generator, "w", 0))
    starts = expected_errors(generator, made, [mean] * len(masks.names))
    ends = expected_errors(generator, made, [segment.code for segment in made.segments])
    for fit, start, end in zip(made.fits.values(), starts, ends, strict=True):
        assert fit.start == pytest.approx(start, rel=1e-3) and fit.end == pytest.approx(end, rel=1e-3)


def test_a_start_is_measured_with_its_own_codes(
    generator: Generator, photo: Tensor, masks: SegmentMasks, projected: Inversion
) -> None:
    made = project(generator, photo, masks, replace(SHORT, num_steps=2), start=projected)
    for name, fit in made.fits.items():
        assert fit.start == pytest.approx(projected.fits[name].end, rel=1e-4)


@pytest.mark.parametrize("at", [2, 7])
def test_a_run_that_goes_on_keeps_where_it_set_out_from(
    generator: Generator, photo: Tensor, masks: SegmentMasks, projected: Inversion, at: int, tmp_path: Path
) -> None:
    """Of what an interruption leaves the end so far is measured; records kept on the way leave it open."""
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        project(
            generator,
            photo,
            masks,
            SHORT,
            callback=stopping_at(at, Interrupted()),
            autosave=kept.append,
            autosave_seconds=0,
        )
    *on_the_way, last = kept
    assert len(on_the_way) == at - 1 and not any(one.fits for one in on_the_way)
    assert {name: fit.start for name, fit in last.fits.items()} == {
        name: fit.start for name, fit in projected.fits.items()
    }
    assert last.fits != projected.fits
    last.save(tmp_path / "kept.safetensors")
    opened = load_inversion(tmp_path / "kept.safetensors")
    assert opened.fits == last.fits
    for record in (opened, on_the_way[0]):
        assert project(generator, photo, masks, SHORT, start=record, resume=True).fits == projected.fits


def test_a_record_survives_that_its_fits_cannot_be_measured(
    generator: Generator, photo: Tensor, masks: SegmentMasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Inversion] = []

    def full(done: int, total: int, image: Tensor | None) -> None:
        if done == 3:
            monkeypatch.setattr(type(generator), "synthesis_boxes", failing)
            raise RuntimeError("out of memory")

    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory once more")

    with pytest.raises(RuntimeError, match="memory$"):
        project(generator, photo, masks, SHORT, callback=full, autosave=kept.append)
    assert kept[-1].state is not None and kept[-1].state.step == 3 and kept[-1].fits == {}


def test_a_run_that_stays_where_it_was_is_poor_and_says_so(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    stuck = project(generator, photo, masks, replace(SHORT, learning_rate=1e-6))
    wanted = tuple(name for name, fit in stuck.fits.items() if fit.end > 16)
    assert wanted and stuck.poor_fits == wanted
    *lines, last = fit_report(stuck).splitlines()
    assert [line.split()[0] for line in lines[: len(masks.names)]] == list(masks.names)
    assert all(name in last for name in wanted) and "more steps" in last


@pytest.mark.parametrize(
    ("start", "end", "poor"),
    [(60, 58, True), (60, 47, False), (60, 90, True), (12, 11.9, False), (15, 15.5, False), (20, 17, True)],
)
def test_what_is_near_its_start_is_poor_unless_it_shows_the_photo(
    start: float, end: float, poor: bool
) -> None:
    assert SegmentFit(start, end).is_poor == poor


def test_the_report_of_good_fits_names_none(projected: Inversion) -> None:
    good = replace(projected, fits={"rest": SegmentFit(60, 9.25), "block": SegmentFit(40, 8)})
    assert fit_report(good) == "rest    60.0 ->   9.2 grey levels\nblock   40.0 ->   8.0 grey levels"
    assert fit_report(replace(projected, fits={})) == ""


@pytest.mark.parametrize(
    "entry", [[1.0], [1.0, float("nan")], [-1.0, 2.0], "text", [1, 2, -3], [1, 2, 3, 4]], ids=str
)
def test_damaged_fits_are_refused(projected: Inversion, entry: object) -> None:
    from chunky_core.inversion.document import rebuild, to_json, to_tensors
    from chunky_core.inversion.plain_values import parse

    document, tensors = parse(to_json(projected)), to_tensors(projected)
    assert rebuild(document, tensors.__getitem__).fits == projected.fits
    with pytest.raises((InvalidInputError, ValueError, TypeError)):
        rebuild({**document, "fits": {"rest": entry}}, tensors.__getitem__)


def test_damaged_starting_errors_are_refused(
    generator: Generator, photo: Tensor, masks: SegmentMasks, projected: Inversion
) -> None:
    assert projected.state is not None
    numbers = {**projected.state.numbers, "starting_errors": [1.0, -2.0, 3.0]}
    damaged = replace(projected, state=replace(projected.state, numbers=numbers))
    with pytest.raises(InvalidInputError, match="starting_errors"):
        project(generator, photo, masks, replace(SHORT, num_steps=14), start=damaged, resume=True)


def test_detail_is_what_eight_pixels_a_side_do_not_show(photo: Tensor, masks: SegmentMasks) -> None:
    """Against the means of 8x8 squares, enlarged; a flat photo has none."""
    details = dict(zip(masks.names, segment_details(photo, masks), strict=True))
    square = photo.shape[-1] // 8
    tiles = photo.reshape(1, 3, 8, square, 8, square).mean(dim=(3, 5))
    blurred = interpolate(tiles, photo.shape[-2:], mode="bilinear", align_corners=False)
    for name, mask in zip(masks.names, masks.masks, strict=True):
        squares = (mask * (photo - blurred).square()).sum() / (3 * mask.sum())
        assert details[name] == pytest.approx(127.5 * squares.sqrt().item(), rel=1e-4)
    flat = torch.full_like(photo, 0.3)
    assert segment_details(flat, masks) == pytest.approx([0] * len(masks.names), abs=1e-3)


def test_the_share_that_was_met(projected: Inversion) -> None:
    assert (
        SegmentFit(40, 10, 20).met == 0.75
        and SegmentFit(40, 30, 20).met == 0
        and SegmentFit(4, 3).met is None
    )
    assert all(fit.detail > 0 for fit in projected.fits.values())
    assert fit_report(replace(projected, fits={"block": SegmentFit(40, 10, 20)})) == (
        "block   40.0 ->  10.0 grey levels,  75% of its detail"
    )


@pytest.mark.parametrize(
    ("rest", "block", "expected"),
    [
        ((60, 41, 40), (60, 41, 40), True),
        ((60, 41, 40), (60, 1, 40), True),  # a small segment alone doesn't speak for the generator
        ((60, 30, 40), (60, 90, 40), False),
        ((60, 9, 8), (60, 9, 8), False),  # what is left can't be seen
        ((60, 41, 0), (60, 41, 40), False),  # most of the photo wasn't measured
    ],
)
def test_pictures_that_the_generator_does_not_know_are_said_to_be(
    projected: Inversion, rest: tuple[float, ...], block: tuple[float, ...], expected: bool
) -> None:
    long = {"rest": [1.0] * 30}
    record = replace(projected, fits={"rest": SegmentFit(*rest), "block": SegmentFit(*block)}, losses=long)
    assert not replace(record, losses={"rest": [1.0] * 29}).is_out_of_domain
    assert record.is_out_of_domain == expected
    assert ("doesn't know such pictures" in fit_report(record)) == expected
