"""How large a SegFormer's results become for an image, known from its configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UnsupportedCheckpointError
from .settings import PER_BLOCK

MAX_RESULT = 1 << 29  # numbers in one result, 2 GB; the largest published SegFormer has 2^28 at 1024 x 1024
MAX_DEPTH = 256  # layers in all
_CONFIG = "config.json"


@dataclass(frozen=True)
class Stages:
    """The settings of a SegFormer, one entry per stage, by their names in config.json."""

    depths: Sequence[int]
    sr_ratios: Sequence[int]
    hidden_sizes: Sequence[int]
    patch_sizes: Sequence[int]
    strides: Sequence[int]
    num_attention_heads: Sequence[int]
    mlp_ratios: Sequence[int]
    decoder_hidden_size: int

    def largest_result(self, size: tuple[int, int]) -> float:
        """Numbers in the largest result for an image of (height, width); infinite where a stage has no pixel left."""
        sides: tuple[int, ...] = size
        areas, found = [], 0
        for index, (patch, stride) in enumerate(zip(self.patch_sizes, self.strides, strict=True)):
            sides = tuple((side + 2 * (patch // 2) - patch) // stride + 1 for side in sides)
            pixels, keys = math.prod(sides), math.prod(side // self.sr_ratios[index] for side in sides)
            if keys < 1:
                return math.inf
            areas.append(pixels)
            attention, wide = (
                self.num_attention_heads[index] * pixels * keys,
                self.hidden_sizes[index] * self.mlp_ratios[index],
            )
            found = max(found, attention, pixels * wide)
        return max(found, len(areas) * self.decoder_hidden_size * areas[0])


def stages_of(config: Any) -> Stages:
    """Of a SegformerConfig, in which every setting has a value. Raises UnsupportedCheckpointError."""
    lists = {key: list(getattr(config, key)) for key in PER_BLOCK}
    if any(len(values) != config.num_encoder_blocks for values in lists.values()):
        raise UnsupportedCheckpointError(
            f"{_CONFIG} has {config.num_encoder_blocks} blocks, but not as many of {', '.join(PER_BLOCK)}; fetch the "
            "file again"
        )
    stages = Stages(**lists, decoder_hidden_size=config.decoder_hidden_size)
    if sum(stages.depths) > MAX_DEPTH:
        raise UnsupportedCheckpointError(
            f"{_CONFIG} describes {sum(stages.depths)} layers; expected at most {MAX_DEPTH}: fetch the file again"
        )
    return stages
