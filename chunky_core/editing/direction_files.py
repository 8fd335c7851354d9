"""The directions in a file of whatever tool: NumPy's files, .safetensors, torch's files, JSON and text.

The container is told by the file's contents, text by its suffix. Read as data, nothing is executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..checkpoints.containers.archive import Archive
from ..checkpoints.containers.content import Content, open_content
from ..checkpoints.containers.mapped_file import mapped, naming
from ..checkpoints.containers.numpy_files import is_npy, is_npz, read_npy, read_npz
from ..checkpoints.containers.unsupported_files import NETWORK
from ..errors import UnsupportedCheckpointError
from ..generator.spaces import Direction
from .array_values import Array, as_numbers, check_count, is_array, shape_of
from .channel_presets import presets_of_json, presets_of_text
from .direction_tools import of_tool
from .own_directions import OWN_PREFIX, own_directions
from .stored_directions import OwnDirection, StoredArray, StoredDirection

TEXTS = (".json", ".txt", ".py")
SUFFIXES = (".safetensors", ".npy", ".npz", ".pt", ".pth", ".pkl", *TEXTS)
MAX_BYTES = 1 << 22  # of a text
_WANTED = f"a file of directions, {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
_KINDS = "expected a direction as one array, or several by their names"


def read_directions(path: Path) -> list[StoredDirection]:
    """What a file holds, as far as it says; the numbers are copies.

    Raises MissingWeightsError where there is no such file, UnsupportedCheckpointError or InvalidInputError where it is
    damaged or holds anything else than directions.
    """
    if path.suffix.lower() in TEXTS:
        return read_channels(path, path.suffix.lower())
    container = _numpy_container(path)
    if container:
        arrays: Any = read_npy(path) if container == "npy" else read_npz(path)
        with naming(path):
            return of_tool(arrays, path.stem) or _arrays(arrays, path.stem)
    try:
        with open_content(path) as content, naming(path):
            return _of_content(content, path.stem)
    except UnsupportedCheckpointError as error:  # what opens weights files speaks of networks
        raise UnsupportedCheckpointError(str(error).replace(NETWORK, _WANTED)) from error


def read_channels(path: Path, suffix: str) -> list[StoredDirection]:
    """Presets of StyleSpace in a text. suffix: one of TEXTS, which says how to read it.

    Raises MissingWeightsError, UnsupportedCheckpointError or InvalidInputError.
    """
    with mapped(path) as data:
        if len(data) > MAX_BYTES:
            raise UnsupportedCheckpointError(f"it has {len(data)} bytes; expected a list of channels")
        try:
            text = str(data, "utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnsupportedCheckpointError(f"it is no text in UTF-8 ({error.reason})") from error
    if suffix == ".json":
        return list(presets_of_json(text, path.stem))
    return list(presets_of_text(text, path.stem, lenient=suffix == ".py"))


def _numpy_container(path: Path) -> str:
    with mapped(path) as data, naming(path):
        if is_npy(data):
            return "npy"
        return "npz" if bytes(data[:2]) == b"PK" and is_npz(Archive(data)) else ""


def _of_content(content: Content, stem: str) -> list[StoredDirection]:
    """Ours have a prefix, and other tensors may lie beside them."""
    value = content.value
    own = [name for name in value if str(name).startswith(OWN_PREFIX)] if isinstance(value, Mapping) else []
    if not own:
        return of_tool(value, stem) or _arrays(value, stem)
    entries = {name.removeprefix(OWN_PREFIX): value[name] for name in own}
    if any(not is_array(entry) for entry in entries.values()):
        raise UnsupportedCheckpointError(f"its directions are no arrays; {_KINDS}")
    check_count(entries.values())
    tensors = {name: as_numbers(name, entry) for name, entry in entries.items()}
    found = own_directions(tensors, content.metadata)
    return [OwnDirection(one) if isinstance(one, Direction) else one for one in found]


def _arrays(value: Any, stem: str) -> list[StoredDirection]:
    """Arrays that nothing calls directions: each by its name, one without by the file's."""
    entries = dict(_entries(value, stem))
    check_count(entries.values())
    _check_widths(entries)
    about = Direction("", "w", torch.zeros(1), unit="raw", source=stem)
    alone = len(entries) == 1
    return [
        StoredArray(name, as_numbers(name, entry), about, component_names="component" if alone else name)
        for name, entry in entries.items()
    ]


def _check_widths(entries: Mapping[str, Array]) -> None:
    """Such arrays would otherwise be any network's biases."""
    shapes = {name: shape_of(entry) for name, entry in entries.items()}
    widths = {shape[-1] if shape else 1: name for name, shape in shapes.items()}
    if len(widths) > 1:
        found = ", ".join(f"{name[:40]!r} has {width}" for width, name in list(widths.items())[:3])
        raise UnsupportedCheckpointError(f"its arrays are of different widths ({found}); {_KINDS}")


def _entries(value: Any, stem: str) -> Iterator[tuple[str, Array]]:
    if is_array(value):
        yield stem, value
        return
    if not isinstance(value, Mapping) or not value:
        raise UnsupportedCheckpointError(f"it holds {_named(value)}; {_KINDS}")
    unnamed = list(value) == ["arr_0"]  # numpy.savez's name for an array without one
    for name, entry in value.items():
        if not isinstance(name, str) or not is_array(entry):
            raise UnsupportedCheckpointError(f"its entry {str(name)[:40]!r} is {_named(entry)}; {_KINDS}")
        yield (stem if unnamed else name), entry


def _named(value: Any) -> str:
    if isinstance(value, Mapping) and not value:
        return "no entries"
    return "entries of their own" if isinstance(value, Mapping) else f"a {type(value).__name__}"
