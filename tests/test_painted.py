"""Strokes over a photo: their exact opacity comes back, and strange colours are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.segments.label_images import parse_palette
from chunky_core.segments.painted import painted_masks

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
