"""What a projection is asked for, against what the generator and the segments can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..segments.segment_masks import Segments
from .config import ProjectionConfig
from .regions import levels

TOGETHER = "together"  # the curve of the loss that all segments share in joint mode


def check_setup(
    generator: Generator, segments: Segments, spaces: Sequence[str], config: ProjectionConfig
) -> None:
    """Raise InvalidInputError for what this generator or these segments can't do."""
    if config.refine_every:
        segments.resolve(config.refine)
    if generator.c_dim and "z" in spaces:
        raise InvalidInputError("this generator draws classes, which z knows nothing of; choose w, w+ or s")
    missing = {size for _, size in levels(config, generator.img_resolution)} - {*generator.out_resolutions}
    if missing:
        raise InvalidInputError(
            f"this generator makes {generator.img_resolution} pixels only; set coarse to 0"
        )
    if config.mode == "joint" and TOGETHER in segments.names:
        raise InvalidInputError(f"a segment is named {TOGETHER!r}, as the common curve is; rename it")


def segment_spaces(segments: Segments, config: ProjectionConfig) -> tuple[str, ...]:
    """The space of each segment. Raises InvalidInputError for a name that isn't among them."""
    chosen = dict.fromkeys(segments.names, config.space)
    for entry, space in config.spaces.items():
        chosen.update(dict.fromkeys(segments.resolve((entry,)), space))
    return tuple(chosen.values())


def plain_settings(config: ProjectionConfig) -> dict[str, Any]:
    """The config as plain values. Of a network's file only the name: an inversion may be shared, a path not."""
    settings = asdict(config)
    for name in ("lpips_net", "identity_net"):
        settings["losses"][name] = Path(settings["losses"][name]).name
    return settings
