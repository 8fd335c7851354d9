"""Masks that a mask generator moves, on the double of the host: in Segmented Projection and Poisson Composite."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.node_scenes import autosave_folder, interrupt_at
from tests.pack_on_double import NAME, TINY, Pack

PROJECTION, COMPOSITE = "ChunkyGAN_SegmentedProjection", "ChunkyGAN_PoissonComposite"
STEPS = 4
JOINT = {"mode": "joint", "steps": STEPS}


class Scene(NamedTuple):
    """Two samples, their codes, a mask generator that tells dark from bright, and the masks that it gives the first."""

    pack: Pack
    generator: Any
    image: Tensor
    code: Any
    finder: Any
    segments: tuple[Any, ...]


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)[:1]
    image, code = pack.run("ChunkyGAN_SampleStyleGAN", generator=generator, seed=3, batch_size=2)
    gray = image.mean(dim=-1)
    labels = (gray > gray.flatten(1).median(dim=1).values[:, None, None]).long()
    given = sys.modules[f"{NAME}.nodes.types"].LabelMap(labels, {0: "dark", 1: "bright"})
    (finder,) = pack.run(
        "ChunkyGAN_TrainMaskGenerator",
        generator=generator,
        code=code,
        labels=given,
        steps=30,
        members=1,
        samples=0,
    )
    segments, *_ = pack.run(
        "ChunkyGAN_GenerateMasks", generator=generator, mask_generator=finder, source=code, static=""
    )
    return Scene(pack, generator, image, code, finder, segments[:1])


@pytest.fixture
def saved(scene: Scene) -> Iterator[Path]:
    yield from autosave_folder(scene.pack)


def project(scene: Scene, count: int = 1, **given: Any) -> tuple[Any, Tensor]:
    links = {"generator": scene.generator, "image": scene.image[:count], "segments": scene.segments}
    links |= {"mask_generator": scene.finder}
    return scene.pack.run(PROJECTION, **links | JOINT | given)


def one_code(scene: Scene, index: int) -> Any:
    return type(scene.code)(scene.code.space, scene.code.tensor[index : index + 1])


def notices(scene: Scene) -> list[str]:
    return [data["text"] for event, data in scene.pack.server.events if event == "chunkygan.notice"]


def test_masks_move_for_every_photo_and_are_those_of_their_code(scene: Scene, saved: Path) -> None:
    scene.pack.sent.clear()
    records, pictures = project(scene, count=2)
    assert len(records) == len(pictures) == 2
    assert [value for value, *_ in scene.pack.sent] == list(range(1, 2 * STEPS + 1))
    assert sum(shown is not None for *_, shown in scene.pack.sent) >= 2
    for record in records:
        assert record.names == ("dark", "bright") and record.mask_code.space == "w+"
        assert not torch.equal(record.masks.masks, scene.segments[0].masks)
    assert not torch.equal(records[0].mask_code.tensor, records[1].mask_code.tensor)
    (again, *_), *_ = scene.pack.run(
        "ChunkyGAN_GenerateMasks",
        generator=scene.generator,
        mask_generator=scene.finder,
        source=type(scene.code)("w+", records[0].mask_code.tensor),
        static="",
    )
    assert (again.masks.argmax(dim=0) == records[0].masks.masks.argmax(dim=0)).float().mean() > 0.98
    assert len([*saved.iterdir()]) == 2


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"mask_code": one_code(scene, 1)}
    (whole,), picture = project(scene, **given)
    shutil.rmtree(saved)
    with monkeypatch.context() as patch, pytest.raises(scene.pack.management.InterruptProcessingException):
        interrupt_at(scene.pack, patch, step=3)
        project(scene, **given)
    (other,), _ = project(scene, start_as="continue")  # by another code: another job
    assert "Nothing is saved" in notices(scene)[-1] and len(other.losses["dark"]) == STEPS
    scene.pack.sent.clear()
    (resumed,), again = project(scene, start_as="continue", **given)
    assert [value for value, *_ in scene.pack.sent] == [4]
    assert torch.equal(again, picture) and torch.equal(resumed.mask_code.tensor, whole.mask_code.tensor)
    assert not torch.equal(other.mask_code.tensor, whole.mask_code.tensor)


def test_the_masks_set_out_from_a_code_or_from_that_of_an_inversion(scene: Scene) -> None:
    quiet = {"learning_rate": 0.001, "steps": 1, "warmup": 0.0}
    wanted = torch.broadcast_to(scene.code.tensor[1].reshape(-1, 32)[:1], (10, 32))
    near = {"atol": 2e-3, "rtol": 0}
    (record,), _ = project(scene, **quiet, mask_code=one_code(scene, 1))
    torch.testing.assert_close(record.mask_code.tensor[0], wanted, **near)
    (again,), _ = project(scene, **quiet, mask_code=(record,))
    torch.testing.assert_close(again.mask_code.tensor, record.mask_code.tensor, **near)
    (third,), _ = project(scene, **quiet, start=(record,))  # where its codes are, its masks are
    torch.testing.assert_close(third.mask_code.tensor, record.mask_code.tensor, **near)
    (fourth,), _ = project(scene, **quiet, start=one_code(scene, 1))
    torch.testing.assert_close(
        fourth.mask_code.tensor[0], wanted, atol=0.1, rtol=0
    )  # fitted to the photo a little
    assert (third.mask_code.tensor[0].mean(dim=0) - scene.code.tensor[0].reshape(-1, 32)[0]).abs().max() > 0.5
    with pytest.raises(scene.pack.errors.InvalidInputError, match="2 codes of masks for 1 photo"):
        project(scene, mask_code=scene.code)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "independent"}, "mode is 'joint'"),
        ({"optimizer": "lbfgs", "space": "w"}, "optimizer is 'adam'"),
        ({"refine_every": 5, "refine": "dark"}, "refine_every is 0"),
        ({"preset": "draft"}, "set preset to custom"),
        ({"mask_generator": None, "mask_code": True}, "without the mask generator"),
    ],
)
def test_what_masks_cannot_move_with_is_said_before_the_first_step(
    scene: Scene, given: dict[str, Any], said: str
) -> None:
    if given.get("mask_code"):
        given = given | {"mask_code": one_code(scene, 0)}
    scene.pack.sent.clear()
    with pytest.raises(scene.pack.errors.InvalidInputError, match=said):
        project(scene, **given)
    assert scene.pack.sent == []


def test_it_is_said_before_anything_runs(scene: Scene) -> None:
    """While the prompt is checked; None is what a link brings."""
    check = scene.pack.nodes[PROJECTION].validate_inputs
    usual = {"mode": "joint", "optimizer": "adam", "refine_every": 0, "preset": "custom"}
    assert check() is True and check(**usual) is True and check(**usual, mask_generator=None) is True
    assert check(**dict.fromkeys(usual), mask_generator=None) is True
    assert check(**usual | {"mode": "independent"}) is True
    assert check(**usual | {"preset": "draft", "mode": "independent"}) is True
    assert "'joint'" in check(**usual | {"mode": "independent"}, mask_generator=None)
    assert "'adam'" in check(**usual | {"optimizer": "lbfgs"}, mask_generator=None)
    assert "preset to custom" in check(**usual | {"preset": "draft"}, mask_generator=None)
    for name, value in (("mode", "both"), ("optimizer", "sgd"), ("preset", "nice"), ("refine_every", -1)):
        assert str(value) in check(**usual | {name: value})


def test_segments_that_are_no_classes_and_other_generators_are_refused(scene: Scene, pack: Pack) -> None:
    (eyes,) = pack.run(
        "ChunkyGAN_SegmentMasks", image=scene.image[:1], masks=torch.ones(1, 64, 64), names="eyes"
    )
    scene.pack.sent.clear()
    with pytest.raises(pack.errors.InvalidInputError, match="no class 'eyes'"):
        project(scene, segments=eyes)
    demo = sys.modules[f"{NAME}.nodes.mask_generators"].load_mask_generator("demo")
    with pytest.raises(pack.errors.WrongGeneratorError, match="trained for generator"):
        project(scene, mask_generator=demo)
    assert scene.pack.sent == []


@pytest.mark.filterwarnings("ignore:segment .* vanished")
def test_a_segment_that_vanishes_is_named_on_the_node(
    scene: Scene, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sys.modules[f"{NAME}.nodes.moving_masks"]
    monkeypatch.setattr(own, "vanished", lambda _masks: {"dark": "bright"})
    with scene.pack.running({"7": {"class_type": PROJECTION, "inputs": {}}}, "7"):
        project(scene, count=2, steps=2)
    texts = [data["text"] for event, data in scene.pack.server.events if event == "chunkygan.text"]
    assert "photo 1 of 2: segment 'dark' vanished: 'bright' has its place" in texts[-1]
    assert sum("photo 2 of 2: segment 'dark' vanished" in text for text in notices(scene)) == 1


def test_masks_follow_an_edit_by_their_code(scene: Scene) -> None:
    (record,), _ = project(scene, steps=2)
    given = {"generator": scene.generator, "mode": "soft blend"}
    (edited,), _ = scene.pack.run(
        "ChunkyGAN_LatentEdit",
        generator=scene.generator,
        inversion=(record,),
        direction=f"{TINY}/smile",
        strength=5.0,
        segments="dark",
    )
    scene.pack.server.events.clear()
    by_it, _ = scene.pack.run(
        COMPOSITE, inversion=(edited,), follow=True, mask_generator=scene.finder, **given
    )
    assert notices(scene) == []
    by_features, _ = scene.pack.run(COMPOSITE, inversion=(edited,), follow=True, **given)
    stays, _ = scene.pack.run(COMPOSITE, inversion=(edited,), **given)
    core = sys.modules[f"{NAME}.chunky_core.compositing"]
    with torch.inference_mode():
        follow = core.mask_follower(scene.generator.generator, scene.finder)
        wanted = core.composite(
            scene.generator.generator,
            edited,
            mode="soft blend",
            keep_detail="keep and move",
            replace="edited segments",
            follow=follow,
        )
    torch.testing.assert_close(by_it, scene.pack.host.to_host(wanted), atol=1e-4, rtol=0)
    assert (by_it - by_features).abs().max() > 0.02 and (by_it - stays).abs().max() > 0.02
    same, _ = scene.pack.run(COMPOSITE, inversion=(edited,), mask_generator=scene.finder, **given)
    assert torch.equal(same, stays) and "Turn follow on" in notices(scene)[-1]


def test_a_segment_that_is_no_class_cannot_follow_by_it(scene: Scene, pack: Pack) -> None:
    (whole,) = pack.run(
        "ChunkyGAN_SegmentMasks", image=scene.image[:1], masks=torch.ones(1, 64, 64), names="face"
    )
    (record,), _ = project(scene, segments=whole, mask_generator=None, steps=1)
    (edited,), _ = pack.run(
        "ChunkyGAN_LatentEdit",
        generator=scene.generator,
        inversion=(record,),
        direction=f"{TINY}/smile",
        strength=2.0,
        segments="all",
    )
    given = {"generator": scene.generator, "inversion": (edited,), "mask_generator": scene.finder}
    with pytest.raises(pack.errors.InvalidInputError, match="'face' is no class"):
        pack.run(COMPOSITE, follow=True, **given)
