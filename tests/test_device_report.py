"""The report on a device, made on the CPU in its smallest size: complete, and bad where a result is."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.device_report import correctness, scenes
from benchmarks.device_report.__main__ import run_part
from benchmarks.device_report.markdown import as_markdown
from benchmarks.device_report.part import Part
from benchmarks.device_report.schema import passed, problems
from benchmarks.device_report.suite import CHOSEN
from chunky_core.generator import Generator

PARTS = ("machine", "correctness", "suite", "timings")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A report as the command makes it."""
    out = tmp_path_factory.mktemp("report") / "here" / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.device_report", "--device", "cpu", "--size", "tiny"]
    ended = subprocess.run([*command, "--out", str(out)], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(out.read_text())


def test_a_report_is_complete(report: dict[str, Any]) -> None:
    assert problems(report) == [] and report["passed"]
    assert {name: part["status"] for name, part in report["parts"].items()} == dict.fromkeys(PARTS, "done")
    checks = {(check["name"], check["dtype"]) for check in report["correctness"]}
    names = ("pictures", "gradients", "box", "projection", "composite")
    assert {(n, d) for n in names for d in ("float32", "float16", "bfloat16")} < checks
    alone = ("poisson", "level set", "codes again", "pictures again")
    assert {(name, "float32") for name in alone} < checks
    assert report["suite"]["passed"] > 5 and report["suite"]["failures"] == []
    assert all(timing["seconds"] > 0 and timing["peak_mib"] > 0 for timing in report["timings"])


def test_low_precision_is_seen_and_differs_from_full(report: dict[str, Any]) -> None:
    """Otherwise something was compared with itself."""
    found = {(check["name"], check["dtype"]): check["difference"] for check in report["correctness"]}
    for name in ("pictures", "gradients", "projection", "composite"):
        assert 10 * found[name, "float32"] < min(found[name, "float16"], found[name, "bfloat16"])


def test_its_tables_hold_every_result(report: dict[str, Any]) -> None:
    text = as_markdown(report)
    assert all(f"| {timing['arm']} |" in text for timing in report["timings"])
    assert text.count("FAILED") == 0
    spoilt = copy.deepcopy(report)
    spoilt["correctness"][0] |= {"passed": False, "difference": None}
    assert as_markdown(spoilt | {"passed": False}).count("FAILED") == 2
    assert "timed out" in as_markdown({"parts": {"suite": {"status": "timed out", "seconds": 9.0}}})


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("status", ["failed", "timed out"])
def test_a_part_that_did_not_end_makes_it_fail(report: dict[str, Any], part: str, status: str) -> None:
    """All but the timings: a slow machine computes no less correctly."""
    changed = copy.deepcopy(report)
    changed["parts"][part]["status"] = status
    assert passed(changed, PARTS) == (part == "timings")


def test_a_failed_check_or_test_or_a_missing_part_makes_it_fail(report: dict[str, Any]) -> None:
    assert passed(report, PARTS)
    for path, value in (
        (("correctness", 3, "passed"), False),
        (("correctness",), []),
        (("suite", "failed"), 1),
        (("suite", "errors"), 1),
        (("suite", "not_run"), 10_000),
        (("suite", "passed"), 0),
    ):
        changed = copy.deepcopy(report)
        place: Any = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert not passed(changed, PARTS), path


@pytest.mark.parametrize("field", ["machine/card", "correctness/bound", "timings/seconds", "suite/failures"])
def test_a_field_of_another_form_is_named(report: dict[str, Any], field: str) -> None:
    changed, (name, key) = copy.deepcopy(report), field.split("/")
    entry = changed[name] if isinstance(changed[name], dict) else changed[name][0]
    entry[key] = {"a": "wrong"}
    assert problems(changed) == [f"{name}: {key} is {{'a': 'wrong'}}"]


class Wrong(Generator):
    """One that computes something else where it isn't float64, as a broken kernel would."""

    def synthesis(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        pictures = super().synthesis(*args, **kwargs)
        return pictures if self.dtype == torch.float64 else pictures * 1.01


def test_a_wrong_kernel_is_found() -> None:
    scene = scenes.tiny_scene()
    exact = scene.generator.to(dtype=torch.float64)
    ws = scene.ws(2)
    expected, _ = correctness.pictures_and_gradients(exact, ws.double())
    wrong = Wrong(scene.generator.module)
    found, _ = correctness.pictures_and_gradients(wrong, ws)
    difference = correctness.relative(found, expected)
    assert 0.009 < difference < 0.011
    assert not correctness.check("pictures", "float32", difference, correctness.BOUNDS["float32"], "")[
        "passed"
    ]
    nothing = correctness.check("pictures", "float32", float("nan"), correctness.BOUNDS["float32"], "")
    assert not nothing["passed"] and nothing["difference"] is None


def test_a_part_that_takes_too_long_is_ended_and_leaves_what_it_had() -> None:
    found, ended = run_part("timings", "cpu", "full", limit=1)
    assert ended["status"] == "timed out" and ended["seconds"] < 20
    assert found.get("timings", []) == []


def test_results_of_a_part_are_kept_as_they_come(tmp_path: Path) -> None:
    part = Part(torch.device("cpu"), "tiny", tmp_path / "part.json")
    for count in (1, 2):
        part.write("timings", [count] * count)
    part.write("machine", {"device": "cpu"})
    assert json.loads(part.out.read_text()) == {"timings": [2, 2], "machine": {"device": "cpu"}}
    assert list(tmp_path.iterdir()) == [part.out]


def test_the_chosen_tests_exist() -> None:
    files = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert not {name for names in CHOSEN.values() for name in names} - files
