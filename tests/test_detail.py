"""The photo's detail in an edited picture, on pictures whose motion and detail are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chunky_core.compositing.detail import with_detail
from chunky_core.compositing.flow import backward_warp, optical_flow
from chunky_core.errors import InvalidInputError

SIZE = 96
INNER = (..., slice(16, -16), slice(16, -16))


def texture(seed: int, grain: float) -> Tensor:
    """[1,3,SIZE,SIZE]: smooth noise of about `grain` pixels, a deviation of 1."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, round(SIZE / grain) + 3, round(SIZE / grain) + 3, generator=rng)
    image = F.interpolate(coarse, (SIZE, SIZE), mode="bicubic")
    return image / image.std()


@pytest.fixture(scope="module")
def drawn() -> Tensor:
    """A reconstruction with structure enough to see motion by."""
    return 0.3 * texture(0, 8)


@pytest.fixture(scope="module")
def freckles() -> Tensor:
    """What the generator did not draw."""
    return 0.1 * texture(1, 2)


def shifted(image: Tensor, right: int, down: int) -> Tensor:
    return image.roll((down, right), dims=(2, 3))


def error(one: Tensor, other: Tensor) -> float:
    return (one - other)[INNER].square().mean().sqrt().item()


def test_flow_finds_a_shift_and_undoes_it(drawn: Tensor) -> None:
    flow = optical_flow(shifted(drawn, 3, -2), drawn)
    expected = torch.tensor([-3.0, 2.0], device=flow.device)[:, None, None]
    assert (flow[0] - expected)[:, 16:-16, 16:-16].abs().mean() < 0.1
    assert error(backward_warp(drawn, flow), shifted(drawn, 3, -2)) < 0.02


def test_moving_by_whole_pixels_moves_numbers(drawn: Tensor) -> None:
    flow = torch.tensor([-3.0, 2.0])[None, :, None, None].expand(1, 2, SIZE, SIZE)
    assert torch.allclose(backward_warp(drawn, flow)[INNER], shifted(drawn, 3, -2)[INNER], atol=1e-4)


@pytest.mark.parametrize("move", [True, False])
def test_without_an_edit_it_is_the_photo(drawn: Tensor, freckles: Tensor, move: bool) -> None:
    photo = drawn + freckles
    assert torch.equal(with_detail(photo, drawn, drawn.clone(), move=move), photo)


@pytest.mark.parametrize("move", [True, False])
def test_an_edit_that_fades_out_ends_at_the_photo(drawn: Tensor, freckles: Tensor, move: bool) -> None:
    photo, other = drawn + freckles, 0.3 * texture(5, 8)
    distances = [
        error(with_detail(photo, drawn, torch.lerp(drawn, other, share), move=move), photo)
        for share in (0.1, 0.01, 0.001)
    ]
    assert distances[0] > distances[1] > distances[2] and distances[2] < 2e-3


@pytest.mark.parametrize("move", [True, False])
def test_detail_survives_a_change_of_shade(drawn: Tensor, freckles: Tensor, move: bool) -> None:
    edited = drawn - torch.linspace(0.1, 0.3, SIZE)[None, None, None]
    result = with_detail(drawn + freckles, drawn, edited, move=move)
    assert error(result, edited + freckles) < 0.05 * freckles.std()


def test_detail_goes_where_the_edit_takes_the_face(drawn: Tensor, freckles: Tensor) -> None:
    photo, edited = drawn + freckles, shifted(drawn, 4, 3)
    lost = error(edited, shifted(photo, 4, 3))
    assert error(with_detail(photo, drawn, edited), shifted(photo, 4, 3)) < 0.35 * lost
    assert error(with_detail(photo, drawn, edited, move=False), shifted(photo, 4, 3)) > 0.9 * lost


@pytest.mark.parametrize("move", [True, False])
def test_nothing_old_shines_through_what_the_edit_draws_anew(
    drawn: Tensor, freckles: Tensor, move: bool
) -> None:
    disc = (torch.arange(SIZE) - SIZE / 2).square()
    inside = ((disc[:, None] + disc) < 14**2)[None, None]
    edited = torch.where(inside, texture(7, 5).clamp(-1, 1), drawn)
    result = with_detail(drawn + freckles, drawn, edited, move=move)
    core = ((disc[:, None] + disc) < 8**2).expand(1, 3, -1, -1)
    around = ((disc[:, None] + disc) > 26**2).expand(1, 3, -1, -1)
    ghost = (result - edited)[core].square().mean().sqrt()
    kept = (result - edited - freckles)[around].square().mean().sqrt()
    assert ghost < 0.15 * freckles.std() and kept < 0.05 * freckles.std()


def test_what_was_hidden_gets_no_detail_of_what_hid_it() -> None:
    """A dark square moves away; where it was the edit shows a flat ground, and no rest of the square's detail."""
    ground, square = torch.full((1, 3, SIZE, SIZE), 0.5), (..., slice(36, 60), slice(30, 54))
    before, after = ground.clone(), ground.clone()
    before[square] = -0.5
    after[..., 36:60, 42:66] = -0.5
    residual = torch.zeros_like(before)
    residual[square] = 0.2 * texture(3, 2)[square]
    result = with_detail(before + residual, before, after)
    uncovered = (result - after)[..., 40:56, 31:38]
    assert uncovered.square().mean().sqrt() < 0.25 * residual[square].std()


def test_lengths_follow_the_size_of_the_photo(drawn: Tensor, freckles: Tensor) -> None:
    photo, edited = drawn + freckles, drawn + 0.2 * texture(9, 16)

    def twice(image: Tensor) -> Tensor:
        return F.interpolate(image, scale_factor=2, mode="bilinear")

    small = with_detail(photo, drawn, edited, move=False)
    large = with_detail(twice(photo), twice(drawn), twice(edited), move=False, scale=2)
    assert error(F.avg_pool2d(large, 2), F.avg_pool2d(twice(small), 2)) < 0.1 * error(small, edited)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (9, 9)])
def test_the_smallest_parts_work_and_nothing_given_is_changed(size: tuple[int, int]) -> None:
    rng = torch.Generator().manual_seed(0)
    given = [torch.rand(1, 3, *size, generator=rng) * 2 - 1 for _ in range(3)]
    kept = [tensor.clone() for tensor in given]
    result = with_detail(given[0], given[1], given[2])
    assert result.shape == given[0].shape and result.isfinite().all()
    assert all(torch.equal(one, other) for one, other in zip(given, kept, strict=True))


def test_what_does_not_fit_is_refused(drawn: Tensor) -> None:
    for given, message in (
        ((drawn.repeat(2, 1, 1, 1),) * 3, r"2 pictures of 96x96.*one picture each, \[1,3,H,W\]"),
        ((drawn, drawn[..., 1:], drawn), "96x96, a picture of 95x96, a picture"),
        ((drawn[0], drawn, drawn), r"a tensor of shape \[3, 96, 96\]"),
        ((drawn, drawn, drawn * torch.nan), "NaN or infinite"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            with_detail(*given)
    for scale in (0.0, float("inf"), float("nan")):
        with pytest.raises(InvalidInputError, match="the scale is"):
            with_detail(drawn, drawn, drawn + 0.1, scale=scale)
