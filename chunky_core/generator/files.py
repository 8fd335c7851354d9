"""Generators on disk: one .safetensors file, weights under NVlabs' names, a header of strings. Nothing is
executed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from .architecture import Architecture, build_module
from .generator import Generator

FORMAT = "chunkygan-generator"
VERSION = 1
DEMO = Path(__file__).parent.parent / "demo" / "assets" / "generator.safetensors"


def load_generator(
    path: str | os.PathLike[str], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Generator:
    """Reads a generator saved by `save_generator`; "demo" is the one that comes with this package.

    May be called in inference mode; the result can be differentiated through outside of it. Warns, naming the
    tensor, where weights are not finite.
    Raises MissingWeightsError for a missing file, UnsupportedCheckpointError where it is something else.
    """
    file = DEMO if path == "demo" else Path(path)
    if not file.is_file():
        raise MissingWeightsError(
            f"there is no generator file {file}; check the path or reinstall the package"
        )
    with torch.inference_mode(False):
        metadata, state = _read(file)
        try:
            architecture = Architecture.from_shapes({name: tuple(t.shape) for name, t in state.items()})
        except UnsupportedCheckpointError as error:
            raise UnsupportedCheckpointError(f"{file.name}: {error}") from error
        _check_header(file, metadata, architecture)
        _warn_if_not_finite(file, state)
        return Generator(build_module(architecture, state, "cpu", torch.float32), metadata).to(device, dtype)


def save_generator(
    generator: Generator,
    path: str | os.PathLike[str],
    dtype: torch.dtype = torch.float32,
    extra_metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a generator's weights in float32 or float16.

    extra_metadata: e.g. "licence", "source", "source_sha256"; it overrides the generator's own metadata, but
    not the format and the dimensions. An existing file is replaced only once the new one is complete.
    Raises InvalidInputError for another dtype, or where weights do not fit float16.
    """
    if dtype not in (torch.float32, torch.float16):
        raise InvalidInputError(f"dtype is {dtype}; expected torch.float32 or torch.float16")
    state = {name: _storable(name, tensor, dtype) for name, tensor in generator.module.state_dict().items()}
    header = {**generator.metadata, **(extra_metadata or {}), **generator.architecture.as_metadata()}
    target = Path(path)
    temporary = target.with_name(target.name + ".part")
    save_file(state, temporary, {**header, "format": FORMAT, "version": str(VERSION)})
    temporary.replace(target)


def _storable(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    stored = tensor.detach().to("cpu", dtype).contiguous()
    if bool(stored.isinf().any()) and not bool(tensor.isinf().any()):
        raise InvalidInputError(f"the tensor {name} exceeds the range of float16; save it as torch.float32")
    return stored


def _read(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of a file."""
    try:
        with safe_open(file, framework="pt") as content:
            metadata = content.metadata() or {}
            state = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        message = (
            f"{file.name} is {_describe(file)}; expected a generator saved by this package as .safetensors"
        )
        raise UnsupportedCheckpointError(f"{message} ({error})") from error
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            raise UnsupportedCheckpointError(
                f"{file.name}: the tensor {name} holds {tensor.dtype}; expected floats"
            )
    return metadata, state


def _describe(file: Path) -> str:
    """What a file that is not .safetensors looks like."""
    with file.open("rb") as content:
        start = content.read(256)
    if not start:
        return "empty"
    if start.startswith(b"PK"):
        return "a PyTorch archive (.pt, .pth)"
    if start.startswith(b"\x80"):
        return "a serialised Python object (.pkl)"
    if start[8:9] == b"{":
        return "a truncated or damaged .safetensors file"
    if all(byte in b"\t\n\r" or byte >= 32 for byte in start):
        return "a text file"
    return "of an unknown format"


def _check_header(file: Path, metadata: Mapping[str, str], architecture: Architecture) -> None:
    """Raises UnsupportedCheckpointError where the header names another format, version or other
    dimensions.
    """
    found = metadata.get("format")
    if found != FORMAT:
        message = f"{file.name} has format {found!r}; expected {FORMAT!r}; convert it with save_generator"
        raise UnsupportedCheckpointError(message)
    if architecture.img_channels != 3:
        message = f"{file.name} makes images of {architecture.img_channels} channels; expected 3"
        raise UnsupportedCheckpointError(message)
    version = metadata.get("version", "")
    if not version.isdecimal() or int(version) > VERSION:
        message = f"{file.name} has version {version!r}; expected at most {VERSION}; update this package"
        raise UnsupportedCheckpointError(message)
    for key, value in architecture.as_metadata().items():
        if metadata.get(key) != value:
            message = (
                f"{file.name} says {key} = {metadata.get(key)!r}, its tensors say {value!r}; it is damaged"
            )
            raise UnsupportedCheckpointError(message)


def _warn_if_not_finite(file: Path, state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            message = f"{file.name}: the tensor {name} holds NaN or infinity, so images will be spoilt"
            warnings.warn(message, stacklevel=3)
