"""Figures of reconstructions: against the metrics, by segment, of many together; the benchmark's file and tables."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import fidelity as benchmark
from benchmarks.arms import Arm
from benchmarks.fidelity_report import rival_of
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.fidelity import (
    Fidelity,
    MethodComparison,
    SegmentFidelity,
    Spread,
    compare_methods,
    measure_fidelity,
)
from chunky_core.evaluation.metrics import identity_distance, lpips_distance, mse
from chunky_core.images import load_image
from chunky_core.losses import LossNetworks
from chunky_core.segments import SegmentMasks, single_segment
from tests.projection_tools import pieces
from tests.toy_networks import Colours, Means, networks, picture

SIZE = 32


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """A photo and its reconstruction."""
    return picture(1, SIZE, SIZE).float(), picture(0, SIZE, SIZE).float()


def test_the_whole_picture_has_the_plain_metrics(pair: tuple[Tensor, Tensor]) -> None:
    found = measure_fidelity(*pair, pieces(SIZE), networks())
    assert found.l2 == mse(*pair)
    assert found.perceptual == lpips_distance(*pair, Colours())
    assert found.identity == identity_distance(*pair, Means())


def test_one_segment_over_everything_is_the_whole_picture(pair: tuple[Tensor, Tensor]) -> None:
    found = measure_fidelity(*pair, single_segment((SIZE, SIZE)), networks())
    assert found.segments["all"].l2 == pytest.approx(found.l2, rel=1e-6)
    assert found.segments["all"].perceptual == pytest.approx(found.perceptual, rel=1e-6)


def test_the_segments_errors_add_up_to_the_pictures_by_area(pair: tuple[Tensor, Tensor]) -> None:
    rows = torch.zeros(1, 1, SIZE, SIZE)
    rows[..., :10, :] = 1
    parts = SegmentMasks(("upper", "lower"), torch.cat([rows, 1 - rows]), torch.zeros_like(rows))
    found = measure_fidelity(*pair, parts, networks())
    shares = {"upper": 10 / SIZE, "lower": 1 - 10 / SIZE}
    for figure in ("l2", "perceptual"):  # the toy network looks at single pixels, so its distance adds up too
        total = sum(share * getattr(found.segments[name], figure) for name, share in shares.items())
        assert total == pytest.approx(getattr(found, figure), rel=1e-5)


def test_a_change_counts_only_where_it_is(pair: tuple[Tensor, Tensor]) -> None:
    photo, _ = pair
    parts = pieces(SIZE)
    block = parts.masks[parts.names.index("block")][None]
    found = measure_fidelity(photo, torch.where(block == 1, 0.5, photo), parts, networks())
    assert found.segments["block"].l2 > 0 and found.segments["block"].perceptual > 0
    assert found.segments["band"] == SegmentFidelity(0.0, 0.0)


def test_equal_pictures_have_no_distance(pair: tuple[Tensor, Tensor]) -> None:
    photo = pair[0]
    found = measure_fidelity(photo, photo.clone(), pieces(SIZE), networks())
    assert (found.l2, found.perceptual) == (0.0, 0.0)
    assert found.identity == pytest.approx(0.0, abs=1e-6)


def test_a_missing_network_is_said(pair: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InvalidInputError, match="perceptual and an identity network"):
        measure_fidelity(*pair, pieces(SIZE), LossNetworks(perceptual=Colours()))


def test_the_record_survives_json(pair: tuple[Tensor, Tensor]) -> None:
    found = measure_fidelity(*pair, pieces(SIZE), networks())
    assert Fidelity.from_plain(json.loads(json.dumps(asdict(found)))) == found


def test_spread_is_mean_and_sample_deviation() -> None:
    assert Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0)
    assert Spread.of([4.0]) == Spread(4.0, 0.0)
    assert str(Spread(0.12345, 0.01)) == "0.1235 ± 0.0100"


def test_comparison_by_photo_and_of_the_means() -> None:
    found = compare_methods([1.0, 2.0, 9.0, 3.0], [2.0, 8.0, 6.0, 3.0])
    assert found == MethodComparison(ratio_of_means=15 / 19, ratios=(0.5, 0.25, 1.5, 1.0))
    assert (found.better, found.worse, found.median, found.worst) == (2, 1, 0.75, 1.5)


def test_comparison_with_perfect_pictures() -> None:
    assert compare_methods([0.0, 1.0], [0.0, 0.0]).ratios == (1.0, math.inf)


@pytest.mark.parametrize(("ours", "others"), [([1.0], [1.0, 2.0]), ([], [])])
def test_a_comparison_needs_the_same_photos(ours: list[float], others: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="same photos for both"):
        compare_methods(ours, others)


QUICK = ["--arms=", "--lpips=0", "--first=5003"]
WHOLE = 'global_w+={"whole": true, "num_steps": 10, "coarse": 0.9}'
OURS = 'ours_w+={"num_steps": 10, "coarse": 0.9}'


def rows_in(file: Path) -> dict[tuple[int, str], dict[str, Any]]:
    return {(row["seed"], row["arm"]): row for row in map(json.loads, file.read_text().splitlines())}


def test_segments_beat_one_code_on_a_demo_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark, small: one photo with few steps, most of them coarse, L2 only; an arm that comes later."""
    file = tmp_path / "figures.jsonl"
    command = [*QUICK, "--photos=1", "--out-of-domain=0", f"--json={file}", f"--cache={tmp_path / 'cache'}"]
    benchmark.main([*command, WHOLE])
    benchmark.main([*command, WHOLE, OURS])
    found = rows_in(file)
    whole, ours = (Fidelity.from_plain(found[5003, name]["fidelity"]) for name in ("global_w+", "ours_w+"))
    assert ours.l2 < 0.9 * whole.l2 and ours.perceptual < whole.perceptual and ours.identity < whole.identity
    capsys.readouterr()

    benchmark.main([*command, WHOLE, OURS, 'again={"num_steps": 10, "coarse": 0.9}'])
    assert rows_in(file)[5003, "again"]["fidelity"] == found[5003, "ours_w+"]["fidelity"]  # from the cache
    assert len(rows_in(file)) == 3
    report = capsys.readouterr().out
    assert f"| ours_w+ / global_w+ | L2 | {ours.l2 / whole.l2:.3f} |" in report
    with pytest.raises(SystemExit, match="can't be mixed"):
        benchmark.main([*command, "--photos=2", WHOLE.replace("10", "1")])
    with pytest.raises(SystemExit, match="can't be mixed"):
        benchmark.main([*command, "--photos=2", "--lpips=1", WHOLE.replace("10", "1")])


def made_row(seed: int, arm: str, distance: float, seconds: float, extras: list[str]) -> dict[str, Any]:
    fidelity = Fidelity(distance, distance, distance, {"mouth": SegmentFidelity(distance, distance)})
    shared = {"spec": {"whole": True}, "settings": {}, "seconds": seconds, "fidelity": asdict(fidelity)}
    return {"seed": seed, "extras": extras, "arm": arm, **shared}


def test_the_aims_are_ratios_on_the_same_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two photos the preset has one; the median of three times; foreign photos have a table of their own."""
    rows = [made_row(seed, "global_w+", 0.1 * seed, 10.0, []) for seed in (1, 2, 3, 4)]
    rows += [made_row(seed, "draft", 0.05 * seed, 10.0 * seed, []) for seed in (1, 2, 3)]
    rows += [made_row(9, "global_w+", 0.4, 10.0, ["hat"]), made_row(9, "best", 0.1, 50.0, ["hat"])]
    file, picture = tmp_path / "rows.jsonl", tmp_path / "scatter.png"
    file.write_text("\n".join(map(json.dumps, rows)))
    benchmark.main(["--report", str(file), "--scatter", str(picture)])
    report = capsys.readouterr().out
    inside, outside = report.split("## Out of the domain")
    assert "| draft | 0.50 (≤ 0.6) | 0.50 (≤ 0.4) | 0.50 (≤ 0.6) | 2.0 (≤ 1) | 3/3/3 of 3 |" in inside
    assert "| best | 0.25 (≤ 0.25) | 0.25 (≤ 0.25) | 0.25 (≤ 0.25) | 5.0 (≤ 8) | 1/1/1 of 1 |" in outside
    assert (
        "| mouth | 3 | 0.50 |" in inside
        and load_image(picture).shape[-1] == 3 * load_image(picture).shape[-2]
    )


@pytest.mark.parametrize(
    ("name", "rival"),
    [
        ("ours_s", "global_s"),
        ("ours_w+_reg", "global_w+"),
        ("ours_w+_tuned", "global_w+"),
        ("best", "global_w+"),
        ("global_s", "global_w+"),
    ],
)
def test_arms_are_compared_with_one_code(name: str, rival: str) -> None:
    assert rival_of(name) == rival


def test_photos_in_and_out_of_domain() -> None:
    found = list(benchmark.photos(benchmark.parsed(["--photos=2", "--out-of-domain=7"])))
    assert found[:2] == [(5000, ()), (5001, ())]
    assert [extras for _, extras in found[2:]] == [*benchmark.OUT_OF_DOMAIN, benchmark.OUT_OF_DOMAIN[0]]


def test_named_arms_are_valid_recipes() -> None:
    for plain in benchmark.arms_of(steps=5, coarse=0.5, lambda_reg=0.1, tune_steps=3).values():
        Arm.from_plain(plain)
    with pytest.raises(InvalidInputError, match="space 'q' is unknown"):
        Arm.from_plain({"space": "q"})
