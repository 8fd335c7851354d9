"""Figures of edits against pictures whose edit is known; the benchmark's comparison at equal gain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import editability as benchmark
from benchmarks.editability_report import FIGURES, MULTIPLES, NOMINAL, crossing
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation import edit_gain, measure_edit
from chunky_core.losses import LossNetworks
from tests.projection_tools import pieces
from tests.toy_networks import Colours, networks, picture

SIZE = 32
PHOTO, UNEDITED, CHANGE = (picture(seed, SIZE, SIZE).float() / 2 for seed in range(3))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, -2.0])
def test_a_share_of_the_true_change_is_the_gain(share: float) -> None:
    assert edit_gain(share * CHANGE, CHANGE) == pytest.approx(share)


def test_what_else_changes_has_no_gain() -> None:
    wanted, other = torch.zeros_like(CHANGE), torch.zeros_like(CHANGE)
    wanted[..., :16], other[..., 16:] = CHANGE[..., :16], 3 * CHANGE[..., 16:]
    assert edit_gain(wanted + other, wanted) == pytest.approx(1.0)


def test_no_true_change_and_other_sizes_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="0 everywhere"):
        edit_gain(CHANGE, 0 * CHANGE)
    with pytest.raises(InvalidInputError, match="must be equal"):
        edit_gain(CHANGE[..., 1:], CHANGE)


def test_the_truth_itself_is_a_perfect_edit() -> None:
    truth = PHOTO + CHANGE
    found = measure_edit(PHOTO, truth, PHOTO, truth, pieces(SIZE), networks())
    assert found.gain == pytest.approx(1.0)
    assert (found.perceptual_to_truth, found.seams) == (0.0, 0.0)
    assert found.identity_to_truth == pytest.approx(0.0, abs=1e-6) and found.identity_to_photo > 1e-3


def test_the_misfit_of_what_was_edited_is_no_gain_but_distance() -> None:
    truth = PHOTO + CHANGE
    found = measure_edit(PHOTO, truth, UNEDITED, UNEDITED + CHANGE, pieces(SIZE), networks())
    assert found.gain == pytest.approx(1.0, rel=1e-5)
    assert min(found.perceptual_to_truth, found.identity_to_truth, found.seams) > 1e-3


def test_a_missing_network_is_said() -> None:
    with pytest.raises(InvalidInputError, match="editability needs a perceptual and an identity network"):
        measure_edit(PHOTO, CHANGE, PHOTO, CHANGE, pieces(SIZE), LossNetworks(perceptual=Colours()))


@pytest.mark.parametrize(
    ("gains", "wanted", "expected"),
    [
        ((0.0, 0.4, 0.8, 1.0, 1.1), 0.8, (2.0, True)),
        ((0.0, 0.2, 0.4, 0.6, 0.8), 0.5, (2.5, True)),
        (
            (0.0, 0.9, 0.5, 0.6, 0.8),
            0.5,
            (2.0, True),
        ),  # not the first crossing, but the nominal strength itself
        ((0.0, 0.2, 0.4, 0.3, 0.1), 0.5, (2.0, False)),
    ],
)
def test_equal_gain_is_found_on_the_curve(
    gains: tuple[float, ...], wanted: float, expected: tuple[float, bool]
) -> None:
    assert crossing(gains, wanted) == (pytest.approx(expected[0]), expected[1])


def made_row(arm: str, slope: float) -> dict[str, Any]:
    """A row in which gain and distance grow with the strength."""
    steps = [{"gain": slope * m, **dict.fromkeys(FIGURES, 0.1 + slope * m)} for m in MULTIPLES]
    shared = {"seed": 1, "extras": [], "spec": {}, "settings": {"ways": ["rendering"]}, "seconds": 1.0}
    fidelity = {"perceptual": 0.1, "identity": 0.1, "l2": 0.1}
    edits = {name: {"sign": 1, "size": 2.0, "rendering": steps} for name in NOMINAL}
    more = {"fidelity": fidelity, "unedited_seams": {"rendering": 0.02}, "edits": edits}
    return {"arm": arm, **shared, **more}


def test_the_report_compares_at_equal_gain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half the gain for the same strength: twice the strength, and then the same figures."""
    file = tmp_path / "rows.jsonl"
    rows = [made_row("reference", 0.8), made_row("weaker", 0.4), made_row("weakest", 0.2)]
    file.write_text("\n".join(map(json.dumps, rows)))
    benchmark.main(["--report", str(file)])
    report = capsys.readouterr().out
    assert "| weaker | 0.50 | 2.00 | 6 of 6 | 0.9000 | 0.9000 | 0.9000 | 114.75 (2.55) |" in report
    assert "| weakest | 0.25 | 2.00 | 0 of 6 | 0.5000 |" in report and "0.5000+" in report


def test_the_benchmark_measures_a_saved_inversion(tmp_path: Path) -> None:
    """One code of one step, and itself from its file: the same figures; a changed recipe isn't mixed in."""
    file, folder = tmp_path / "rows.jsonl", tmp_path / "inversions"
    quick = '{"whole": true, "num_steps": 1}'
    command = ["--photos=1", "--no-composites", f"--json={file}", f"--cache={folder}"]
    benchmark.REFERENCE_ARM, before = json.loads(quick), benchmark.REFERENCE_ARM
    try:
        benchmark.main([*command, f"quick={quick}"])
        (saved,) = folder.glob("*.safetensors")
        kept = saved.rename(tmp_path / "kept_5000.safetensors")
        pattern = str(kept).replace("5000", "{seed}")
        benchmark.main([*command, f"quick={quick}", "file=" + json.dumps({"file": pattern})])
        with pytest.raises(SystemExit, match="can't be mixed"):
            benchmark.main([*command, "--first=5001", 'quick={"whole": true, "num_steps": 2}'])
    finally:
        benchmark.REFERENCE_ARM = before
    rows = {row["arm"]: row for row in map(json.loads, file.read_text().splitlines())}
    assert rows["file"]["edits"] == rows["quick"]["edits"]
    curve = [step["gain"] for step in rows["quick"]["edits"]["age"]["rendering"]]
    assert curve[0] == 0.0 and curve[2] > 0.1


def test_photos_on_which_the_plain_code_shows_no_edit_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [made_row("reference", 0.8), made_row("other", 0.8)]
    stuck = json.loads(json.dumps([{**row, "seed": 2} for row in rows]))
    for row, gain in zip(stuck, (0.2, 9.0), strict=True):
        row["edits"]["smile"]["rendering"][MULTIPLES.index(1.0)]["gain"] = gain
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows + stuck)))
    benchmark.main(["--report", str(file)])
    report = capsys.readouterr().out
    assert "smile 2.0 (1 photos), beard 2.0 (2 photos)" in report
    assert "| other | 1.00 | 1.00 | 6 of 6 |" in report
