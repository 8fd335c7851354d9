"""What the editing functions say of arguments of another kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chunky_core.cli import main
from chunky_core.compositing.harmonize import harmonize
from chunky_core.compositing.incremental import append_step, replay
from chunky_core.editing import edit, load_directions, parse_edit, save_directions
from chunky_core.editing.channels import ChannelSearchConfig, channel_direction, segment_channels
from chunky_core.editing.discovery import (
    codes_of_inversions,
    direction_from_scores,
    feature_directions,
    ganspace_directions,
    sefa_directions,
)
from chunky_core.editing.response import ResponseCurve, fit_response
from chunky_core.editing.scorers import load_scorer
from chunky_core.editing.strengths import parse_strengths, strength_series
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.calibration import CalibrationConfig, calibrate
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import Inversion, SegmentCode, SegmentCodes
from chunky_core.visualization.direction_sheet import direction_sheet

NAN = float("nan")


@pytest.fixture
def smile() -> Direction:
    return load_directions("demo")["smile"]


@pytest.fixture
def inversion(generator: Generator) -> Inversion:
    height, width = generator.img_size.height, generator.img_size.width
    mask = torch.ones(1, 1, height, width)
    code = LatentCode("w", generator.w_avg.float().cpu()[None])
    return Inversion(
        torch.zeros(1, 3, height, width),
        SegmentCodes([SegmentCode("mouth", mask, code)]),
        torch.zeros_like(mask),
        generator.fingerprint,
    )


def w_direction(generator: Generator, **about: Any) -> Direction:
    return Direction("d", "w", torch.ones(generator.w_dim), **about)


Taker = Callable[[Generator, Inversion, Any], object]
HANDED: dict[str, tuple[Taker, list[Any]]] = {
    "save_directions": (
        lambda g, i, odd: save_directions(odd, "x.safetensors"),
        [None, 3, "x", [3], {"a": 1}],
    ),
    "save_directions, path": (lambda g, i, odd: save_directions(w_direction(g), odd), [None, 3]),
    "sefa, layers": (lambda g, i, odd: sefa_directions(g, odd), ["4-7", 5, None, [1.5], [-1]]),
    "sefa, count": (lambda g, i, odd: sefa_directions(g, (), odd), [2.5, None, "2", True]),
    "ganspace, layers": (lambda g, i, odd: ganspace_directions(g, odd), ["4-7", 5, None]),
    "ganspace, count": (lambda g, i, odd: ganspace_directions(g, (), odd), [2.5, None]),
    "features, layers": (lambda g, i, odd: feature_directions(g, odd), ["4-7", 5, None]),
    "features, count": (lambda g, i, odd: feature_directions(g, count=odd), [2.5, None]),
    "features, samples": (lambda g, i, odd: feature_directions(g, samples=odd), [10.5, None]),
    "features, seed": (lambda g, i, odd: feature_directions(g, seed=odd), [1.5, None, -1, 2**70]),
    "features, layer": (lambda g, i, odd: feature_directions(g, feature_layer=odd), [1.5, "1"]),
    "direction_from_scores": (
        lambda g, i, odd: direction_from_scores(g, LatentCode("w", torch.randn(2, g.w_dim)), odd),
        [["a", "b"], None, [None, 1]],
    ),
    "codes_of_inversions": (
        lambda g, i, odd: codes_of_inversions(g, i if odd == "one" else odd),
        ["one", None, [3]],
    ),
    "segment_channels": (lambda g, i, odd: segment_channels(g, i, odd), [None, 3, ["mouth", 3]]),
    "segment_channels, count": (lambda g, i, odd: segment_channels(g, i, "mouth", odd), [2.5, None]),
    "ChannelSearchConfig, sigma": (lambda g, i, odd: ChannelSearchConfig(sigma=odd), ["x", None, True]),
    "ChannelSearchConfig, probes": (lambda g, i, odd: ChannelSearchConfig(probes=odd), [1.5, "1", None]),
    "ChannelSearchConfig, seed": (lambda g, i, odd: ChannelSearchConfig(seed=odd), [2**70, -1, 1.5]),
    "channel_direction": (lambda g, i, odd: channel_direction(g, odd), [3, None]),
    "harmonize, segments": (lambda g, i, odd: harmonize(g, i, odd), [3, ["mouth", 3]]),
    "harmonize, callback": (lambda g, i, odd: harmonize(g, i, callback=odd), [3, "x"]),
    "append_step": (lambda g, i, odd: append_step(g, odd, i), [None, 3]),
    "replay, changed": (lambda g, i, odd: replay(g, i, 1, odd), [None, 3]),
    "replay, refit_steps": (lambda g, i, odd: replay(g, i, 1, i, refit_steps=odd), ["x", True, 1.5, -1]),
    "parse_edit": (lambda g, i, odd: parse_edit(odd, {}), [None, 3]),
    "parse_strengths": (lambda g, i, odd: parse_strengths(odd), [None, 3]),
    "edit, strength": (
        lambda g, i, odd: edit(i, w_direction(g), odd),
        ["2", None, torch.zeros(2), True, NAN, 101],
    ),
    "edit, segments": (lambda g, i, odd: edit(i, w_direction(g), 1, odd), [None, 3, ["mouth", 3]]),
    "edit, direction": (lambda g, i, odd: edit(i, odd, 1), [None, 3]),
    "direction_sheet": (
        lambda g, i, odd: direction_sheet(g, [w_direction(g)], odd),
        [None, 3],
    ),
    "CalibrationConfig": (
        lambda g, i, odd: CalibrationConfig(strengths=odd),
        [(), (1, 0, -1), (-1, NAN, 1), (0, 1, 2), (-101, 0, 1), None, ("x",)],
    ),
}


@pytest.mark.parametrize("taker", HANDED)
def test_odd_arguments(taker: str, generator: Generator, inversion: Inversion) -> None:
    function, odds = HANDED[taker]
    for odd in odds:
        with pytest.raises(InvalidInputError):
            function(generator, inversion, odd)


@pytest.mark.parametrize(
    ("strengths", "which"), [(["1"], None), ([None], None), (3, None), ([1], "1"), ([1], 1.5), ([1], True)]
)
def test_odd_series(generator: Generator, inversion: Inversion, strengths: Any, which: Any) -> None:
    edited = edit(inversion, w_direction(generator), 1)
    with pytest.raises(InvalidInputError):
        strength_series(edited, strengths, which)
    assert [one.edits[0].strength for one in strength_series(edited, np.array([1.0, 2.0]).tolist())] == [1, 2]


def test_odd_calibrations(generator: Generator, inversion: Inversion) -> None:
    direction, scorer = w_direction(generator), load_scorer("demo")
    for given in ((direction, None), (None, scorer)):
        with pytest.raises(InvalidInputError):
            calibrate(generator, *given, scorer.names[0])
    with pytest.raises(InvalidInputError, match="the inversions are"):
        calibrate(generator, direction, scorer, scorer.names[0], inversions=inversion)  # type: ignore[arg-type]


def test_a_sheet_shows_one_code(generator: Generator) -> None:
    with pytest.raises(InvalidInputError, match="3 codes were given"):
        direction_sheet(generator, [w_direction(generator)], LatentCode("w", torch.zeros(3, generator.w_dim)))


def test_a_response_that_no_line_explains_is_flat() -> None:
    strengths, rng = torch.tensor([-1.0, 0.0, 1.0]), torch.Generator().manual_seed(0)
    noise = 20 * torch.randn(400, 3, generator=rng)
    scores = torch.zeros(400, 3) + noise + 4 * strengths
    with pytest.raises(InvalidInputError, match="is flat: a line explains"):
        fit_response(ResponseCurve("smile", strengths, scores, 1.0, 1.0, "1"))
    found = fit_response(ResponseCurve("smile", strengths, scores - 0.9 * noise, 1.0, 1.0, "1"))
    assert found.slope == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"tensor": torch.ones(4, dtype=torch.bool)},
        {"tensor": torch.ones(4, dtype=torch.complex64)},
        {"tensor": torch.full((4,), NAN)},
        {"unit": None},
        {"source": 3},
        {"name": ""},
        {"name": None},
    ],
)
def test_nothing_is_saved_that_would_not_load(tmp_path: Path, change: dict[str, Any]) -> None:
    bad = replace(Direction("d", "w", torch.ones(4)), **change)
    with pytest.raises(InvalidInputError):
        save_directions([bad], tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


def test_one_direction_and_a_mapping_are_saved(tmp_path: Path, smile: Direction) -> None:
    path = tmp_path / "x.safetensors"
    save_directions(smile, path)
    assert list(load_directions(path)) == ["smile"]
    save_directions(load_directions("demo"), path)
    assert set(load_directions(path)) == set(load_directions("demo"))


def test_missing_paths_are_told_before_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = str(tmp_path / "x.safetensors")
    assert main(["calibrate", "demo", "smile", "--out", str(tmp_path / "no" / "x.safetensors")]) != 0
    assert "make it first" in capsys.readouterr().err
    given = ["--method", "groups", "--with", str(tmp_path), "--without", str(tmp_path / "nope")]
    assert main(["directions", "no_generator.pkl", "--out", there, *given]) != 0
    assert "nope does not exist" in capsys.readouterr().err


def test_names_from_files_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", **{"a\x1b[31m\nb": np.ones(8), "é": np.arange(8.0)})
    assert main(["inspect", str(tmp_path / "x.npz")]) == 0
    out = capsys.readouterr().out
    assert "a\\x1b[31m\\nb" in out and "\x1b" not in out and "é" in out


def test_a_folder_of_texts_without_directions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Dear diary")
    assert main(["inspect", str(tmp_path)]) != 0
    assert "none of the 2 files holds directions" in capsys.readouterr().err
