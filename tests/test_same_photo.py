"""One photo by several decoders is one photo; an edited one is another, and the error says why."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.images import from_uint8, is_same_photo
from chunky_core.images.same_photo import how_photos_differ
from chunky_core.inversion import ProjectionConfig, StopProjection, project
from tests.inversion_tools import make_inversion
from tests.projection_tools import pieces, stopping_at

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def portrait(shared: Path) -> np.ndarray:
    """uint8 [256,256,3], RGB: a face with strong colors around it."""
    with Image.open(shared / "faces" / "astronaut.png") as image:
        return np.array(image.convert("RGB"))[40:296, 90:346]


def jpeg(pixels: np.ndarray, subsampling: str, quality: int = 85) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality, subsampling=subsampling)
    return content.getvalue()


def pillow(content: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def opencv(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].copy()


def plain_decoder(content: bytes) -> np.ndarray:
    """As decoders do that repeat each color sample, and cut off instead of rounding."""
    planes = np.asarray(Image.open(io.BytesIO(content)).convert("YCbCr")).astype(np.float64)
    height, width = planes.shape[:2]
    blocks = planes[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean((1, 3))
    red_blue = blocks.repeat(2, 0).repeat(2, 1) - 128
    y, cb, cr = planes[..., 0], red_blue[..., 0], red_blue[..., 1]
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1)
    return rgb.clip(0, 255).astype(np.uint8)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return is_same_photo(from_uint8(one), from_uint8(other))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [60, 95])
def test_decoders_of_one_file_give_one_photo(portrait: np.ndarray, subsampling: str, quality: int) -> None:
    content = jpeg(portrait, subsampling, quality)
    decoded = [pillow(content), opencv(content)]
    if subsampling == "4:2:0":
        decoded.append(plain_decoder(content))
        off = np.abs(decoded[2].astype(int) - decoded[0]).max()
        assert off > 15  # or it would show nothing
    for one in decoded:
        for other in decoded:
            assert same(one, other)


def test_pyav_gives_the_same_photo_as_pillow(portrait: np.ndarray) -> None:
    av = pytest.importorskip("av", reason="PyAV, ComfyUI's decoder, isn't installed here")
    content = jpeg(portrait, "4:2:0")
    frame = next(av.open(io.BytesIO(content)).decode(video=0)).to_ndarray(format="rgb24")
    assert (frame != pillow(content)).any() and same(frame, pillow(content))


def edits(pixels: np.ndarray) -> dict[str, np.ndarray]:
    floats = pixels.astype(np.float64)
    luma = (floats @ LUMA)[..., None]
    done = {"brighter by 3": floats + 3, "gamma": 255 * (floats / 255) ** 1.03}
    done["more color"] = luma + (floats - luma) * 1.1
    for name, where, change in (
        ("a spot", np.s_[100:104, 100:104], -15.0),
        ("a patch", np.s_[120:150, 60:90], 4.0),
        ("lipstick", np.s_[98:112, 110:150], (14.0, -9.0, 4.0)),
    ):
        done[name] = floats.copy()
        done[name][where] += change
    smooth = cv2.GaussianBlur(floats, (0, 0), 1.5)
    done["smoothed skin"] = floats.copy()
    done["smoothed skin"][60:110, 100:150] = smooth[60:110, 100:150]
    done["moved by a third of a pixel"] = cv2.warpAffine(
        floats, np.float64([[1, 0, 1 / 3], [0, 1, 0]]), (256, 256)
    )
    return {name: image.round().clip(0, 255).astype(np.uint8) for name, image in done.items()}


@pytest.mark.parametrize("edit", edits(np.full((256, 256, 3), 128, np.uint8)))
@pytest.mark.parametrize("decoder", [pillow, plain_decoder])
def test_an_edited_photo_is_another_one(portrait: np.ndarray, edit: str, decoder: object) -> None:
    content = jpeg(portrait, "4:2:0")
    changed = edits(decoder(content))[edit]  # type: ignore[operator]
    assert not same(pillow(content), changed) and not same(changed, pillow(content))


def test_numbers_between_levels_and_other_sizes(portrait: np.ndarray) -> None:
    photo = from_uint8(portrait)
    assert is_same_photo(photo, photo + 0.08 / 127.5) and is_same_photo(photo, photo.half().float())
    assert not is_same_photo(photo, photo[..., 1:]) and not is_same_photo(photo, photo.flip(-1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda photo: photo.flip(-1), "it is that photo mirrored"),
        (
            lambda photo: photo.rot90(1, (-2, -1)),
            "it is that photo turned by 270|it is that photo turned by 90",
        ),
        (lambda photo: photo.flip(-1, -2), "turned by 180 degrees"),
        (lambda photo: photo[..., ::2, ::2], "it has 128x128 pixels, that one 256x256"),
        (lambda photo: -photo, "of its pixels are off by more than 3.2 grey levels, the largest by"),
    ],
)
def test_the_error_says_what_differs(portrait: np.ndarray, change: object, words: str) -> None:
    photo = from_uint8(portrait)
    found = how_photos_differ(photo, change(photo))  # type: ignore[operator]
    assert any(word in found for word in words.split("|"))


@pytest.fixture(scope="module")
def decoded(portrait: np.ndarray) -> tuple[Tensor, Tensor]:
    """One JPEG file of 64x64 pixels by two decoders."""
    content = jpeg(cv2.resize(portrait, (64, 64), interpolation=cv2.INTER_AREA), "4:2:0")
    one, other = pillow(content), plain_decoder(content)
    assert (one != other).any()
    return from_uint8(one), from_uint8(other)


def test_an_inversion_knows_its_photo_by_another_decoder(
    generator: Generator, decoded: tuple[Tensor, Tensor]
) -> None:
    one, other = decoded
    inversion = replace(make_inversion(generator), photo=one)
    assert inversion.is_of(other) and torch.equal(inversion.with_photo(other).photo, other)
    edited = one.clone()
    edited[..., 20:25, 20:25] -= 0.2
    for photo, words in ((edited, "off by more than"), (one.flip(-1), "that photo mirrored")):
        assert not inversion.is_of(photo)
        with pytest.raises(InvalidInputError, match=f"not the one that was inverted .*{words}"):
            inversion.with_photo(photo)
    alone = inversion.without_photo()
    assert alone.is_of(one) and not alone.is_of(other)
    with pytest.raises(
        InvalidInputError, match="decode JPEG and WebP files differently; give the photo as PNG"
    ):
        alone.with_photo(other)


def test_a_projection_goes_on_with_the_photo_that_it_began_with(
    generator: Generator, decoded: tuple[Tensor, Tensor]
) -> None:
    one, other = decoded
    masks, config = pieces(64), ProjectionConfig(num_steps=6)
    whole = project(generator, one, masks, config)
    begun = project(generator, one, masks, config, callback=stopping_at(3, StopProjection()))
    resumed = project(generator, other, masks, config, start=begun, resume=True)
    assert torch.equal(resumed.photo, one)
    for a, b in zip(resumed.segments, whole.segments, strict=True):
        assert torch.equal(a.code.tensor, b.code.tensor)
