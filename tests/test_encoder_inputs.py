"""What encoders say of a photo, masks and arguments that they can't take."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import chunky_core as cg
from chunky_core.encoders.masked_encoder import MaskedEncoder, measure_whitening
from chunky_core.encoders.masked_network import MaskedNetwork, MaskedSizes
from chunky_core.encoders.style_encoder import StyleEncoder
from chunky_core.encoders.style_networks import StyleNetwork
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.segments.segment_masks import single_segment

NAN = float("nan")
PHOTO, MASKS = torch.zeros(1, 3, 64, 64), torch.ones(2, 1, 64, 64)
NUMBERS: dict[str, Any] = {
    "None": None, "list": [1, 2], "numpy": PHOTO.numpy(), "bytes": PHOTO.to(torch.uint8), "bool": PHOTO > 0,
    "complex": PHOTO.to(torch.complex64), "meta": PHOTO.to("meta"), "NaN": PHOTO * NAN,
    "infinite": PHOTO + float("inf"), "255": PHOTO + 255, "no batch": PHOTO[0], "none": PHOTO[:0], "gray": PHOTO[:, :1],
    "RGBA": torch.zeros(1, 4, 64, 64),
    "channels last": PHOTO.permute(0, 2, 3, 1), "path": "photo.png",
}  # fmt: skip
EMPTY = torch.cat([MASKS[:1], MASKS[1:] * 0])
MASK_NUMBERS: dict[str, Any] = {
    "list": [1, 2], "numpy": MASKS.numpy(), "bytes": MASKS.to(torch.uint8), "bool": MASKS > 0, "NaN": MASKS * NAN,
    "above 1": MASKS * 255, "below 0": -MASKS, "empty": EMPTY, "none": MASKS[:0], "planes": MASKS[:, 0],
    "another size": torch.ones(1, 1, 32, 32), "segments": single_segment((64, 64)),
    "complex": MASKS.to(torch.complex64),
    "three channels": torch.ones(1, 3, 64, 64), "infinite": MASKS / 0,
}  # fmt: skip
KINDS = ["masked", "style"]


@pytest.fixture(scope="module")
def encoders(generator: Generator) -> dict[str, Any]:
    sizes = MaskedSizes(generator.num_ws, generator.w_dim, 32, (8, 8), 8)
    masked = MaskedNetwork(sizes).requires_grad_(False).eval()
    style = StyleEncoder(
        StyleNetwork.__new__(StyleNetwork), torch.zeros(generator.num_ws, generator.w_dim), "e4e"
    )
    return {
        "masked": MaskedEncoder(masked, measure_whitening(generator), generator.fingerprint),
        "style": style,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", NUMBERS)
def test_no_photo(encoders: dict[str, Any], generator: Generator, kind: str, odd: str) -> None:
    with pytest.raises(InvalidInputError, match="photo"):
        encoders[kind].encode(generator, NUMBERS[odd])
    with pytest.raises(InvalidInputError, match="photo"):
        cg.inversion_from_encoder(generator, encoders[kind], NUMBERS[odd])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", MASK_NUMBERS)
def test_no_masks(encoders: dict[str, Any], generator: Generator, kind: str, odd: str) -> None:
    with pytest.raises(InvalidInputError, match="mask"):
        encoders[kind].encode(generator, PHOTO, MASK_NUMBERS[odd])


@pytest.mark.parametrize("kind", KINDS)
def test_no_generator(encoders: dict[str, Any], kind: str) -> None:
    for odd in (None, "demo", encoders[kind]):
        with pytest.raises(InvalidInputError, match="the generator is of type"):
            encoders[kind].encode(odd, PHOTO)


def test_segments_by_mistake_are_told_how(encoders: dict[str, Any], generator: Generator) -> None:
    with pytest.raises(InvalidInputError, match=r"masks\.masks"):
        encoders["masked"].encode(generator, PHOTO, single_segment((64, 64)))
    with pytest.raises(InvalidInputError, match="masks is of type Tensor; expected SegmentMasks"):
        cg.inversion_from_encoder(generator, encoders["masked"], PHOTO, MASKS)


def test_no_encoder(generator: Generator) -> None:
    for odd in (None, "demo", generator, 3):
        with pytest.raises(InvalidInputError, match="the encoder is of type .*load_encoder"):
            cg.inversion_from_encoder(generator, odd, PHOTO)
    with pytest.raises(InvalidInputError, match="the generator"):
        cg.inversion_from_encoder(None, None, PHOTO)


def test_what_fits_is_taken(encoders: dict[str, Any], generator: Generator) -> None:
    soft = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    assert len(encoders["masked"].encode(generator, PHOTO.half(), soft).tensor) == 2
