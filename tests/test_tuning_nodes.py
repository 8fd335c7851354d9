"""Pivotal Tuning, and what Segmented Projection and it say of the fit, on a double of the host."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.node_scenes import autosave_folder, interrupt_at, made_scene
from tests.pack_on_double import TINY, Pack

TUNING, PROJECTION = "ChunkyGAN_PivotalTuning", "ChunkyGAN_SegmentedProjection"
LOAD, EDIT = "ChunkyGAN_LoadInversion", "ChunkyGAN_LatentEdit"
STEPS = 4
SIZE_LIMIT = 50.0  # %; a tiny generator's weights are no larger than two vectors of theirs


class Scene(NamedTuple):
    """The pack, and two projected photos with the segments "eyes" and "mouth", and what the codes draw."""

    pack: Pack
    generator: Any
    image: Tensor
    pivots: tuple[Any, ...]
    drawn: Tensor


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    pack, generator, image, segments = made_scene(pack)
    pivots, drawn = pack.run(PROJECTION, generator=generator, image=image, segments=segments, steps=3)
    return Scene(pack, generator, image, pivots, drawn)


@pytest.fixture(autouse=True)
def saved(scene: Scene) -> Iterator[Path]:
    yield from autosave_folder(scene.pack)


def tune(scene: Scene, count: int = 1, **given: Any) -> tuple[Any, Tensor]:
    """The inversions and pictures of the first `count` photos."""
    links = {"generator": scene.generator, "inversion": scene.pivots[:count]}
    inversions, pictures = scene.pack.run(TUNING, **links | {"steps": STEPS, "size": SIZE_LIMIT, **given})
    return inversions, pictures


def cancel(scene: Scene, monkeypatch: pytest.MonkeyPatch, step: int, **given: Any) -> None:
    with monkeypatch.context() as patch, pytest.raises(scene.pack.management.InterruptProcessingException):
        interrupt_at(scene.pack, patch, step)
        tune(scene, **given)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def load(scene: Scene, path: Path) -> Any:
    return scene.pack.run(LOAD, file=f"chunkygan/{path.name} [output]")[0]


def told(scene: Scene, event: str) -> list[dict[str, str]]:
    return [data for name, data in scene.pack.server.events if name == f"chunkygan.{event}"]


def error_in(record: Any, picture: Tensor, name: str) -> float:
    """Mean square error inside a segment's mask."""
    mask = record.segments[name].mask[0, 0][None, ..., None]
    photo = (record.photo.movedim(1, -1) + 1) / 2
    return ((picture - photo).square() * mask).sum().item() / mask.sum().item()


def same_deltas(one: Any, other: Any) -> bool:
    pairs = [(one.delta, other.delta)]
    pairs += [(a.delta, b.delta) for a, b in zip(one.segments, other.segments, strict=True)]
    return all(
        a.keys() == b.keys() and all(torch.equal(a[name].cpu(), b[name].cpu()) for name in a)
        for a, b in pairs
    )


@pytest.mark.parametrize("delta", ["shared", "apart"])
def test_a_tuned_segment_comes_nearer_and_the_others_stay(scene: Scene, delta: str) -> None:
    pivot, before = scene.pivots[0], scene.drawn[:1]
    (record,), picture = tune(scene, segments="mouth", delta=delta, steps=30, learning_rate=0.01)
    assert error_in(record, picture, "mouth") < 0.8 * error_in(pivot, before, "mouth")
    outside = record.segments["mouth"].mask[0, 0] == 0
    assert torch.equal(picture[0][outside], before[0][outside])
    assert record.segments["mouth"].delta and not record.segments["eyes"].delta and not record.delta
    assert torch.equal(record.segments["mouth"].code.tensor, pivot.segments["mouth"].code.tensor)
    assert not pivot.segments["mouth"].delta  # the input is untouched
    tensors = [*record.segments["mouth"].delta.values(), record.photo]
    assert not any(tensor.is_inference() or tensor.requires_grad for tensor in tensors)


def test_every_widget_reaches_the_tuning(scene: Scene) -> None:
    chosen: dict[str, Any] = {
        "segments": "Mouth\neyes",
        "delta": "apart",
        "steps": 3,
        "seed": 5,
        "size": 62.5,
    }
    chosen |= {"learning_rate": 0.003, "locality": 0.2, "plateau": 7, "tune_codes": True}
    (loss,) = scene.pack.run("ChunkyGAN_PerceptualLoss", l2=0.5, lpips=0.0)
    widgets = {entry.id for entry in scene.pack.schemas[TUNING].inputs if entry.widget}
    assert set(chosen) == widgets - {"start_as"}
    (record,), _ = tune(scene, loss=loss, **chosen)
    asked = {**chosen, "segments": ["Mouth", "eyes"], "shared": False, "num_steps": 3, "size": 0.625}
    del asked["delta"], asked["steps"]
    settings = record.settings["tuning"]
    assert {name: settings[name] for name in asked} == asked and settings["loss"]["l2"] == 0.5


def test_blank_segments_are_all_of_them(scene: Scene) -> None:
    (blank,), picture = tune(scene, segments=" ")
    (everything,), again = tune(scene, segments="all")
    assert torch.equal(picture, again) and same_deltas(blank, everything)


@pytest.mark.parametrize("connected", [False, True])
def test_an_interrupted_tuning_goes_on_as_if_nothing_had_happened(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch, connected: bool
) -> None:
    """With one widget, or by way of Load Inversion."""
    (whole,), picture = tune(scene)
    shutil.rmtree(saved)
    cancel(scene, monkeypatch, step=2)
    file = only_file(saved)
    notice = told(scene, "notice")[-1]["text"]
    assert file.name in notice and "The tuning was cut short, saved after step 2 of 4" in notice
    opened = load(scene, file)
    scene.pack.sent.clear()
    start = {"inversion": opened} if connected else {}
    (resumed,), again = tune(scene, start_as="continue", **start)
    assert [value for value, _, _ in scene.pack.sent] == [3, 4]
    assert torch.equal(again, picture) and same_deltas(resumed, whole)
    assert resumed.losses == whole.losses and resumed.stopped is None
    assert len([*saved.iterdir()]) == 1 or connected


def test_a_finished_tuning_comes_back_at_once_or_takes_more_steps(scene: Scene, saved: Path) -> None:
    (first,), picture = tune(scene)
    scene.pack.sent.clear()
    (same,), again = tune(scene, start_as="continue")
    assert scene.pack.sent == [] and torch.equal(again, picture) and same_deltas(first, same)
    (more,), _ = tune(scene, start_as="continue", steps=STEPS + 2)
    assert more.state.step == STEPS + 2 and len([*saved.iterdir()]) == 1


def test_the_edits_that_come_with_the_inversion_count_not_those_in_the_file(scene: Scene) -> None:
    tune(scene)
    links = {"generator": scene.generator, "direction": f"{TINY}/smile"}
    edited = scene.pack.run(EDIT, inversion=scene.pivots[:1], **links)[0]
    scene.pack.sent.clear()
    (record,), _ = tune(scene, inversion=edited, start_as="continue")
    assert scene.pack.sent == []
    assert [edit.direction.name for edit in record.edits] == ["smile"]


@pytest.mark.parametrize("changed", [{"segments": "mouth"}, {"delta": "apart"}, {"size": 60.0}, {"seed": 1}])
def test_another_tuning_begins_anew_and_says_so(scene: Scene, saved: Path, changed: dict[str, Any]) -> None:
    tune(scene)
    tune(scene, start_as="continue", **changed)
    assert len([*saved.iterdir()]) == 2
    said = [data["text"] for data in told(scene, "notice") if data["severity"] == "info"]
    assert said == [
        "Nothing is saved of this tuning with this generator, these segments and settings: it begins anew."
    ]


def test_a_second_tuning_leaves_the_first_segment_alone(scene: Scene) -> None:
    first, _ = tune(scene, segments="mouth")
    (both,), _ = tune(scene, inversion=first, segments="eyes", start_as="continue")
    assert both.segments["eyes"].delta and both.state.step == STEPS
    for name, tensor in first[0].segments["mouth"].delta.items():
        assert torch.equal(both.segments["mouth"].delta[name], tensor)


def test_a_batch_is_tuned_one_after_the_other(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, second), pictures = tune(scene, count=2)
    assert pictures.shape[0] == 2 and not same_deltas(first, second)
    assert [value for value, *_ in scene.pack.sent] == [*range(1, 2 * STEPS + 1)]
    assert {total for _, total, _ in scene.pack.sent} == {2 * STEPS}
    shutil.rmtree(saved)
    cancel(scene, monkeypatch, step=STEPS + 2, count=2)
    assert len([*saved.iterdir()]) == 2
    scene.pack.sent.clear()
    _, again = tune(scene, count=2, start_as="continue")
    assert [value for value, *_ in scene.pack.sent] == [STEPS + 3, STEPS + 4]
    assert torch.equal(again, pictures)


def test_what_is_wrong_is_said_before_the_first_step(scene: Scene, saved: Path) -> None:
    errors = scene.pack.errors
    (other,) = scene.pack.run("ChunkyGAN_LoadStyleGAN", name="demo (built in)")
    cases = [
        ({"segments": "wings"}, errors.InvalidInputError, "'wings'.*eyes, mouth"),
        ({"generator": other}, errors.WrongGeneratorError, "made with generator"),
        (
            {"inversion": tuple(one.without_photo() for one in scene.pivots)},
            errors.InvalidInputError,
            "input photo of Load Inversion",
        ),
    ]
    for given, kind, message in cases:
        with pytest.raises(kind, match=message):
            tune(scene, **given)
    mixed = (scene.pivots[0], scene.pivots[1].without_photo())
    with pytest.raises(errors.InvalidInputError, match="photo"):
        tune(scene, inversion=mixed)
    assert scene.pack.sent == [] and not saved.exists()


def test_a_later_node_that_would_fail_is_found_before_the_first_step(scene: Scene) -> None:
    prompt = {
        "t": {"class_type": TUNING, "inputs": {}},
        "e": {"class_type": EDIT, "inputs": {"inversion": ["t", 0], "segments": "wings", "enabled": True}},
        "out": {"class_type": "SaveImage", "inputs": {"images": ["e", 1]}},
    }
    with (
        scene.pack.running(prompt, "t", "out"),
        pytest.raises(scene.pack.errors.InvalidInputError, match="node e.*'wings'"),
    ):
        tune(scene)
    assert scene.pack.sent == []


def test_the_fit_of_every_segment_stands_on_the_node(scene: Scene, saved: Path) -> None:
    with scene.pack.running({"7": {"class_type": TUNING, "inputs": {}}}, "7"):
        (record,), _ = tune(scene, segments="mouth")
    fit, path = record.fits["mouth"], only_file(saved).name
    last = told(scene, "text")[-1]["text"]
    figures = f"{fit.met:.0%} ({fit.start:.0f} -> {fit.end:.0f})"
    assert last.endswith(f"\nmouth {figures} of the detail (grey levels)") and path in last
    with scene.pack.running({"8": {"class_type": LOAD, "inputs": {}}}, "8"):
        load(scene, only_file(saved))
    shown = told(scene, "text")[-1]
    assert (shown["node"], shown["type"]) == ("8", LOAD) and "eyes" in shown["text"]
    assert last.splitlines()[-1].split(" (")[0] in shown["text"]


def test_a_poor_fit_is_a_warning_that_says_what_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fits = sys.modules[scene.pack.module.__name__ + ".nodes.fits"]
    fit = type(next(iter(scene.pivots[0].fits.values())))
    poor = replace(scene.pivots[0], fits={"eyes": fit(41.0, 6.2), "mouth": fit(40.0, 38.0)})
    assert fits.fit_line(poor) == "eyes 41 -> 6, mouth 40 -> 38 (grey levels)"
    assert fits.fit_line(poor, 1) == "mouth 40 -> 38, 1 more nearer (grey levels)"
    text = fits.NodeText()
    text.add_fit(poor, ("eyes", "mouth"), "photo 2 of 3")
    (notice,) = told(scene, "notice")
    assert notice["severity"] == "warn" and notice["text"].startswith("photo 2 of 3: ")
    assert "mouth" in notice["text"] and "eyes" not in notice["text"] and "more steps" in notice["text"]
    assert notice["text"] in caplog.text
    with scene.pack.running({"7": {"class_type": TUNING, "inputs": {}}}, "7"):
        text.show("Saved")
    shown = told(scene, "text")[-1]["text"]
    assert shown == "Saved\nphoto 2 of 3: eyes 41 -> 6, mouth 40 -> 38 (grey levels)"
    scene.pack.server.events.clear()
    text.add_fit(poor, ("eyes",))
    text.add_fit(replace(poor, fits={}), ("eyes", "mouth"))
    assert not told(scene, "notice")
