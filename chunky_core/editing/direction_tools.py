"""What tools that find directions write: GANSpace, SeFa's implementations, StyleCLIP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import UnsupportedCheckpointError
from ..generator.spaces import Direction
from .array_values import as_numbers, check_count, is_array, shape_of
from .stored_directions import StoredArray, StoredDirection

STYLECLIP = (6048, 512)  # fs3.npy: the channels of FFHQ's convolutions, and CLIP's embedding
_LEAST_STYLES = 5  # layers of the smallest generator
_COMPONENTS = ("boundaries", "directions", "eigen_vectors", "eigenvectors", "components")
_BESIDE = {"layers", "values", "eigen_values", "eigenvalues", "explained_variance", "ckpt"}

Found = list[StoredDirection] | None


def of_tool(value: Any, stem: str) -> Found:
    """The directions in the contents of a file of a known tool; None where it is of no such tool.

    Raises UnsupportedCheckpointError for files of these tools that can't be used alone, with what is missing.
    """
    readers: tuple[Callable[[Any, str], Found], ...] = (_styles, _embedding_shifts)
    if isinstance(value, Mapping):
        check_count(value.values())
        readers = (_ganspace_export, _ganspace, _factorization, _sefa, _mapper)
    return next((found for read in readers if (found := read(value, stem)) is not None), None)


def _ganspace(value: Mapping[Any, Any], stem: str) -> Found:
    """GANSpace's cache (.npz) and the same as a dict of tensors, as e4e and Pivotal Tuning ship it."""
    names = next(
        (
            names
            for names in (("lat_comp", "lat_stdev"), ("comp", "std"))
            if all(is_array(value.get(name)) for name in names)
        ),
        None,
    )
    if names is None:
        return None
    components, deviations = (as_numbers(name, value[name]) for name in names)
    deviations = deviations.reshape(-1)
    if components.ndim < 2 or len(components) != len(deviations):
        raise UnsupportedCheckpointError(
            f"its {names[0]} is {tuple(components.shape)} with {len(deviations)} deviations; expected one for each"
        )
    if bool((deviations == 1).all()) and len(deviations) > 1:
        raise UnsupportedCheckpointError(
            "its components were found in Z, where no code of a photo lies; let GANSpace find them in W (--use_w)"
        )
    about = _about(f"GANSpace, {stem}")
    stacked = components.flatten(1, -2) if components.ndim > 2 else components[:, None]
    if stacked.shape[1] == 1:
        return [StoredArray(stem, stacked[:, 0], about, deviations)]
    return [
        StoredArray(f"component_{index}", one, about, deviations[index : index + 1], per_layer=True)
        for index, one in enumerate(stacked)
    ]


def _ganspace_export(value: Mapping[Any, Any], stem: str) -> Found:
    """A named edit that GANSpace's viewer exports: one component and the layers from edit_start to edit_end - 1."""
    start, end = (value.get(name) for name in ("edit_start", "edit_end"))
    if not is_array(value.get("lat_comp")) or type(start) is not int or type(end) is not int:
        return None
    if value.get("latent_space") != "W" or value.get("edit_type") not in ("latent", "both"):
        raise UnsupportedCheckpointError(
            f"it is GANSpace's edit of {str(value.get('edit_type'))[:20]} in {str(value.get('latent_space'))[:20]}; "
            "expected one of latents in W"
        )
    if not 0 <= start < end <= 64:
        raise UnsupportedCheckpointError(f"its layers are {start!s:.20} to {end!s:.20}; expected a range")
    deviation, name = value.get("lat_stdev"), value.get("name")
    if not isinstance(deviation, float | int) or not isinstance(name, str):
        raise UnsupportedCheckpointError("its name or lat_stdev is missing; export the edit again")
    vector = as_numbers("lat_comp", value["lat_comp"])
    vector = vector.flatten(0, -2) if vector.ndim > 1 else vector
    about = _about(f"GANSpace, {stem}", layers=tuple(range(start, end)))
    return [
        StoredArray(
            name.strip()[:80] or stem, vector, about, torch.tensor([float(deviation)]), per_layer=True
        )
    ]


def _factorization(value: Mapping[Any, Any], stem: str) -> Found:
    """rosinality's closed_form_factorization.py: the eigenvectors are columns."""
    if not is_array(value.get("eigvec")) or not set(value) <= {"eigvec", *_BESIDE}:
        return None
    vectors = as_numbers("eigvec", value["eigvec"])
    return [StoredArray(stem, vectors, _about(f"SeFa, {stem}"), columns=True)]


def _sefa(value: Mapping[Any, Any], stem: str) -> Found:
    """What SeFa's factorize_weight returns, saved by its names: rows, perhaps with layers and eigenvalues."""
    name = next((name for name in _COMPONENTS if is_array(value.get(name))), None)
    if name is None or not set(value) <= {name, *_BESIDE} or len(value) < 2:
        return None
    layers = (
        as_numbers("layers", value["layers"]).reshape(-1).tolist() if is_array(value.get("layers")) else []
    )
    if len(layers) > 64 or not all(0 <= layer < 64 and layer == int(layer) for layer in layers):
        raise UnsupportedCheckpointError(f"its layers are {str(layers)[:60]}; expected whole numbers from 0")
    about = _about(f"SeFa, {stem}", layers=tuple(sorted({int(layer) for layer in layers})))
    return [StoredArray(stem, as_numbers(name, value[name]), about)]


def _styles(value: Any, stem: str) -> Found:
    """A list with the channels of each layer, as StyleCLIP's global directions and StyleSpace handle them."""
    if not isinstance(value, list | tuple) or len(value) < _LEAST_STYLES or not all(map(is_array, value)):
        return None
    check_count(value)
    parts: list[Tensor] = [as_numbers("of styles", one).reshape(-1) for one in value]
    return [StoredArray(stem, torch.cat(parts), _about(stem), styles=True)]


def _embedding_shifts(value: Any, stem: str) -> Found:
    if not is_array(value):
        return None
    if shape_of(value) == STYLECLIP:
        raise UnsupportedCheckpointError(
            "it is StyleCLIP's fs3.npy: how each channel shifts CLIP's embedding. A direction is its product with the "
            "embeddings of two texts, which needs CLIP; save that vector of 6048 numbers instead"
        )
    return None


def _mapper(value: Mapping[Any, Any], stem: str) -> Found:
    state = value.get("state_dict")
    if isinstance(state, Mapping) and any(str(name).startswith("mapper.") for name in state):
        raise UnsupportedCheckpointError(
            "it is a mapper of StyleCLIP: a network that makes another direction for each photo, not a direction; "
            "save what it adds to one code, [num_ws, w_dim]"
        )
    return None


def _about(source: str, layers: tuple[int, ...] = ()) -> Direction:
    """What all directions of a file carry beside name, space and numbers."""
    return Direction("", "w", torch.zeros(1), layers=layers, unit="raw", source=source)
