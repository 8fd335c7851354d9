"""What would load as another network than it is: pictures that aren't square, classes whose embedding is missing."""

from __future__ import annotations

import re

from ..errors import UnsupportedCheckpointError
from .checkpoint import PartialCheckpoint

_BLOCK = re.compile(r"synthesis\.b(\d{1,5})\.")
_Z_LIKE_W = ("rosinality", "PaddleGAN", "BasicSR", "GFPGAN", "mmagic")  # tools whose z is as wide as w
_HUMAN_LAYER = re.compile(r"synthesis\.L0_18_\d+\.")


def check_supported(partial: PartialCheckpoint, size_of_z_is_known: bool) -> None:
    """Raises UnsupportedCheckpointError for a rectangular generator, and for a conditional one without its embedding.

    size_of_z_is_known: whether the file says how many numbers z has, so that more of them can't be a class.
    """
    _check_square(partial)
    if not size_of_z_is_known:
        _check_embedding(partial)


def _check_square(partial: PartialCheckpoint) -> None:
    start = partial.state.get("synthesis.b4.const")
    halved = partial.config_hints.get("margin_size", 10) == 10 and any(map(_HUMAN_LAYER.match, partial.state))
    if partial.config_hints.get("square") is False or halved:
        shape = tuple(start.shape) if start is not None else ()
        if len(shape) != 3 or shape[1] == shape[2]:
            raise UnsupportedCheckpointError(
                "it is a rectangular generator, as StyleGAN-Human's StyleGAN3; this version draws square pictures only"
            )
    if start is None or start.ndim not in (3, 4):
        return
    height, width = start.shape[-2:]
    largest = max((int(match[1]) for match in map(_BLOCK.match, partial.state) if match), default=4)
    high, wide = height * largest // 4, width * largest // 4
    if height != width:
        raise UnsupportedCheckpointError(
            f"it is a rectangular generator of {wide}x{high} pixels (width x height); this version draws square "
            "ones only"
        )
    if height != 4 and start.ndim == 3:
        raise UnsupportedCheckpointError(
            f"it is a generator of {wide}x{high} pixels that starts from {width}x{height}; this version draws sizes of "
            "a power of two only, which start from 4x4"
        )


def _check_embedding(partial: PartialCheckpoint) -> None:
    first = partial.state.get("mapping.fc0.weight")
    if first is None or first.ndim != 2 or "mapping.embed.weight" in partial.state:
        return
    width, inputs = first.shape
    stated, classes = partial.config_hints.get("z_dim"), partial.config_hints.get("c_dim")
    conditional = type(classes) is int and classes > 0
    if type(stated) is int and stated > 0:
        conditional |= inputs != stated
    elif inputs > width:
        rosinality = partial.format.startswith(_Z_LIKE_W)
        conditional |= inputs >= 2 * width if rosinality else inputs == 2 * width
        partial.notes.append(f"z has {inputs} numbers, w {width}; a class's embedding may be missing")
    if conditional:
        raise UnsupportedCheckpointError(
            f"its mapping network takes {inputs} numbers where w has {width}: z and a class side by side, but the "
            "classes' embedding (mapping.embed) is missing; save the conditional network as a whole, "
            "e.g. NVlabs' .pkl as it is"
        )
