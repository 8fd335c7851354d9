"""What benchmarks compute on: a network of the papers' size with random weights, and the segments of a portrait."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from chunky_core.generator.stylegan2 import SynthesisNetwork
from chunky_core.segments import SegmentMasks, segments_from_masks

CHANNEL_BASE = {256: 16384, 1024: 32768}
SEGMENTS = {  # boxes of a frontal portrait's segments: top, left, bottom, right as fractions
    "hair": (0.03, 0.12, 0.70, 0.88),
    "skin": (0.20, 0.16, 0.90, 0.84),
    "background": (0.0, 0.0, 0.63, 1.0),
    "cloth": (0.81, 0.0, 1.0, 1.0),
    "neck": (0.70, 0.28, 0.99, 0.73),
    "nose": (0.42, 0.38, 0.72, 0.62),
    "mouth": (0.66, 0.33, 0.84, 0.67),
    "left eye": (0.40, 0.20, 0.54, 0.48),
    "right eye": (0.40, 0.52, 0.54, 0.80),
    "left brow": (0.32, 0.16, 0.44, 0.49),
    "right brow": (0.32, 0.51, 0.44, 0.84),
    "left ear": (0.40, 0.10, 0.70, 0.23),
    "right ear": (0.40, 0.77, 0.70, 0.90),
}
RECTANGLES = ("background", "cloth")


def seeded_network(resolution: int) -> SynthesisNetwork:
    """A frozen network of the papers' size with random weights, also where initial values are zero."""
    network = SynthesisNetwork(w_dim=512, img_resolution=resolution, channel_base=CHANNEL_BASE[resolution])
    rng = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if not name.endswith("resample_filter"):
            tensor.normal_(generator=rng)
        if name.endswith("affine.bias"):
            tensor.add_(1)
    return network.freeze()


def portrait_segments(size: int) -> SegmentMasks:
    """Soft masks that fill the boxes of SEGMENTS: the smaller ones on top."""
    masks = {name: filled(size, edges, name in RECTANGLES) for name, edges in SEGMENTS.items()}
    return segments_from_masks(masks, feather=1.5 * size / 256)


def filled(size: int, edges: Sequence[float], rectangle: bool) -> Tensor:
    """[size,size]: 1 in a rectangle, or in the ellipse that touches its edges (fractions: top, left, bottom, right)."""
    top, left, bottom, right = edges
    centres = (torch.arange(size) + 0.5) / size
    down = ((centres - (top + bottom) / 2) / ((bottom - top) / 2))[:, None]
    across = ((centres - (left + right) / 2) / ((right - left) / 2))[None]
    distance = (
        torch.maximum(down.abs(), across.abs()) if rectangle else (down.square() + across.square()).sqrt()
    )
    return (distance <= 1).float()
