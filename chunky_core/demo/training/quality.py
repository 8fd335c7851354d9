"""How good the demo generator is: PSNR by part on held-out portraits, and the gain of every attribute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ...evaluation.metrics import psnr
from ...images import save_image
from ...visualization.sheets import tile
from ..portraits import INDEX, LABELS, render

PARTS = {
    "eyes": ("left_eye", "right_eye"),
    "mouth": ("mouth",),
    "brows": ("left_brow", "right_brow"),
    "glasses": ("glasses",),
    "nose": ("nose",),
    "hair": ("hair",),
    "skin": ("skin",),
}
SMALLEST = 10  # pixels; a part with fewer is not counted


def mean_psnr(made: Tensor, target: Tensor, masks: Tensor | None = None) -> float:
    """Mean over the pictures of the PSNR in dB. made, target: [B,3,H,W] in [-1,1]; masks: [B,1,H,W] in {0,1}.

    A picture where the mask has fewer than `SMALLEST` pixels is left out; NaN if none is left.
    """
    rows = range(len(made)) if masks is None else [i for i in range(len(made)) if masks[i].sum() >= SMALLEST]
    values = [
        psnr(made[i : i + 1], target[i : i + 1], None if masks is None else masks[i : i + 1]) for i in rows
    ]
    return sum(values) / len(values) if values else math.nan


def held_out_quality(made: Tensor, images: Tensor, labels: Tensor) -> dict[str, float]:
    """PSNR overall at the size of `made`, and inside each part's label at full size (made is enlarged to it)."""
    shrink = images.shape[-1] // made.shape[-1]
    made = made.clamp(-1, 1)
    result = {"psnr": mean_psnr(made, F.avg_pool2d(images, shrink) if shrink > 1 else images)}
    if shrink > 1:
        made = F.interpolate(made, size=images.shape[-2:], mode="bilinear")
    for part, names in PARTS.items():
        ids = torch.tensor([LABELS.index(name) for name in names])
        result[part] = mean_psnr(made, images, torch.isin(labels.long(), ids)[:, None].float())
    return result


# Attributes that others hide or that hide others are measured where they can be seen.
SEEN_BETTER_WITH = {"glasses": -1.5, "beard": -0.8, "fringe": -0.5}


@torch.no_grad()
def attribute_gain(
    generate: Callable[[Tensor], Tensor], attributes: Tensor, name: str, move: float = 1.5
) -> tuple[float, float]:
    """(gain, cosine) of one attribute: ⟨ΔG,ΔR⟩/⟨ΔR,ΔR⟩ over a move of ±`move` standard deviations.

    generate: attributes [B,K] -> pictures; attributes: [B,K] starting points; the attribute itself starts at 0,
    and glasses, beard and fringe are moved out of the way for every other attribute.
    """
    start = attributes.clone()
    for other, value in SEEN_BETTER_WITH.items():
        start[:, INDEX[other]] = value
    start[:, INDEX[name]] = 0
    step = torch.zeros_like(start)
    step[:, INDEX[name]] = move
    resolution = generate(start[:1]).shape[-1]
    true = render(start + step, resolution)[0] - render(start - step, resolution)[0]
    made = generate(start + step) - generate(start - step)
    product = (made * true).sum()
    return float(product / true.square().sum()), float(product / (made.norm() * true.norm()))


def gain_table(
    generate: Callable[[Tensor], Tensor], attributes: Tensor, names: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """`attribute_gain` for each name."""
    return {name: attribute_gain(generate, attributes, name) for name in names}


def save_samples(path: Path, targets: Tensor, made: Tensor) -> None:
    """Targets (left) beside samples (right), eight pictures a row; samples are enlarged to the targets' size."""
    if made.shape[-1] != targets.shape[-1]:
        made = F.interpolate(made, size=targets.shape[-2:], mode="nearest")
    save_image(tile(torch.stack([targets, made], 1).flatten(0, 1), 8), path)
