"""Next Step, Append Step, Take Step, Replay Steps and Compare Pictures on a double of the host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.node_scenes import Scene, made_scene
from tests.pack_on_double import SIZE, TINY, Pack

NEXT, APPEND, TAKE, REPLAY = (
    f"ChunkyGAN_{name}" for name in ("NextStep", "AppendStep", "TakeStep", "ReplaySteps")
)
EDIT, PROJECTION, COMPOSITE = (
    f"ChunkyGAN_{name}" for name in ("LatentEdit", "SegmentedProjection", "PoissonComposite")
)
COMPARE = "ChunkyGAN_Compare"


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    return made_scene(pack)


def projected(scene: Scene, image: torch.Tensor, segments: str) -> Any:
    links = {"generator": scene.generator, "image": image, "segments": scene.segments}
    inversion, _ = scene.pack.run(PROJECTION, **links, steps=2)
    return edited(scene, inversion, segments, 2.0)


def edited(scene: Scene, inversion: Any, segments: str, strength: float) -> Any:
    where = {"direction": f"{TINY}/smile", "segments": segments, "strength": strength}
    return scene.pack.run(EDIT, generator=scene.generator, inversion=inversion, **where)[0]


@pytest.fixture(scope="module")
def chain(scene: Scene) -> Any:
    """Two photos, the eyes first, then the mouth."""
    first = projected(scene, scene.image, "eyes")
    picture, step = scene.pack.run(NEXT, generator=scene.generator, inversion=first)
    second = projected(scene, picture, "mouth")
    return scene.pack.run(APPEND, generator=scene.generator, step=step, inversion=second)[0]


def test_a_chain_is_made_and_nothing_else_changes(scene: Scene, chain: Any) -> None:
    assert [len(one.steps) for one in chain] == [2, 2]
    picture, _ = scene.pack.run(COMPOSITE, generator=scene.generator, inversion=chain)
    outside = chain[0].static_mask[0, 0] == 1
    assert 0.2 < outside.float().mean() < 0.8
    levels = [(images * 255).round() for images in (picture, scene.image)]
    assert torch.equal(levels[0][:, outside], levels[1][:, outside])
    assert not torch.equal(*levels)


def test_a_step_is_taken_out_changed_and_put_back(scene: Scene, chain: Any) -> None:
    pack, generator = scene.pack, scene.generator
    (first,) = pack.run(TAKE, inversion=chain, number=1)
    muted = tuple(one.with_edit_replaced(0, replace(one.edits[0], enabled=False)) for one in first)
    links = {"generator": generator, "inversion": chain}
    pack.server.events.clear()
    with pack.running({"7": {"class_type": REPLAY, "inputs": {}}}, "7"):
        played, picture, sheet = pack.run(REPLAY, **links, changed=muted, number=1, refit_steps=0)
    (said,) = [data["text"] for name, data, *_ in pack.server.events if name == "chunkygan.text"]
    assert said.splitlines()[:2] == ["step 1: 1: eyes: smile = 2, off", "step 2: 1: mouth: smile = 2"]
    assert picture.shape == (2, SIZE, SIZE, 3) and len(sheet) == 2
    eyes = (chain[0].segments["eyes"].mask > chain[0].segments["mouth"].mask.ceil())[0, 0]
    assert torch.equal((picture[:, eyes] * 255).round(), (scene.image[:, eyes] * 255).round())
    assert [one.edits for one in played] == [one.edits for one in chain]
    same, _, _ = pack.run(REPLAY, **links, changed=first, number=1, refit_steps=0)
    before, after = (pack.run(COMPOSITE, generator=generator, inversion=one)[0] for one in (chain, same))
    assert torch.equal(before, after)


def test_errors_say_what_to_do(scene: Scene, chain: Any) -> None:
    with pytest.raises(
        scene.pack.errors.InvalidInputError,
        match="no step 3; the chain has 2, counted from 1. A chain is made by",
    ):
        scene.pack.run(TAKE, inversion=chain, number=3)
    _, step = scene.pack.run(NEXT, generator=scene.generator, inversion=chain)
    with pytest.raises(
        scene.pack.errors.InvalidInputError, match="another photo than the picture that the step"
    ):
        scene.pack.run(APPEND, generator=scene.generator, step=step, inversion=chain)
    with pytest.raises(scene.pack.errors.InvalidInputError, match="2 steps"):
        scene.pack.run(APPEND, generator=scene.generator, step=step, inversion=chain * 2)


def test_compare_counts_what_differs(scene: Scene) -> None:
    after = scene.image.clone()
    after[0, 3, 4, 1] += 10 / 255 if after[0, 3, 4, 1] < 0.5 else -10 / 255
    sheet, heat, figures = scene.pack.run(COMPARE, before=scene.image, after=after, full_scale=0.02)
    one, other = figures.split("\n")
    assert one == f"1 of {SIZE * SIZE} pixels differ (0.0%), by 10.0 grey levels on average and 10 at most"
    assert other == "no pixel differs"
    assert sheet.shape[0] == 2 and sheet.shape[2] == 3 * SIZE
    bright = heat.sum(-1)
    assert bright[0, 3, 4] > bright[0].median() and torch.equal(
        bright[1], bright[1, :1, :1].expand(SIZE, SIZE)
    )
    with pytest.raises(scene.pack.errors.InvalidInputError, match=f"is 8x8, the one before {SIZE}x{SIZE}"):
        scene.pack.run(COMPARE, before=scene.image, after=after[:, :8, :8], full_scale=0.1)
