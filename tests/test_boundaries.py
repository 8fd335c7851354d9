"""Boundaries of inversions: where they are fast, what replaces the masks, and the curves that show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chunky_core.compositing.refine_boundaries import (
    by_features,
    refine_boundaries,
    segment_speeds,
    with_masks,
)
from chunky_core.compositing.render import render, render_segment
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import Edit, Inversion, SegmentCode
from chunky_core.segments.level_set import boundary_speed, refine_segments
from chunky_core.visualization.outlines import AFTER, draw_outlines, outline
from tests.projection_tools import photo_of_parts, pieces


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def edited(generator: Generator) -> Inversion:
    """Three segments with random codes; only "block" is edited."""
    segments = pieces(64)
    z = torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(3))
    parts = tuple(
        SegmentCode(name, mask[None], LatentCode("w+", generator.mapping(one[None])))
        for name, mask, one in zip(segments.names, segments.masks, z, strict=True)
    )
    direction = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(0))
    edit = Edit(Direction("any", "w", direction), 1.5, ("block",))
    photo = photo_of_parts(generator, segments)
    return Inversion(photo, parts, segments.static, generator.fingerprint, (edit,))


def test_speed_is_where_an_edit_changes_the_segments_own_picture(
    generator: Generator, edited: Inversion
) -> None:
    speeds = segment_speeds(generator, edited, ["all"])
    assert list(speeds) == ["block"]  # the others have no edit
    block = next(one for one in edited.segments if one.name == "block")
    pictures = (render_segment(generator, edited, block, edits) for edits in ([], edited.edits))
    assert torch.equal(speeds["block"], boundary_speed(*pictures))


def test_speed_against_the_photo_is_low_where_the_reconstruction_is_right(
    generator: Generator, edited: Inversion
) -> None:
    plain = replace(edited, edits=())
    speeds = segment_speeds(generator, plain, ["band"], compared="photo")
    inside = plain.masks.masks[plain.names.index("band")] == 1
    assert speeds["band"][0][inside].max() < 0.5 * speeds["band"][0][~inside].mean()


def test_a_grown_segment_shows_more_of_its_edit(generator: Generator, edited: Inversion) -> None:
    speeds = segment_speeds(generator, edited, ["block"])
    moved = with_masks(edited, refine_segments(edited.masks, speeds, distance=6, signs=1))
    index = edited.names.index("block")
    before, after = edited.masks.masks[index], moved.masks.masks[index]
    assert (after >= before - 1e-6).all() and after.sum() > before.sum() + 5
    assert moved.edits == edited.edits and moved.segments[0].code is edited.segments[0].code
    own = render_segment(generator, edited, edited.segments[index], edited.edits)
    solid = (after[0] == 1) & (before[0] < 1)
    assert solid.any()
    assert (render(generator, moved) - own)[..., solid].abs().max() < 1e-4


def test_refining_is_the_level_set_by_the_speeds(generator: Generator, edited: Inversion) -> None:
    found = refine_boundaries(generator, edited, "all", distance=5, curvature=0.2)
    speeds = segment_speeds(generator, edited, ["block"])
    masks = refine_segments(edited.masks, speeds, distance=5, signs=1, curvature=0.2, enter_static=True)
    assert torch.equal(found.masks.masks, masks.masks) and torch.equal(found.static_mask, masks.static)
    assert not torch.equal(masks.masks, edited.masks.masks)
    assert [one.name for one in found.segments if one.redrawn] == ["block"]
    assert found.edits == edited.edits and found.state is None


class Colours:
    """A network whose features are the colours themselves."""

    smallest_side = 1

    def features(self, images: Tensor) -> list[Tensor]:
        return [images]


def test_speed_can_come_from_features(generator: Generator, edited: Inversion) -> None:
    by_colour = segment_speeds(generator, edited, ["block"])["block"]
    by_network = segment_speeds(generator, edited, ["block"], speed=by_features(Colours()))["block"]
    pair = torch.stack([by_colour.flatten(), by_network.flatten()])
    assert by_network.shape == by_colour.shape and torch.corrcoef(pair)[0, 1] > 0.8


def test_what_cannot_be_compared_is_refused(
    generator: Generator, edited: Inversion, make_generator: Callable[..., Generator]
) -> None:
    with pytest.raises(InvalidInputError, match="none of the segments band, rest has an edit"):
        segment_speeds(generator, edited, ["band", "rest"])
    with pytest.raises(InvalidInputError, match="saved without its photo"):
        segment_speeds(generator, edited.without_photo(), ["band"], compared="photo")
    other = make_generator(seed=2, resolution=64, channel_base=512, channel_max=16)
    with pytest.raises(WrongGeneratorError):
        segment_speeds(other, edited, ["block"])
    renamed = replace(edited.masks, names=("a", "b", "c"))
    with pytest.raises(InvalidInputError, match="they must be the same"):
        with_masks(edited, renamed)


def test_an_outline_lies_on_the_level_one_half() -> None:
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    distance = ((rows - 31.3) ** 2 + (columns - 32.1) ** 2).sqrt()
    line = outline((20 - distance + 0.5).clamp(0, 1))
    radius = (line * distance).sum() / line.sum()
    assert abs(radius - 20) < 0.1 and line[distance < 17].max() == line[distance > 23].max() == 0


def test_curves_change_nothing_but_their_pixels() -> None:
    photo = torch.zeros(1, 3, 32, 32)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    drawn = draw_outlines(photo, [], [mask], scale=2)
    ink = torch.tensor(AFTER)[:, None].expand(-1, 20)
    assert drawn.shape == (1, 3, 64, 64) and not drawn[..., 22:42, 22:42].any()
    assert (drawn[0, :, 22:42, 15:17].mean(-1) - ink).abs().max() < 0.3
