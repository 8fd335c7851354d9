"""An inversion as a JSON document and named tensors, and back; whatever comes back is checked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..deprecated import old_names
from ..errors import InvalidInputError
from ..generator.spaces import LatentCode
from ..images import from_uint8, to_uint8
from .direction_entries import direction_entry, direction_of_entry, layers_of_entry
from .fits import SegmentFit
from .original_crop import Alignment
from .plain_values import check_depth, number, plain, texts
from .record import Edit, Inversion, ProjectionState, photo_digest
from .segment_codes import SegmentCode, SegmentCodes

Read = Callable[[str], Tensor]
_LAYERS = "direction_layers"  # of the direction; "layers" are the edit's


def check_finite(inversion: Inversion) -> None:
    """Raise InvalidInputError for what no file may hold: `rebuild` would refuse it."""
    for index, edit in enumerate(inversion.edits):
        _checked_strength(edit.direction.name, edit.strength)
        _checked(f"edits/{index}", edit.direction.tensor)
    for index, segment in enumerate(inversion.segments):
        _checked(f"codes/{index}", segment.code.tensor)
        for name, delta in segment.delta.items():
            _checked(f"deltas/{index}/{name}", delta)
    for name, delta in inversion.delta.items():
        _checked(f"delta/{name}", delta)
    if inversion.mask_code is not None:
        _checked("mask_code", inversion.mask_code.tensor)
    for index, noise in enumerate(inversion.noise):
        _checked(f"noise/{index}", noise)
    if inversion.photo is not None:
        _checked("photo", inversion.photo)
    for name, tensor in inversion.state.tensors.items() if inversion.state is not None else ():
        _checked_state(name, tensor)


def to_json(inversion: Inversion) -> str:
    """Everything but the tensors. Raises InvalidInputError where settings or state hold no plain values."""
    document = {
        "names": list(inversion.names),
        "spaces": [segment.code.space for segment in inversion.segments],
        "deltas": [list(segment.delta) for segment in inversion.segments],
        "delta_places": _delta_places(inversion.segments),
        "delta": list(inversion.delta),
        "redrawn": [segment.redrawn for segment in inversion.segments],
        "edits": [_edit_entry(edit) for edit in inversion.edits],
        "fingerprint": inversion.fingerprint,
        "settings": dict(inversion.settings),
        "losses": {name: list(curve) for name, curve in inversion.losses.items()},
        "stopped": inversion.stopped,
        "photo": inversion.photo is not None,
        "photo_digest": inversion.photo_digest,
        "noise": len(inversion.noise),
        "alignment": _alignment_entry(inversion.alignment),
        "state": _state_entry(inversion.state),
        "mask_code": None if inversion.mask_code is None else inversion.mask_code.space,
        "fits": {name: [fit.start, fit.end, fit.detail] for name, fit in inversion.fits.items()},
    }
    try:
        check_depth(document)
        return json.dumps(document)
    except TypeError as error:
        raise InvalidInputError(
            f"the inversion's settings or state hold no plain values ({error})"
        ) from error


def to_tensors(inversion: Inversion) -> dict[str, Tensor]:
    """The tensors under their names in the file, on the CPU; no two share memory, which the format refuses."""
    tensors = {"masks": inversion.masks.masks, "static_mask": inversion.static_mask}
    if inversion.photo is not None:
        eight_bit = to_uint8(inversion.photo)
        exact = torch.equal(from_uint8(eight_bit).to(inversion.photo), inversion.photo)
        tensors["photo"] = eight_bit if exact else inversion.photo
    for index, segment in enumerate(inversion.segments):
        tensors[f"codes/{index}"] = segment.code.tensor
    if inversion.mask_code is not None:
        tensors["mask_code"] = inversion.mask_code.tensor
    for index, place in enumerate(_delta_places(inversion.segments)):
        if index == place:
            own = inversion.segments[index].delta
            tensors |= {f"deltas/{index}/{name}": delta for name, delta in own.items()}
    tensors |= {f"delta/{name}": delta for name, delta in inversion.delta.items()}
    tensors |= {f"edits/{index}": edit.direction.tensor for index, edit in enumerate(inversion.edits)}
    tensors |= {f"noise/{index}": noise for index, noise in enumerate(inversion.noise)}
    if inversion.state is not None:
        tensors |= {f"state/{name}": tensor for name, tensor in inversion.state.tensors.items()}
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def rebuild(document: Mapping[str, Any], read: Read) -> Inversion:
    """The record; read(name) gives a tensor. Entries that this version doesn't know are left alone.

    Raises KeyError for what is missing, ValueError (InvalidInputError is one) for what is wrong.
    """
    has_photo = plain(document.get("photo", True), bool, "whether it has its photo")
    inversion = Inversion(
        photo=_photo(read("photo")) if has_photo else None,
        segments=_segments(document, read),
        static_mask=_finite(read, "static_mask"),
        fingerprint=plain(document["fingerprint"], str, "the fingerprint"),
        edits=tuple(
            _edit(entry, _finite(read, f"edits/{index}"))
            for index, entry in enumerate(plain(document["edits"], list, "the edits"))
        ),
        settings=plain(document["settings"], dict, "the settings"),
        losses={
            name: [number(value, f"the losses of {name!r}") for value in curve]
            for name, curve in plain(document["losses"], dict, "the losses").items()
        },
        stopped=plain(document["stopped"], str | None, "the reason for stopping"),
        absent_photo="" if has_photo else plain(document["photo_digest"], str, "the photo's digest"),
        noise=tuple(
            _finite(read, f"noise/{index}")
            for index in range(plain(document.get("noise", 0), int, "the number of noise maps"))
        ),
        alignment=_alignment(document.get("alignment")),
        state=_state(document.get("state"), read),
        fits={
            name: _fit(entry, name)
            for name, entry in plain(document.get("fits", {}), dict, "the fits").items()
        },
        delta={
            name: _finite(read, f"delta/{name}")
            for name in _different(document.get("delta", []), "the delta")
        },
        mask_code=_mask_code(document.get("mask_code"), read),
    )
    _check_digest(inversion, document)
    return inversion


def _delta_places(segments: SegmentCodes) -> list[int]:
    """For each segment the number of the first one with the very same delta, under which that is stored."""
    first: dict[int, int] = {}
    return [first.setdefault(id(segment.delta), index) for index, segment in enumerate(segments)]


def _edit_entry(edit: Edit) -> dict[str, Any]:
    return {
        **direction_entry(edit.direction, _LAYERS),
        "strength": edit.strength,
        "segments": list(edit.segments),
        "layers": list(edit.layers),
        "enabled": edit.enabled,
        "harmonizes": edit.harmonizes,
    }


def _alignment_entry(alignment: Alignment | None) -> dict[str, Any] | None:
    if alignment is None:
        return None
    return {"quad": [list(point) for point in alignment.quad], "original_size": list(alignment.original_size)}


def _state_entry(state: ProjectionState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {"step": state.step, "numbers": dict(state.numbers), "tensors": list(state.tensors)}


def _photo(photo: Tensor) -> Tensor:
    if photo.dtype == torch.uint8:
        return from_uint8(photo)
    return _checked("photo", photo)


def _check_digest(inversion: Inversion, document: Mapping[str, Any]) -> None:
    """Files of version 1.0 have no digest."""
    if inversion.photo is not None and "photo_digest" in document:
        found = photo_digest(inversion.photo)
        if found != document["photo_digest"]:
            raise InvalidInputError(f"its photo ({found[:12]}) is not the one that its header speaks of")


def _segments(document: Mapping[str, Any], read: Read) -> SegmentCodes:
    names, spaces = (texts(document[key], key) for key in ("names", "spaces"))
    deltas = plain(document.get("deltas", [[]] * len(names)), list, "the deltas")
    places = plain(document.get("delta_places", list(range(len(names)))), list, "where the deltas are")
    redrawn = plain(document.get("redrawn", [False] * len(names)), list, "what was redrawn")
    masks = _finite(read, "masks")
    if not len(names) == len(spaces) == len(deltas) == len(places) == len(redrawn) == len(masks):
        raise InvalidInputError(
            f"{len(names)} names, {len(spaces)} spaces, {len(deltas)} deltas in {len(places)} places, {len(redrawn)} "
            f"marks of redrawing and {len(masks)} masks; expected as many of each"
        )
    stored = _deltas(deltas, places, read)
    return SegmentCodes(
        SegmentCode(
            name,
            masks[index : index + 1],
            LatentCode(space, _code(read, f"codes/{index}")),
            delta,
            plain(mark, bool, "whether a segment was redrawn"),
        )
        for index, (name, space, delta, mark) in enumerate(zip(names, spaces, stored, redrawn, strict=True))
    )


def _deltas(names: Sequence[Any], places: Sequence[Any], read: Read) -> list[dict[str, Tensor]]:
    """The delta of each segment; one that several have is one and the same."""
    found: list[dict[str, Tensor]] = []
    for index, (own, place) in enumerate(zip(names, places, strict=True)):
        keys = _different(own, "the deltas")
        if not 0 <= plain(place, int, "where a delta is") <= index or list(keys) != list(names[place]):
            raise InvalidInputError(
                f"the delta of segment {index} is in place {place}, where no such delta is"
            )
        if place < index:
            found.append(found[place])
        else:
            found.append({key: _finite(read, f"deltas/{index}/{key}") for key in keys})
    return found


def _code(read: Read, name: str) -> Tensor:
    code = _finite(read, name)
    if len(code) != 1:
        raise InvalidInputError(f"tensor {name!r} is {list(code.shape)}; expected a batch of one")
    return code


def _mask_code(space: Any, read: Read) -> LatentCode | None:
    """Earlier files have none."""
    if space is None:
        return None
    return LatentCode(plain(space, str, "the space of the masks' code"), _code(read, "mask_code"))


def _edit(entry: Any, tensor: Tensor) -> Edit:
    """Those of earlier files have no layers and are no harmonies."""
    entry = plain(entry, dict, "an edit")
    direction = direction_of_entry(entry, tensor, _LAYERS)
    name = direction.name
    return Edit(
        direction,
        _checked_strength(name, number(entry["strength"], f"the strength of edit {name!r}")),
        texts(entry["segments"], "an edit's segments"),
        layers_of_entry(entry.get("layers", []), f"edit {name!r}"),
        plain(entry.get("enabled", True), bool, f"whether edit {name!r} is enabled"),
        plain(entry.get("harmonizes", ""), str, f"what edit {name!r} harmonizes"),
    )


def _alignment(entry: Any) -> Alignment | None:
    if entry is None:
        return None
    points, size = entry["quad"], entry["original_size"]
    return Alignment(tuple(tuple(point) for point in points), tuple(size))  # type: ignore[arg-type]


def _fit(entry: Any, name: str) -> SegmentFit:
    start, end, *detail = plain(entry, list, f"the fit of {name!r}")  # earlier files have no detail
    return SegmentFit(*(number(value, f"the fit of {name!r}") for value in (start, end, *detail)))


def _state(entry: Any, read: Read) -> ProjectionState | None:
    """The tensors may be of any shape and dtype, and infinite; only NaN has no meaning in a state."""
    if entry is None:
        return None
    tensors = {name: read(f"state/{name}") for name in _different(entry["tensors"], "the state's tensors")}
    for name, tensor in tensors.items():
        _checked_state(name, tensor)
    step = plain(entry["step"], int, "the state's step")
    if step < 0:
        raise InvalidInputError(f"the state is at step {step}; expected 0 or more")
    return ProjectionState(step, plain(entry["numbers"], dict, "the state's numbers"), tensors)


def _checked_strength(name: str, strength: float) -> float:
    if not math.isfinite(strength):
        raise InvalidInputError(f"edit {name!r} has strength {strength}; expected a finite number")
    return strength


def _checked_state(name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and tensor.isnan().any():
        raise InvalidInputError(f"tensor 'state/{name}' holds NaN")


def _finite(read: Read, name: str) -> Tensor:
    return _checked(name, read(name))


def _checked(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or not tensor.numel() or not tensor.ndim:
        raise InvalidInputError(f"tensor {name!r} is {tensor.dtype} {list(tensor.shape)}; expected numbers")
    if not tensor.isfinite().all():
        raise InvalidInputError(f"tensor {name!r} holds NaN or infinite values")
    return tensor


def _different(values: Any, what: str) -> tuple[str, ...]:
    names = texts(values, what)
    if len(set(names)) != len(names):
        raise InvalidInputError(f"{what}: a name occurs twice")
    return names


__getattr__ = old_names(__name__)
