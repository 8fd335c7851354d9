"""Segment Channels on the double of the host."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.node_scenes import made_scene
from tests.pack_on_double import NAME, SIZE, Pack

NODE = "ChunkyGAN_SegmentChannels"
FEW: dict[str, Any] = {"count": 3, "candidates": 3}
ONE: dict[str, Any] = {"count": 1, "candidates": 1}


class Records(NamedTuple):
    """Two inversions of random codes with the segments "eyes" and "mouth", and their photos."""

    generator: Any
    inversion: tuple[Any, ...]
    photo: Tensor


@pytest.fixture(scope="module")
def records(pack: Pack) -> Records:
    scene = made_scene(pack)
    _, code = pack.run("ChunkyGAN_SampleStyleGAN", generator=scene.generator, batch_size=2)
    made, photos = pack.run(
        "ChunkyGAN_CodeToInversion", generator=scene.generator, code=code, segments=scene.segments
    )
    return Records(scene.generator, made, photos)


def run(pack: Pack, records: Records, **given: Any) -> Any:
    defaults = {"generator": records.generator, "inversion": records.inversion[:1], **FEW}
    widgets = {one.id: one.widget for one in pack.schemas[NODE].inputs if one.widget}
    page = {name: widget.get("default") for name, widget in widgets.items()}
    with torch.inference_mode():
        return pack.nodes[NODE].execute(**page | defaults | given)


def test_the_chosen_channel_edits_the_segment(pack: Pack, records: Records) -> None:
    output = run(pack, records, rank=2, strength=4.0)
    (edited,), direction, sheet = output.result
    (edit,) = edited.edits
    assert edit.direction is direction and (edit.strength, edit.segments) == (4.0, ("mouth",))
    assert direction.space == "s" and not direction.tensor.is_inference()
    channels = output.ui["chunkygan_channels"]
    assert [one["rank"] for one in channels] == [1, 2, 3]
    assert channels[1]["caption"].startswith(direction.name)
    assert set(channels[0]["image"]) == {"filename", "subfolder", "type"}
    assert len(sheet) == 1 and sheet.shape[2] == 3 * 320
    (picture,) = pack.run("ChunkyGAN_RenderInversion", generator=records.generator, inversion=(edited,))
    outside = records.inversion[0].masks["mouth"][0, 0] == 0
    assert torch.equal(picture[0][outside], records.photo[0][outside])
    assert not torch.equal(picture[0], records.photo[0])
    drawn = pack.run(
        "ChunkyGAN_RenderInversion", generator=records.generator, inversion=records.inversion[:1]
    )
    assert torch.equal(drawn[0], records.photo[:1])  # what was given is as it was


def test_strength_0_is_no_edit(pack: Pack, records: Records) -> None:
    edited, direction, _ = run(pack, records, strength=0.0).result
    assert edited[0].edits == () and direction.tensor.count_nonzero() == 1


def test_another_rank_or_strength_needs_no_search(
    pack: Pack, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(pack, records, rank=1)
    module = sys.modules[f"{NAME}.nodes.segment_channels"]
    found, asked = records.generator.searches[0].found, []

    def search(*given: Any) -> Any:
        asked.append(given)
        return found

    monkeypatch.setattr(module, "search", search)
    again = run(pack, records, rank=3, strength=-2.0)
    assert not asked and again.ui["chunkygan_channels"] == first.ui["chunkygan_channels"]
    assert again.result[1].name != first.result[1].name
    run(pack, records, segment="eyes")
    run(pack, records, inversion=records.inversion[1:])
    for number in range(1, 7):
        run(pack, records, seed=number)
    assert len(asked) == 8 and len(records.generator.searches) == module.KEPT
    records.generator.searches.clear()


def test_a_batch_shares_its_channels(pack: Pack, records: Records) -> None:
    edited, direction, sheet = run(
        pack, records, inversion=records.inversion, segment="eyes, mouth", **ONE
    ).result
    assert len(edited) == len(sheet) == 2
    assert all(record.edits[0].direction is direction for record in edited)
    assert edited[0].edits[0].segments == ("eyes", "mouth")
    assert not torch.equal(sheet[0], sheet[1])


def test_the_direction_goes_on_to_other_nodes(pack: Pack, records: Records) -> None:
    _, direction, _ = run(pack, records).result
    assert pack.schemas[NODE].outputs[1].io_type == "CHUNKYGAN_DIRECTION"
    assert direction.fingerprint == records.generator.generator.fingerprint


def test_the_search_reports_and_can_be_stopped(
    pack: Pack, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.sent.clear()
    run(pack, records, seed=11, **ONE)
    assert pack.sent
    asked = iter(range(100))

    def ask() -> None:
        if next(asked) == 1:
            raise pack.management.InterruptProcessingException

    monkeypatch.setattr(pack.management, "throw_exception_if_processing_interrupted", ask)
    with pytest.raises(pack.management.InterruptProcessingException):
        run(pack, records, seed=12, **ONE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rank": 4}, "rank is 4, and 3 channels are looked for"),
        ({"segment": "hat"}, "there is no segment 'hat'"),
        ({"segment": " "}, "segment is empty; write the name of a segment"),
        ({"count": 48, "candidates": 48, "sigma": 0.0}, "sigma is 0.0"),
    ],
)
def test_mistakes_are_explained(pack: Pack, records: Records, given: dict[str, Any], message: str) -> None:
    with pytest.raises(pack.errors.InvalidInputError, match=message):
        run(pack, records, **given)


def test_a_name_that_it_wont_find_is_said_before_the_projection(pack: Pack, records: Records) -> None:
    module = sys.modules[f"{NAME}.nodes.downstream"]
    prompt = {
        "1": {"class_type": "ChunkyGAN_SegmentedProjection", "inputs": {}},
        "2": {"class_type": NODE, "inputs": {"inversion": ["1", 0], "segment": "hat"}},
        "3": {"class_type": "ChunkyGAN_LatentEdit", "inputs": {"inversion": ["2", 0], "segments": "nose"}},
    }
    network = records.generator.generator
    with pack.running(prompt, "1", "2"), pytest.raises(pack.errors.InvalidInputError, match="'hat'"):
        module.check_later_nodes(("eyes", "mouth"), network)
    prompt["2"]["inputs"]["segment"] = "mouth"
    prompt["3"]["inputs"] |= {"enabled": True}
    with pack.running(prompt, "1", "3"), pytest.raises(pack.errors.InvalidInputError, match="'nose'"):
        module.check_later_nodes(("eyes", "mouth"), network)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"segment": "mouth", "rank": 12, "count": 12}, None),
        ({"rank": 13, "count": 12}, "rank is 13, and 12 channels are looked for"),
        ({"rank": 13}, None),  # count is linked
        ({"rank": 0, "count": 12}, "rank is 0; expected 1 to 48"),
        ({"count": 49}, "count is 49; expected 1 to 48"),
        ({"segment": " , "}, "segment is empty"),
    ],
)
def test_mistakes_are_found_before_the_run(pack: Pack, given: dict[str, Any], said: str | None) -> None:
    found = pack.nodes[NODE].validate_inputs(**given)
    assert found is True if said is None else said in str(found)


def test_small_photos_make_cells_of_one_width(pack: Pack, records: Records) -> None:
    _, _, sheet = run(pack, records, **ONE).result
    assert sheet.shape[2] == 320 and records.photo.shape[1] == SIZE
