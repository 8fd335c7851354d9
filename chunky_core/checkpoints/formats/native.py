"""This package's own format: .safetensors, weights under NVlabs' names, a header of strings."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import UnsupportedCheckpointError
from ...generator.architecture import Architecture, metadata_hints
from ..checkpoint import PartialCheckpoint, Weights, as_tensor

FORMAT = "chunkygan-generator"
VERSION = 1


def is_native(metadata: Mapping[str, str]) -> bool:
    """Whether a header says that the file was written by this package."""
    return metadata.get("format") == FORMAT


def partial_checkpoint(weights: Weights, metadata: Mapping[str, str]) -> PartialCheckpoint:
    """A partial checkpoint from a file of this package. Raises UnsupportedCheckpointError for a newer version."""
    version = metadata.get("version", "")
    if not (version.isascii() and version.isdecimal()) or len(version) > 9 or int(version) > VERSION:
        message = f"it has version {version[:20]!r}; expected at most {VERSION}; update this package"
        raise UnsupportedCheckpointError(message)
    state = {name: as_tensor(name, value) for name, value in weights.items()}
    return PartialCheckpoint(FORMAT, state, metadata_hints(metadata))


def check_header(metadata: Mapping[str, str], architecture: Architecture) -> None:
    """Raises UnsupportedCheckpointError where the header gives other dimensions than the tensors."""
    for key, value in architecture.as_metadata().items():
        if metadata.get(key) != value:
            message = (
                f"the header says {key} = {metadata.get(key)!r}, the tensors say {value!r}; it is damaged"
            )
            raise UnsupportedCheckpointError(message)
