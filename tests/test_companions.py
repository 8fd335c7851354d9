"""The benchmark of all learned companions: its table, and how uncertainty is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import companions as benchmark
from benchmarks.mask_generator import telling


def write(folder: Path, part: str, rows: list[dict]) -> None:
    shared = {"seed": 0, "extras": [], "arm": "exemplar", "spec": {}, "settings": {}}
    (folder / f"{part}.jsonl").write_text("".join(json.dumps(shared | row) + "\n" for row in rows))


def line(table: str, *words: str) -> list[str]:
    (found,) = (one for one in table.splitlines() if all(word in one for word in words))
    return [cell.strip() for cell in found.strip("| ").split("|")]


def test_figures_stand_beside_their_aims(tmp_path: Path) -> None:
    write(
        tmp_path, "exemplars", [{"seed": n, "shown IoU": v, "seconds": 60} for n, v in ((0, 0.8), (2, 0.69))]
    )
    joint = [
        {"seed": seed, "extras": extras, "arm": arm, "perceptual": value, "identity": value}
        for seed, extras in ((9000, []), (5200, ["bindi"]))
        for arm, value in (("mean", 0.06), ("joint", 0.05), ("true", 0.04 if extras else 0.049))
    ]
    write(tmp_path, "joint", joint)
    table = benchmark.report(tmp_path)
    assert line(table, "mean IoU of the classes")[2:] == ["0.745", "2", "≥ 0.75", "missed"]
    assert line(table, "worst exemplar")[2] == "0.69"
    assert line(table, "training, CPU minutes")[2:] == ["1", "2", "≤ 10", "reached"]
    for domain, verdict in (("in domain", "reached"), ("out of domain", "missed")):
        assert line(table, f"| {domain}: identity distance, joint / true")[-2:] == ["≤ 1.05", verdict]
        assert line(table, f"| {domain}: identity distance, joint / mean")[-1] == "reached"
    assert "encoder" not in table  # no rows, no figures


def test_every_part_writes_to_its_own_file_and_quick_ones_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []
    monkeypatch.setattr(benchmark.subprocess, "run", lambda command, **options: ran.append(command))
    benchmark.main(["--folder", str(tmp_path), "--quick"])
    assert {command[-1] for command in ran} == {
        str(tmp_path / "quick" / f"{one}.jsonl") for one in benchmark.PARTS
    }
    for command in ran:
        assert (benchmark.ROOT / command[2].replace(".", "/")).with_suffix(".py").exists()
    ran.clear()
    benchmark.main(["--folder", str(tmp_path), "--parts", "photos"])
    assert [command[2] for command in ran] == ["benchmarks.automatic_masks"]
    with pytest.raises(SystemExit):
        benchmark.main(["--folder", str(tmp_path), "--parts", "pictures"])
    assert "'pictures' is unknown" in capsys.readouterr().err


def test_uncertainty_is_judged_by_the_errors_that_it_tells() -> None:
    wrong = torch.zeros(20, 20, dtype=torch.bool)
    wrong[:1] = True
    told = telling(torch.rand(20, 20, generator=torch.Generator().manual_seed(0)) + wrong, wrong)
    assert told == {"errors in 10 %": 1.0, "AUC": 1.0}
    against = telling(-wrong.float(), wrong)
    assert against["errors in 10 %"] == 0 and against["AUC"] == 0
    half = torch.zeros(20, 20)
    half[0, :10] = 1.0  # half of the errors
    assert telling(half, wrong)["errors in 10 %"] >= 0.5
