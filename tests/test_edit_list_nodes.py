"""Edit List and Strength Strip on the double of the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.node_scenes import Scene, made_scene
from tests.pack_on_double import TINY, Pack

EDIT, LIST, STRIP = "ChunkyGAN_LatentEdit", "ChunkyGAN_EditList", "ChunkyGAN_StrengthStrip"


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    return made_scene(pack)


@pytest.fixture(scope="module")
def inversions(scene: Scene) -> tuple[Any, ...]:
    """Two photos, in each the mouth smiles and then everything."""
    pack = scene.pack
    given = {"generator": scene.generator, "direction": f"{TINY}/smile"}
    inversion, _ = pack.run(
        "ChunkyGAN_SegmentedProjection",
        generator=scene.generator,
        image=scene.image,
        segments=scene.segments,
        steps=4,
    )
    inversion, _ = pack.run(EDIT, inversion=inversion, segments="mouth", strength=1.0, **given)
    return pack.run(EDIT, inversion=inversion, strength=0.5, **given)[0]


@pytest.fixture(autouse=True)
def nothing_said(pack: Pack) -> Iterator[None]:
    pack.server.events.clear()
    yield
    pack.server.events.clear()


def test_the_list_is_shown_and_changed(scene: Scene, inversions: tuple[Any, ...]) -> None:
    pack = scene.pack
    prompt = {"7": {"class_type": LIST, "inputs": {}}}
    with pack.running(prompt, "7"):
        changed, text, image = pack.run(
            LIST, generator=scene.generator, inversion=inversions, changes="2: off\n1: strength *2\n2: move 1"
        )
    assert text == "1: all: smile = 0.5, off\n2: mouth: smile = 2" and image is None
    assert [data["text"] for name, data, *_ in pack.server.events if name == "chunkygan.text"] == [text]
    for before, after in zip(inversions, changed, strict=True):
        assert [edit.enabled for edit in before.edits] == [True, True]
        assert [edit.enabled for edit in after.edits] == [False, True]


def test_taking_the_lines_away_gives_the_first_picture(scene: Scene, inversions: tuple[Any, ...]) -> None:
    pack, given = scene.pack, {"generator": scene.generator}
    first, other, again = (
        pack.run(LIST, inversion=inversions, changes=text, **given)[2] for text in ("", "2: off\n1: off", "")
    )
    assert torch.equal(first, again)
    assert torch.equal(other, scene.image)  # nothing is edited
    expected = pack.run("ChunkyGAN_RenderInversion", inversion=inversions, **given)[0]
    assert torch.equal(first, expected) and not torch.equal(first, scene.image)


def test_different_lists_are_told_apart(scene: Scene, inversions: tuple[Any, ...]) -> None:
    shorter = inversions[1].without_edit(0)
    _, text, _ = scene.pack.run(
        LIST, generator=scene.generator, inversion=(inversions[0], shorter), changes="1: strength 1"
    )
    assert text == "photo 1\n1: mouth: smile = 1\n2: all: smile = 0.5\nphoto 2\n1: all: smile = 1"


def test_lines_that_cannot_be_read_are_refused_before_the_run(pack: Pack) -> None:
    node = pack.nodes[LIST]
    assert node.validate_inputs(changes="1: off") is True and node.validate_inputs() is True
    assert str(node.validate_inputs(changes="1: of")).startswith("line 1, '1: of', can't be read")
    for change, said in {
        "strength abc": "strength 'abc' of line 1 is no number",
        "strength *": "strength '' of line 1 is no number",
        "layers foo": "line 1: the layers are 'foo'; write numbers",
        "segments ,": "line 1 names no segment",
        "move up": "line 1 moves to place 'up'; expected a number from 1",
    }.items():
        assert str(node.validate_inputs(changes=f"1: {change}")).startswith(said)
    assert node.validate_inputs(changes="1: layers 900\n2: move to 9\n3: strength *-0.5") is True


def test_strengths_that_cannot_be_read_are_refused_before_the_run(pack: Pack) -> None:
    strip = pack.nodes[STRIP]
    assert strip.validate_inputs() is True
    assert "strength 'a lot' of the strengths" in str(strip.validate_inputs(strengths="a lot"))
    assert "has 0 strengths" in str(strip.validate_inputs(strengths=" "))
    assert "doesn't say how many" in str(strip.validate_inputs(strengths="-2..2", one_per_photo=False))
    assert strip.validate_inputs(strengths="-2..2", one_per_photo=True) is True
    assert strip.validate_inputs(strengths="-2..2") is True  # one_per_photo is linked


def test_a_strip_of_every_photo(scene: Scene, inversions: tuple[Any, ...]) -> None:
    pack = scene.pack
    images, strip, batch = pack.run(
        STRIP, generator=scene.generator, inversion=inversions, strengths="0, 1..2 / 2", edit=1
    )
    count, (_, height, width, _) = len(inversions), scene.image.shape
    assert images.shape == (3 * count, height, width, 3) and len(batch) == 3 * count
    assert strip.shape[0] == count and strip.shape[2] == 3 * width
    assert [record.edits[0].strength for record in batch] == [0, 1, 2] * count
    for index, record in enumerate(batch):
        (alone,) = pack.run("ChunkyGAN_RenderInversion", generator=scene.generator, inversion=(record,))
        assert torch.equal(alone, images[index : index + 1])
        top = strip.shape[1] - height
        shown = strip[index // 3, top:, width * (index % 3) : width * (index % 3 + 1)]
        assert torch.allclose(shown, alone[0], atol=1e-5)


def test_one_strength_for_each_photo(scene: Scene, inversions: tuple[Any, ...]) -> None:
    given = {"generator": scene.generator, "inversion": inversions, "one_per_photo": True}
    images, strip, batch = scene.pack.run(STRIP, strengths="0..1", **given)
    assert [record.edits[-1].strength for record in batch] == [0, 1]
    assert len(images) == 2 and len(strip) == 1
    with pytest.raises(scene.pack.errors.InvalidInputError, match="3 strengths for 2 photos"):
        scene.pack.run(STRIP, strengths="0, 1, 2", **given)
    with pytest.raises(scene.pack.errors.InvalidInputError, match="there is no edit 5; the inversion has 2"):
        scene.pack.run(STRIP, strengths="0, 1", edit=5, **given)


def test_pictures_are_drawn_only_where_they_are_used(scene: Scene, inversions: tuple[Any, ...]) -> None:
    pack, node = scene.pack, scene.pack.nodes[STRIP]
    prompt: dict[str, Any] = {"1": {"class_type": STRIP, "inputs": {}}, "2": {"inputs": {"image": ["1", 2]}}}
    given = {"generator": scene.generator, "inversion": inversions, "strengths": "1"}
    with pack.running(prompt, "1"):
        assert pack.run(STRIP, **given)[:2] == (None, None)
        unused = node.fingerprint_inputs()
    prompt["2"]["inputs"]["image"] = ["1", 1]
    with pack.running(prompt, "1"):
        assert len(pack.run(STRIP, **given)[1]) == 2
        assert node.fingerprint_inputs() != unused


def test_what_was_drawn_is_kept_with_the_generator(
    scene: Scene, inversions: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, (inversion, _) = scene.pack, inversions
    given = {"generator": scene.generator, "inversion": (inversion,)}
    kept = scene.generator.renderings
    pack.run(LIST, changes="", **given)
    made: list[Any] = []
    synthesis = type(kept.generator).synthesis

    def watched(self: Any, codes: Any, box: Any = None, **more: Any) -> Any:
        made.append(box)
        return synthesis(self, codes, box, **more)

    monkeypatch.setattr(type(kept.generator), "synthesis", watched)
    pack.run(LIST, changes="2: strength 0.5", **given)
    assert made == [] and kept.num_bytes > 0
    pack.run(LIST, changes="1: strength 2", **given)
    assert len(made) == 1  # the mouth alone


def test_all_nodes_have_the_same_limits_of_strength(pack: Pack) -> None:
    node = pack.nodes[LIST]
    assert node.validate_inputs(changes="1: strength 100") is True
    assert "-100 to 100" in str(node.validate_inputs(changes="1: strength 101"))
    assert "-100 to 100" in str(pack.nodes[STRIP].validate_inputs(strengths="0, -101"))
    for name in ("LatentEdit", "SegmentChannels"):
        (widget,) = (one for one in pack.schemas[f"ChunkyGAN_{name}"].inputs if one.id == "strength")
        assert (widget.widget["min"], widget.widget["max"]) == (-100, 100)
