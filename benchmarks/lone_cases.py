"""Photos of which one segment alone is projected, everything else static, and how close a rendering comes to them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import LABEL
from chunky_core.evaluation.metrics import lpips_distance, mse
from chunky_core.losses import LossConfig, PerceptualNetwork
from chunky_core.segments import SegmentMasks, segments_from_label_map

SEEDS = tuple(range(7103, 7113))
WITH_GLASSES = (7103, 7104, 7106, 7107, 7108, 7109, 7111, 7114, 7116, 7117)
PARTS = {
    "mouth": ("mouth",),
    "eyes": ("left_eye", "right_eye"),
    "glasses": ("glasses",),
    "brow": ("left_brow",),
    "face": ("skin", "left_brow", "right_brow", "left_eye", "right_eye", "nose", "mouth"),
}
MASKS: dict[str, dict[str, Any]] = {
    "hard": {"grow": 0, "feather": 0.0},
    "soft": {"grow": 4, "feather": 1.5},
}
LOSS = LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
FIGURES = ("l2", "perceptual")


@dataclass(frozen=True)
class Case:
    """A photo [1,3,H,W] in [-1,1] with one segment; labels [1,1,H,W]: 1 where the part is, whatever its mask does."""

    seed: int
    part: str
    masks: str
    photo: Tensor
    segments: SegmentMasks
    labels: Tensor


def lone_case(seed: int, part: str, masks: str) -> Case:
    """part: one of PARTS, made one segment. masks: one of MASKS."""
    photo = demo_photo(seed)
    inside = torch.isin(photo.labels, torch.tensor([LABEL[name] for name in PARTS[part]]))
    segments = segments_from_label_map(inside.int(), {1: part}, gaps="static", **MASKS[masks])
    return Case(seed, part, masks, photo.image, segments, inside[None, None].float())


def chosen_cases(
    seeds: Sequence[int], parts: Sequence[str], masks: Sequence[str]
) -> list[tuple[int, str, str]]:
    """Seed, part, masks, photo by photo; of photos without glasses, others that have some take the place."""
    wearers = WITH_GLASSES if tuple(seeds) == SEEDS else [seed for seed in seeds if seed in WITH_GLASSES]
    return sorted(
        (seed, part, one)
        for part in parts
        for seed in (wearers if part == "glasses" else seeds)
        for one in masks
    )


def lone_figures(case: Case, rendering: Tensor, network: PerceptualNetwork) -> dict[str, float]:
    """Of the photo with the segment replaced by `rendering` [1,3,H,W], within the labels: mean squared difference, and
    perceptual distance divided by their share of the photo.
    """
    mask = case.segments.masks
    picture = case.photo + mask * (rendering - case.photo)
    return {
        "l2": mse(picture, case.photo, case.labels),
        "perceptual": lpips_distance(picture, case.photo, network, case.labels),
    }
