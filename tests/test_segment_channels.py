"""Style channels for a segment, against every channel drawn by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import interpolate

import chunky_core as cg
from chunky_core.boxes import crop
from chunky_core.compositing import composite
from chunky_core.editing.channel_effects import (
    Effects,
    MaskedCode,
    estimate_effects,
    measure_effects,
    ranked_layers,
)
from chunky_core.editing.channels import ChannelSearchConfig, masked_codes, rank_channels
from chunky_core.editing.edits import edited_code
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode, convert, synthesis_input
from chunky_core.generator.statistics import GeneratorStatistics, measure_statistics
from chunky_core.inversion import Edit
from chunky_core.visualization.channel_sheet import CELL_WIDTH, channel_cells, channel_sheet, common_views
from tests.devices import on_device
from tests.inversion_tools import make_inversion
from tests.test_stylegan3 import RECORDED, made_from

SIDE = 16


@pytest.fixture(scope="module")
def small(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(resolution=SIDE, w_dim=8, channel_base=64, channel_max=6)


@pytest.fixture(scope="module")
def statistics(small: Generator) -> GeneratorStatistics:
    return measure_statistics(small, 500)


@pytest.fixture(scope="module")
def masked(small: Generator) -> MaskedCode:
    """A random code, and a soft mask that reaches one border."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 5:9, 9:] = 1
    mask[..., 9, 9:] = 0.25
    w = torch.randn(1, small.w_dim, generator=torch.Generator().manual_seed(3))
    return MaskedCode(small, LatentCode("w", w), mask)


def drawn(masked: MaskedCode, styles: Tensor) -> Tensor:
    """Pictures in gray levels."""
    code = LatentCode("s", styles)
    return masked.generator.synthesis(synthesis_input(masked.generator, code)).double() * 127.5


def by_hand(masked: MaskedCode, index: int, shift: float) -> tuple[float, float]:
    """The mean squared change of colors by a channel, up and down, summed inside and outside."""
    styles = masked.styles().repeat(3, 1)
    styles[1, index] += shift
    styles[2, index] -= shift
    plain, *both = drawn(masked, styles)
    squares = torch.stack([(one - plain).square().mean(dim=0) for one in both]).mean(dim=0)
    mask = masked.mask[0, 0].to(squares)
    return (squares * mask).sum().item(), (squares * (1 - mask)).sum().item()


def test_measured_effects_are_those_of_pictures_drawn_one_by_one(masked: MaskedCode) -> None:
    indices = [0, 7, 20, 31]
    shifts = torch.tensor([0.5, 1.0, 2.0, 0.1])
    counted: list[int] = []
    found = measure_effects(masked, shifts, indices, counted.append)
    for index, shift, inside, outside in zip(
        indices, shifts.tolist(), found.inside.tolist(), found.outside.tolist(), strict=True
    ):
        assert (inside, outside) == pytest.approx(by_hand(masked, index, shift), rel=1e-3)
    assert sum(counted) == len(indices)
    assert (found.area, found.whole) == (pytest.approx(28 + 7 / 4), SIDE * SIDE)


@pytest.mark.single("differences of small shifts need the digits")
def test_estimates_are_right_on_average(masked: MaskedCode) -> None:
    """Of 60 probes the mean has a deviation of 18 %; the derivative by small shifts is the truth."""
    layers = ranked_layers(masked.generator, rgb_layers=True)
    found = estimate_effects(masked, layers, 60, torch.Generator().manual_seed(0))
    count, shift = masked.styles().shape[1], 0.02
    truth = measure_effects(masked, torch.full((count,), shift), range(count)).scaled(1 / shift)
    for estimate, exact in ((found.inside, truth.inside), (found.outside, truth.outside)):
        seen = exact > 1e-3 * exact.max()
        ratio = estimate[seen] / exact[seen]
        assert seen.sum() > count / 2
        assert ratio.min() > 0.4 and ratio.max() < 2
        assert float(ratio.mean()) == pytest.approx(1, abs=0.25)


def test_layers_left_out_have_no_estimate(masked: MaskedCode) -> None:
    layout = masked.generator.style_layout
    layers = ranked_layers(masked.generator, rgb_layers=False)
    assert [layout[layer][0] for layer in layers] == [n for n, _ in layout if not n.endswith("torgb")]
    found = estimate_effects(masked, layers, 1, torch.Generator().manual_seed(0))
    widths = [width for _, width in layout]
    by_layer = found.outside.split(widths)
    assert all((by_layer[number].max() > 0) == (number in layers) for number in range(len(widths)))


def test_with_all_channels_as_candidates_the_ranking_is_exact(
    masked: MaskedCode, statistics: GeneratorStatistics
) -> None:
    config = ChannelSearchConfig(candidates=1000, rgb_layers=True, floor=3.0)
    found = rank_channels([masked], 5, config=config, statistics=statistics)
    area = float(masked.mask.sum())
    scores, shares = {}, {}
    for index, std in enumerate(statistics.style_std.tolist()):
        inside, outside = by_hand(masked, index, config.sigma * std)
        scores[index] = inside / (inside + outside + 9.0 * area)
        shares[index] = inside / (inside + outside)
    best = sorted(scores, key=lambda index: -scores[index])[:5]
    assert [one.index for one in found] == best
    for one in found:
        assert one.score == pytest.approx(scores[one.index], rel=1e-3)
        assert one.share == pytest.approx(shares[one.index], rel=1e-3)
        name, width = masked.generator.style_layout[one.layer]
        before = sum(width for _, width in masked.generator.style_layout[: one.layer])
        assert (one.layer_name, one.index) == (name, before + one.channel) and one.channel < width


def test_few_candidates_find_nearly_the_best(masked: MaskedCode, statistics: GeneratorStatistics) -> None:
    exact = rank_channels([masked], 4, config=ChannelSearchConfig(candidates=1000), statistics=statistics)
    quick = rank_channels([masked], 4, config=ChannelSearchConfig(candidates=16), statistics=statistics)
    assert sum(one.score for one in quick) > 0.9 * sum(one.score for one in exact)
    again = rank_channels([masked], 4, config=ChannelSearchConfig(candidates=16), statistics=statistics)
    assert again == quick


def test_a_channel_that_never_moves_is_no_winner(masked: MaskedCode, statistics: GeneratorStatistics) -> None:
    config = ChannelSearchConfig(candidates=1000)
    (best, *_) = rank_channels([masked], 1, config=config, statistics=statistics)
    stds = statistics.style_std.clone()
    stds[best.index] = 0
    frozen = replace(statistics, style_std=stds)
    found = rank_channels([masked], 5, config=config, statistics=frozen)
    assert best.index not in {one.index for one in found} and all(one.score > 0 for one in found)


def test_several_codes_are_averaged(masked: MaskedCode, statistics: GeneratorStatistics) -> None:
    w = torch.randn(1, masked.generator.w_dim, generator=torch.Generator().manual_seed(4))
    other = MaskedCode(masked.generator, LatentCode("w", w), masked.mask)
    config = ChannelSearchConfig(candidates=1000)
    (one,) = rank_channels([masked, other], 1, config=config, statistics=statistics)
    shift = torch.tensor([config.sigma * one.std])
    both = measure_effects(masked, shift, [one.index]) + measure_effects(other, shift, [one.index])
    assert one.share == pytest.approx(float(both.shares()))
    assert one.inside == pytest.approx(float(both.rms()[0]))


def test_shares_scores_and_root_mean_squares() -> None:
    effects = Effects(torch.tensor([400.0, 0.0]), torch.tensor([100.0, 0.0]), 4.0, 8.0)
    assert torch.allclose(effects.shares(), torch.tensor([0.8, 0.0]))
    assert torch.allclose(effects.scores(5.0), torch.tensor([400 / 600, 0.0]))
    inside, outside = effects.rms()
    assert inside[0] == 10 and outside[0] == 5
    assert Effects(torch.ones(1), torch.zeros(1), 4.0, 4.0).rms()[1] == 0


def test_the_segments_own_code_is_moved_as_it_stands(generator: Generator) -> None:
    inversion = make_inversion(generator)
    plain = masked_codes(generator, replace(inversion, edits=()), "eyes")
    edited = masked_codes(generator, inversion, "eyes")
    assert len(plain) == len(edited) == 2
    names = ("left_eye", "right_eye")
    area = inversion.masks["left_eye"] + inversion.masks["right_eye"]
    for name, before, after in zip(names, plain, edited, strict=True):
        own = convert(generator, inversion.segments[name].code, "s").tensor
        assert torch.allclose(before.styles(), own.to(before.styles()), atol=1e-6)
        assert not torch.equal(before.styles(), after.styles())
        assert torch.equal(before.mask, area)
        assert len(before.noise) == len(generator.noise_layout)
    tuned = plain[0].generator  # the left eye has a delta of its own
    assert tuned is not generator and plain[1].generator is generator
    with pytest.raises(InvalidInputError, match="there is no segment 'hat'"):
        masked_codes(generator, inversion, "hat")
    with pytest.raises(InvalidInputError, match="no segment was named; expected one of left_eye"):
        masked_codes(generator, inversion, ())


def test_the_direction_moves_one_channel_by_its_deviation(generator: Generator) -> None:
    inversion = make_inversion(generator)
    config = ChannelSearchConfig(candidates=4, probes=1)
    calls: list[tuple[int, int]] = []
    known = measure_statistics(generator, 200)
    best, _ = cg.segment_channels(
        generator,
        inversion,
        "skin",
        2,
        config=config,
        statistics=known,
        callback=lambda done, total, image: calls.append((done, total)),
    )
    assert calls[-1][0] == calls[-1][1] == 5 and [done for done, _ in calls] == sorted({d for d, _ in calls})
    direction = cg.channel_direction(generator, best, "skin")
    assert (direction.space, direction.unit, direction.layers) == ("s", "sigma", (best.layer,))
    assert direction.fingerprint == generator.fingerprint and best.layer_name in direction.source
    code = convert(generator, inversion.segments["skin"].code, "s")
    change = edited_code(generator, code, [Edit(direction, 2.0)]).tensor - code.tensor
    assert change.nonzero().tolist() == [[0, best.index]]
    assert float(change[0, best.index]) == pytest.approx(2 * float(known.style_std[best.index]), rel=1e-3)


def test_cells_show_what_a_composite_shows(generator: Generator) -> None:
    inversion = replace(make_inversion(generator), edits=())
    config = ChannelSearchConfig(candidates=2, probes=1)
    channels = cg.segment_channels(
        generator, inversion, "eyes", 2, config=config, statistics=measure_statistics(generator, 200)
    )
    (view,) = common_views([inversion], "eyes")
    box = inversion.masks["left_eye"] + inversion.masks["right_eye"]
    assert int((crop(box, view) > 0).sum()) == int((box > 0).sum())  # nothing of them is cut off
    assert max(view.width / view.height, view.height / view.width) <= 2
    shown: list[int] = []
    cells = channel_cells(
        generator, inversion, "eyes", channels, callback=lambda done, count, cell: shown.append(done)
    )
    assert shown == [1, 2]
    direction = cg.channel_direction(generator, channels[0])
    for half, strength in zip(cells[0].chunk(2, dim=3), (-config.sigma, config.sigma), strict=True):
        edited = inversion.with_edits(Edit(direction, strength, ("eyes",)))
        picture = crop(composite(generator, edited, mode="soft blend"), view)
        expected = interpolate(picture, half.shape[-2:], mode="bicubic", antialias=True).clamp(-1, 1)
        assert torch.equal(half, expected.cpu())
    sheet = channel_sheet(channels, cells)
    assert sheet.shape[3] == 2 * CELL_WIDTH and sheet.shape[2] > cells[0].shape[2]


def test_a_stylegan3_is_ranked_too() -> None:
    recorded = on_device(load_file(RECORDED))
    generator = made_from(recorded)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:10, 4:10] = 1
    masked = MaskedCode(generator, LatentCode("w+", recorded["in/w_plus"][:1]), mask)
    names = [generator.style_layout[layer][0] for layer in ranked_layers(generator, rgb_layers=False)]
    assert names == [name for name, _ in generator.style_layout[:-1]]
    config = ChannelSearchConfig(candidates=3, probes=1)
    found = rank_channels([masked], 3, config=config, statistics=measure_statistics(generator, 100))
    assert len(found) == 3 and all(0 <= one.share <= 1 for one in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma": 0.0}, "sigma is 0.0; expected a number above 0"),
        ({"floor": float("nan")}, "floor is nan"),
        ({"probes": 0}, "probes is 0; expected a whole number of at least 1"),
        ({"candidates": 0}, "candidates is 0"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ChannelSearchConfig(**given)


def test_bad_questions_are_refused(masked: MaskedCode, statistics: GeneratorStatistics) -> None:
    with pytest.raises(InvalidInputError, match="0 channels were asked for; expected 1 to"):
        rank_channels([masked], 0, statistics=statistics)
    with pytest.raises(InvalidInputError, match="no code was given"):
        rank_channels([])
    with pytest.raises(InvalidInputError, match="the mask has shape"):
        MaskedCode(masked.generator, masked.code, masked.mask[..., :8])
    wrong = replace(statistics, style_std=statistics.style_std[:5])
    with pytest.raises(InvalidInputError, match="style_std"):
        rank_channels([masked], 1, statistics=wrong)
