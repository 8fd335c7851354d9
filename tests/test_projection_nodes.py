"""Perceptual Loss, Segmented Projection and Projection Curves on a double of the host."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import SIZE, TINY, Pack, pack  # noqa: F401  # pack is a fixture

LOSS, PROJECTION = "ChunkyGAN_PerceptualLoss", "ChunkyGAN_SegmentedProjection"
CURVES, LOAD = "ChunkyGAN_ProjectionCurves", "ChunkyGAN_LoadInversion"
STEPS = 4


class Scene(NamedTuple):
    """The pack, and what every projection here is given."""

    pack: Pack
    generator: Any
    image: Tensor
    segments: tuple[Any, ...]


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:  # noqa: F811
    coarse = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(0, 1)
    image = ((smooth * 255).round() / 255).movedim(1, -1).contiguous()
    masks = torch.zeros(2, SIZE, SIZE)
    masks[0, 12:28, 8:56] = masks[1, 40:54, 16:48] = 1
    (segments,) = pack.run("ChunkyGAN_SegmentMasks", image=image[:1], masks=masks, names="eyes, mouth")
    return Scene(pack, pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)[0], image, segments)


def project(scene: Scene, count: int = 1, **given: Any) -> tuple[Any, Tensor]:
    """The inversions and pictures of the first `count` photos."""
    links = {"generator": scene.generator, "image": scene.image[:count], "segments": scene.segments}
    inversions, pictures = scene.pack.run(PROJECTION, **links | {"steps": STEPS, **given})
    return inversions, pictures


def interrupt_at(scene: Scene, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the user press Cancel in that step, counted over all photos."""
    asked = iter(range(1, 1000))

    def ask() -> None:
        if next(asked) == step:
            raise scene.pack.management.InterruptProcessingException

    monkeypatch.setattr(scene.pack.management, "throw_exception_if_processing_interrupted", ask)


def interrupted_files(scene: Scene) -> list[str]:
    """As Load Inversion lists them, oldest first."""
    folder = scene.pack.base / "output" / "chunkygan"
    return [f"chunkygan/{path.name} [output]" for path in sorted(folder.glob("interrupted_*"))]


def test_the_loss_carries_every_widget(pack: Pack) -> None:  # noqa: F811
    chosen = {"l2": 0.5, "l1": 0.25, "ms_ssim": 0.75, "lpips": 2.0, "lpips_net": "squeeze", "identity": 0.3}
    chosen |= {"identity_net": "demo", "identity_channels": "bgr", "resolution": 128, "margin": 20}
    assert set(chosen) == {entry.id for entry in pack.schemas[LOSS].inputs}
    (loss,) = pack.run(LOSS, **chosen)
    assert {name: getattr(loss, name) for name in chosen} == chosen


def test_without_an_identity_network_there_is_no_identity_loss(pack: Pack) -> None:  # noqa: F811
    (loss,) = pack.run(LOSS, identity=5.0, identity_net="none")
    assert loss.identity == 0.0
    with pytest.raises(pack.errors.InvalidInputError, match="one above 0"):
        pack.run(LOSS, l2=0.0, lpips=0.0, identity=5.0)


def test_network_files_are_listed_and_found(pack: Pack) -> None:  # noqa: F811
    folder = pack.base / "models" / "chunkygan"
    files = {"lpips_net": folder / "perceptual" / "sub" / "own.safetensors"}
    files["identity_net"] = folder / "identity" / "face.onnx"
    choices = {"lpips_net": "sub/own.safetensors", "identity_net": "face.onnx"}
    for path in files.values():
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    try:
        widgets = {entry.id: entry.widget for entry in pack.schemas[LOSS].inputs}
        assert all(choice in widgets[name]["options"] for name, choice in choices.items())
        (loss,) = pack.run(LOSS, **choices)
        assert {name: Path(getattr(loss, name)) for name in files} == files
        node = pack.nodes[LOSS]
        before = node.fingerprint_inputs(**choices, l2=1.0)
        assert before == node.fingerprint_inputs(**choices, l2=1.0)
        os.utime(files["identity_net"], (1, 1))
        assert node.fingerprint_inputs(**choices, l2=1.0) != before
    finally:
        for path in files.values():
            path.unlink()


def test_missing_weights_are_looked_for_in_the_hosts_folder(
    scene: Scene,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (loss,) = scene.pack.run(LOSS, lpips=1.0, lpips_net="alex")
    with pytest.raises(scene.pack.errors.MissingWeightsError) as caught:
        project(scene, loss=loss)
    assert str(scene.pack.base / "models" / "chunkygan" / "perceptual") in str(caught.value).splitlines()[0]


def test_the_built_in_networks_serve(scene: Scene) -> None:
    (loss,) = scene.pack.run(LOSS, identity_net="demo", identity=0.5)
    (plain,), _ = project(scene)
    (record,), _ = project(scene, loss=loss)
    assert record.settings["losses"]["lpips"] > 0 and record.settings["losses"]["identity"] == 0.5
    for name, curve in record.losses.items():
        assert curve[0] > plain.losses[name][0] > 0  # more terms, none of them negative
        assert curve[-1] < curve[0]


def test_every_widget_reaches_the_projection(scene: Scene) -> None:
    chosen: dict[str, Any] = {"mode": "joint", "space": "w", "steps": 3, "seed": 5, "learning_rate": 0.05}
    chosen |= {"optimizer": "adam", "warmup": 0.35, "lambda_reg": 0.01, "lambda_mean": 0.02}
    chosen |= {"code_noise": 0.03, "dilation": 2, "feather": 1.5, "neighbourhood": 0.25}
    chosen |= {"optimise_noise": True, "coarse": 0.3, "plateau": 50, "torgb": False}
    chosen |= {"refine_every": 2, "refine_sign": "shrink", "refine_distance": 0.5}
    widgets = {entry.id for entry in scene.pack.schemas[PROJECTION].inputs if entry.widget}
    assert set(chosen) == widgets - {"spaces", "refine", "start_as"}
    (record,), _ = project(scene, spaces="mouth = W+\neyes=s", refine="eyes", **chosen)
    assert record.settings["refine"] == ("eyes",)
    assert {name: record.settings[name] for name in chosen} == chosen
    assert [segment.code.space for segment in record.segments] == ["s", "w+"]
    (second_order,), _ = project(scene, optimizer="lbfgs", space="w", steps=2)
    assert second_order.settings["optimizer"] == "lbfgs"


def test_joint_and_independent_agree_on_a_single_segment(scene: Scene) -> None:
    (whole,) = scene.pack.run(
        "ChunkyGAN_SegmentMasks", image=scene.image[:1], masks=torch.ones(1, SIZE, SIZE), names="all_of_it"
    )
    shared = {"segments": whole, "dilation": 0}
    pictures = [project(scene, mode=mode, **shared)[1] for mode in ("independent", "joint")]
    assert (pictures[0] - pictures[1]).abs().max() < 1e-3


@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_an_interrupted_run_is_kept_and_goes_on_as_if_nothing_had_happened(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    knobs = {"mode": mode, "code_noise": 0.05, "seed": 3}
    (whole,), picture = project(scene, **knobs)
    before = interrupted_files(scene)
    with monkeypatch.context() as patch, pytest.raises(scene.pack.management.InterruptProcessingException):
        interrupt_at(scene, patch, step=2)
        project(scene, **knobs)
    (file,) = (name for name in interrupted_files(scene) if name not in before)
    opened, photo, _ = scene.pack.run(LOAD, file=file)
    assert opened[0].state.step == 2 and torch.equal(photo, scene.image[:1])
    scene.pack.sent.clear()
    (resumed,), again = project(scene, start=opened, start_as="continue", **knobs)
    assert [value for value, _, _ in scene.pack.sent] == [3, 4]
    assert torch.equal(again, picture)
    assert resumed.losses == whole.losses


def test_an_interrupted_batch_keeps_what_was_finished(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (first, _), _ = project(scene, count=2)
    before = interrupted_files(scene)
    with monkeypatch.context() as patch, pytest.raises(scene.pack.management.InterruptProcessingException):
        interrupt_at(scene, patch, step=STEPS + 2)
        project(scene, count=2)
    kept = [scene.pack.run(LOAD, file=name)[0][0] for name in interrupted_files(scene) if name not in before]
    assert [record.state.step for record in kept] == [STEPS, 2]
    codes = zip(kept[0].segments, first.segments, strict=True)
    assert all(torch.equal(one.code.tensor, other.code.tensor) for one, other in codes)


def test_a_full_disk_does_not_hide_the_interruption(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no space left")

    before = interrupted_files(scene)
    monkeypatch.setitem(scene.pack.nodes[PROJECTION].execute.__func__.__globals__, "save_inversion", refuse)
    interrupt_at(scene, monkeypatch, step=2)
    with pytest.raises(scene.pack.management.InterruptProcessingException):
        project(scene)
    assert "no space left" in caplog.text and interrupted_files(scene) == before


def test_start_as_codes_sets_out_from_them_anew(scene: Scene) -> None:
    earlier, _ = project(scene, steps=10, warmup=0.0)
    (again,), _ = project(scene, start=earlier, start_as="codes", steps=2)
    for name, curve in again.losses.items():
        assert len(curve) == 2 and curve[0] == pytest.approx(min(earlier[0].losses[name]), rel=0.5), name
    with pytest.raises(scene.pack.errors.InvalidInputError, match="go on with the same ones"):
        project(scene, start=earlier, start_as="continue", space="w")


def test_curves_show_one_plot_per_photo(scene: Scene) -> None:
    inversions, _ = project(scene, count=2)
    (plots,) = scene.pack.run(CURVES, inversion=inversions)
    assert plots.ndim == 4 and plots.shape[0] == 2 and plots.shape[-1] == 3
    assert plots.min() >= 0 and plots.max() == 1 and not torch.equal(plots[0], plots[1])
    (alone,) = scene.pack.run(CURVES, inversion=inversions[:1])
    differs = (alone[0] != plots[0]).any(dim=-1).any(dim=-1)
    assert differs.nonzero().max() < 40  # the title tells which photo it is, the curves are the same
    (linear,) = scene.pack.run(CURVES, inversion=inversions[:1], scale="linear")
    assert not torch.equal(linear, alone)


def test_curves_tell_why_a_run_ended(scene: Scene) -> None:
    (record,), _ = project(scene)
    title = scene.pack.nodes[CURVES].execute.__func__.__globals__["title"]
    assert title(record, 1, 1) == "Loss per segment"
    stopped = replace(record, stopped="diverged at step 3")
    assert title(stopped, 2, 3) == "Photo 2 of 3: loss per segment; diverged at step 3"
    (plain,), (told,) = (scene.pack.run(CURVES, inversion=(one,)) for one in (record, stopped))
    assert not torch.equal(plain, told)


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ("mouth", "spaces holds 'mouth'; expected segment=space"),
        ("=s", "spaces holds '=s'; expected segment=space"),
        ("mouth=s, mouth=w", "spaces names 'mouth' twice"),
        ("mouth=wide", "space 'wide' is unknown"),
        ("hat=s", "hat"),
    ],
)
def test_spaces_are_read_strictly(scene: Scene, spaces: str, message: str) -> None:
    with pytest.raises(scene.pack.errors.InvalidInputError) as caught:
        project(scene, spaces=spaces)
    assert message in str(caught.value).splitlines()[0]
