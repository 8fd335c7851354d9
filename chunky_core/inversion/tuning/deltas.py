"""The generator as it draws each segment of an inversion, its deltas applied."""

from __future__ import annotations

from ...generator.generator import Generator
from ...generator.weight_deltas import with_weight_deltas
from ..record import Inversion
from ..segment_codes import SegmentCode


def segment_generator(generator: Generator, inversion: Inversion, segment: SegmentCode) -> Generator:
    """The generator with the inversion's delta, and the segment's own on top: itself where there are none.

    Raises InvalidInputError for a delta that doesn't fit the generator.
    """
    return with_weight_deltas(with_weight_deltas(generator, inversion.delta), segment.delta)


def segment_generators(generator: Generator, inversion: Inversion) -> list[Generator]:
    """`segment_generator` of each segment; those with the same delta, or without one of their own, have the same
    generator, so that no weights are made twice.
    """
    shared = with_weight_deltas(generator, inversion.delta)
    made: dict[int, Generator] = {}
    for segment in inversion.segments:
        if id(segment.delta) not in made:
            made[id(segment.delta)] = with_weight_deltas(shared, segment.delta)
    return [made[id(segment.delta)] for segment in inversion.segments]
