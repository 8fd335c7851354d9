"""Directions in latent space, read from files of this project and of other tools."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ..checks import as_path
from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from ..generator.spaces import Direction
from .direction_files import OWN_PREFIX, SUFFIXES, named_vectors

DEMO_DIRECTIONS = Path(__file__).parent.parent / "demo" / "assets" / "directions.safetensors"
ALIASES = {"gaze": "gaze_x"}  # short names, added where the long one is present
MAX_LAYERS = 256


def load_directions(source: str | Path) -> dict[str, Direction]:
    """Directions by name, from "demo" or a file; 1.0 along one = one standard deviation.

    .safetensors: the tensors named directions/NAME, or all tensors where none has that prefix; .npz, and .pt,
    .pth and .pkl with a dict: the arrays by their names; .npy, and .pt and .pkl with one tensor: one direction
    under the file's name. Each is [w_dim] (moves every layer alike) or [num_ws,w_dim] (each layer by itself),
    with any number of leading dimensions of 1, of floats or integers. Nothing in a file is executed.
    Raises InvalidInputError for a file that is absent, damaged, of another kind, or holds other shapes or values
    that aren't finite.
    """
    is_demo = isinstance(source, str) and source == "demo"
    path = DEMO_DIRECTIONS if is_demo else as_path(source, "the file of directions")
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"{path} is no direction file; expected one of {', '.join(SUFFIXES)}")
    try:
        vectors = named_vectors(path)
    except (MissingWeightsError, UnsupportedCheckpointError) as error:
        reason = str(error).removeprefix(f"{path.name}: ")
        raise InvalidInputError(f"no directions from {path}: {reason}") from error
    directions = {name: _direction(name, tensor, path) for name, tensor in vectors.items()}
    known = {short: directions[name] for short, name in ALIASES.items() if name in directions}
    return known | directions


def directions_of(fingerprint: str) -> dict[str, Direction]:
    """The directions that come with a generator, by its fingerprint. Raises InvalidInputError where none do."""
    with safe_open(DEMO_DIRECTIONS, "pt") as file:
        made_for = file.metadata()["generator"]
    if made_for != fingerprint:
        raise InvalidInputError(
            f"no directions come with generator {fingerprint[:12]}; read them with load_directions from a file that "
            "was made for it"
        )
    return load_directions("demo")


def _direction(name: str, tensor: Tensor, path: Path) -> Direction:
    shape = tuple(tensor.shape)
    while tensor.ndim > 1 and len(tensor) == 1:
        tensor = tensor[0]
    rows = len(tensor) if tensor.ndim == 2 else 1
    if tensor.ndim not in (1, 2) or tensor.shape[-1] < 2 or not 1 <= rows <= MAX_LAYERS:
        raise InvalidInputError(
            f"direction {name[:80]!r} of {path} is {shape}; expected [w_dim] or [num_ws, w_dim]; "
            f"tensors beside directions are passed over where directions are named {OWN_PREFIX}NAME"
        )
    if not torch.isfinite(tensor).all():
        raise InvalidInputError(
            f"direction {name[:80]!r} of {path} holds values that aren't finite numbers of float32; save it anew"
        )
    return Direction(name, "w" if tensor.ndim == 1 else "w+", tensor)
