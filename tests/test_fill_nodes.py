"""Fill Region on a double of the host."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import SIZE, TINY, Pack

FILL, EDIT, PROJECTION = "ChunkyGAN_FillRegion", "ChunkyGAN_LatentEdit", "ChunkyGAN_SegmentedProjection"
STEPS = 3


@pytest.fixture(scope="module")
def given(pack: Pack) -> dict[str, Any]:
    """A generator and two edited inversions of eyes and a mouth."""
    coarse = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(0, 1)
    image = ((smooth * 255).round() / 255).movedim(1, -1).contiguous()
    masks = torch.zeros(2, SIZE, SIZE)
    masks[0, 12:28, 8:56] = masks[1, 40:54, 16:48] = 1
    (segments,) = pack.run("ChunkyGAN_SegmentMasks", image=image[:1], masks=masks, names="eyes, mouth")
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    links = {"generator": generator, "image": image, "segments": segments}
    inversion, _ = pack.run(PROJECTION, **links, steps=STEPS)
    edited, _ = pack.run(
        EDIT, generator=generator, inversion=inversion, direction=f"{TINY}/smile", segments="eyes"
    )
    return {"generator": generator, "inversion": edited, "masks": two_areas(), "steps": STEPS}


def two_areas() -> Tensor:
    """A bar below the eyes, and one below it."""
    masks = torch.zeros(2, SIZE, SIZE)
    masks[0, 32:36, 8:56] = masks[1, 38:39, 8:56] = 1
    return masks


def test_every_photo_is_filled(pack: Pack, given: dict[str, Any]) -> None:
    before = given["masks"].clone()
    pack.sent.clear()
    filled, pictures = pack.run(FILL, **given, parts="take\nfit", feather=0.0)
    assert pictures.shape == (2, SIZE, SIZE, 3) and len(filled) == 2
    assert [value for value, _, _ in pack.sent] == list(range(1, 2 * STEPS + 1))
    for record in filled:
        assert record.names == ("eyes", "mouth", "eyes_fill")
        assert torch.equal(record.segments[-1].mask[0, 0], before[0])
        assert record.edits[0].segments == ("eyes", "eyes_fill")
        assert not any(one.code.tensor.is_inference() for one in record.segments)
    (rendered,) = pack.run(
        "ChunkyGAN_RenderInversion", generator=given["generator"], inversion=filled, edited=True
    )
    assert torch.equal(rendered, pictures)
    assert torch.equal(given["masks"], before)


def test_connected_areas_of_one_mask_are_parts(pack: Pack, given: dict[str, Any]) -> None:
    apart = pack.run(FILL, **given, parts="take\nfit", feather=0.0)[1]
    one = given | {"masks": given["masks"].amax(dim=0, keepdim=True)}
    assert torch.equal(pack.run(FILL, **one, parts="take\nfit", separate=True, feather=0.0)[1], apart)


def test_errors_say_what_to_do(pack: Pack, given: dict[str, Any]) -> None:
    cases = [
        ({"parts": "take"} | {"segment": "nose"}, "no segment 'nose'"),
        ({"parts": "fit\ntake\ntake"}, "3 lines describe 2 parts"),
        ({"masks": torch.zeros(1, SIZE, SIZE), "separate": True}, "paint at least one area"),
        ({"masks": torch.ones(1, 8, 5)}, "5x8, the photo is 64x64"),
    ]
    for change, message in cases:
        with pytest.raises(pack.errors.InvalidInputError, match=message):
            pack.run(FILL, **given | change)


def test_an_interruption_reaches_the_host(
    pack: Pack,
    given: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pack.management, "interrupted", True)
    with pytest.raises(pack.management.InterruptProcessingException):
        pack.run(FILL, **given)
