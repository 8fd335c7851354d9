"""Renderings that are kept: as if drawn anew, no more drawn than needed, bounded, gone with the record."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.compositing import KEEP_DETAIL, composite, render
from chunky_core.compositing.renderings import Renderings
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import Edit, Inversion, SegmentCode
from chunky_core.segments import segments_from_masks


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)


@pytest.fixture
def inversion(generator: Generator) -> Inversion:
    """Eye, mouth and face in W, W+ and S, over a random photo."""
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in ("eye", "mouth", "face")}
    masks["eye"][4:14, 4:15] = masks["mouth"][20:28, 8:24] = masks["face"][2:30, 2:30] = 1
    parts = segments_from_masks(masks, feather=0.8, gaps="static")
    rng = torch.Generator().manual_seed(2)
    ws = generator.mapping(torch.randn(3, generator.z_dim, generator=rng).to(generator.device))
    codes = (
        LatentCode("w", ws[:1, 0]),
        LatentCode("w+", ws[1:2]),
        LatentCode("s", torch.cat(generator.styles(ws[2:]), dim=1)),
    )
    segments = [
        SegmentCode(name, mask[None], code)
        for name, mask, code in zip(parts.names, parts.masks, codes, strict=True)
    ]
    photo = torch.rand(1, 3, size, size, generator=rng) * 2 - 1
    return Inversion(photo.to(parts.static), tuple(segments), parts.static, generator.fingerprint)


def direction(generator: Generator, space: str = "w", seed: int = 0) -> Direction:
    shapes = {
        "w": (generator.w_dim,),
        "w+": (generator.num_ws, generator.w_dim),
        "s": (sum(channels for _, channels in generator.style_layout),),
    }
    return Direction("any", space, torch.randn(shapes[space], generator=torch.Generator().manual_seed(seed)))


def stacks(generator: Generator) -> list[tuple[Edit, ...]]:
    """A list of edits as it grows and changes under a user's hands."""
    smile, age, tint = (direction(generator, space, seed) for seed, space in enumerate(("w", "w+", "s")))
    first, all_of_it = Edit(smile, 1.0, ("mouth",)), Edit(age, 0.5)
    fine = [Edit(tint, strength, ("mouth", "face"), layers=(6, 7)) for strength in (1.0, 1.5, -0.5)]
    return [
        (),
        (first,),
        (replace(first, strength=2.0),),
        (first, all_of_it),
        *((first, all_of_it, one) for one in fine),
        (all_of_it, fine[0]),
        (replace(all_of_it, enabled=False), fine[0]),
        (all_of_it, replace(fine[0], layers=())),
        (first,),
        (),
    ]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, int]]:
    """(box, first layer) of every pass of synthesis."""
    made: list[tuple[Any, int]] = []
    synthesis = Generator.synthesis

    def watched(self: Generator, codes: Any, box: Any = None, **more: Any) -> Tensor:
        start = more.get("start")
        made.append((box, 0 if start is None else start.layer))
        return synthesis(self, codes, box, **more)

    monkeypatch.setattr(Generator, "synthesis", watched)
    return made


@pytest.mark.parametrize(
    ("mode", "keep_detail"), [*(("soft blend", choice) for choice in KEEP_DETAIL), ("as needed", "off")]
)
def test_a_composite_of_kept_renderings_is_the_one_drawn_anew(
    generator: Generator, inversion: Inversion, mode: Any, keep_detail: Any
) -> None:
    kept = Renderings(generator)
    options: dict[str, Any] = {"mode": mode, "keep_detail": keep_detail}
    for edits in stacks(generator)[:: 3 if mode == "as needed" else 1]:
        edited = inversion.with_edits(*edits)
        anew = composite(generator, edited, **options)
        assert torch.equal(composite(generator, edited, kept=kept, **options), anew)
        assert torch.equal(
            composite(generator, edited, kept=kept, **options), anew
        )  # nothing kept was changed


def test_a_rendering_of_kept_ones_is_the_one_drawn_anew(generator: Generator, inversion: Inversion) -> None:
    noise = tuple(torch.randn(generator.size_at(r)) for _, r in generator.noise_layout)
    for record in (inversion, replace(inversion, noise=noise)):
        kept = Renderings(generator)
        for edits in stacks(generator):
            edited = record.with_edits(*edits)
            assert torch.equal(render(generator, edited, kept=kept), render(generator, edited))


def test_a_changed_strength_draws_the_touched_segments_alone(
    generator: Generator, inversion: Inversion, passes: list[tuple[Any, int]]
) -> None:
    kept, smile = Renderings(generator), direction(generator)
    edited = inversion.with_edits(Edit(smile, 1.0, ("eye", "mouth")), Edit(smile, 1.0, ("mouth",)))
    composite(generator, edited, kept=kept)
    assert len(passes) == 4  # eye and mouth, unedited and edited
    passes.clear()
    louder = edited.with_edit_replaced(1, Edit(smile, 1.5, ("mouth",)))
    composite(generator, louder, kept=kept)
    assert [layer for _, layer in passes] == [0]
    passes.clear()
    composite(generator, louder.with_edits(Edit(smile, 1.0, ("mouth",), enabled=False)), kept=kept)
    composite(generator, replace(louder, edits=(*louder.edits, Edit(smile, 0.0))), kept=kept)
    assert passes == []


def test_layers_below_the_first_that_moves_are_not_made_again(
    generator: Generator, inversion: Inversion, passes: list[tuple[Any, int]]
) -> None:
    kept, smile = Renderings(generator), direction(generator, "w+")
    for layers, first in (((5, 6), 7), ((4,), 6), ((7,), 10)):  # of w+, and the style that comes first
        passes.clear()
        expected = [0, first, first] if not kept.num_bytes else [first, first]
        for strength in (1.0, 1.5):
            edit = Edit(smile, strength, ("mouth",), layers)
            composite(generator, inversion.with_edits(edit), kept=kept)
        assert [layer for _, layer in passes] == expected, layers


def test_an_edit_below_stays_while_a_later_one_changes(
    generator: Generator, inversion: Inversion, passes: list[tuple[Any, int]]
) -> None:
    kept = Renderings(generator)
    coarse, fine = Edit(direction(generator), 1.0), direction(generator, "s", 1)
    for strength in (1.0, 1.5, 2.0):
        passes.clear()
        edited = inversion.with_edits(coarse, Edit(fine, strength, ("face",), layers=(8, 9)))
        composite(generator, edited, kept=kept, replace="all segments")
    assert [layer for _, layer in passes] == [8]


def test_what_is_kept_goes_with_the_segments(generator: Generator, inversion: Inversion) -> None:
    kept = Renderings(generator)
    edited = inversion.with_edits(Edit(direction(generator, "w+"), 1.0, layers=(4, 5)))
    composite(generator, edited, kept=kept)
    codes = [replace(segment) for segment in inversion.segments]
    other = replace(edited, segments=codes)
    size = kept.num_bytes
    composite(generator, other, kept=kept)
    assert kept.num_bytes == 2 * size > 0
    del other, codes
    gc.collect()
    assert kept.num_bytes == size


def test_memory_is_bounded(generator: Generator, inversion: Inversion) -> None:
    edited = inversion.with_edits(Edit(direction(generator, "w+"), 1.0, layers=(4, 5)))
    free = Renderings(generator)
    expected = composite(generator, edited, kept=free)
    for limit in (0, free.num_bytes // 2, free.num_bytes):
        kept = Renderings(generator, limit)
        assert torch.equal(composite(generator, edited, kept=kept), expected)
        assert kept.num_bytes <= max(limit, 2**16)  # but for the pictures of the segment that is drawn
    assert free.num_bytes == kept.num_bytes
    free.release()
    assert 0 < free.num_bytes < kept.num_bytes
    assert torch.equal(composite(generator, edited, kept=free), expected)


def test_tuned_weights_and_noise_count(generator: Generator, inversion: Inversion) -> None:
    kept = Renderings(generator)
    bias = next(name for name, _ in generator.module.named_parameters() if name.endswith("conv1.bias"))
    size = dict(generator.module.named_parameters())[bias].shape
    edited = inversion.with_edits(Edit(direction(generator), 1.0))
    noise = tuple(torch.randn(generator.size_at(r)) for _, r in generator.noise_layout)
    tuned = [replace(edited, delta={bias: torch.full(size, value)}) for value in (0.5, 1.0)]
    own = replace(edited, segments=[replace(edited.segments[0], delta=tuned[0].delta), *edited.segments[1:]])
    seen = []
    for record in (edited, *tuned, own, replace(edited, noise=noise), edited):
        picture = composite(generator, record, kept=kept)
        assert torch.equal(picture, composite(generator, record))
        assert not any(torch.equal(picture, other) for other in seen[1:])
        seen.append(picture)


def test_renderings_of_another_generator_are_refused(
    generator: Generator, inversion: Inversion, make_generator: Callable[..., Generator]
) -> None:
    other = Renderings(make_generator(resolution=32, channel_base=64))
    for draw in (composite, render):
        with pytest.raises(InvalidInputError, match="make Renderings of the generator that draws"):
            draw(generator, inversion, kept=other)
