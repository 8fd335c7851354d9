"""The preset of Segmented Projection on a double of the host: with it the other widgets don't count."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.node_scenes import Scene, autosave_folder, interrupt_at, made_scene
from tests.pack_on_double import Pack

PROJECTION, TUNING, LOAD = (
    "ChunkyGAN_SegmentedProjection",
    "ChunkyGAN_PivotalTuning",
    "ChunkyGAN_LoadInversion",
)
FIRST, SECOND = 3, 2  # steps of the phases here


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    return made_scene(pack)


@pytest.fixture(autouse=True)
def short(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets of few steps, and with deltas that a tiny generator has room for."""
    presets = sys.modules[scene.pack.module.__name__ + ".chunky_core.inversion.presets"]
    projection = presets.ProjectionConfig(num_steps=FIRST, space="s", mode="joint")
    tuning = presets.TuningConfig(num_steps=SECOND, size=0.5)
    phases = {"draft": (projection,), "good": (projection, tuning), "best": (projection, tuning)}
    monkeypatch.setattr(presets, "_PHASES", phases)


@pytest.fixture(autouse=True)
def saved(scene: Scene) -> Iterator[Path]:
    yield from autosave_folder(scene.pack)


def project(scene: Scene, count: int = 1, **given: Any) -> tuple[Any, Tensor]:
    """The inversions and pictures of the first `count` photos."""
    links = {"generator": scene.generator, "image": scene.image[:count], "segments": scene.segments}
    inversions, pictures = scene.pack.run(PROJECTION, **links | given)
    return inversions, pictures


def cancel(scene: Scene, monkeypatch: pytest.MonkeyPatch, step: int, **given: Any) -> None:
    """Project, and press Cancel in that step, counted over all phases and photos."""
    with monkeypatch.context() as patch, pytest.raises(scene.pack.management.InterruptProcessingException):
        interrupt_at(scene.pack, patch, step)
        project(scene, **given)


def told(scene: Scene, event: str = "notice") -> list[str]:
    return [data["text"] for name, data in scene.pack.server.events if name == f"chunkygan.{event}"]


def steps_shown(scene: Scene) -> list[tuple[int, int]]:
    return [(value, total) for value, total, _ in scene.pack.sent]


def test_the_widget_is_the_last_one_and_can_be_left_out(scene: Scene) -> None:
    inputs = [one for one in scene.pack.schemas[PROJECTION].inputs if one.widget]
    assert inputs[-1].id == "preset" and inputs[-1].optional
    assert inputs[-2].id == "start_as"
    assert inputs[-1].widget["options"] == ["custom", "draft", "good", "best"]
    assert inputs[-1].widget["default"] == "custom"


def test_without_the_widget_all_is_as_with_custom_to_the_bit(scene: Scene, saved: Path) -> None:
    """As the host runs what was saved before there were presets."""
    (record,), picture = project(scene, steps=4, mode="joint")
    links = {"generator": scene.generator, "image": scene.image[:1], "segments": scene.segments}
    widgets = {one.id: one.widget["default"] for one in scene.pack.schemas[PROJECTION].inputs if one.widget}
    del widgets["preset"]
    with torch.inference_mode():
        (plain,), again = (
            scene.pack.nodes[PROJECTION].execute(**links, **widgets | {"steps": 4, "mode": "joint"}).result
        )
    assert torch.equal(picture, again) and record.losses == plain.losses
    assert record.settings == plain.settings and "preset" not in plain.settings
    assert len([*saved.iterdir()]) == 1  # one and the same job


@pytest.mark.parametrize("preset", ["draft", "good"])
def test_with_a_preset_the_other_widgets_do_not_count(scene: Scene, preset: str) -> None:
    (record,), picture = project(scene, preset=preset)
    others = {"mode": "independent", "space": "z", "spaces": "no such form", "steps": 1, "learning_rate": 1.0}
    others |= {"optimizer": "lbfgs", "warmup": 0.0, "refine": "wings", "refine_every": 1, "torgb": False}
    (same,), again = project(scene, preset=preset, **others)
    assert torch.equal(picture, again) and record.losses == same.losses
    assert {one.code.space for one in record.segments} == {"s"}
    assert record.settings["preset"] == preset and record.is_tuned == (preset == "good")


def test_loss_and_seed_count_with_a_preset(scene: Scene, saved: Path) -> None:
    (loss,) = scene.pack.run("ChunkyGAN_PerceptualLoss", l2=0.5, lpips=0.0)
    (record,), _ = project(scene, preset="good", loss=loss, seed=7)
    assert record.settings["losses"]["l2"] == 0.5 and record.settings["seed"] == 7
    assert record.settings["tuning"]["loss"]["l2"] == 0.5 and record.settings["tuning"]["seed"] == 7
    project(scene, preset="good", seed=7)
    project(scene, preset="good")
    assert len([*saved.iterdir()]) == 3


def test_progress_counts_over_all_phases_and_photos(scene: Scene) -> None:
    project(scene, count=2, preset="good")
    total = FIRST + SECOND
    assert steps_shown(scene) == [(step, 2 * total) for step in range(1, 2 * total + 1)]
    assert scene.pack.sent[-1][2] is not None  # a preview at the end


@pytest.mark.parametrize("step", [2, FIRST, FIRST + 1])
@pytest.mark.parametrize("connected", [False, True])
def test_an_interrupted_preset_goes_on_in_its_phase(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch, step: int, connected: bool
) -> None:
    (whole,), picture = project(scene, preset="good", seed=3)
    shutil.rmtree(saved)
    cancel(scene, monkeypatch, step, preset="good", seed=3)
    (file,) = saved.iterdir()
    assert f"after step {step} of {FIRST + SECOND}" in told(scene)[-1] and file.name in told(scene)[-1]
    opened = scene.pack.run(LOAD, file=f"chunkygan/{file.name} [output]")[0]
    scene.pack.sent.clear()
    start = {"start": opened} if connected else {}
    with scene.pack.running({"7": {"class_type": PROJECTION, "inputs": {}}}, "7"):
        (resumed,), again = project(scene, preset="good", seed=3, start_as="continue", **start)
    assert [value for value, _ in steps_shown(scene)] == [*range(step + 1, FIRST + SECOND + 1)]
    assert torch.equal(again, picture) and resumed.losses == whole.losses and resumed.stopped is None
    assert f"Goes on after step {step}. " in told(scene, "text")[0]


def test_a_finished_preset_comes_back_at_once(scene: Scene) -> None:
    _, picture = project(scene, preset="good")
    scene.pack.sent.clear()
    _, again = project(scene, preset="good", start_as="continue")
    assert scene.pack.sent == [] and torch.equal(again, picture)


def test_a_run_begun_anew_by_mistake_leaves_the_earlier_one_until_it_has_come_as_far(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are compared over all phases."""
    cancel(scene, monkeypatch, FIRST + 1, preset="good")
    (file,) = saved.iterdir()
    before = file.read_bytes()
    scene.pack.server.events.clear()
    cancel(scene, monkeypatch, FIRST, preset="good")  # more steps of its phase than the one before
    assert f"after step {FIRST + 1}" in told(scene)[0] and file.read_bytes() == before


def test_presets_and_custom_settings_are_jobs_of_their_own(scene: Scene, saved: Path) -> None:
    for preset in ("custom", "draft", "good"):
        project(scene, preset=preset, steps=2)
    assert len([*saved.iterdir()]) == 3
    drafts, _ = project(scene, preset="draft")
    with pytest.raises(scene.pack.errors.InvalidInputError, match="preset 'draft', now 'good'"):
        project(scene, preset="good", start=drafts, start_as="continue")


def test_a_preset_sets_out_from_codes_too_and_tells_that_a_delta_stays_behind(scene: Scene) -> None:
    tuned, _ = project(scene, preset="good")
    scene.pack.server.events.clear()
    with pytest.warns(UserWarning, match="left behind"):
        (record,), _ = project(scene, preset="draft", start=tuned)
    assert not record.is_tuned and "tune the result again" in told(scene)[0]
    for name, fit in record.fits.items():
        assert fit.start != pytest.approx(tuned[0].fits[name].start, rel=1e-3)  # not from the mean code


def test_the_fit_stands_on_the_node(scene: Scene) -> None:
    with scene.pack.running({"7": {"class_type": PROJECTION, "inputs": {}}}, "7"):
        (first, second), _ = project(scene, count=2, preset="draft")
    lines = told(scene, "text")[-1].splitlines()
    for record, line, number in ((first, lines[-1], 1), (second, lines[-2], 2)):
        fits = [
            f"{name} {fit.met:.0%} ({fit.start:.0f} -> {fit.end:.0f})" for name, fit in record.fits.items()
        ]
        assert line == f"photo {number} of 2: {', '.join(fits)} of the detail (grey levels)"
    assert lines[0] == "Saved in"


def test_a_preset_can_be_tuned_on(scene: Scene) -> None:
    drafts, _ = project(scene, preset="draft")
    links = {"generator": scene.generator, "size": 50.0, "steps": 2, "segments": "mouth"}
    (record,), _ = scene.pack.run(TUNING, inversion=drafts, start_as="continue", **links)
    assert record.segments["mouth"].delta and record.settings["preset"] == "draft"
    assert record.state.step == 2 and any(
        text.startswith("Nothing is saved of this tuning") for text in told(scene)
    )
