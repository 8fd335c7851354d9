"""Perceptual Loss, Segmented Projection and Projection Curves on a double of the host."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.node_scenes import Scene, autosave_folder, interrupt_at, made_scene
from tests.pack_on_double import SIZE, Pack

LOSS, PROJECTION = "ChunkyGAN_PerceptualLoss", "ChunkyGAN_SegmentedProjection"
CURVES, LOAD = "ChunkyGAN_ProjectionCurves", "ChunkyGAN_LoadInversion"
STEPS = 4


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    return made_scene(pack)


@pytest.fixture
def saved(scene: Scene) -> Iterator[Path]:
    yield from autosave_folder(scene.pack)


def project(scene: Scene, count: int = 1, **given: Any) -> tuple[Any, Tensor]:
    """The inversions and pictures of the first `count` photos."""
    links = {"generator": scene.generator, "image": scene.image[:count], "segments": scene.segments}
    inversions, pictures = scene.pack.run(PROJECTION, **links | {"steps": STEPS, **given})
    return inversions, pictures


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def load(scene: Scene, path: Path) -> Any:
    return scene.pack.run(LOAD, file=f"chunkygan/{path.name} [output]")[0][0]


def inner(scene: Scene) -> dict[str, Any]:
    """The globals of the module that projects the photos."""
    return vars(sys.modules[scene.pack.module.__name__ + ".nodes.projection_jobs"])


def notices(scene: Scene) -> list[str]:
    return [data["text"] for event, data in scene.pack.server.events if event == "chunkygan.notice"]


def test_the_loss_carries_every_widget(pack: Pack) -> None:
    chosen = {"l2": 0.5, "l1": 0.25, "ms_ssim": 0.75, "lpips": 2.0, "lpips_net": "squeeze", "identity": 0.3}
    chosen |= {"identity_net": "demo", "identity_channels": "bgr", "resolution": 128, "margin": 20}
    assert set(chosen) == {entry.id for entry in pack.schemas[LOSS].inputs}
    (loss,) = pack.run(LOSS, **chosen)
    assert {name: getattr(loss, name) for name in chosen} == chosen


def test_without_an_identity_network_there_is_no_identity_loss(pack: Pack) -> None:
    (loss,) = pack.run(LOSS, identity=5.0, identity_net="none")
    assert loss.identity == 0.0
    with pytest.raises(pack.errors.InvalidInputError, match="one above 0"):
        pack.run(LOSS, l2=0.0, lpips=0.0, identity=5.0)


def test_network_files_are_listed_and_found(pack: Pack) -> None:
    folder = pack.base / "models" / "chunkygan"
    files = {"lpips_net": folder / "perceptual" / "sub" / "own.safetensors"}
    files["identity_net"] = folder / "identity" / "face.onnx"
    choices = {"lpips_net": "sub/own.safetensors", "identity_net": "face.onnx"}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
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


def test_a_network_that_is_no_longer_opened_is_explained_before_the_run(pack: Pack) -> None:
    """A saved workflow may name a file that the list no longer offers."""
    folder, node = pack.base / "models" / "chunkygan" / "identity", pack.nodes[LOSS]
    folder.mkdir(parents=True, exist_ok=True)
    torch.jit.script(torch.nn.PReLU()).save(str(folder / "face.pt"))
    try:
        widgets = {entry.id: entry.widget for entry in pack.schemas[LOSS].inputs}
        assert "face.pt" not in widgets["identity_net"]["options"]
        said = node.validate_inputs(identity_net="face.pt", lpips_net="demo")
        assert isinstance(said, str) and "TorchScript" in said and "face.onnx" in said and "\n" not in said
        with pytest.raises(pack.errors.UnsupportedCheckpointError, match="TorchScript"):
            pack.run(LOSS, identity=0.1, identity_net="face.pt")
        assert pack.run(LOSS, identity=0.0, identity_net="face.pt")[0].identity == 0
    finally:
        (folder / "face.pt").unlink()
    for names in ({"identity_net": "face.pt"}, {"lpips_net": "gone.safetensors"}):
        assert "there is no file" in node.validate_inputs(**names)
        assert "there is no file" in node.fingerprint_inputs(**names, l2=1.0)
    assert node.validate_inputs(identity_net="none", lpips_net="vgg") is True
    assert node.validate_inputs() is True  # both linked


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
    assert set(chosen) == widgets - {"spaces", "refine", "start_as", "preset"}
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
@pytest.mark.parametrize("connected", [False, True])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch, mode: str, connected: bool
) -> None:
    """With one widget, or by way of Load Inversion."""
    knobs: dict[str, Any] = {"mode": mode, "code_noise": 0.05, "seed": 3}
    (whole,), picture = project(scene, **knobs)
    shutil.rmtree(saved)
    with monkeypatch.context() as patch, pytest.raises(scene.pack.management.InterruptProcessingException):
        interrupt_at(scene.pack, patch, step=2)
        project(scene, **knobs)
    file = only_file(saved)
    assert file.name in notices(scene)[-1] and "after step 2 of 4" in notices(scene)[-1]
    opened, photo, _ = scene.pack.run(LOAD, file=f"chunkygan/{file.name} [output]")
    assert opened[0].state.step == 2 and torch.equal(photo, scene.image[:1])
    scene.pack.sent.clear()
    start = {"start": opened} if connected else {}
    (resumed,), again = project(scene, start_as="continue", **start, **knobs)
    assert [value for value, _, _ in scene.pack.sent] == [3, 4]
    assert torch.equal(again, picture)
    assert resumed.losses == whole.losses and resumed.stopped is None


def test_a_run_begun_anew_by_mistake_leaves_the_earlier_one_until_it_has_come_as_far(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart, where the user forgot the widget, saw the notice and cancelled."""

    def cancel(step: int) -> None:
        scene.pack.server.events.clear()
        with (
            monkeypatch.context() as patch,
            pytest.raises(scene.pack.management.InterruptProcessingException),
        ):
            interrupt_at(scene.pack, patch, step=step)
            project(scene, steps=9)

    cancel(3)
    file = only_file(saved)
    for step, reached in ((2, 3), (4, 4)):
        cancel(step)
        assert "after step 3" in notices(scene)[0] and "cancel" in notices(scene)[0]
        assert load(scene, file).state.step == reached and file.name in notices(scene)[-1]
    project(scene, steps=1)  # what has come to its end is the newest result
    assert load(scene, file).state.step == 1


def test_a_finished_earlier_run_is_no_news(scene: Scene, saved: Path) -> None:
    project(scene)
    scene.pack.server.events.clear()
    project(scene)
    assert notices(scene) == []


def test_a_seed_that_changes_nothing_makes_no_other_job(scene: Scene, saved: Path) -> None:
    project(scene, seed=1)
    project(scene, seed=2)
    assert len([*saved.iterdir()]) == 1
    project(scene, seed=1, code_noise=0.1)
    project(scene, seed=2, code_noise=0.1)
    assert len([*saved.iterdir()]) == 3


def test_a_finished_run_comes_back_at_once_or_takes_more_steps(scene: Scene, saved: Path) -> None:
    (first,), picture = project(scene)
    scene.pack.sent.clear()
    (same,), again = project(scene, start_as="continue")
    assert scene.pack.sent == [] and torch.equal(again, picture) and same.losses == first.losses
    (more,), _ = project(scene, start_as="continue", steps=STEPS + 3)
    assert [len(curve) for curve in more.losses.values()] == [STEPS + 3] * 2
    assert len([*saved.iterdir()]) == 1 and notices(scene) == []


@pytest.mark.parametrize(
    "changed", [{"space": "w"}, {"lambda_mean": 0.1}, {"mode": "joint"}, {"spaces": "mouth=s"}]
)
def test_another_job_begins_anew_and_says_so(scene: Scene, saved: Path, changed: dict[str, Any]) -> None:
    project(scene)
    (alone,), _ = project(scene, **changed)
    for file in saved.iterdir():
        file.unlink()
    project(scene)
    (record,), _ = project(scene, start_as="continue", **changed)
    assert record.losses == alone.losses
    assert notices(scene) == [
        "Nothing is saved of this projection with this generator, these segments and settings: it begins anew."
    ]


def test_another_photo_or_other_masks_are_another_job(scene: Scene, saved: Path) -> None:
    project(scene)
    project(scene, image=scene.image[1:])
    (wider,) = scene.pack.run(
        "ChunkyGAN_SegmentMasks", image=scene.image[:1], masks=torch.ones(1, SIZE, SIZE), names="eyes"
    )
    project(scene, segments=wider)
    assert len([*saved.iterdir()]) == 3


def test_a_damaged_autosave_is_told_and_replaced(scene: Scene, saved: Path) -> None:
    (first,), _ = project(scene)
    file = only_file(saved)
    file.write_bytes(file.read_bytes()[:-100])
    (record,), _ = project(scene, start_as="continue")
    assert (
        record.losses == first.losses
        and file.name in notices(scene)[0]
        and "begins anew" in notices(scene)[0]
    )
    assert scene.pack.run(LOAD, file=f"chunkygan/{file.name} [output]")[0][0].losses == first.losses


def test_an_interrupted_batch_keeps_what_was_finished(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, pictures = project(scene, count=2)
    shutil.rmtree(saved)
    with monkeypatch.context() as patch, pytest.raises(scene.pack.management.InterruptProcessingException):
        interrupt_at(scene.pack, patch, step=STEPS + 2)
        project(scene, count=2)
    assert len([*saved.iterdir()]) == 2
    scene.pack.sent.clear()
    _, again = project(scene, count=2, start_as="continue")
    assert [value for value, _, _ in scene.pack.sent] == [STEPS + 3, STEPS + 4] and torch.equal(
        again, pictures
    )
    assert len(whole) == 2


def test_the_running_projection_is_saved_on_the_way(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time between two records: what a killed server would leave behind after each step."""
    seen: list[int] = []
    monkeypatch.setitem(inner(scene), "SECONDS", 0.0)

    def look() -> None:
        seen.extend(load(scene, path).state.step for path in saved.glob("*.safetensors"))

    monkeypatch.setattr(scene.pack.management, "throw_exception_if_processing_interrupted", look)
    project(scene)
    assert seen == [1, 2, 3]
    assert load(scene, only_file(saved)).state.step == STEPS


def test_an_error_keeps_the_work_and_stays_the_cause(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        if scene.pack.sent[-1:] and scene.pack.sent[-1][0] == 2:
            raise MemoryError("no memory left")

    scene.pack.sent.clear()
    monkeypatch.setattr(scene.pack.management, "throw_exception_if_processing_interrupted", fail)
    with pytest.raises(MemoryError, match="^no memory left"):
        project(scene)
    assert load(scene, only_file(saved)).state.step == 3 and "saved after step 3" in notices(scene)[-1]


def test_a_full_disk_is_told_once_and_never_ends_a_run(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no space left")

    (first,), _ = project(scene)
    shutil.rmtree(saved)
    autosave = sys.modules[scene.pack.module.__name__ + ".nodes.autosave"]
    monkeypatch.setattr(autosave, "save_inversion", refuse)
    monkeypatch.setitem(inner(scene), "SECONDS", 0.0)
    (record,), _ = project(scene)
    assert record.losses == first.losses
    assert (
        notices(scene) == ["The projection can't be saved on the way: no space left"]
        and "no space left" in caplog.text
    )
    interrupt_at(scene.pack, monkeypatch, step=2)
    with pytest.raises(scene.pack.management.InterruptProcessingException):
        project(scene)
    assert [*saved.iterdir()] == []


def test_only_our_own_old_files_are_removed(scene: Scene, saved: Path) -> None:
    saved.mkdir(parents=True)
    ours = [saved / f"autosave_{number:012x}.safetensors" for number in range(12)]
    others = [saved / name for name in ("autosave_mine.safetensors", "inversion_00001_.safetensors", "x.txt")]
    others.append(saved / "autosave_00000000000g.safetensors")
    for age, path in enumerate([*ours, *others]):
        path.write_bytes(b"")
        os.utime(path, (1000 - age, 1000 - age))
    project(scene)
    left = {path.name for path in saved.iterdir()}
    assert {path.name for path in others} <= left
    kept = left - {path.name for path in others}
    assert len(kept) == 8 and {path.name for path in ours[:7]} <= kept  # the newest, and this run's own


def test_a_file_is_kept_for_each_photo_of_a_large_batch(scene: Scene, saved: Path) -> None:
    many = torch.cat([scene.image * shade for shade in (1.0, 0.9, 0.8, 0.7, 0.6)])
    project(scene, image=many, steps=1)
    assert len([*saved.iterdir()]) == 10


def test_alignments_are_checked_first_and_saved_on_the_way(scene: Scene, saved: Path) -> None:
    core = sys.modules[scene.pack.errors.__name__.replace("errors", "inversion")]
    crop = core.Alignment(((0.0, 0.0), (0.0, 9.0), (9.0, 9.0), (9.0, 0.0)), (10, 10))
    scene.pack.sent.clear()
    with pytest.raises(scene.pack.errors.InvalidInputError, match="2 alignments for 1 photo"):
        project(scene, alignment=((crop, crop),))
    assert scene.pack.sent == []
    (record,), _ = project(scene, alignment=((crop,),))
    assert record.alignment == crop == load(scene, only_file(saved)).alignment


def test_the_page_is_told_where_the_work_is(scene: Scene, saved: Path) -> None:
    with scene.pack.running({"7": {"class_type": PROJECTION, "inputs": {}}}, "7"):
        project(scene)
        project(scene, start_as="continue", steps=STEPS + 1)
    told = [data for event, data in scene.pack.server.events if event == "chunkygan.text"]
    assert {(data["node"], data["type"]) for data in told} == {("7", PROJECTION)}
    assert all(only_file(saved).name in data["text"] for data in told)
    goes_on = [f"Goes on after step {STEPS}." in data["text"] for data in told]
    assert goes_on == [False, False, True, False]
    server = sys.modules["server"].PromptServer
    instance = server.instance
    try:
        del server.instance  # without a server the projection runs all the same
        project(scene)
    finally:
        server.instance = instance


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
