"""Figures of reconstructions: against the metrics, by segment, of many together; the benchmark's file and tables."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import fidelity as benchmark
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.fidelity import Comparison, Fidelity, SegmentFidelity, Spread, compare, fidelity
from chunky_core.evaluation.metrics import identity_distance, l2, perceptual
from chunky_core.losses import LossNetworks
from chunky_core.segments import SegmentMasks, single_segment
from tests.projection_tools import pieces
from tests.toy_networks import Colours, Means, networks, picture

SIZE = 32


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """A reconstruction and its photo."""
    return picture(0, SIZE, SIZE).float(), picture(1, SIZE, SIZE).float()


def test_the_whole_picture_has_the_plain_metrics(pair: tuple[Tensor, Tensor]) -> None:
    found = fidelity(*pair, pieces(SIZE), networks())
    assert found.l2 == l2(*pair)
    assert found.perceptual == perceptual(*pair, Colours())
    assert found.identity == identity_distance(*pair, Means())


def test_one_segment_over_everything_is_the_whole_picture(pair: tuple[Tensor, Tensor]) -> None:
    found = fidelity(*pair, single_segment((SIZE, SIZE)), networks())
    assert found.segments["all"].l2 == pytest.approx(found.l2, rel=1e-6)
    assert found.segments["all"].perceptual == pytest.approx(found.perceptual, rel=1e-6)


def test_the_segments_errors_add_up_to_the_pictures_by_area(pair: tuple[Tensor, Tensor]) -> None:
    rows = torch.zeros(1, 1, SIZE, SIZE)
    rows[..., :10, :] = 1
    parts = SegmentMasks(("upper", "lower"), torch.cat([rows, 1 - rows]), torch.zeros_like(rows))
    found = fidelity(*pair, parts, networks())
    shares = {"upper": 10 / SIZE, "lower": 1 - 10 / SIZE}
    for figure in ("l2", "perceptual"):  # the toy network looks at single pixels, so its distance adds up too
        total = sum(share * getattr(found.segments[name], figure) for name, share in shares.items())
        assert total == pytest.approx(getattr(found, figure), rel=1e-5)


def test_a_change_counts_only_where_it_is(pair: tuple[Tensor, Tensor]) -> None:
    _, photo = pair
    parts = pieces(SIZE)
    block = parts.masks[parts.names.index("block")][None]
    found = fidelity(torch.where(block == 1, 0.5, photo), photo, parts, networks())
    assert found.segments["block"].l2 > 0 and found.segments["block"].perceptual > 0
    assert found.segments["band"] == SegmentFidelity(0.0, 0.0)


def test_equal_pictures_have_no_distance(pair: tuple[Tensor, Tensor]) -> None:
    photo = pair[0]
    found = fidelity(photo, photo.clone(), pieces(SIZE), networks())
    assert (found.l2, found.perceptual) == (0.0, 0.0)
    assert found.identity == pytest.approx(0.0, abs=1e-6)


def test_a_missing_network_is_said(pair: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InvalidInputError, match="perceptual and an identity network"):
        fidelity(*pair, pieces(SIZE), LossNetworks(perceptual=Colours()))


def test_the_record_survives_json(pair: tuple[Tensor, Tensor]) -> None:
    found = fidelity(*pair, pieces(SIZE), networks())
    assert Fidelity.from_plain(json.loads(json.dumps(asdict(found)))) == found


def test_spread_is_mean_and_sample_deviation() -> None:
    assert Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0)
    assert Spread.of([4.0]) == Spread(4.0, 0.0)
    assert str(Spread(0.12345, 0.01)) == "0.1235 ± 0.0100"


def test_comparison_by_photo_and_of_the_means() -> None:
    found = compare([1.0, 2.0, 9.0, 3.0], [2.0, 8.0, 6.0, 3.0])
    assert found == Comparison(ratio_of_means=15 / 19, ratios=(0.5, 0.25, 1.5, 1.0))
    assert (found.better, found.worse, found.median, found.worst) == (2, 1, 0.75, 1.5)


def test_comparison_with_perfect_pictures() -> None:
    assert compare([0.0, 1.0], [0.0, 0.0]).ratios == (1.0, math.inf)


@pytest.mark.parametrize(("ours", "others"), [([1.0], [1.0, 2.0]), ([], [])])
def test_a_comparison_needs_the_same_photos(ours: list[float], others: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="same photos for both"):
        compare(ours, others)


def test_segments_beat_one_code_on_a_demo_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark, small: one photo with few steps, most of them coarse, L2 only."""
    file = tmp_path / "figures.jsonl"
    command = [
        "--photos=1",
        "--first=5003",
        "--arms=global_w+,ours_w+",
        "--steps=10",
        "--coarse=0.9",
        "--lpips=0",
    ]
    benchmark.main([*command, f"--json={file}"])
    (row,) = [json.loads(line) for line in file.read_text().splitlines()]
    whole, ours = (Fidelity.from_plain(row["arms"][name]["fidelity"]) for name in ("global_w+", "ours_w+"))
    assert ours.l2 < 0.9 * whole.l2 and ours.perceptual < whole.perceptual and ours.identity < whole.identity
    first = capsys.readouterr().out
    assert f"| ours W+ | l2 | {ours.l2 / whole.l2:.3f} |" in first

    benchmark.main([*command, f"--json={file}"])  # nothing is left to do
    assert len(file.read_text().splitlines()) == 1
    assert capsys.readouterr().out == first
    with pytest.raises(SystemExit, match="can't be mixed"):
        benchmark.main([*command, "--steps=17", f"--json={file}"])
