"""The picture of an inversion: deltas, noise maps and absent photos against generators changed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chunky_core.compositing import composite, render
from chunky_core.errors import InvalidInputError
from chunky_core.generator.architecture import build_module
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode, convert, synthesis_input
from chunky_core.generator.weight_deltas import with_weight_deltas
from chunky_core.inversion import Inversion, SegmentCode
from tests.devices import tolerance
from tests.inversion_tools import TUNED, make_inversion


@pytest.fixture(scope="module")
def inversion(generator: Generator) -> Inversion:
    return make_inversion(generator)


@pytest.fixture(scope="module")
def whole(generator: Generator) -> Inversion:
    """One segment that is the whole picture, so nothing of the photo shows."""
    rng = torch.Generator().manual_seed(5)
    size = generator.img_resolution
    code = LatentCode("z", torch.randn(1, generator.z_dim, generator=rng))
    segment = SegmentCode("all", torch.ones(1, 1, size, size), convert(generator, code, "w+"))
    photo = torch.rand(1, 3, size, size, generator=rng) * 2 - 1
    return Inversion(photo, (segment,), torch.zeros(1, 1, size, size), generator.fingerprint)


def changed(generator: Generator, tensors: dict[str, Tensor]) -> Generator:
    state = {**generator.module.state_dict(), **tensors}
    return Generator(build_module(generator.architecture, state, generator.device, generator.dtype))


def drawn(generator: Generator, inversion: Inversion) -> Tensor:
    return generator.synthesis(synthesis_input(generator, inversion.segments[0].code))


def random_maps(generator: Generator) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(6)
    return tuple(torch.randn(r, r, generator=rng) for _, r in generator.noise_layout)


def test_a_delta_is_added_to_the_weights(generator: Generator, whole: Inversion) -> None:
    weights = generator.module.state_dict()[TUNED].clone()
    delta = torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)).half()
    record = replace(whole, segments=(replace(whole.segments[0], delta={TUNED: delta}),))
    by_hand = changed(generator, {TUNED: weights + delta.float()})
    found, expected = render(generator, record), drawn(by_hand, whole)
    # the picture is in the photo's float32
    bound = 0.0 if generator.dtype == torch.float32 else max(1e-6, tolerance(generator.dtype))
    assert (found - expected).abs().max() <= bound * expected.abs().max()
    assert not torch.equal(found, render(generator, whole))
    assert torch.equal(generator.module.state_dict()[TUNED], weights)


def test_a_delta_changes_its_own_segment_only(generator: Generator, inversion: Inversion) -> None:
    plain = replace(inversion, segments=tuple(replace(s, delta={}) for s in inversion.segments))
    moved = (render(generator, inversion) != render(generator, plain)).any(dim=1, keepdim=True)
    assert moved.any() and not moved[inversion.segments[0].mask == 0].any()


def test_a_delta_of_zeros_changes_nothing(generator: Generator, whole: Inversion) -> None:
    zeros = {name: torch.zeros_like(p) for name, p in generator.module.named_parameters()}
    record = replace(whole, segments=(replace(whole.segments[0], delta=zeros),))
    assert torch.equal(render(generator, record), render(generator, whole))


def test_a_tuned_generator_in_inference_mode_can_be_differentiated_through(
    generator: Generator, whole: Inversion
) -> None:
    with torch.inference_mode():
        own = with_weight_deltas(generator, {TUNED: torch.ones_like(generator.module.state_dict()[TUNED])})
    assert own.fingerprint != generator.fingerprint and with_weight_deltas(generator, {}) is generator
    code = whole.segments[0].code.tensor.clone().requires_grad_()
    own.synthesis(code, box=(0, 0, 8, 8)).sum().backward()
    assert code.grad is not None and code.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "shape", "value", "message"),
    [
        ("synthesis.b9.conv0.weight", (1,), 0.0, "the parameter 'synthesis.b9.conv0.weight'.*doesn't have"),
        ("mapping.w_avg", (32,), 0.0, "doesn't have"),
        (TUNED, (3, 3), 0.0, r"has shape \[3, 3\]; expected"),
        ("synthesis.b8.conv0.bias", (64,), float("nan"), "NaN or infinity"),
    ],
)
def test_deltas_of_other_generators(
    generator: Generator, whole: Inversion, name: str, shape: tuple, value: float, message: str
) -> None:
    segment = replace(whole.segments[0], delta={name: torch.full(shape, value)})
    with pytest.raises(InvalidInputError, match=message):
        render(generator, replace(whole, segments=(segment,)))


def test_noise_maps_replace_the_generators_own(generator: Generator, whole: Inversion) -> None:
    state, maps = generator.module.state_dict(), random_maps(generator)
    names = [f"synthesis.{name}.noise_const" for name, _ in generator.noise_layout]
    stored = tuple(state[name].clone() for name in names)
    assert torch.equal(render(generator, replace(whole, noise=stored)), render(generator, whole))
    by_hand = changed(generator, dict(zip(names, maps, strict=True)))
    found = render(generator, replace(whole, noise=maps))
    assert torch.allclose(found, drawn(by_hand, whole).to(found), rtol=0, atol=1e-5)
    assert not torch.allclose(found, render(generator, whole), rtol=0, atol=1e-3)


def test_noise_maps_of_another_generator(generator: Generator, whole: Inversion) -> None:
    with pytest.raises(InvalidInputError, match="noise"):
        render(generator, replace(whole, noise=random_maps(generator)[:-1]))
    with pytest.raises(
        InvalidInputError, match=r"noise map 0 is \[4, 5\]; expected sides in the photo's ratio"
    ):
        replace(whole, noise=(torch.zeros(4, 5),))


def test_without_photo_a_picture_that_shows_nothing_of_it_is_the_same(
    generator: Generator, whole: Inversion
) -> None:
    assert torch.equal(render(generator, whole.without_photo()), render(generator, whole))
    assert torch.equal(composite(generator, whole.without_photo()), render(generator, whole))


def test_without_photo_static_parts_cannot_be_drawn(generator: Generator, inversion: Inversion) -> None:
    for draw in (render, composite):
        with pytest.raises(InvalidInputError, match="saved without its photo.*with_photo"):
            draw(generator, inversion.without_photo())


def test_a_record_has_its_photo_or_the_digest(whole: Inversion) -> None:
    for change in ({"photo": None}, {"absent_photo": "a" * 64}):
        with pytest.raises(InvalidInputError, match="photo"):
            replace(whole, **change)


def test_rendering_in_inference_mode_gives_the_same(generator: Generator, inversion: Inversion) -> None:
    with torch.inference_mode():
        picture = render(generator, inversion)
    assert torch.equal(picture, render(generator, inversion))


@pytest.mark.parametrize("strange", [float("nan"), float("inf")])
def test_a_code_that_is_not_finite_is_named(
    generator: Generator, inversion: Inversion, strange: float
) -> None:
    first, *others = inversion.segments
    spoilt = replace(first, code=replace(first.code, tensor=first.code.tensor * strange))
    broken = replace(inversion, segments=(spoilt, *others))
    for draw in (render, composite):
        with pytest.raises(InvalidInputError, match=f"the code of segment '{first.name}'.* holds NaN"):
            draw(generator, broken)
