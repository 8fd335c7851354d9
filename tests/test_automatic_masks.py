"""Masks of photos in which nothing was painted."""

from __future__ import annotations

import pytest
import torch

import chunky_core as cg
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import LABELS
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.segments.mask_generator import MaskGenerator, load_mask_generator


@pytest.fixture(scope="module")
def demo() -> Generator:
    return cg.load_generator("demo", device="cpu")


@pytest.fixture(scope="module")
def finder(demo: Generator) -> MaskGenerator:
    return load_mask_generator("demo", generator=demo)


pytestmark = pytest.mark.cpu("the demo generator is loaded onto it")


def test_parts_of_a_held_out_photo_are_found(demo: Generator, finder: MaskGenerator) -> None:
    """Against the true labels; a fit of a few steps, read by half of the networks, already tells the large parts."""
    photo, finder = demo_photo(9002), finder.with_members(2)
    before, seen = photo.image.clone(), []
    found = cg.masks_of_photo(
        demo, finder, photo.image, 6, static=("background",), callback=lambda *given: seen.append(given)
    )
    assert torch.equal(photo.image, before) and [step for step, *_ in seen] == list(range(1, 7))
    for name in ("background", "skin", "hair"):
        own, true = found.labels[0] == finder.names.index(name), photo.labels == LABELS.index(name)
        assert (own & true).sum() > 0.6 * (own | true).sum(), name
    assert "background" not in found.masks.names and found.masks.static.max() > 0.9
    assert found.masks.static.shape == found.uncertainty.shape == (1, 1, 256, 256)
    assert found.code.space == "w+" and not found.code.tensor.requires_grad


def test_what_does_not_fit_is_refused(demo: Generator, finder: MaskGenerator, generator: Generator) -> None:
    with pytest.raises(WrongGeneratorError, match=finder.fingerprint[:12]):
        cg.masks_of_photo(generator, finder, torch.zeros(1, 3, 64, 64))
    with pytest.raises(InvalidInputError, match="256"):
        cg.masks_of_photo(demo, finder, torch.zeros(1, 3, 64, 64), 1)
    with pytest.raises(InvalidInputError, match="steps"):
        cg.masks_of_photo(demo, finder, torch.zeros(1, 3, 256, 256), 0)
