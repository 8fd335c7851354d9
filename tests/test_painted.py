"""Strokes over a photo: their exact opacity comes back, and strange colours are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.segments.label_images import parse_palette
from chunky_core.segments.painting.palette import palette_of_strokes
from chunky_core.segments.painting.strokes import painted_masks

SIZE = 96
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
PALETTE = parse_palette("#ff0000 mouth\n#00ff00 left_eye\n#0000ff right_eye\n#800080 brow")


def photo() -> Tensor:
    """Skin colours with some texture, uint8 [H,W,3]."""
    rng = torch.Generator().manual_seed(0)
    texture = torch.randint(-12, 13, (SIZE, SIZE, 3), generator=rng)
    return (torch.tensor([205, 160, 135]) + texture).to(torch.uint8)


def coat(row: float, column: float, radius: float, edge: float = 1.0) -> Tensor:
    """Opacity of a round stroke whose edge is `edge` pixels wide, [H,W]."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    distance = ((rows - row) ** 2 + (columns - column) ** 2).sqrt()
    return ((radius - distance) / edge + 0.5).clamp(0, 1)


def paint(below: Tensor, opacity: Tensor, colour: tuple[int, int, int]) -> Tensor:
    mixed = below + opacity[..., None] * (torch.tensor(colour) - below.float())
    return mixed.round().to(torch.uint8)


@pytest.mark.parametrize("edge", [1.0, 3.0, 12.0])
def test_the_opacity_of_each_stroke_comes_back(edge: float) -> None:
    strokes = {"mouth": (coat(70, 48, 14, edge), RED), "left_eye": (coat(25, 25, 14, edge), GREEN)}
    picture = photo()
    for opacity, colour in strokes.values():
        picture = paint(picture, opacity, colour)
    masks = painted_masks(photo(), picture, PALETTE, tolerance=4)
    assert set(masks) == set(strokes)
    for name, (opacity, _) in strokes.items():
        assert (masks[name] - opacity).abs().max() < 0.04  # 4 grey levels are taken as the full colour
        assert (masks[name] - opacity).abs().mean() < 0.002


def test_strokes_that_meet_share_their_edge_and_make_no_third_colour() -> None:
    below = paint(photo(), coat(48, 36, 20), RED)
    masks = painted_masks(photo(), paint(below, coat(48, 60, 20), BLUE), PALETTE)
    assert set(masks) == {"mouth", "right_eye"}  # not the purple between red and blue
    assert (masks["right_eye"] - coat(48, 60, 20)).abs().max() <= 0.51
    assert ((masks["mouth"] + masks["right_eye"])[coat(48, 60, 21) + coat(48, 36, 19) > 1.99] == 1).all()


@pytest.mark.parametrize("gap", [0, 6])
@pytest.mark.parametrize("edge", [6.0, 14.0, 22.0])
def test_soft_strokes_whose_edges_overlap_show_their_shares(edge: float, gap: int) -> None:
    lower, upper = coat(48, 30, 14, edge), coat(48, 62 + gap, 14, edge)
    masks = painted_masks(photo(), paint(paint(photo(), lower, RED), upper, BLUE), PALETTE, tolerance=4)
    expected = {"mouth": lower * (1 - upper), "right_eye": upper}
    assert set(masks) == set(expected)
    both = (lower > 0.02) & (upper > 0.02)
    for name, share in expected.items():
        assert (masks[name] - share).abs().mean() < 0.003
        assert not both.any() or (masks[name] - share)[both].abs().mean() < 0.02
    assert (masks["mouth"] + masks["right_eye"]).max() <= 1 + 1e-6


def test_a_soft_stroke_on_a_solid_one_keeps_its_edge() -> None:
    upper = coat(48, 48, 12, 12)
    masks = painted_masks(
        photo(), paint(paint(photo(), coat(48, 48, 36), RED), upper, GREEN), PALETTE, tolerance=4
    )
    assert set(masks) == {"mouth", "left_eye"}
    assert (masks["left_eye"] - upper).abs().max() < 0.04
    inside = coat(48, 48, 34) == 1
    assert ((masks["mouth"] + masks["left_eye"])[inside] - 1).abs().max() < 0.02


def test_a_flat_colour_between_two_strokes_is_no_overlap() -> None:
    picture = paint(paint(photo(), coat(48, 20, 12), RED), coat(48, 76, 12), BLUE)
    palette = parse_palette("#ff0000 mouth\n#0000ff right_eye")
    with pytest.raises(InvalidInputError, match="most often #800080"):
        painted_masks(photo(), paint(picture, coat(48, 48, 10), (128, 0, 128)), palette)


def test_a_brush_of_half_opacity_comes_back_as_it_is() -> None:
    thin, full = 0.5 * coat(25, 25, 14, 3), coat(72, 72, 12)
    masks = painted_masks(photo(), paint(paint(photo(), thin, RED), full, BLUE), PALETTE)
    assert set(masks) == {"mouth", "right_eye"}
    assert (masks["mouth"] - thin).abs().max() < 0.03


def test_a_flat_colour_on_a_flat_photo_is_no_thin_coat_of_another() -> None:
    flat = torch.full((SIZE, SIZE, 3), 255, dtype=torch.uint8)
    with pytest.raises(InvalidInputError, match="most often #ff8080"):
        painted_masks(flat, paint(flat, coat(48, 48, 20), (255, 128, 128)), PALETTE)


@pytest.mark.parametrize("edge", [1.0, 8.0, 16.0])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_palette_is_learnt_from_the_strokes(edge: float, count: int) -> None:
    colours = [RED, GREEN, BLUE, (255, 255, 0), (255, 255, 255), (0, 0, 0), (128, 0, 128), (255, 128, 0)][
        :count
    ]
    places = [(16 + 32 * (i // 3), 16 + 32 * (i % 3)) for i in range(count)]
    picture = photo()
    for (row, column), colour in zip(places, colours, strict=True):
        picture = paint(picture, coat(row, column, 11, edge), colour)
    learnt = palette_of_strokes(photo(), picture)
    assert set(learnt.names) == {"#" + bytes(colour).hex() for colour in colours}
    masks = painted_masks(photo(), picture, learnt, tolerance=4)
    for (row, column), colour in zip(places, colours, strict=True):
        assert masks["#" + bytes(colour).hex()][row, column] == 1


def test_a_thin_coat_on_a_flat_photo_is_no_colour_of_its_own() -> None:
    flat = torch.full((SIZE, SIZE, 3), 200, dtype=torch.uint8)
    picture = paint(paint(flat, coat(48, 20, 14), RED), 0.5 * coat(48, 70, 14), RED)
    assert palette_of_strokes(flat, picture).names == ("#ff0000",)


def test_strokes_without_a_full_colour_teach_no_palette() -> None:
    with pytest.raises(InvalidInputError, match="no stroke shows its full colour.*full opacity"):
        palette_of_strokes(photo(), paint(photo(), 0.5 * coat(48, 48, 20), RED))
    level = torch.arange(24).repeat_interleave(4)[None].expand(SIZE, -1)
    bars = torch.stack([10 * level, 200 * (level % 2), 0 * level], dim=-1).to(torch.uint8)
    with pytest.raises(InvalidInputError, match="seem to have 2[0-9] colours, expected at most 16"):
        palette_of_strokes(photo(), bars)


def test_several_colours_may_have_one_name() -> None:
    palette = parse_palette("#ff0000 eyes\n#00ff00 eyes")
    picture = paint(paint(photo(), coat(48, 24, 10), RED), coat(48, 72, 10), GREEN)
    (mask,) = painted_masks(photo(), picture, palette).values()
    assert mask[48, 24] == mask[48, 72] == 1 and mask[48, 48] == 0


def test_the_photos_own_red_is_no_stroke() -> None:
    below = paint(photo(), coat(20, 70, 8), RED)
    masks = painted_masks(below, paint(below, coat(70, 40, 10), RED), PALETTE)
    assert masks["mouth"][:40].max() == 0 and masks["mouth"][70, 40] == 1


def test_a_line_of_one_pixel_keeps_its_colour() -> None:
    line = torch.zeros(SIZE, SIZE)
    line[40, 20:60] = 1
    masks = painted_masks(photo(), paint(photo(), line, BLUE), PALETTE)
    assert set(masks) == {"right_eye"} and torch.equal(masks["right_eye"], line)


def test_other_colours_are_counted_and_named() -> None:
    picture = paint(paint(photo(), coat(48, 24, 10), RED), coat(48, 72, 10), (0, 255, 255))
    with pytest.raises(InvalidInputError, match=r"\d+ pixels .* most often #00ffff"):
        painted_masks(photo(), picture, PALETTE)


@pytest.mark.parametrize(
    ("original", "painted", "palette", "message"),
    [
        (photo(), photo(), PALETTE, "there are no strokes"),
        (photo(), photo()[:64], PALETTE, "the painted picture is 96x64, the original 96x96"),
        (photo(), photo(), parse_palette("3 mouth"), "strokes need colours"),
    ],
)
def test_bad_input_is_refused(original: Tensor, painted: Tensor, palette: object, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        painted_masks(original, painted, palette)
    assert message in str(caught.value).splitlines()[0]
