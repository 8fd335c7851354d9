"""Files of this package whose tensors are fine and whose settings are any numbers, likely and absurd."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import lru_cache
from math import prod
from random import Random
from typing import Any

from chunky_core.errors import UnsupportedCheckpointError
from chunky_core.generator.architecture import Architecture, StyleGAN2Architecture
from chunky_core.generator.stylegan3 import StyleGAN3Architecture
from chunky_core.generator.stylegan3_limits import HINTED

MAX_NUMBERS = 1 << 19  # of a case's weights
_FLOATS = (5e-324, 1e-310, 1e-38, 1e-6, 0.0, -1.0, 0.3, 0.5, 1.0, 1.23, 2.0, 4.0, 16.0, 1e3, 1e38, 1e308)
_FLOATS += (float("inf"), float("-inf"), float("nan"))
_WHOLE = (0, 1, 2, 3, 4, 6, 8, 10, 14, 63, 64, 65, 128, 255, 256, 4096, 2**24, 2**31, 2**63, 10**30)


def any_settings(_data: bytes, rng: Random) -> bytes:
    """A file of a StyleGAN3, one in five of a StyleGAN2, with up to four settings replaced.

    Where the result is still a network, the tensors are that network's; else they are those before the change.
    """
    architecture = _stylegan2(rng) if rng.random() < 0.2 else _stylegan3(rng)
    names = [field.name for field in fields(architecture) if field.name in HINTED]
    changes = {name: _value(name, rng) for name in rng.sample(names, rng.randint(1, min(4, len(names))))}
    changed = replace(architecture, **changes)
    return _file(changed, _shapes(changed) or _shapes(architecture) or {})


def _stylegan3(rng: Random) -> StyleGAN3Architecture:
    resolution = 2 ** rng.randint(4, 10)
    radial = rng.random() < 0.5
    layers = rng.choice((2, 3, 4, 8, 14, 14, 14, 64))
    return StyleGAN3Architecture(
        2, 2, 0, resolution, 3, 2 * resolution, 2, num_layers=layers, use_radial_filters=radial,
        conv_kernel=1 if radial else 3, num_critical=rng.randint(1, layers - 1),
    )  # fmt: skip


def _stylegan2(rng: Random) -> StyleGAN2Architecture:
    resolution = 2 ** rng.randint(3, 6)
    return StyleGAN2Architecture(2, 2, 0, resolution, 3, 2 * resolution, 2, 2)


def _value(name: str, rng: Random) -> float:
    allowed = HINTED[name]
    between = rng.uniform(allowed.lowest, min(allowed.highest, 100))
    near = rng.choice((allowed.lowest, allowed.highest, between))
    if rng.random() < 0.6:
        return int(near) if allowed.whole else near
    return rng.choice(_WHOLE if allowed.whole else _FLOATS)


@lru_cache(maxsize=64)
def _shapes(architecture: Architecture) -> Mapping[str, tuple[int, ...]] | None:
    """The network's tensors; None where there is no such network or it is too large for a case."""
    try:
        state = architecture.empty_module().state_dict()
    except UnsupportedCheckpointError:
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return shapes if sum(map(prod, shapes.values())) <= MAX_NUMBERS else None


def _file(architecture: Architecture, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    header: dict[str, Any] = {
        "__metadata__": {"format": "chunkygan-generator", "version": "1", **architecture.as_metadata()}
    }
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)
