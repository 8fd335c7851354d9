"""Presets and pivotal tuning on the command line: what they write, and how they are gone on with."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from chunky_core.cli import task
from chunky_core.demo.photos import demo_photo
from chunky_core.images import load_image, save_image
from chunky_core.inversion import Inversion, ProjectionConfig, TuningConfig, load_inversion, presets
from tests.cli_tools import edit as edit_by

FIRST, SECOND = 3, 2  # steps of the phases of presets here
TUNE = ("--tune", "mouth", "--tune-steps", "3", "--tune-size", "50")  # a tiny generator needs room


def edit(folder: Path, *more: str) -> int:
    """With few segments and no comparison, for speed."""
    return edit_by(folder, "--no-global", *more, masks="masks")


def edit_by_preset(folder: Path, *more: str) -> int:
    """The like without --steps, which a preset chooses itself."""
    from chunky_core.cli import main

    return main(
        ["edit", str(folder / "photo.png"), "--masks", str(folder / "masks"), "--generator"]
        + [str(folder / "tiny.safetensors"), "--directions", str(folder / "directions.safetensors")]
        + ["--static", "background", "--grow", "1", "--feather", "0.7", "--device", "cpu", "--no-global"]
        + ["--out", str(folder / "out"), *more]
    )


@pytest.fixture(autouse=True)
def short_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    projection, tuning = (
        ProjectionConfig(num_steps=FIRST, space="s"),
        TuningConfig(num_steps=SECOND, size=0.5),
    )
    monkeypatch.setattr(presets, "_PHASES", {"draft": (projection,), "good": (projection, tuning)})


@pytest.fixture(autouse=True)
def started_from_a_terminal() -> Iterator[None]:
    """In a job of the background a shell has SIGINT ignored, which these tests are about."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, int, int]]]:
    """stop_at(title, step): Ctrl-C after that step of the work whose title begins so; step 0: never.

    Returns the title, step and total of each step that is made.
    """

    def install(title: str = "", step: int = 0) -> list[tuple[str, int, int]]:
        steps: list[tuple[str, int, int]] = []

        @contextmanager
        def progress_bar(label: str) -> Iterator[Callable]:
            def show(done: int, total: int, _image: object) -> None:
                steps.append((label, done, total))
                if done == step and label.startswith(title):
                    signal.raise_signal(signal.SIGINT)

            yield show

        monkeypatch.setattr(task, "progress_bar", progress_bar)
        return steps

    return install


def read(folder: Path, name: str) -> Inversion:
    return load_inversion(folder / "out" / f"{name}.safetensors")


def same_deltas(one: Inversion, other: Inversion) -> bool:
    a, b = one.segments["mouth"].delta, other.segments["mouth"].delta
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_tuning_is_kept_beside_the_projection(studio: Path, capsys, stop_at):
    steps = stop_at()
    assert edit(studio, *TUNE, "--edit", "mouth:smile=2") == 0
    assert [step for step in steps if step[0] == "tuning"] == [("tuning", step, 3) for step in (1, 2, 3)]
    projected, tuned = read(studio, "inversion"), read(studio, "tuned")
    assert not projected.is_tuned and tuned.segments["mouth"].delta and not tuned.segments["skin"].delta
    assert [one.direction.name for one in tuned.edits] == ["smile"]
    figures = json.loads((studio / "out" / "figures.json").read_text())
    assert figures["tuned"]["l2"] != figures["segmented_w_plus"]["l2"]
    assert set(figures["fits"]) == {"skin", "mouth"}
    table = capsys.readouterr().err
    for name, fit in projected.fits.items():
        assert any(
            line.split()[0] == name and f"{fit.end:.1f}" in line for line in table.splitlines() if line
        )


def test_the_picture_is_of_the_tuned_weights(studio: Path):
    assert edit(studio, "--edit", "mouth:smile=2") == 0
    plain = load_image(studio / "out" / "composite.png")
    before = load_image(studio / "out" / "reconstruction.png")
    assert edit(studio, "--resume", *TUNE, "--edit", "mouth:smile=2") == 0
    assert not torch.equal(load_image(studio / "out" / "composite.png"), plain)
    after = load_image(studio / "out" / "reconstruction.png")
    changed = (after != before).any(1)[0]
    inside = read(studio, "tuned").segments["mouth"].mask[0, 0] > 0
    assert changed.any() and not changed[~inside].any()


def test_a_stopped_tuning_goes_on_to_the_same_delta(studio: Path, capsys, stop_at):
    assert edit(studio, *TUNE, "--out", str(studio / "whole")) == 0
    stop_at("tuning", 2)
    capsys.readouterr()
    assert edit(studio, *TUNE) == 130
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "tuned.safetensors keeps the tuning" in line and "--resume" in line
    assert not read(studio, "inversion").is_unfinished and read(studio, "tuned").is_unfinished
    assert edit(studio, *TUNE) == 2
    assert "a tuning that isn't finished" in capsys.readouterr().err
    steps = stop_at()
    assert edit(studio, *TUNE, "--resume") == 0
    assert steps == [("tuning", 3, 3)]
    assert same_deltas(read(studio, "tuned"), load_inversion(studio / "whole" / "tuned.safetensors"))


def test_a_finished_tuning_is_only_drawn_anew_or_takes_more_steps(studio: Path, stop_at):
    assert edit(studio, *TUNE) == 0
    steps = stop_at()
    assert edit(studio, *TUNE, "--resume", "--edit", "mouth:smile=1") == 0 and not steps
    assert [one.strength for one in read(studio, "tuned").edits] == [1.0]
    assert edit(studio, *TUNE, "--resume", "--tune-steps", "5") == 0
    assert [step for _, step, _ in steps] == [4, 5]


def test_other_codes_are_tuned_anew_and_a_line_says_so(studio: Path, capsys, stop_at):
    assert edit(studio, *TUNE) == 0
    steps = stop_at()
    assert edit(studio, *TUNE, "--resume", "--steps", "30") == 0
    assert [step for label, step, _ in steps if label == "tuning"] == [1, 2, 3]
    assert "from other codes; the tuning begins anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tune", "skin"], "segments"),
        (["--tune-size", "60"], "size"),
        (["--tune-steps", "2"], "at least 3"),
    ],
)
def test_another_tuning_is_refused_before_the_first_step(
    studio: Path, capsys, stop_at, arguments: list[str], said: str
):
    assert edit(studio, *TUNE) == 0
    content, steps = (studio / "out" / "tuned.safetensors").read_bytes(), stop_at()
    capsys.readouterr()
    assert edit(studio, *TUNE, "--resume", "--steps", "9", *arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1 and said in message
    assert not steps and (studio / "out" / "tuned.safetensors").read_bytes() == content


def test_a_preset_projects_with_one_progress(studio: Path, stop_at):
    steps = stop_at()
    assert edit_by_preset(studio, "--preset", "good", "--seed", "5") == 0
    total = FIRST + SECOND
    assert steps == [("segments (good)", step, total) for step in range(1, total + 1)]
    record = read(studio, "inversion")
    assert record.is_tuned and record.settings["preset"] == "good" and record.settings["seed"] == 5
    figures = json.loads((studio / "out" / "figures.json").read_text())
    assert figures["segmented_good"]["l2"] > 0 and figures["steps"] == total


@pytest.mark.parametrize("step", [2, FIRST + 1])
def test_a_stopped_preset_goes_on_in_its_phase(studio: Path, stop_at, step: int):
    assert edit_by_preset(studio, "--preset", "good", "--out", str(studio / "whole")) == 0
    stop_at("segments", step)
    assert edit_by_preset(studio, "--preset", "good") == 130
    steps = stop_at()
    assert edit_by_preset(studio, "--preset", "good", "--resume") == 0
    assert [done for _, done, _ in steps] == [*range(step + 1, FIRST + SECOND + 1)]
    one, other = read(studio, "inversion"), load_inversion(studio / "whole" / "inversion.safetensors")
    assert one.losses == other.losses and all(
        torch.equal(a.code.tensor, b.code.tensor) for a, b in zip(one.segments, other.segments, strict=True)
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "draft"], "preset"),
        (["--space", "s"], "go on"),
        (["--preset", "good", "--seed", "3"], "seed"),
        (["--preset", "good", "--static", ""], "segments"),
        (["--preset", "good", "--grow", "3"], "masks"),
        ("photo", "another photo"),
    ],
)
def test_another_job_than_the_presets_is_refused(
    studio: Path, capsys, stop_at, arguments: list[str] | str, said: str
):
    assert edit_by_preset(studio, "--preset", "good") == 0
    if arguments == "photo":
        save_image(demo_photo(8, resolution=64).image, studio / "photo.png")
    steps = stop_at()
    capsys.readouterr()
    more = ["--preset", "good"] if isinstance(arguments, str) else arguments
    assert edit_by_preset(studio, "--resume", *more) == 2 and not steps
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1 and said in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "good", "--steps", "50"], "--preset good chooses space and steps itself"),
        (["--preset", "good", "--space", "w"], "--preset good chooses space and steps itself"),
        (["--tune-steps", "50"], "add --tune"),
        (["--tune", "mouth", "--tune-size", "0"], "--tune-size is 0"),
        (["--tune", "mouth", "--tune-size", "101"], "--tune-size is 101"),
        (["--tune", "mouth", "--tune-steps", "0"], "--tune-steps is 0"),
        (["--tune", "wings"], "'wings'"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(studio: Path, capsys, arguments: list[str], said: str):
    assert edit_by_preset(studio, *arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and said in message and not (studio / "out").exists()


def test_a_poor_fit_is_told_with_what_to_do(studio: Path, capsys):
    assert edit_by_preset(studio, "--steps", "1") == 0  # one step leads nowhere
    record = read(studio, "inversion")
    figures = json.loads((studio / "out" / "figures.json").read_text())
    assert record.poor_fits and figures["poor_fits"] == list(record.poor_fits)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(name in last for name in record.poor_fits) and "more steps" in last
