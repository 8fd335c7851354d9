"""StyleGAN-XL's networks without super-resolution: a StyleGAN3 whose classes are described by a table of features.

The table (mapping.embed) is there without classes too, unused. With classes its rows are projected to as many numbers
as z has (mapping.embed_proj, leaky ReLU), and each class has its own mean of w (Sauer et al. 2022, sec. 3.2).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor
from torch.nn import functional

from ...errors import UnsupportedCheckpointError
from ..checkpoint import PartialCheckpoint

_TABLE, _PROJECTION = "mapping.embed.weight", "mapping.embed_proj.weight"
_LAYER = re.compile(r"synthesis\.L(\d{1,3})_.*")
_SLOPE = 0.2


def is_stylegan_xl(state: dict[str, Tensor]) -> bool:
    """Whether classes, if any, are described by a table: NVlabs' embedding has a bias."""
    return _TABLE in state and "mapping.embed.bias" not in state


def adapt(partial: PartialCheckpoint) -> None:
    """Brings the mapping network's tensors to those of this package: one row of features per class, projected.

    Raises UnsupportedCheckpointError for a network with super-resolution and for tensors that don't fit.
    """
    layers = sorted({int(match[1]) for match in map(_LAYER.fullmatch, partial.state) if match})
    if layers != list(range(len(layers))) or not layers:
        raise UnsupportedCheckpointError(
            "it holds a StyleGAN-XL with super-resolution layers; this version draws StyleGAN-XL's stems only, e.g. "
            "the 16x16 network that it was grown from"
        )
    partial.format = partial.format.replace("NVlabs stylegan3", "StyleGAN-XL")
    table = partial.state.pop(_TABLE)
    if _PROJECTION not in partial.state:
        partial.ignored.append("mapping.embed (a table of class features, unused without classes)")
        return
    classes = _classes(partial, table)
    described = _described(partial.state, table[:classes].float())
    partial.state["mapping.embed.weight"] = described.T * classes**0.5  # the layer divides by it
    partial.state["mapping.embed.bias"] = torch.zeros(described.shape[1])
    means = partial.state["mapping.w_avg"].float()
    means = means if means.ndim == 2 else means.expand(classes, -1)
    if len(means) != classes:
        raise UnsupportedCheckpointError(f"it has {len(means)} means of w; expected one per class, {classes}")
    partial.state |= {"mapping.class_w_avg": means, "mapping.w_avg": means.mean(0)}
    partial.notes.append("each class has its own mean of w; w_avg is the mean of these")


def _classes(partial: PartialCheckpoint, table: Tensor) -> int:
    means = partial.state.get("mapping.w_avg")
    if means is None or table.ndim != 2:
        raise UnsupportedCheckpointError(
            "its mapping.w_avg or its table of class features is missing or damaged"
        )
    stated = partial.config_hints.get("c_dim")
    classes = stated if type(stated) is int else len(means) if means.ndim == 2 else len(table)
    if not 1 <= classes <= len(table):
        raise UnsupportedCheckpointError(f"it has {classes} classes, but features of {len(table)}")
    return classes


def _described(state: dict[str, Tensor], rows: Tensor) -> Tensor:
    """Rows of features [c_dim,F] -> [c_dim,z_dim], as the projection and its activation give them."""
    weight, bias = (state.pop(f"mapping.embed_proj.{part}", None) for part in ("weight", "bias"))
    if weight is None or bias is None or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise UnsupportedCheckpointError("its mapping.embed_proj is no linear layer with a bias")
    if rows.shape[1] != weight.shape[1] or not rows.shape[1]:
        raise UnsupportedCheckpointError(
            f"its table of class features has {rows.shape[1]} columns; mapping.embed_proj takes {weight.shape[1]}"
        )
    projected = rows @ (weight.float() / rows.shape[1] ** 0.5).T + bias.float()
    return functional.leaky_relu(projected, _SLOPE) * 2**0.5
