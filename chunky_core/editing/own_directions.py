"""This project's own files of directions: `directions/NAME` tensors and a header that says all about each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checks import as_path, checked_list
from ..errors import InvalidInputError
from ..generator.spaces import Direction
from ..inversion.direction_entries import direction_entry, direction_of_entry
from ..inversion.plain_values import parse, plain
from ..saving import save_tensors
from .stored_directions import StoredArray, StoredDirection

FORMAT = "chunkygan-directions"
VERSION = "1.1"
OWN_PREFIX = "directions/"
SUFFIX = ".safetensors"


def save_directions(
    directions: Direction | Mapping[str, Direction] | Iterable[Direction], path: str | Path
) -> None:
    """Write directions with all that they carry to a .safetensors file, which `load_directions` opens.

    directions: one, several, or such a mapping as `load_directions` gives, of which each is written once.

    Raises InvalidInputError where there are none, two have one name, or none, `load_directions` would refuse one, or
    the file's name ends otherwise; SaveError where it can't be written.
    """
    path, found = as_path(path), _listed(directions)
    for direction in found:
        _check_loadable(direction)
    names = [direction.name for direction in found]
    if not found or len(set(names)) < len(names) or not all(names):
        raise InvalidInputError(
            f"the directions are named {names!r:.80}; expected at least one, each by another name"
        )
    if path.suffix.lower() != SUFFIX:
        raise InvalidInputError(f"{path} doesn't end in {SUFFIX}; directions are saved as that")
    fingerprints = {direction.fingerprint for direction in found}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "directions": json.dumps({one.name: direction_entry(one) for one in found}),
        "generator": fingerprints.pop() if len(fingerprints) == 1 else "",
    }
    tensors = {
        f"{OWN_PREFIX}{one.name}": one.tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for one in found
    }
    save_tensors(tensors, path, header)


def _listed(directions: Direction | Mapping[str, Direction] | Iterable[Direction]) -> list[Direction]:
    if isinstance(directions, Direction):
        return [directions]
    if isinstance(directions, Mapping):  # where one direction may have two names
        directions = {id(one): one for one in directions.values()}.values()
    return list(checked_list(directions, "the directions", Direction))


def _check_loadable(direction: Direction) -> None:
    """Raise InvalidInputError for what reading would refuse."""
    whose, tensor = f"direction {direction.name!r:.80}", direction.tensor
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise InvalidInputError(f"{whose} holds {tensor.dtype}; expected real numbers")
    if not torch.isfinite(tensor.float()).all():
        raise InvalidInputError(f"{whose} holds numbers that aren't finite")
    try:
        direction_of_entry(parse(json.dumps(direction_entry(direction))), tensor)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{whose} can't be written: {error!s:.200}") from error


def own_directions(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> list[Direction | StoredDirection]:
    """The directions of such a file, by the header; tensors that it says nothing of are in sigma, by their shapes.

    Raises InvalidInputError for a header that is damaged.
    """
    try:
        entries = parse(metadata["directions"]) if "directions" in metadata else {}
        about = _of_earlier(metadata)
        return [_direction(name, tensor, entries, about) for name, tensor in tensors.items()]
    except InvalidInputError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"its header is damaged ({error!r:.100}); save the directions anew"
        ) from error


def _direction(
    name: str, tensor: Tensor, entries: Mapping[str, Any], about: Mapping[str, Direction]
) -> Direction | StoredDirection:
    if name in entries:
        entry = {**plain(entries[name], dict, f"what is said of {name[:80]!r}"), "name": name}
        if not torch.isfinite(tensor).all():
            raise InvalidInputError(f"direction {name[:80]!r} holds numbers that aren't finite")
        return direction_of_entry(entry, tensor)
    unknown = Direction(name, "w", torch.zeros(1), unit="sigma", fingerprint=about[""].fingerprint)
    return StoredArray(name, tensor, about.get(name, unknown), per_layer=True)


def _of_earlier(metadata: Mapping[str, str]) -> dict[str, Direction]:
    """What files of version 1.0 say: descriptions, and the generator's fingerprint, also under ""."""
    described = parse(metadata["descriptions"]) if "descriptions" in metadata else {}
    fingerprint = metadata.get("generator", "")
    return {
        name: Direction(name, "w", torch.zeros(1), plain(text, str, "a description"), fingerprint=fingerprint)
        for name, text in {**described, "": ""}.items()
    }
