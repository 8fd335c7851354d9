"""The generator as it draws one segment of an inversion, for a projection of that segment alone."""

from __future__ import annotations

from ..generator.architecture import build_module
from ..generator.generator import Generator
from ..inversion import Inversion, SegmentCode
from ..inversion.tuning import segment_generator


def own_generator(generator: Generator, inversion: Inversion, segment: SegmentCode) -> Generator:
    """The generator as it draws the segment: with its tuning, and with the inversion's noise maps as its own,
    because the projection takes no others that stand still.
    """
    own = segment_generator(generator, inversion, segment)
    if not inversion.noise:
        return own
    state = dict(own.module.state_dict())
    for (layer, _), values in zip(own.noise_layout, inversion.noise, strict=True):
        state[f"synthesis.{layer}.noise_const"] = values
    module = build_module(own.architecture, state, own.device, own.dtype)
    return Generator(module, own.metadata, architecture=own.architecture)
