"""What nodes make of masks, label pictures and images that are valid but unusual: right, or said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chunky_core.images.levels import GRAY_DIVISOR, LEVEL_DIVISORS
from tests.pack_on_double import Pack

SIZE = 64
SEGMENTS, ADD, LABELS = "ChunkyGAN_SegmentMasks", "ChunkyGAN_AddSegment", "ChunkyGAN_LabelMapFromImage"
BLEND, ALIGN, PAINTED = "ChunkyGAN_PoissonBlend", "ChunkyGAN_AlignFace", "ChunkyGAN_PaintedSegments"
HARD: dict[str, Any] = {"grow": 0, "feather": 0.0}


@pytest.fixture
def notices(pack: Pack) -> Iterator[Any]:
    """A function that gives the notices since the test began."""
    pack.server.events.clear()
    yield lambda: [data["text"] for event, data in pack.server.events if event == "chunkygan.notice"]
    pack.server.events.clear()


def a_photo(count: int = 1, size: int = SIZE) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=rng)
    smooth = F.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    return ((smooth * 255).round() / 255).movedim(1, -1).contiguous()


def disc(size: int = SIZE, radius: float = 16.0, row: float = 0.5) -> Tensor:
    """A mask [size,size] of a disc in the middle column."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((y - row * size) ** 2 + (x - size / 2) ** 2 < radius**2).float()


def doubled(mask: Tensor) -> Tensor:
    return mask.repeat_interleave(2, -1).repeat_interleave(2, -2)


def label_image(size: int = SIZE) -> Tensor:
    """Host IMAGE of three areas: black, red, blue."""
    colours = torch.tensor([[0, 0, 0], [255, 0, 0], [0, 0, 255]])
    return colours[(disc(size, size / 8, 0.3) + 2 * disc(size, size / 8, 0.7)).long()][None] / 255


@pytest.mark.parametrize("noise", ["flat", "random", "specks"])
def test_a_noisy_black_selects_nothing(pack: Pack, noise: str) -> None:
    rng = torch.Generator().manual_seed(1)
    levels = {
        "flat": torch.ones(SIZE, SIZE),
        "random": torch.randint(0, 3, (SIZE, SIZE), generator=rng).float(),
    }
    levels["specks"] = torch.randint(0, 3, (SIZE, SIZE), generator=rng).float() * (
        (torch.rand(SIZE, SIZE, generator=rng) < 0.02) & (disc(radius=19) == 0)
    )
    mask = torch.maximum(disc(), levels[noise] / 255)
    for node, given in (
        (SEGMENTS, {"image": a_photo(), "masks": mask[None], "names": "face", **HARD}),
        (ADD, {"mask": mask[None], "feather": 0.0}),
    ):
        ((made,),) = pack.run(node, **given)
        assert torch.equal(made.masks[0, 0], disc()) and torch.equal(made.static[0, 0], 1 - disc())
    photo = a_photo()
    for mode in ("full", "seam only", "colour shift only"):
        (blended,) = pack.run(BLEND, picture=photo.flip(2), photo=photo, mask=mask[None], mode=mode)
        assert torch.equal(blended[0][disc() == 0], photo[0][disc() == 0])


def test_a_soft_edge_keeps_every_weight(pack: Pack) -> None:
    soft = (1 - (torch.arange(SIZE) / 40).clamp(max=1)).expand(SIZE, -1)  # from 1 through 1/1000 to 0
    soft = torch.where(soft < 1 / 512, 0, soft)
    ((made,),) = pack.run(SEGMENTS, image=a_photo(), masks=soft[None], names="face", **HARD)
    assert torch.allclose(made.masks[0, 0], soft, atol=1e-6)


def test_a_label_picture_as_a_mask_is_refused(pack: Pack) -> None:
    for highest in (2, 18, 31):
        with pytest.raises(
            pack.errors.InvalidInputError, match=f"'face' is black.*{highest} of 255.*label map"
        ):
            pack.run(SEGMENTS, image=a_photo(), masks=disc()[None] * highest / 255, names="face", **HARD)
    faint = disc()[None] * 0.09
    ((made,),) = pack.run(SEGMENTS, image=a_photo(), masks=faint, names="face", **HARD)
    assert torch.allclose(made.masks[0], faint)


def test_levels_0_and_1_are_off_and_on(pack: Pack) -> None:
    """As `read_mask` takes them from a file; a mask that is 1 of 255 everywhere is black."""
    given = {"image": a_photo(), "names": "face", **HARD}
    ((made,),) = pack.run(SEGMENTS, masks=disc()[None] / 255, **given)
    ((wanted,),) = pack.run(SEGMENTS, masks=disc()[None], **given)
    assert torch.equal(made.masks, wanted.masks)
    with pytest.raises(pack.errors.InvalidInputError, match="is black"):
        pack.run(SEGMENTS, masks=torch.full((1, SIZE, SIZE), 1 / 255), **given)


TAKERS: dict[str, dict[str, Any]] = {
    SEGMENTS: {"image": a_photo(), "masks": None, "names": "face", **HARD},
    BLEND: {"picture": a_photo().flip(1), "photo": a_photo(), "mask": None},
    ALIGN: {"image": a_photo(), "size": 64, "mask": None},
}


@pytest.mark.parametrize("node", [*TAKERS, ADD])
def test_a_mask_of_another_size_is_fitted_with_a_notice(pack: Pack, notices: Any, node: str) -> None:
    given = dict(TAKERS.get(node, {"mask": None, "name": "face", "feather": 0.0}))
    if node == ADD:
        base = disc(row=0.2, radius=4)[None]
        given["segments"] = pack.run(SEGMENTS, image=a_photo(), masks=base, names="top", **HARD)[0]

    def run(mask: Tensor) -> Tensor:
        (result, *_) = pack.run(
            node, **{key: mask if value is None else value for key, value in given.items()}
        )
        return result if isinstance(result, Tensor) else torch.cat([one.masks for one in result])

    expected = run(disc()[None])
    assert not notices()
    assert torch.equal(run(doubled(disc())[None]), expected)
    (said,) = notices()
    assert "resized from 128x128 to the photo's 64x64" in said
    with pytest.raises(pack.errors.InvalidInputError, match="is 64x48, the photo is 64x64"):
        run(disc()[None, :48])
    small = F.interpolate(disc()[None, None], (32, 32), mode="area")[0]
    assert run(small).shape == expected.shape


def test_the_mask_of_a_picture_without_transparency_is_named(pack: Pack) -> None:
    empty, large = torch.zeros(1, 64, 64), a_photo(size=96)
    for node, given in (
        (SEGMENTS, {"image": large, "alpha": empty}),
        (SEGMENTS, {"image": large, "masks": empty, "names": "face"}),
        (BLEND, {"picture": large, "photo": large, "mask": empty}),
        (ALIGN, {"image": large, "size": 64, "mask": empty}),
    ):
        with pytest.raises(
            pack.errors.InvalidInputError, match="64x64 placeholder.*without transparency.*96x96"
        ):
            pack.run(node, **given)


def test_a_label_map_of_another_size_keeps_its_labels(pack: Pack, notices: Any) -> None:
    label_map, _ = pack.run(LABELS, image=label_image(128))
    ((made,),) = pack.run(SEGMENTS, image=a_photo(), label_map=label_map, static="#000000", **HARD)
    assert set(made.masks.unique().tolist()) == {0.0, 1.0} and "128x128 to the photo's 64x64" in notices()[0]
    with pytest.raises(pack.errors.InvalidInputError, match="the label map is 128x128, the photo is 48x64"):
        pack.run(SEGMENTS, image=a_photo()[:, :, :48], label_map=label_map, **HARD)


def test_one_set_of_segments_for_several_photos_is_said(pack: Pack, notices: Any) -> None:
    label_map, _ = pack.run(LABELS, image=label_image())
    (made,) = pack.run(SEGMENTS, image=a_photo(3), label_map=label_map, **HARD)
    assert len(made) == 3 and notices() == ["one set of segments is used for all 3 photos"]


def test_what_the_mask_editor_painted_is_told_from_a_cut_out(pack: Pack, notices: Any) -> None:
    pack.run(SEGMENTS, image=a_photo(), alpha=disc(radius=30)[None].neg() + 1, **HARD)  # the surroundings
    assert not notices()
    pack.run(SEGMENTS, image=a_photo(), alpha=0.7 * disc()[None], **HARD)
    assert "alpha: 19% of the picture" in notices()[0] and "connect it to masks" in notices()[0]


def test_masks_without_white_or_black_are_said(pack: Pack, notices: Any) -> None:
    masks = torch.stack([0.7 * disc(row=0.3), 0.06 + 0.94 * disc(row=0.7)])
    pack.run(SEGMENTS, image=a_photo(), masks=masks, names="eye, mouth", **HARD)
    assert any("'eye': nothing is above 0.7" in said for said in notices())
    assert any("'mouth': nothing is below 0.06" in said for said in notices())


def smoothed(picture: Tensor, size: int) -> Tensor:
    larger = F.interpolate(picture.movedim(-1, 1), (size, size), mode="bilinear").movedim(1, -1)
    return (larger * 255).round() / 255


@pytest.mark.parametrize("grey", [False, True])
def test_mixed_label_pictures_are_refused(pack: Pack, grey: bool) -> None:
    clean = label_image(48)
    if grey:
        levels = (disc(48, 10, 0.3) * 5 + disc(48, 10, 0.7) * 12)[None, ..., None].expand(-1, -1, -1, 3)
        clean = (levels / 255).contiguous()
    pack.run(LABELS, image=clean)
    with pytest.raises(
        pack.errors.InvalidInputError, match=r"boundaries pass through labels in between|colours, expec"
    ):
        pack.run(LABELS, image=smoothed(clean, SIZE))
    sixteen_bits = clean.clone()
    sixteen_bits[0, :4, :4] += 0.4 / 255
    with pytest.raises(
        pack.errors.InvalidInputError, match="between the levels of 8 bits, such as 0.4 of 255"
    ):
        pack.run(LABELS, image=sixteen_bits)
    with pytest.raises(pack.errors.InvalidInputError, match="one colour only, #000000.*16 bits"):
        pack.run(LABELS, image=clean * 0)


def test_a_listed_palette_still_takes_smoothed_edges(pack: Pack) -> None:
    palette = "#000000 rest\n#FF0000 eye\n#00f mouth"
    label_map, names = pack.run(LABELS, image=smoothed(label_image(32), SIZE), palette=palette)
    assert names == "rest, eye, mouth"
    assert (
        0
        < (label_map.labels[0] != pack.run(LABELS, image=label_image(), palette=palette)[0].labels[0]).sum()
        < 200
    )


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (a_photo()[0], r"shape \[64, 64, 3\]; expected a colour IMAGE"),
        (a_photo().movedim(-1, 1), r"shape \[1, 3, 64, 64\]"),
        (a_photo()[..., :1], r"shape \[1, 64, 64, 1\]"),
        (a_photo()[:0], r"shape \[0, 64, 64, 3\]"),
        ((a_photo() * 255).to(torch.uint8), "uint8 numbers; expected floats in 0..1, so divide it by 255"),
        (a_photo() * 255, r"values in 0..255, expected 0..1"),
        (a_photo() * torch.nan, "values in nan..nan"),
    ],
)
def test_what_is_no_image_is_refused_by_every_node(pack: Pack, image: Tensor, message: str) -> None:
    for node, given in (
        (SEGMENTS, {"image": image, "masks": disc()[None], "names": "face"}),
        (BLEND, {"picture": image, "photo": image, "mask": disc()[None]}),
        (LABELS, {"image": image}),
        (PAINTED, {"original": image, "painted": image}),
    ):
        with pytest.raises(pack.errors.InvalidInputError, match=message):
            pack.run(node, **given)


def test_images_and_masks_of_other_types_are_taken(pack: Pack) -> None:
    photo = a_photo()
    ((expected,),) = pack.run(SEGMENTS, image=photo, masks=disc()[None], names="face", **HARD)
    for kind in (torch.float16, torch.bfloat16, torch.float64, torch.bool, torch.uint8, torch.int64):
        ((made,),) = pack.run(SEGMENTS, image=photo, masks=disc()[None].to(kind), names="face", **HARD)
        assert torch.equal(made.masks, expected.masks) and made.masks.dtype == torch.float32
    for kind in (torch.float16, torch.float64):
        (blended,) = pack.run(BLEND, picture=photo.flip(1).to(kind), photo=photo.to(kind), mask=disc()[None])
        assert blended.shape == photo.shape
    with pytest.raises(pack.errors.InvalidInputError, match=r"shape \[0, 64, 64\]; expected a MASK"):
        pack.run(SEGMENTS, image=photo, masks=disc()[None][:0], names="face", **HARD)


@pytest.mark.parametrize("palette", ["auto", " AUTO ", ""])
def test_strokes_name_themselves(pack: Pack, palette: str) -> None:
    photo = a_photo()
    red, keep = disc(row=0.3, radius=8), disc(row=0.75, radius=8)
    painted = torch.where(red[..., None] > 0, torch.tensor([1.0, 0, 0]), photo[0])
    painted = torch.where(keep[..., None] > 0, torch.tensor([0, 1.0, 1.0]), painted)[None]
    ((made,),) = pack.run(
        PAINTED, original=photo, painted=painted, palette=palette, static="#00FFFF", feather=0.0
    )
    assert made.names == ("#ff0000",) and torch.equal(made.masks[0, 0], red)
    with pytest.raises(
        pack.errors.InvalidInputError, match="static names brow are not in the palette.*#ff0000"
    ):
        pack.run(PAINTED, original=photo, painted=painted, palette=palette, static="brow")


def test_names_with_blanks_are_those_with_underscores(pack: Pack) -> None:
    masks = torch.stack([disc(row=0.3, radius=8), disc(row=0.7, radius=8)])
    given = {"image": a_photo(), "masks": masks, "names": "left_eye, mouth"} | HARD
    (made,) = pack.run(SEGMENTS, **given, only="Left Eye")
    assert made[0].names == ("left_eye",)
    ((merged,),) = pack.run(ADD, mask=masks[1:], name="left-eye", segments=made, feather=0.0)
    assert merged.names == ("left_eye",) and torch.equal(merged.masks[0, 0], masks.amax(dim=0))


@pytest.mark.parametrize("noise", [1, 3, 5, 10, "random"])
def test_beside_a_noisy_mask_the_photo_stays(pack: Pack, noise: int | str) -> None:
    """Poisson Blend takes whatever isn't 0 wholly, so its mask's black may be noisier than that of segments."""
    rng = torch.Generator().manual_seed(1)
    levels = (
        torch.randint(0, 4, (SIZE, SIZE), generator=rng) if noise == "random" else torch.tensor(float(noise))
    )
    mask, photo = torch.maximum(disc(), levels / 255), a_photo()
    for mode in ("full", "seam only", "colour shift only"):
        (blended,) = pack.run(BLEND, picture=photo.flip(2), photo=photo, mask=mask[None], mode=mode)
        (wanted,) = pack.run(BLEND, picture=photo.flip(2), photo=photo, mask=disc()[None], mode=mode)
        assert torch.equal(blended, wanted)


def test_a_label_picture_as_a_mask_is_refused_by_every_node(pack: Pack) -> None:
    given = {"picture": a_photo().flip(1), "photo": a_photo()}
    for most, _ in LEVEL_DIVISORS:
        with pytest.raises(pack.errors.InvalidInputError, match="the mask is black.*of 255.*label map"):
            pack.run(BLEND, mask=disc()[None] * 11 / most, **given)


def test_an_opaque_brush_is_told_by_every_node(pack: Pack, notices: Any) -> None:
    pack.run(BLEND, picture=a_photo().flip(1), photo=a_photo(), mask=disc()[None] * 0.7)
    assert any("the mask: nothing is above 0.7" in text for text in notices())


@pytest.mark.parametrize("most", [most for most, _ in LEVEL_DIVISORS])
def test_grey_label_pictures_as_the_host_loads_them(pack: Pack, most: int) -> None:
    """ComfyUI's loader divides the levels of grey pictures by 255.996 and others by 255."""
    levels = torch.tensor([0, 1, 3, 18, 255])[torch.arange(SIZE) // 13].expand(SIZE, SIZE)
    off = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 0.02 * (most != 255)
    image = ((levels.float() + off) / most)[None, ..., None].expand(1, SIZE, SIZE, 3).contiguous()
    for palette, names in (("auto", "0, 1, 3, 18, 255"), ("0 a\n1 b\n3 c\n18 d\n255 e", "a, b, c, d, e")):
        label_map, found = pack.run(LABELS, image=image, palette=palette)
        assert found == names
        assert torch.equal(label_map.labels[0, 0].long(), torch.arange(SIZE) // 13)


def test_white_of_grey_masks_is_white(pack: Pack) -> None:
    given = {"image": a_photo(), "names": "face", **HARD}
    for level in (255, 1):
        ((made,),) = pack.run(SEGMENTS, masks=disc()[None] * level / GRAY_DIVISOR, **given)
        assert torch.equal(made.masks[0, 0], disc())
