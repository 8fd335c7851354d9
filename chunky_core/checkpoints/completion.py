"""What some formats leave out of a generator's weights: filters, noise, the mean of w."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from ..errors import UnsupportedCheckpointError
from ..generator.architecture import Architecture
from ..generator.module import MAX_RESOLUTION
from ..generator.region_plan import CONST_SIZE
from .checkpoint import PartialCheckpoint

SAMPLES = 10_000
_CHUNK = 1_000
MAX_TAPS = 16
_LAYER = re.compile(r"synthesis\.b(\d{1,4})\.(conv[01]|skip)\.weight")


def complete(partial: PartialCheckpoint) -> bool:
    """Adds what is missing and can be; True where w_avg is a placeholder that `estimate_w_avg` has to replace.

    Noise is added without its values, which `draw_noise` gives once the network is known to be one.
    Raises UnsupportedCheckpointError where the resampling filter is none.
    """
    if "synthesis.input.freqs" not in partial.state:
        _add_filters(partial)
        _add_noise(partial)
    first = partial.state.get("mapping.fc0.weight")
    if first is None or first.ndim != 2 or "mapping.w_avg" in partial.state:
        return False
    partial.state["mapping.w_avg"] = torch.zeros(first.shape[0])
    partial.notes.append(f"the file has no mean of w; w_avg is the mean of {SAMPLES} seeded samples")
    return True


def _add_filters(partial: PartialCheckpoint) -> None:
    """Adds the resampling filters that a format stores as settings, if at all."""
    kernel = _kernel(partial.config_hints.get("resample_filter", [1.0, 3.0, 3.0, 1.0]))
    square = torch.outer(kernel, kernel)
    for name in list(partial.state):
        match = _LAYER.fullmatch(name)
        if match:
            for owner in (f"synthesis.b{match[1]}", f"synthesis.b{match[1]}.{match[2]}"):
                partial.state.setdefault(f"{owner}.resample_filter", square / square.sum())


def _kernel(found: object) -> Tensor:
    """The filter's taps [n] in one direction."""
    taps: list[Any] = list(found[: MAX_TAPS + 1]) if isinstance(found, list | tuple) else []
    numbers = all(isinstance(tap, int | float) and 0 <= tap < 1e6 for tap in taps)
    if not numbers or not any(taps) or len(taps) > MAX_TAPS:
        raise UnsupportedCheckpointError(
            f"its resample_filter is no list of 1 to {MAX_TAPS} numbers from 0; expected e.g. [1, 3, 3, 1]"
        )
    return torch.tensor([float(tap) for tap in taps])


def _add_noise(partial: PartialCheckpoint) -> None:
    """Adds silent noise where no layer has any, and seeded noise where only its strength is stored."""
    layers = [match for match in map(_LAYER.fullmatch, list(partial.state)) if match and match[2] != "skip"]
    known = [(f"synthesis.b{m[1]}.{m[2]}", int(m[1])) for m in layers if _is_resolution(int(m[1]))]
    silent = not any(name.endswith(("noise_strength", "noise_const")) for name in partial.state)
    missing = [(layer, size) for layer, size in known if f"{layer}.noise_const" not in partial.state]
    if not missing:
        return
    height, width = _const_size(partial)
    for layer, size in missing:
        shape = (size // 4 * height, size // 4 * width)
        partial.state[f"{layer}.noise_const"] = torch.empty(shape, device="meta")
        if silent:
            partial.state[f"{layer}.noise_strength"] = torch.zeros(())
    kind = (
        "its layers have no noise" if silent else f"{len(missing)} layers store no noise; drawn with seed 0"
    )
    partial.notes.append(kind)


def _const_size(partial: PartialCheckpoint) -> tuple[int, int]:
    """(height, width) of the constant; that of NVlabs' networks where there is none or a strange one."""
    const = partial.state.get("synthesis.b4.const")
    if const is None or const.ndim != 3 or not 0 < max(const.shape[1:]) <= MAX_RESOLUTION:
        return CONST_SIZE
    return const.shape[1], const.shape[2]


def draw_noise(state: dict[str, Tensor]) -> None:
    """Gives noise maps that have a size only their values; a name in a small file may stand for a large map."""
    rng = torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        if tensor.is_meta:
            state[name] = torch.randn(tensor.shape, generator=rng)


def estimate_w_avg(architecture: Architecture, state: dict[str, Tensor]) -> Tensor:
    """The mean of w [w_dim] over seeded draws of z, and of a class where there are classes."""
    mapping = architecture.empty_module().mapping
    weights = {name.removeprefix("mapping."): tensor for name, tensor in state.items()}
    own = {name: weights[name].float() for name in mapping.state_dict()}
    mapping.load_state_dict(own, assign=True)
    rng = torch.Generator().manual_seed(0)
    total = torch.zeros(architecture.w_dim, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(SAMPLES // _CHUNK):
            z = torch.randn(_CHUNK, architecture.z_dim, generator=rng)
            total += mapping(z, _labels(architecture.c_dim, rng))[:, 0].double().sum(0)
    return (total / SAMPLES).float()


def _labels(classes: int, rng: torch.Generator) -> Tensor | None:
    if not classes:
        return None
    drawn = torch.randint(classes, (_CHUNK,), generator=rng)
    return torch.nn.functional.one_hot(drawn, classes).float()


def _is_resolution(size: int) -> bool:
    return 4 <= size <= MAX_RESOLUTION and size & (size - 1) == 0
