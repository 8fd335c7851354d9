"""Directions from groups and scores on the demo domain, whose true directions are known; and their contact sheet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import chunky_core as cg
from chunky_core.editing import edited_code
from chunky_core.errors import ChunkyError, InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode, convert
from chunky_core.generator.statistics import GeneratorStatistics, draw_codes, measure_statistics
from chunky_core.visualization.sheets import TITLE_HEIGHT

pytestmark = pytest.mark.cpu("the demo's directions, not numerics")
NAMES = ("yaw", "hair_length", "skin")


@pytest.fixture(scope="module")
def demo() -> Generator:
    return cg.load_generator("demo")


@pytest.fixture(scope="module")
def spread(demo: Generator) -> GeneratorStatistics:
    return measure_statistics(demo, 4000)


@pytest.fixture(scope="module")
def truth() -> dict[str, Tensor]:
    """The demo's own directions, along which one attribute grows and no other."""
    return {name: cg.load_directions("demo")[name].tensor.double() for name in NAMES}


def attribute(w: Tensor, direction: Tensor, known: GeneratorStatistics) -> Tensor:
    """How much codes [B,w_dim] have of what grows along a direction, in standard deviations."""
    inverse = torch.linalg.inv(known.w_covariance.double())
    return (w.double() - known.w_mean.double()) @ inverse @ direction


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0))


def groups(w: Tensor, scores: Tensor, count: int) -> tuple[LatentCode, LatentCode]:
    return LatentCode("w", w[scores > 0.5][:count]), LatentCode("w", w[scores < -0.5][:count])


def test_scores_give_the_true_direction(
    demo: Generator, spread: GeneratorStatistics, truth: dict[str, Tensor]
) -> None:
    _, w = draw_codes(demo, 200, 3)
    for name, direction in truth.items():
        scores = attribute(w, direction, spread) + 0.1 * torch.randn(
            200, generator=torch.Generator().manual_seed(0)
        )
        found = cg.direction_from_scores(demo, LatentCode("w", w), scores, name, (2, 3), spread)
        assert cosine(found.tensor, direction) > 0.98
        assert (found.name, found.layers, found.unit) == (name, (2, 3), "sigma")
        assert found.source == "scores of 200 pictures, in W" and found.fingerprint == demo.fingerprint


def test_groups_beat_the_difference_of_means(
    demo: Generator, spread: GeneratorStatistics, truth: dict[str, Tensor]
) -> None:
    _, w = draw_codes(demo, 400, 4)
    found, means = [], []
    for direction in truth.values():
        one, other = groups(w, attribute(w, direction, spread), 24)
        made = cg.direction_from_groups(demo, one, other, statistics=spread)
        found.append(cosine(made.tensor, direction))
        means.append(cosine(one.tensor.mean(dim=0) - other.tensor.mean(dim=0), direction))
    assert min(found) > 0.6 and sum(found) > sum(means) + 0.1
    assert made.source == "24 against 24 pictures, in W"


def test_two_values_of_scores_are_labels(
    demo: Generator, spread: GeneratorStatistics, truth: dict[str, Tensor]
) -> None:
    _, w = draw_codes(demo, 60, 4)
    one, other = groups(w, attribute(w, truth["yaw"], spread), 9)
    sorted_by_hand = LatentCode("w", torch.cat([one.tensor, other.tensor]))
    labels = [5.0] * len(one.tensor) + [-2.0] * len(other.tensor)
    by_scores = cg.direction_from_scores(demo, sorted_by_hand, labels, statistics=spread)
    by_groups = cg.direction_from_groups(demo, one, other, statistics=spread)
    assert torch.equal(by_scores.tensor, by_groups.tensor)


@pytest.mark.parametrize("space", ["w+", "s"])
def test_later_spaces(
    demo: Generator, spread: GeneratorStatistics, truth: dict[str, Tensor], space: str
) -> None:
    """Codes that came from W give in W+ the same vector in every layer, in S what it makes of the styles."""
    _, w = draw_codes(demo, 300, 4)
    one, other = groups(w, attribute(w, truth["yaw"], spread), 30)
    later = [convert(demo, code, space) for code in (one, other)]
    found = cg.direction_from_groups(demo, later[0], other, statistics=spread)  # w joins in the later space
    assert found.space == space and found.source.endswith(f"in {space.upper()}")
    if space == "w+":
        assert float(found.tensor.std(dim=0).max()) < 1e-5 * float(found.tensor.abs().max())
        assert cosine(found.tensor[0], truth["yaw"]) > 0.5
    else:
        origin = torch.zeros(1, demo.w_dim)
        made = convert(demo, LatentCode("w", truth["yaw"][None].float()), "s").tensor
        made = made - convert(demo, LatentCode("w", origin), "s").tensor
        assert cosine(found.tensor, made[0]) > 0.3


def test_pictures_are_read(demo: Generator, spread: GeneratorStatistics, truth: dict[str, Tensor]) -> None:
    """What they show much of: the pose, the length of the hair, the skin; whatever their size."""
    _, w = draw_codes(demo, 24, 77)
    with torch.no_grad():
        pictures = torch.cat([demo.synthesis(part, out_resolution=64) for part in w.split(12)])
    small = torch.nn.functional.interpolate(pictures[:4], (96, 96), mode="bilinear")
    heard: list[tuple[int, int]] = []
    codes, resized = cg.codes_of_pictures(
        demo,
        [pictures, small],
        spread,
        samples=160,
        callback=lambda done, total, _: heard.append((done, total)),
    )
    assert codes.space == "w" and codes.tensor.shape == (24, demo.w_dim) and heard[-1] == (160, 160)
    for direction in truth.values():
        pair = torch.stack([attribute(one, direction, spread) for one in (codes.tensor, w)])
        assert float(torch.corrcoef(pair)[0, 1]) > 0.7
    assert float((resized.tensor - codes.tensor[:4]).norm()) < 0.2 * float(
        (codes.tensor[:4] - spread.w_mean).norm()
    )


class Brightness:
    """A scorer whose scores can be told."""

    names = ("red", "brightness")

    def __call__(self, images: Tensor) -> Tensor:
        return torch.stack([images[:, 0].mean(dim=(1, 2)), images.mean(dim=(1, 2, 3))], dim=1)


def test_samples_are_scored_by_a_network(generator: Generator) -> None:
    found = cg.scored_samples(generator, Brightness(), "brightness", 9, seed=2)
    _, w = draw_codes(generator, 9, 2)
    torch.testing.assert_close(found.codes.tensor, w)
    with torch.no_grad():
        expected = generator.synthesis(w).mean(dim=(1, 2, 3))
    torch.testing.assert_close(found.scores, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(InvalidInputError, match="red, brightness"):
        cg.scored_samples(generator, Brightness(), "smile", 9)


def test_the_codes_of_inversions_are_means_by_area(generator: Generator) -> None:
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, :16] = 1
    segments = cg.segments_from_masks({"top": mask[:1], "rest": 1 - mask[:1]})
    record = cg.inversion_from_code(generator, LatentCode("w", torch.randn(1, 32)), masks=segments)
    other = LatentCode("w+", torch.randn(1, generator.num_ws, 32))
    from dataclasses import replace

    parts = [replace(record.segments[0], code=other), record.segments[1]]
    found = cg.codes_of_inversions(generator, [replace(record, segments=parts)])
    expected = 0.25 * other.tensor + 0.75 * record.segments[1].code.tensor[:, None]
    assert found.space == "w+"
    torch.testing.assert_close(found.tensor, expected)
    with pytest.raises(WrongGeneratorError):
        cg.codes_of_inversions(generator, [replace(record, fingerprint="other")])


def wrong(count: int, *scores: float) -> Callable[[Generator, GeneratorStatistics], object]:
    return lambda g, s: cg.direction_from_scores(
        g, LatentCode("w", torch.randn(count, g.w_dim)), scores, statistics=s
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (wrong(3, 1.0, 0.0), "2 scores were given for 3 codes"),
        (wrong(2, 1.0, float("nan")), "score 1 is no finite number"),
        (wrong(2, 1.0, 1.0), "have one score or label"),
        (
            lambda g, s: cg.direction_from_groups(
                g,
                LatentCode("w", torch.ones(2, g.w_dim)),
                LatentCode("w", torch.ones(2, g.w_dim)),
                statistics=s,
            ),
            "all alike",
        ),
        (
            lambda g, s: cg.direction_from_groups(
                g,
                LatentCode("w", draw_codes(g, 4, 0)[1]),
                LatentCode("w", draw_codes(g, 4, 0)[1].flip(0)),
                statistics=s,
            ),
            "don't differ along with their groups",
        ),
        (
            lambda g, s: cg.direction_from_scores(
                g, LatentCode("w", torch.ones(3, g.w_dim)), [1.0, 3.0, 2.0], statistics=s
            ),
            "all alike",
        ),
        (
            lambda g, s: cg.direction_from_groups(
                g,
                LatentCode("w", torch.full((2, g.w_dim), torch.nan)),
                LatentCode("w", draw_codes(g, 2, 0)[1]),
                statistics=s,
            ),
            "NaN or infinite",
        ),
        (
            lambda g, s: cg.direction_from_groups(
                g, LatentCode("w", torch.ones(2, 7)), LatentCode("w", torch.ones(2, 7)), statistics=s
            ),
            "another generator",
        ),
        (lambda g, s: cg.codes_of_pictures(g, [torch.zeros(2, 3, 64, 96)], s), "96x64"),
        (lambda g, s: cg.codes_of_pictures(g, [torch.zeros(2, 3, 64, 64)], s, samples=1), "at least 2"),
        (lambda g, s: cg.codes_of_inversions(g, []), "at least one"),
    ],
)
def test_what_tells_nothing_is_explained(
    generator: Generator, call: Callable[[Generator, GeneratorStatistics], Any], said: str
) -> None:
    with pytest.raises(ChunkyError, match=said):
        call(generator, measure_statistics(generator, 200))


def test_a_sheet_shows_each_direction_at_each_strength(generator: Generator) -> None:
    directions = cg.ganspace_directions(generator, (), 2, measure_statistics(generator, 200))
    code = LatentCode("w", draw_codes(generator, 1, 0)[1])
    sheet = cg.direction_sheet(generator, directions, code, (-1.0, 0.0, 2.0), labels=["0", "1"])
    assert sheet.shape == (1, 3, 2 * (64 + TITLE_HEIGHT), 3 * 64)
    below = slice(64 + 2 * TITLE_HEIGHT, None)
    edited = edited_code(generator, code, [cg.Edit(directions[1], 2.0)])
    with torch.no_grad():
        expected = generator.synthesis(edited.tensor).clamp(-1, 1)
        plain = generator.synthesis(code.tensor).clamp(-1, 1)
    torch.testing.assert_close(sheet[..., below, 128:], expected, rtol=0, atol=0.01)
    torch.testing.assert_close(sheet[..., below, 64:128], plain, rtol=0, atol=0.01)
    torch.testing.assert_close(sheet[..., TITLE_HEIGHT : TITLE_HEIGHT + 64, 64:128], plain, rtol=0, atol=0.01)
    assert cg.direction_sheet(generator, directions, code, (1.0,), cell=32).shape[-1] == 32


def test_a_sheet_of_an_inversion_keeps_its_edits(generator: Generator) -> None:
    first, second = cg.ganspace_directions(generator, (), 2, measure_statistics(generator, 200))
    record = cg.inversion_from_code(generator, LatentCode("w", draw_codes(generator, 1, 0)[1]))
    record = record.with_edits(cg.Edit(first, 1.5))
    sheet = cg.direction_sheet(generator, [second], record, (0.0, 1.0))
    for column, expected in enumerate((record, record.with_edits(cg.Edit(second, 1.0)))):
        shown = sheet[..., TITLE_HEIGHT:, 64 * column : 64 * (column + 1)]
        torch.testing.assert_close(shown, cg.render(generator, expected).clamp(-1, 1), rtol=0, atol=0.01)
    with pytest.raises(InvalidInputError, match="0 directions"):
        cg.direction_sheet(generator, [], record)
