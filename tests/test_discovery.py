"""Directions found in generators, against the formulas of the papers computed another way, and on the demo domain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import chunky_core as cg
from chunky_core.editing.discovery import find_components
from chunky_core.editing.discovery.features import feature_layers, features_of
from chunky_core.editing.discovery.sefa import affine_weights
from chunky_core.errors import InvalidInputError
from chunky_core.generator.architecture import architecture_from, build_module
from chunky_core.generator.generator import Generator
from chunky_core.generator.statistics import GeneratorStatistics, draw_codes, measure_statistics
from tests import rectangles

DATA = Path(__file__).parent / "data"
pytestmark = pytest.mark.cpu("closed forms, whatever the device")


def recorded(name: str) -> Generator:
    state = {key.removeprefix("state/"): one for key, one in load_file(DATA / f"{name}.safetensors").items()}
    state = {key: one for key, one in state.items() if key.startswith(("mapping.", "synthesis."))}
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    return Generator(build_module(architecture_from(shapes), state, torch.device("cpu"), torch.float32))


@pytest.fixture(scope="module")
def small(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(resolution=16, channel_base=256)


@pytest.fixture(scope="module")
def spread(small: Generator) -> GeneratorStatistics:
    return measure_statistics(small, 500)


def alignment(one: Tensor, other: Tensor) -> float:
    """|cosine|."""
    one, other = one.double().flatten(), other.double().flatten()
    return float((one @ other).abs() / (one.norm() * other.norm()))


def test_sefa_is_the_authors_closed_form(small: Generator, spread: GeneratorStatistics) -> None:
    """Their code concatenates the style weights of the layers, makes each row 1 long, and takes eigenvectors."""
    layers = (1, 2)  # W+ 1 and 2 are read by the two convolutions of the block of 8 pixels
    synthesis = small.module.synthesis
    rows = torch.cat([synthesis.get_submodule(f"b8.{name}.affine").weight for name in ("conv0", "conv1")])
    rows = (rows / rows.norm(dim=1, keepdim=True)).double().numpy()
    import numpy as np

    values, vectors = np.linalg.eig(rows.T @ rows)
    order = np.argsort(-values)
    found = cg.sefa_directions(small, layers, 5, spread)
    for direction, index in zip(found, order, strict=False):
        assert alignment(direction.tensor, torch.from_numpy(vectors[:, index].copy())) > 0.9999
    assert [one.name for one in found] == [f"sefa_1-2_{index}" for index in range(5)]
    assert found[2].source == "SeFa, layers 1-2, component 2"
    assert found[0].layers == layers and found[0].fingerprint == small.fingerprint


def test_the_last_layer_is_read_by_its_rgb_output_alone(small: Generator) -> None:
    torgb = small.module.synthesis.get_submodule("b16.torgb.affine")
    found = affine_weights(small, (small.num_ws - 1,))
    torch.testing.assert_close(found, torgb.weight * torgb.weight_gain, rtol=1e-4, atol=1e-5)


def test_whitened_sefa_changes_styles_most_per_deviation(
    small: Generator, spread: GeneratorStatistics
) -> None:
    """Its first component's styles have the largest variance that any direction's have, over the generator's codes."""
    weights, (first, *_) = (
        affine_weights(small).double(),
        cg.sefa_directions(small, (), 3, spread, whiten=True),
    )
    covariance = spread.w_covariance.double()
    inverse = torch.linalg.pinv(covariance, hermitian=True)

    def gain(direction: Tensor) -> Tensor:
        return (weights @ direction).square().sum() / (direction @ inverse @ direction)

    best = torch.linalg.matrix_norm(weights @ torch.linalg.cholesky(covariance), 2) ** 2
    torch.testing.assert_close(gain(first.tensor.double()), best, rtol=1e-4, atol=0)


@pytest.mark.parametrize("method", ["SeFa", "SeFa whitened", "GANSpace W", "GANSpace features"])
@pytest.mark.parametrize("kind", ["stylegan3", "sg3_classes", "tall", "resnet", "classes"])
def test_every_architecture_and_unit(kind: str, method: Any) -> None:
    """Strength 1 is one standard deviation of the generator's codes along the direction."""
    makers: dict[str, Callable[[], Generator]] = {
        "stylegan3": rectangles.stylegan3,
        "sg3_classes": lambda: recorded("sg3_r_16"),
        "tall": lambda: rectangles.stylegan2((4, 2), 2),
        "resnet": lambda: recorded("sg2_resnet_16"),
        "classes": lambda: recorded("sg2_conditional_16"),
    }
    generator = makers[kind]()
    known = measure_statistics(generator, 300)
    found = find_components(generator, method, (1, 2), 2, known, samples=12)
    _, w = draw_codes(generator, 300, 0)
    for direction in found:
        unit = direction.tensor / direction.tensor.norm()
        deviation = (w @ unit).std(correction=0)
        torch.testing.assert_close(direction.tensor.norm(), deviation, rtol=1e-3, atol=1e-6)
        assert direction.unit == "sigma" and direction.layers == (1, 2)


def test_ganspace_finds_the_axes_of_w(small: Generator, spread: GeneratorStatistics) -> None:
    _, w = draw_codes(small, 500, 0)
    centered = (w - w.mean(dim=0)).double()
    _, sizes, axes = torch.linalg.svd(centered, full_matrices=False)
    for index, direction in enumerate(cg.ganspace_directions(small, (), 3, spread)):
        assert alignment(direction.tensor, axes[index]) > 0.9999
        assert float(direction.tensor.norm()) == pytest.approx(float(sizes[index]) / 500**0.5, rel=1e-3)


def test_features_are_compared_without_the_rest_of_the_synthesis(small: Generator) -> None:
    """Against a decomposition of all features at once, and w regressed on it; the last component's row is noise."""
    layer = feature_layers(small)[2]
    _, w = draw_codes(small, 24, 5)
    rows = torch.cat([features_of(small, layer, one[None]) for one in w]).double()
    turned, sizes, _ = torch.linalg.svd(rows - rows.mean(dim=0), full_matrices=False)
    scores = (turned * sizes)[:, :3]
    expected = torch.linalg.lstsq(scores, (w - w.mean(dim=0)).double()).solution
    heard: list[int] = []
    found = cg.feature_directions(
        small, count=3, feature_layer=2, samples=24, seed=5, callback=lambda done, *_: heard.append(done)
    )
    for direction, row in zip(found, expected, strict=True):
        assert alignment(direction.tensor, row) > 0.999
    assert heard[-1] == 24
    assert found[1].source == "GANSpace b8.conv1, layers all, component 1"


def test_an_interruption_leaves_no_hook(small: Generator) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cg.feature_directions(small, samples=24, count=2, callback=stop)
    assert not any(module._forward_hooks for module in small.module.modules())


def test_signs_follow_from_the_numbers(small: Generator, spread: GeneratorStatistics) -> None:
    for direction in (
        *cg.sefa_directions(small, (), 8, spread),
        *cg.ganspace_directions(small, (), 8, spread),
    ):
        assert direction.tensor[direction.tensor.abs().argmax()] > 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda g: cg.sefa_directions(g, (), 33), "there are 1 to 32"),
        (lambda g: cg.sefa_directions(g, (), 0), "there are 1 to 32"),
        (lambda g: cg.sefa_directions(g, (99,)), "layer 99"),
        (lambda g: cg.feature_directions(g, feature_layer=40), "expected 0 to 4"),
        (lambda g: cg.feature_directions(g, count=5, samples=5), "fewer than samples"),
        (lambda g: find_components(g, "sefa"), "SeFa whitened"),
    ],
)
def test_what_cannot_be_found_is_explained(
    small: Generator, call: Callable[[Generator], object], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        call(small)
