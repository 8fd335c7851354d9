"""Masks that a mask generator moves: what Segmented Projection is given for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import LatentCode
from ..chunky_core.inversion import Inversion, ProjectionConfig
from ..chunky_core.inversion.generated_masks import GeneratedMasks, code_of_masks, mask_code_start, vanished
from ..chunky_core.inversion.given_codes import single_codes
from ..chunky_core.inversion.presets import PRESETS
from ..chunky_core.inversion.validation import check_moving_masks
from ..chunky_core.segments import SegmentMasks
from ..chunky_core.segments.mask_generator import MaskGenerator
from .host import per_photo
from .projection_inputs import CUSTOM
from .types import CodeIO, InversionBatch, InversionIO, MaskGeneratorIO

NOT_LINKED = object()  # the host gives None for an input that is linked
CodesOfMasks: TypeAlias = LatentCode | InversionBatch


@dataclass(frozen=True, eq=False)
class MovingMasks:
    """mask_generator: what draws the masks of one photo. code: X^S to set out from, in w+, or None."""

    mask_generator: MaskGenerator
    code: LatentCode | None = None

    def described(self) -> tuple[str, list[Tensor]]:
        """What a job's key is made of."""
        return self.mask_generator.digest(), [] if self.code is None else [self.code.tensor]


def remarks_on_vanished(record: Inversion) -> list[str]:
    """A sentence for each segment of which the result shows nothing, where its masks moved."""
    if record.mask_code is None:
        return []
    return [
        f"segment {name!r} vanished: {other!r} has its place. Leave it out of the segments, or connect a code "
        "whose picture shows it to mask_code"
        for name, other in vanished(record.masks).items()
    ]


def moving_inputs() -> list[io.Input]:
    """Those of Segmented Projection, which come last and have no widget."""
    return [
        MaskGeneratorIO.Input(
            "mask_generator",
            optional=True,
            tooltip="The masks are then fitted with the codes: segments say which of its classes have a segment, and "
            "what is static. For mode = joint with optimizer = adam, refine_every = 0 and no preset.",
        ),
        io.MultiType.Input(
            "mask_code",
            types=[CodeIO, InversionIO],
            optional=True,
            tooltip="The code whose masks the mask generator sets out from: that of Generate Masks, or an inversion, "
            "such as Encode Segments gives. Without it the warm-up's code.",
        ),
    ]


def check_can_move(mask_generator: object, mask_code: object, config: ProjectionConfig, preset: str) -> None:
    """Raise InvalidInputError, with what to do, where the widgets don't allow masks that move."""
    if mask_generator is not None and preset != CUSTOM:
        raise InvalidInputError(
            f"the preset {preset!r:.40} leaves masks as they are; set preset to {CUSTOM} and mode to joint, or take "
            "the mask generator off"
        )
    check_moving_masks(mask_generator, mask_code, config, None)


def explained_before_the_run(
    mode: str | None, optimizer: str | None, refine_every: int | None, preset: str | None, linked: bool
) -> bool | str:
    """In place of the host's check of these widgets, so that what a mask generator needs is told at once. None: a
    link brings it.
    """
    if preset not in (None, CUSTOM, *PRESETS):
        return f"preset is {preset!r:.40}; choose one of {', '.join((CUSTOM, *PRESETS))}"
    if preset not in (None, CUSTOM):
        mode = optimizer = refine_every = None  # they don't count
    try:
        config = ProjectionConfig(
            mode=mode or "joint", optimizer=optimizer or "adam", refine_every=refine_every or 0, space="w"
        )
        check_can_move(NOT_LINKED if linked else None, None, config, preset or CUSTOM)
    except InvalidInputError as error:
        return str(error)
    return True


def moving_masks(
    generator: Generator,
    mask_generator: MaskGenerator | None,
    mask_code: CodesOfMasks | None,
    masks: Sequence[SegmentMasks],
) -> tuple[MovingMasks | None, ...]:
    """For each photo, whose masks are given, what moves them; all None without a mask generator.

    Raises InvalidInputError for segments that are no classes of it and codes that don't fit, WrongGeneratorError.
    """
    if mask_generator is None:
        return (None,) * len(masks)
    for one in masks:
        GeneratedMasks(generator, mask_generator, one.names, one.static)
    codes = per_photo(codes_of_masks(generator, mask_code), len(masks), "codes of masks")
    return tuple(MovingMasks(mask_generator, code) for code in codes)


def codes_of_masks(generator: Generator, given: CodesOfMasks | None) -> tuple[LatentCode | None, ...]:
    """One code in w+ for each photo, or (None,)."""
    if given is None:
        return (None,)
    if isinstance(given, LatentCode):
        codes = single_codes(given)
    else:
        codes = [code_of_masks(generator, one) for one in given]
    return tuple(mask_code_start(generator, code, 0) for code in codes)
