"""Inversions on disk: one .safetensors file, tensors plus a JSON document in its metadata. Nothing in it is
executed.

Tensors: `photo` (uint8 [1,H,W,3] if the photo is exactly 8-bit, else fp32 [1,3,H,W]), `masks` [N,1,H,W],
`static_mask` [1,1,H,W], `codes/0` ..., `edits/0` ... (the direction of each edit, so that a file needs no
direction file beside it).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ChunkyError, InvalidInputError
from ..generator.spaces import Direction, LatentCode
from ..images import from_uint8, to_uint8
from .inversion import Edit, Inversion, Segment

FORMAT = "chunkygan-inversion"
VERSION = (1, 0)  # a reader takes every file of its own major version and ignores keys it doesn't know


def save_inversion(inversion: Inversion, path: str | Path) -> None:
    """Write the whole record to one .safetensors file, from which `load_inversion` renders the same pixels.

    Raises InvalidInputError for another ending or a folder that doesn't exist.
    """
    path = Path(path)
    if path.suffix != ".safetensors" or not path.parent.is_dir():
        raise InvalidInputError(
            f"can't save an inversion as {path}; give a .safetensors file in an existing folder"
        )
    document = {
        "names": list(inversion.names),
        "spaces": [segment.code.space for segment in inversion.segments],
        "edits": [_edit_entry(edit) for edit in inversion.edits],
        "fingerprint": inversion.fingerprint,
        "settings": dict(inversion.settings),
        "losses": {name: list(curve) for name, curve in inversion.losses.items()},
        "stopped": inversion.stopped,
    }
    metadata = {"format": FORMAT, "version": ".".join(map(str, VERSION)), "inversion": json.dumps(document)}
    save_file(_tensors(inversion), str(path), metadata=metadata)


def load_inversion(path: str | Path) -> Inversion:
    """Read a file written by `save_inversion`; tensors come back on the CPU.

    Raises InvalidInputError if the file is absent, damaged, no inversion, or of a newer major version.
    """
    path = Path(path)
    metadata, tensors = _read(path)
    if metadata.get("format") != FORMAT:
        raise InvalidInputError(
            f"{path} is no saved inversion (format {metadata.get('format')!r}, not {FORMAT!r})"
        )
    _check_version(path, metadata.get("version", ""))
    try:
        return _rebuild(json.loads(metadata["inversion"]), tensors)
    except ChunkyError as error:
        raise InvalidInputError(f"{path} doesn't hold a consistent inversion: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(
            f"{path} is a damaged inversion file, {error!r}; save the inversion again"
        ) from error


def _edit_entry(edit: Edit) -> dict[str, Any]:
    return {
        "name": edit.direction.name,
        "space": edit.direction.space,
        "description": edit.direction.description,
        "strength": edit.strength,
        "segments": list(edit.segments),
    }


def _tensors(inversion: Inversion) -> dict[str, Tensor]:
    eight_bit = to_uint8(inversion.photo)
    exact = torch.equal(from_uint8(eight_bit).to(inversion.photo), inversion.photo)
    tensors = {
        "photo": eight_bit if exact else inversion.photo,
        "masks": inversion.masks().masks,
        "static_mask": inversion.static_mask,
    }
    tensors |= {f"codes/{i}": segment.code.tensor for i, segment in enumerate(inversion.segments)}
    tensors |= {f"edits/{i}": edit.direction.tensor for i, edit in enumerate(inversion.edits)}
    # Clones: the format refuses tensors that share memory, as two edits with one direction do.
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise InvalidInputError(f"there is no inversion file {path}; check the path") from error
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(f"{path} can't be read as a .safetensors file ({error})") from error


def _check_version(path: Path, version: str) -> None:
    major = version.partition(".")[0]
    if not major.isdigit():
        raise InvalidInputError(f"{path} has version {version!r}; expected two numbers such as 1.0")
    if int(major) > VERSION[0]:
        raise InvalidInputError(
            f"{path} was saved by a newer program: its version is {version}, this one reads up to "
            f"{VERSION[0]}.x; update the program"
        )


def _rebuild(document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Inversion:
    photo = tensors["photo"]
    names, spaces, entries = document["names"], document["spaces"], document["edits"]
    masks = tensors["masks"]
    if not len(names) == len(spaces) == len(masks):
        raise InvalidInputError(
            f"{len(names)} names, {len(spaces)} spaces and {len(masks)} masks; expected as many of each"
        )
    _check_finite(tensors)
    segments = [
        Segment(name, masks[i : i + 1], LatentCode(space, tensors[f"codes/{i}"]))
        for i, (name, space) in enumerate(zip(names, spaces, strict=True))
    ]
    return Inversion(
        photo=from_uint8(photo) if photo.dtype == torch.uint8 else photo,
        segments=tuple(segments),
        static_mask=tensors["static_mask"],
        fingerprint=str(document["fingerprint"]),
        edits=tuple(_edit(entry, tensors[f"edits/{i}"]) for i, entry in enumerate(entries)),
        settings=dict(document["settings"]),
        losses={name: [float(value) for value in curve] for name, curve in document["losses"].items()},
        stopped=document["stopped"],
    )


def _edit(entry: Mapping[str, Any], tensor: Tensor) -> Edit:
    direction = Direction(entry["name"], entry["space"], tensor, entry.get("description", ""))
    strength = float(entry["strength"])
    if not math.isfinite(strength):
        raise InvalidInputError(f"edit {direction.name!r} has strength {strength}; expected a finite number")
    return Edit(direction, strength, tuple(entry["segments"]))


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InvalidInputError(f"tensor {name!r} holds NaN or infinite values")
