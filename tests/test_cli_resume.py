"""A projection of the command line that is stopped keeps its file, and goes on from it as if nothing had been."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from chunky_core.checkpoints.generators import save_generator
from chunky_core.cli import projection_task, result_file, results, task
from chunky_core.cli.signals import Stopped, delay_signals, stop_on_signals
from chunky_core.demo.photos import demo_photo
from chunky_core.errors import InvalidInputError, SaveError
from chunky_core.images import load_image, save_image
from chunky_core.inversion import Inversion, load_inversion
from tests.cli_tools import edit as edit_by

EDIT = ("--edit", "mouth:smile=2")


def edit(folder: Path, *more: str) -> int:
    """With few segments, for speed."""
    return edit_by(folder, *more, masks="masks")


@pytest.fixture(autouse=True)
def started_from_a_terminal() -> Iterator[None]:
    """In a job of the background a shell has SIGINT ignored, which these tests are about."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def at_step(monkeypatch) -> Callable[..., list[str]]:
    """at_step(n, action, title): have `action` called after step n of the projection whose title begins so.

    Returns the titles of the projections, one entry for each step that they make.
    """

    def install(step: int, action: Callable[[], object], title: str = "") -> list[str]:
        steps: list[str] = []

        @contextmanager
        def progress_bar(label: str) -> Iterator[Callable]:
            def show(done: int, _total: int, _image: object) -> None:
                steps.append(label)
                if done == step and label.startswith(title):
                    action()

            yield show

        monkeypatch.setattr(task, "progress_bar", progress_bar)
        return steps

    return install


def stop() -> None:
    signal.raise_signal(signal.SIGINT)


def nothing() -> None:
    pass


def assert_same_codes(one: Inversion, other: Inversion) -> None:
    assert one.names == other.names
    for a, b in zip(one.segments, other.segments, strict=True):
        assert torch.equal(a.code.tensor, b.code.tensor), a.name
    assert one.losses == other.losses


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_stopped_run_goes_on_to_the_same_codes(studio: Path, capsys, at_step, name: str, code: int):
    assert edit(studio, "--no-global", "--out", str(studio / "whole")) == 0
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    at_step(2, lambda: signal.raise_signal(getattr(signal, name)))
    capsys.readouterr()
    assert edit(studio, "--no-global") == code
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    path = studio / "out" / "inversion.safetensors"
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("stopped; ") and str(path) in line and "--resume" in line
    stopped = load_inversion(path)
    assert stopped.state is not None and stopped.state.step == 2
    steps = at_step(0, nothing)
    assert edit(studio, "--no-global", "--resume", *EDIT) == 0
    assert len(steps) == 1
    resumed = load_inversion(path)
    assert_same_codes(resumed, load_inversion(studio / "whole" / "inversion.safetensors"))
    assert [one.direction.name for one in resumed.edits] == ["smile"]


@pytest.mark.parametrize("step", [1, 3])
def test_stopped_in_the_warm_up_and_after_the_last_step(studio: Path, at_step, step: int):
    assert edit(studio, "--no-global", "--out", str(studio / "whole")) == 0
    at_step(step, stop)
    assert edit(studio, "--no-global") == 130
    at_step(0, nothing)
    assert edit(studio, "--no-global", "--resume") == 0
    one, other = (load_inversion(studio / out / "inversion.safetensors") for out in ("out", "whole"))
    assert_same_codes(one, other)
    assert one.stopped is None


def test_the_file_is_written_while_the_projection_runs(studio: Path, monkeypatch, at_step):
    path, found = studio / "out" / "inversion.safetensors", []

    def look() -> None:
        record = load_inversion(path)
        assert record.state is not None and record.is_unfinished
        found.append(record.state.step)
        path.rename(studio / "copy.safetensors")

    monkeypatch.setattr(projection_task, "project", partial(projection_task.project, autosave_seconds=0.0))
    at_step(2, look)
    assert edit(studio, "--no-global", *EDIT) == 0
    whole = load_inversion(path)
    (studio / "copy.safetensors").rename(path)  # as if the program had been killed then
    at_step(0, nothing)
    assert edit(studio, "--no-global", "--resume", *EDIT) == 0
    assert found == [1]
    assert_same_codes(load_inversion(path), whole)


def test_an_unfinished_file_is_not_overwritten(studio: Path, capsys, at_step):
    at_step(2, stop)
    assert edit(studio, "--no-global") == 130
    content = (studio / "out" / "inversion.safetensors").read_bytes()
    steps = at_step(0, nothing)
    assert edit(studio, "--no-global") == 2 and not steps
    assert "--resume" in capsys.readouterr().err
    assert (studio / "out" / "inversion.safetensors").read_bytes() == content


def test_a_finished_projection_is_only_drawn_anew(studio: Path, at_step):
    assert edit(studio, "--edit", "mouth:smile=-1") == 0
    before = load_inversion(studio / "out" / "inversion.safetensors")
    pictures = {name: load_image(studio / "out" / f"{name}.png") for name in ("composite", "reconstruction")}
    steps = at_step(0, nothing)
    assert edit(studio, "--resume", *EDIT) == 0 and not steps
    after = load_inversion(studio / "out" / "inversion.safetensors")
    assert_same_codes(before, after)
    assert [one.strength for one in after.edits] == [2.0]
    assert torch.equal(load_image(studio / "out" / "reconstruction.png"), pictures["reconstruction"])
    assert not torch.equal(load_image(studio / "out" / "composite.png"), pictures["composite"])
    assert edit(studio, "--resume", "--edit", "mouth:smile=-1") == 0
    assert torch.equal(load_image(studio / "out" / "composite.png"), pictures["composite"])


def test_the_projection_for_comparison_is_kept_too(studio: Path, at_step):
    assert edit(studio, "--out", str(studio / "whole")) == 0
    at_step(2, stop, "global")
    assert edit(studio) == 130
    steps = at_step(0, nothing)
    assert edit(studio, "--resume") == 0
    assert [title.split()[0] for title in steps] == ["global"]
    for name in ("inversion", "global"):
        one, other = (load_inversion(studio / out / f"{name}.safetensors") for out in ("out", "whole"))
        assert_same_codes(one, other)


def test_more_steps_go_on_and_nothing_there_begins_anew(studio: Path, capsys, at_step):
    steps = at_step(0, nothing)
    assert edit(studio, "--no-global", "--resume") == 0 and len(steps) == 3
    assert "begins anew" in capsys.readouterr().err
    assert edit(studio, "--no-global", "--resume", "--steps", "5") == 0 and len(steps) == 5
    state = load_inversion(studio / "out" / "inversion.safetensors").state
    assert state is not None and state.step == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--static", ""], "segments"),
        (["--grow", "3"], "masks"),
        (["--space", "w"], "space"),
        (["--seed", "3"], "seed"),
        (["--steps", "2"], "at least 3"),
        ("photo", "photo"),
        ("generator", "generator"),
        ("damage", "inversion.safetensors"),
    ],
)
def test_another_job_is_refused_and_the_file_stays(
    studio: Path, capsys, at_step, make_generator, arguments: list[str] | str, said: str
):
    assert edit(studio, "--no-global") == 0
    path = studio / "out" / "inversion.safetensors"
    if arguments == "photo":
        save_image(demo_photo(8, resolution=64).image, studio / "photo.png")
    elif arguments == "generator":
        save_generator(make_generator(seed=5), studio / "tiny.safetensors")
    elif arguments == "damage":
        path.write_bytes(path.read_bytes()[:1000])
    content, steps = path.read_bytes(), at_step(0, nothing)
    capsys.readouterr()
    assert edit(studio, "--no-global", "--resume", *([] if isinstance(arguments, str) else arguments)) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1 and said in message
    assert not steps and path.read_bytes() == content


def test_a_finished_projection_survives_a_new_one_that_is_stopped(studio: Path, capsys, at_step):
    assert edit(studio, "--no-global") == 0
    path, previous = (studio / "out" / f"{name}inversion.safetensors" for name in ("", "previous_"))
    finished = path.read_bytes()
    at_step(2, stop)
    assert edit(studio, "--no-global", "--seed", "4") == 130
    assert previous.read_bytes() == finished and previous.name in capsys.readouterr().err
    at_step(0, nothing)
    assert edit(studio, "--no-global", "--seed", "4", "--resume") == 0
    assert not previous.exists() and load_inversion(path).settings["seed"] == 4


def test_a_disk_that_is_full_meanwhile_does_not_end_the_run(studio: Path, capsys, monkeypatch, at_step):
    def full(*_arguments: object) -> None:
        raise InvalidInputError("no space")

    monkeypatch.setattr(result_file, "save_inversion", full)
    at_step(2, stop)
    assert edit(studio, "--no-global") == 130
    message = capsys.readouterr().err
    assert "isn't kept: no space" in message and "--resume" not in message


def test_pictures_that_cannot_be_written_leave_the_inversion(studio: Path, capsys, monkeypatch):
    def full(*_arguments: object) -> None:
        raise SaveError("composite.png can't be written (No space left on device)")

    monkeypatch.setattr(results, "save_image", full)
    assert edit(studio, "--no-global") == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "No space left" in message and "--resume" in message
    monkeypatch.undo()
    assert edit(studio, "--no-global", "--resume") == 0
    assert json.loads((studio / "out" / "figures.json").read_text())["stopped"] is None


def test_a_direction_of_another_generator_is_found_before_the_projection(studio: Path, capsys, at_step):
    steps = at_step(0, nothing)
    save_file({"directions/smile": torch.ones(7)}, studio / "directions.safetensors")
    assert edit(studio, *EDIT) == 2 and not steps
    assert "has 7 numbers" in capsys.readouterr().err and not (studio / "out").exists()


def test_signals_wait_until_what_may_not_be_cut_short_is_done():
    done = []
    with pytest.raises(Stopped) as stopped, stop_on_signals():
        with delay_signals():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            done.append("saved")
        done.append("never")
    assert done == ["saved"] and stopped.value.number == signal.SIGTERM


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stop_on_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_stop_after_the_projection_says_that_it_is_complete(studio: Path, capsys, at_step):
    at_step(2, stop, "global")
    assert edit(studio) == 130
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("stopped; ") and "inversion.safetensors is complete" in line and "--resume" in line
