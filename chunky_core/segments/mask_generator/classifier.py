"""An ensemble of small networks from the features of a pixel to its class, and features in between their pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ...boxes import Size

SLOPE = 0.2  # of the leaky ReLU between the layers
BAND_VALUES = 1 << 24  # numbers of the first hidden layer that are computed at once
FIRST = 4  # a map of at most 1/FIRST of the output's pixels is multiplied before it is up-sampled


@dataclass(frozen=True, eq=False)
class Classifier:
    """M networks of three layers side by side. weights[i]: [M,in,out], biases[i]: [M,1,out]; the first reads features
    that were brought to mean 0 and deviation 1: (feature - mean) / scale. mean, scale: [C].
    """

    mean: Tensor
    scale: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @property
    def members(self) -> int:
        return len(self.weights[0])

    def __call__(self, features: Tensor) -> Tensor:
        """Features with mean 0 and deviation 1, [M,P,C], pixels of its own for each member -> logits [M,P,K]."""
        return self.after_first(torch.baddbmm(self.biases[0], features, self.weights[0]))

    def after_first(self, hidden: Tensor) -> Tensor:
        """What the first layer gives [M,P,H] -> logits [M,P,K]."""
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            hidden = torch.baddbmm(bias, F.leaky_relu(hidden, SLOPE), weight)
        return hidden

    def first_of_raw(self) -> tuple[Tensor, Tensor]:
        """The first layer for features as they are: weight [M*H,C], bias [M*H]."""
        members, channels, hidden = self.weights[0].shape
        weight = self.weights[0] / self.scale[:, None]
        bias = self.biases[0] - self.mean @ weight.flatten(0, 1).view(members, channels, hidden)[:, None]
        return weight.permute(0, 2, 1).reshape(members * hidden, channels), bias.flatten()


def member_logits(classifier: Classifier, maps: Sequence[Tensor], size: Size) -> Tensor:
    """Logits of every member at every pixel of a picture of `size`: [B,M,K,H,W], differentiable by the maps.

    maps: [B,C,h,w] of each layer, up-sampled bilinearly. The first layer is linear, and so commutes with up-sampling:
    small maps are multiplied with their part of it at their own size, and what is up-sampled is summed. The picture
    is made in bands of rows, so that neither features nor hidden layers are there as a whole; for gradients each of
    several bands is computed again on the way back.
    """
    weight, bias = classifier.first_of_raw()
    parts = weight.split([one.shape[1] for one in maps], dim=1)
    small = [one.shape[-2] * one.shape[-1] * FIRST <= size.height * size.width for one in maps]
    ready = [
        F.conv2d(one.to(part), part[:, :, None, None]) if first else one.to(part)
        for one, part, first in zip(maps, parts, small, strict=True)
    ]
    later = [None if first else part for part, first in zip(parts, small, strict=True)]
    rows = max(1, BAND_VALUES // (len(weight) * size.width * len(maps[0])))
    bands = []
    for top in range(0, size.height, rows):
        span = top, min(top + rows, size.height)
        if rows < size.height and torch.is_grad_enabled() and any(one.requires_grad for one in ready):
            made = checkpoint(_band, classifier, later, bias, size, span, *ready, use_reentrant=False)
        else:
            made = _band(classifier, later, bias, size, span, *ready)
        bands.append(made)
    return torch.cat(bands, dim=-2)


def _band(
    classifier: Classifier,
    parts: Sequence[Tensor | None],
    bias: Tensor,
    size: Size,
    span: tuple[int, int],
    *maps: Tensor,
) -> Tensor:
    """The logits of the rows from span[0] to before span[1]."""
    hidden: Tensor | None = None
    for one, part in zip(maps, parts, strict=True):
        rows = resampled_rows(one, size, span)
        rows = rows if part is None else F.conv2d(rows, part[:, :, None, None])
        hidden = rows if hidden is None else hidden + rows
    assert hidden is not None
    hidden = hidden + bias[:, None, None]
    batch, _, height, width = hidden.shape
    members = hidden.view(batch, classifier.members, -1, height * width).permute(1, 0, 3, 2).flatten(1, 2)
    logits = classifier.after_first(members)  # [M,B*P,K]
    return logits.view(classifier.members, batch, height, width, -1).permute(1, 0, 4, 2, 3)


def resampled_rows(one: Tensor, size: Size, span: tuple[int, int]) -> Tensor:
    """Some rows [B,C,n,W] of a map [B,C,h,w] that is resampled bilinearly to a size, as by F.interpolate."""
    height = one.shape[-2]
    places = (
        torch.arange(*span, device=one.device, dtype=torch.float64 if one.device.type == "cpu" else None)
        + 0.5
    )
    places = (places * (height / size.height) - 0.5).clamp(min=0)
    above = places.floor().long().clamp(max=height - 1)
    below = (above + 1).clamp(max=height - 1)
    share = (places - above).to(one)[:, None]
    rows = one[..., above, :] * (1 - share) + one[..., below, :] * share
    if rows.shape[-1] == size.width:
        return rows
    return F.interpolate(rows, (rows.shape[-2], size.width), mode="bilinear", align_corners=False)


def sampled_features(maps: Mapping[str, Tensor], rows: Tensor, columns: Tensor, size: Size) -> Tensor:
    """Features [P,C] of some pixels of one picture of `size`: the maps [1,C,h,w] up-sampled at these alone."""
    x = (columns.double() + 0.5) * (2 / size.width) - 1
    y = (rows.double() + 0.5) * (2 / size.height) - 1
    grid = torch.stack([x, y], dim=-1)[None, None]
    found = [
        F.grid_sample(
            one.float(), grid.to(one.device, torch.float32), padding_mode="border", align_corners=False
        )
        for one in maps.values()
    ]
    return torch.cat(found, dim=1)[0, :, 0].T


def start_classifier(
    mean: Tensor, scale: Tensor, hidden: Sequence[int], classes: int, members: int, seed: int
) -> Classifier:
    """Random weights (He et al. 2015), biases 0."""
    rng = torch.Generator().manual_seed(seed)
    sizes = [len(mean), *hidden, classes]
    weights, biases = [], []
    for source, target in zip(sizes, sizes[1:], strict=False):
        drawn = torch.randn(members, source, target, generator=rng) * math.sqrt(2 / source)
        weights.append(drawn.to(mean))
        biases.append(mean.new_zeros(members, 1, target))
    return Classifier(mean, scale, tuple(weights), tuple(biases))
