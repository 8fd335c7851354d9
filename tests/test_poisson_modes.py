"""Colour shift, the choice of modes, and both Poisson nodes on the double of the host."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from chunky_core.compositing import CLONE_MODES, poisson_blend, seamless_clone
from chunky_core.compositing.color_shift import shift_colors
from chunky_core.errors import InvalidInputError
from tests.pack_on_double import Pack
from tests.test_poisson import region_of, scene

SHIFT = torch.tensor([0.3, -0.2, 0.1])[:, None, None]


def disc(height: int = 60, width: int = 80) -> torch.Tensor:
    return region_of("disc", height, width)[None, None].float()


@pytest.mark.parametrize("offset", ["membrane", "constant"])
@pytest.mark.parametrize("boundary", ["picture", "photo", "soft"])
@pytest.mark.parametrize("kind", ["disc", "corner", "bottom", "ring"])
def test_a_tint_disappears(offset: Any, boundary: Any, kind: str) -> None:
    _, photo = scene(60, 80, seed=1)
    mask = region_of(kind, 60, 80)[None, None].float()
    shifted = shift_colors(photo, photo + SHIFT, mask, offset=offset, boundary=boundary)
    assert (shifted - photo).abs().max() < 1e-4
    assert torch.equal(shifted[:, :, mask[0, 0] == 0], photo[:, :, mask[0, 0] == 0])


def test_a_tint_that_changes_slowly_is_followed_by_the_membrane() -> None:
    """A linear tint is harmonic, so the membrane is the tint itself but for the size of its cells."""
    _, photo = scene(200, 200, seed=2)
    tint = torch.linspace(-0.4, 0.4, 200).expand(1, 3, 200, 200)
    mask = region_of("disc", 200, 200)[None, None].float()
    left = {
        kind: (shift_colors(photo, photo + tint, mask, offset=kind) - photo).abs().max()
        for kind in ("membrane", "constant")
    }
    assert left["membrane"] < 0.05 and left["constant"] > 0.2


def test_the_membrane_takes_no_texture_from_the_boundary() -> None:
    """Of a picture that differs from the photo by noise, which Poisson's solution lets run into the region."""
    _, photo = scene(200, 200, seed=3)
    picture = photo + 0.2 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(1))
    mask = region_of("disc", 200, 200)[None, None].float()
    inner = F.max_pool2d(1 - mask, 3, 1, 1) == 0
    steepest = []
    for result in (shift_colors(photo, picture, mask), poisson_blend(photo, picture, mask)):
        slopes = (result - picture).diff(dim=-1).abs()
        steepest.append(slopes[inner[..., 1:].expand_as(slopes)].max())
    assert steepest[0] < 0.03 and steepest[0] < 0.2 * steepest[1]


def test_a_soft_mask_fades_into_the_photo() -> None:
    _, photo = scene(60, 80, seed=4)
    mask = F.avg_pool2d(disc(), 5, 1, 2)
    detail = 0.2 * torch.randn(1, 3, 60, 80, generator=torch.Generator().manual_seed(0))
    result = shift_colors(photo, photo + detail, mask, offset="constant")
    mean = detail.mean(dim=(2, 3)).abs().max()
    assert (result - photo - mask * detail).abs().max() < mean + 0.1
    assert torch.equal(result[:, :, mask[0, 0] == 0], photo[:, :, mask[0, 0] == 0])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_rim_nothing_is_shifted(value: float) -> None:
    picture, photo = scene(20, 20, seed=5)
    mask = torch.full((1, 1, 20, 20), value)
    for offset in ("membrane", "constant"):
        expected = picture if value else photo
        assert torch.allclose(shift_colors(photo, picture, mask, offset=offset), expected, atol=1e-6)  # type: ignore[arg-type]


def test_modes_choose_the_method_and_name_what_is_wrong() -> None:
    picture, photo = scene(40, 40, seed=6)
    mask = disc(40, 40)
    assert torch.equal(seamless_clone(photo, picture, mask), poisson_blend(photo, picture, mask))
    seam = seamless_clone(photo, picture, mask, mode="seam only", band=3)
    assert torch.equal(seam, poisson_blend(photo, picture, mask, band=3))
    shifted = seamless_clone(photo, picture, mask, mode="colour shift only")
    assert torch.equal(shifted, shift_colors(photo, picture, mask))
    with pytest.raises(InvalidInputError, match="mode is 'seam'; expected one of full, seam only, colour"):
        seamless_clone(photo, picture, mask, mode="seam")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="band is 0"):
        seamless_clone(photo, picture, mask, band=0)


@pytest.mark.parametrize("mode", CLONE_MODES)
@pytest.mark.parametrize("mixed", [False, True])
def test_every_mode_of_the_blend_node_keeps_the_rest_of_the_photo(pack: Pack, mode: str, mixed: bool) -> None:
    levels = torch.randint(0, 256, (2, 40, 48, 3), generator=torch.Generator().manual_seed(7))
    photo, mask = levels / 255, disc(40, 48)[:, 0]
    (same,) = pack.run(
        "ChunkyGAN_PoissonBlend",
        picture=(photo * 0.8 + 0.1).flip(0),
        photo=photo,
        mask=mask,
        mode=mode,
        mixed_gradients=mixed,
        band=2,
    )
    assert len(same) == 2 and torch.equal(same[:, mask[0] == 0], photo[:, mask[0] == 0])
    assert not torch.equal(same[:, mask[0] == 1], photo[:, mask[0] == 1])
