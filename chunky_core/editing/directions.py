"""Directions in latent space, read from files: .safetensors of this project, or a plain NumPy array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.spaces import Direction

DEMO_DIRECTIONS = Path(__file__).parent.parent / "demo" / "assets" / "directions.safetensors"
ALIASES = {"gaze": "gaze_x"}  # short names, added where the long one is present
SUFFIXES = (".safetensors", ".npy")
_PREFIX = "directions/"


def load_directions(source: str | Path) -> dict[str, Direction]:
    """Directions by name, from "demo", a .safetensors file or a .npy file; 1.0 along one = one standard
    deviation.

    .safetensors: every tensor named directions/NAME. .npy: one array, [w_dim] or [1,w_dim] (moves every layer
    alike) or [num_ws,w_dim] (each layer by itself); the file's name becomes the direction's. Raises
    InvalidInputError for a file that is absent, damaged, of another kind, or holds other shapes or values
    that aren't finite.
    """
    path = DEMO_DIRECTIONS if source == "demo" else Path(source)
    readers = dict(zip(SUFFIXES, (_read_safetensors, _read_npy), strict=True))
    if path.suffix not in readers:
        raise InvalidInputError(f"{path} is no direction file; expected one of {', '.join(readers)}")
    if not path.is_file():
        raise InvalidInputError(f"there is no direction file {path}; check the path")
    directions = readers[path.suffix](path)
    known = {short: directions[name] for short, name in ALIASES.items() if name in directions}
    return known | directions


def _read_safetensors(path: Path) -> dict[str, Direction]:
    try:
        with safe_open(str(path), framework="pt") as file:
            names = [name for name in list(file.keys()) if name.startswith(_PREFIX)]
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(f"{path} can't be read as a .safetensors file ({error})") from error
    if not tensors:
        raise InvalidInputError(f"{path} holds no tensor named {_PREFIX}...; it is no direction file")
    named = {key.removeprefix(_PREFIX): tensor for key, tensor in tensors.items()}
    return {name: _direction(name, tensor, path) for name, tensor in named.items()}


def _read_npy(path: Path) -> dict[str, Direction]:
    try:
        array = np.load(path, allow_pickle=False)
        tensor = torch.from_numpy(np.asarray(array, dtype=np.float32))
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise InvalidInputError(f"{path} can't be read as a plain array of numbers ({error})") from error
    return {path.stem: _direction(path.stem, tensor, path)}


def _direction(name: str, tensor: Tensor, path: Path) -> Direction:
    if tensor.ndim == 2 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.ndim not in (1, 2) or tensor.numel() == 0:
        raise InvalidInputError(
            f"direction {name!r} of {path} is {tuple(tensor.shape)}; expected [w_dim] or [num_ws, w_dim]"
        )
    if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
        raise InvalidInputError(f"direction {name!r} of {path} holds values that aren't finite numbers")
    return Direction(name, "w" if tensor.ndim == 1 else "w+", tensor.float())
