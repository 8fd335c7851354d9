from __future__ import annotations

import cv2
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chunky_core.errors import InvalidInputError
from chunky_core.segments.label_images import Palette, labels_from_colors, palette_of, parse_palette

SIZE, FINER = 96, 8
TEXT = "#000000 background\n#f00 mouth\n#0000ff eye\n#800080 hair\n#00ff00 brow"


def areas(size: int) -> Tensor:
    """Labels 0..4 of discs: mouth inside background, eye touching mouth (their mixture is hair's purple)."""
    y, x = torch.meshgrid(*[(torch.arange(size) + 0.5) / size] * 2, indexing="ij")
    labels = torch.zeros(size, size, dtype=torch.uint8)
    labels[((x - 0.35) ** 2 + (y - 0.45) ** 2).sqrt() < 0.25] = 1
    labels[((x - 0.7) ** 2 + (y - 0.45) ** 2).sqrt() < 0.2] = 2
    labels[y + 0.1 * x > 0.9] = 3
    labels[((x - 0.85) ** 2 + (y - 0.12) ** 2).sqrt() < 0.1] = 4
    return labels


def painted(labels: Tensor, palette: Palette) -> Tensor:
    return palette.colors[labels.long()][None]


def test_every_colour_comes_back_as_its_entry() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (2, 17, 23), generator=rng)
    palette = parse_palette(TEXT)
    pixels = palette.colors[labels]
    before = pixels.clone()
    assert torch.equal(labels_from_colors(pixels, palette), labels.to(torch.uint8))
    assert torch.equal(labels_from_colors(pixels, palette, tolerance=0), labels.to(torch.uint8))
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("scale", [1, 2])
def test_smoothed_edges_get_an_area_beside_them(scale: int) -> None:
    """Area-averaged from a finer drawing (and enlarged): each pixel must show an area that it really holds."""
    palette, fine = parse_palette(TEXT), areas(SIZE * FINER)
    picture = F.avg_pool2d(painted(fine, palette).movedim(-1, 1).float(), FINER)
    shares = F.avg_pool2d(F.one_hot(fine.long(), 5).movedim(-1, 0).float(), FINER)
    picture, shares = (
        F.interpolate(one, scale_factor=scale, mode="bilinear") for one in (picture, shares[None])
    )
    pixels = picture.round().to(torch.uint8).movedim(1, -1)
    exact = (pixels[..., None, :] == palette.colors).all(dim=-1).any(dim=-1)
    assert (~exact).sum() > 200
    labels = labels_from_colors(pixels, palette)
    held = shares.gather(1, labels[:, None].long())[:, 0]
    assert (held > 0).float().mean() > 0.999
    assert (held < 0.3).float().mean() < 0.001
    clear = shares.amax(dim=1) > 0.8
    assert torch.equal(labels[clear], shares.argmax(dim=1).to(torch.uint8)[clear])


def test_a_good_jpeg_is_read() -> None:
    palette, labels = parse_palette(TEXT), areas(2 * SIZE)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    coded = cv2.imencode(".jpg", painted(labels, palette)[0].numpy()[:, :, ::-1], quality)[1]
    pixels = torch.from_numpy(cv2.imdecode(coded, cv2.IMREAD_COLOR)[:, :, ::-1].copy())[None]
    assert not torch.equal(pixels, painted(labels, palette))
    assert (labels_from_colors(pixels, palette, tolerance=24)[0] == labels).float().mean() > 0.999


def test_other_colours_are_counted_and_named() -> None:
    palette, labels = parse_palette(TEXT), areas(SIZE)
    pixels = painted(labels, palette)
    pixels[0, 10:20, 30:42] = torch.tensor([255, 255, 0], dtype=torch.uint8)
    pixels[0, 50, 50] = 255
    with pytest.raises(InvalidInputError, match=r"^121 pixels \(1\.31%\).*most often #ffff00 \(120 pixels\)"):
        labels_from_colors(pixels, palette)


def test_auto_takes_every_exact_colour() -> None:
    pixels = painted(areas(SIZE), parse_palette(TEXT))
    palette = palette_of(pixels)
    assert set(palette.names) == {"#000000", "#ff0000", "#0000ff", "#800080", "#00ff00"}
    assert torch.equal(painted(labels_from_colors(pixels, palette)[0], palette), pixels)


def test_auto_names_grey_levels_by_their_number() -> None:
    pixels = areas(SIZE)[None, ..., None].expand(-1, -1, -1, 3)
    palette = palette_of(pixels)
    assert palette.names == ("0", "1", "2", "3", "4")
    assert torch.equal(labels_from_colors(pixels, palette)[0], areas(SIZE))


def test_grey_levels_are_taken_exactly() -> None:
    palette = parse_palette("4 brow\n0: background\n1 = mouth")
    levels = torch.tensor([[[0, 1], [4, 0]]], dtype=torch.uint8)[..., None].expand(-1, -1, -1, 3)
    assert labels_from_colors(levels, palette).tolist() == [[[1, 2], [0, 1]]]
    with pytest.raises(InvalidInputError, match="^3 pixels.*#010101"):
        labels_from_colors(levels.clone().masked_fill(levels == 0, 1), parse_palette("4 brow\n0 rest"), 200)


def test_a_photo_is_no_label_map() -> None:
    photo = torch.randint(0, 256, (1, 40, 40, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with pytest.raises(
        InvalidInputError, match=r"has 1[56]\d\d colours, expected at most 64; save it without"
    ):
        palette_of(photo)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 lines"),
        ("#ff0000", "'#ff0000' is not understood"),
        ("#ff00 mouth", "'#ff00 mouth' is not understood"),
        ("256 mouth", "'256 mouth' is not understood"),
        ("mouth #ff0000", "is not understood; write '#ff0000 mouth'"),
        ("#ff0000 mouth\n#f00 eye", "'#f00 eye' repeats a colour"),
        ("#ff0000 mouth\n3 eye", "2 lines, 1 of them with grey levels"),
    ],
)
def test_bad_palettes_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_palette(text)


def test_bad_pictures_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"float32 \[1, 4, 4, 3\]; expected uint8"):
        labels_from_colors(torch.zeros(1, 4, 4, 3), parse_palette(TEXT))


def coded(pixels: Tensor, suffix: str, *options: int) -> Tensor:
    """A picture [1,H,W,3] after a file's compression."""
    content = cv2.imencode(suffix, pixels[0].numpy()[:, :, ::-1], list(options))[1]
    return torch.from_numpy(cv2.imdecode(content, cv2.IMREAD_COLOR)[:, :, ::-1].copy())[None]


def few_colours(grey: bool) -> Tensor:
    labels = areas(2 * SIZE).clamp(max=2).long()
    colors = [[0, 0, 0], [90, 90, 90], [200, 200, 200]] if grey else [[0, 0, 0], [255, 0, 0], [0, 0, 255]]
    return torch.tensor(colors, dtype=torch.uint8)[labels][None]


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("way", ["bilinear", "area", "jpeg", "webp"])
def test_mixed_colours_are_refused_where_every_exact_one_counts(way: str, grey: bool) -> None:
    clean = few_colours(grey)
    if way == "jpeg":
        mixed = coded(clean, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    elif way == "webp":
        mixed = coded(clean, ".webp", cv2.IMWRITE_WEBP_QUALITY, 90)
    else:
        scaled = F.interpolate(
            clean.movedim(-1, 1).float(), (300, 300) if way == "bilinear" else (90, 90), mode=way
        )
        mixed = scaled.round().to(torch.uint8).movedim(1, -1).contiguous()
    with pytest.raises(InvalidInputError, match="colours, expected at most 64|colours that no area has"):
        labels_from_colors(mixed, palette_of(mixed))


@pytest.mark.parametrize("grey", [True, False])
def test_clean_colours_are_taken_also_with_outlines_in_between(grey: bool) -> None:
    clean = few_colours(grey)
    assert torch.equal(labels_from_colors(clean, palette_of(clean))[0].bool(), clean[0].any(dim=-1))
    larger = clean.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :333]
    labels_from_colors(larger, palette_of(larger))
    outlined = clean.clone()
    changes = (clean[0, 1:] != clean[0, :-1]).any(dim=-1)
    outlined[0, 1:][changes] = torch.tensor([150, 150, 150] if grey else [128, 0, 128], dtype=torch.uint8)
    assert len(palette_of(outlined).names) == 4
    labels_from_colors(outlined, palette_of(outlined))


def test_a_picture_of_one_colour_is_no_label_picture() -> None:
    with pytest.raises(InvalidInputError, match="one colour only, #000000.*save them in 8"):
        palette_of(torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
