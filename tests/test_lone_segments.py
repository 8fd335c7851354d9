"""The benchmark of single segments: its cases, figures, file and tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import lone_segments as benchmark
from benchmarks.lone_cases import (
    MASKS,
    PARTS,
    SEEDS,
    WITH_GLASSES,
    Case,
    chosen_cases,
    lone_case,
    lone_figures,
)
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import LABEL
from chunky_core.evaluation.metrics import lpips_distance, mse
from tests.toy_networks import Colours


@pytest.fixture(scope="module")
def mouth() -> Case:
    return lone_case(7112, "mouth", "hard")


def test_a_hard_mask_is_the_labels_and_all_else_is_static(mouth: Case) -> None:
    labels = demo_photo(7112).labels == LABEL["mouth"]
    assert torch.equal(mouth.segments.masks[0, 0] == 1, labels)
    assert torch.equal(mouth.segments.static, 1 - mouth.segments.masks)
    assert torch.equal(mouth.labels[0, 0] == 1, labels)


def test_a_soft_mask_covers_more_and_the_labels_stay(mouth: Case) -> None:
    soft = lone_case(7112, "mouth", "soft")
    assert torch.equal(soft.labels, mouth.labels)
    assert (soft.segments.masks >= mouth.segments.masks - 0.02).all()
    assert soft.segments.masks.sum() > 1.2 * mouth.segments.masks.sum()


def test_several_parts_are_one_segment() -> None:
    eyes = lone_case(7112, "eyes", "hard")
    labels = demo_photo(7112).labels
    assert eyes.segments.names == ("eyes",)
    assert eyes.labels.sum() == ((labels == LABEL["left_eye"]) | (labels == LABEL["right_eye"])).sum()


def test_there_are_ten_photos_of_every_part_and_all_have_it() -> None:
    cases = chosen_cases(SEEDS, list(PARTS), list(MASKS))
    assert len(cases) == len(set(cases)) == 10 * len(PARTS) * len(MASKS)
    assert {seed for seed, part, _ in cases if part == "glasses"} == set(WITH_GLASSES)
    assert all((demo_photo(seed).labels == LABEL["glasses"]).any() for seed in WITH_GLASSES)
    assert chosen_cases((7112, 7103), ["glasses"], ["hard"]) == [(7103, "glasses", "hard")]


def test_figures_see_only_what_the_segment_shows(mouth: Case) -> None:
    inside = mouth.labels == 1
    wrong_outside = torch.where(inside, mouth.photo, torch.rand_like(mouth.photo))
    assert lone_figures(mouth, wrong_outside, Colours()) == {"l2": 0.0, "perceptual": 0.0}
    wrong = torch.where(inside, mouth.photo + 0.1, torch.rand_like(mouth.photo))
    found = lone_figures(mouth, wrong, Colours())
    assert found["l2"] == pytest.approx(0.01, rel=1e-4)
    whole = torch.where(inside, mouth.photo + 0.1, mouth.photo)
    share = mouth.labels.mean().item()
    assert found["l2"] == pytest.approx(mse(whole, mouth.photo) / share, rel=1e-4)
    assert found["perceptual"] == pytest.approx(
        lpips_distance(whole, mouth.photo, Colours()) / share, rel=1e-4
    )


def row(arm: str, seed: int, l2: float, perceptual: float, seconds: float) -> benchmark.Row:
    key = {"seed": seed, "part": "mouth", "masks": "hard", "arm": arm, "settings": {}}
    return {**key, "l2": l2, "perceptual": perceptual, "seconds": seconds}


def test_the_report_counts_failures_and_names_them() -> None:
    rows = [
        row("global", 1, 0.2, 0.2, 10.0),
        row("global", 2, 0.2, 0.2, 10.0),
        row("ours", 1, 0.1, 0.1, 2.0),
        row("ours", 2, 0.05, 0.3, 4.0),  # better in L2 alone
        row("ours", 3, 0.1, 0.1, 1.0),  # nothing to compare it with
    ]
    found = benchmark.report(rows)
    line = next(line for line in found.splitlines() if line.startswith("| ours |"))
    assert line == "| ours | 2 | 1 | 0.38 | 0.50 | 100% | 1.00 | 1.50 | 50% | 0.30 | 3.0 |"
    assert "ours not better: 2 mouth hard" in found
    assert "chunkmogrify" not in found


def test_rows_are_appended_and_not_measured_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def toy(*_: object) -> benchmark.Method:
        def method(case: Case) -> tuple[torch.Tensor, float]:
            measured.append(case.part)
            return case.photo, 1.0

        return method

    monkeypatch.setitem(benchmark.METHODS, "ours", toy)
    file = tmp_path / "rows.jsonl"
    asked = ["--json", str(file), "--arms", "ours", "--seeds", "7112", "--masks", "hard"]
    benchmark.main([*asked, "--parts", "mouth"])
    benchmark.main([*asked, "--parts", "mouth,brow"])
    assert measured == ["mouth", "brow"]
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["part"] for row in rows] == ["mouth", "brow"]
    assert all(row["l2"] == row["perceptual"] == 0 for row in rows)
    with pytest.raises(SystemExit, match="use another --name or file"):
        benchmark.main([*asked, "--steps", "7"])
