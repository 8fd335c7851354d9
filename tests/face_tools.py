"""A face for tests that need no reference files, and the reference faces as the host gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chunky_core.segments.face_mesh.regions import IRISES, OVAL, RINGS


def host_landmarks(shared: Path, name: str) -> dict[str, Any]:
    """FACE_LANDMARKS of a reference picture: arrays as the host's node makes them."""
    data = json.loads((shared / "faces" / f"face_landmarks_{name}.json").read_text())
    for face in data["frames"][0]:
        for key in ("landmarks_xy", "landmarks_3d", "bbox_xyxy"):
            face[key] = np.array(face[key], np.float32)
    sets = {key: frozenset(map(tuple, pairs)) for key, pairs in data["connection_sets"].items()}
    return {**data, "image_size": tuple(data["image_size"]), "connection_sets": sets}


def drawn_mesh(center: tuple[float, float] = (50.0, 50.0), scale: float = 1.0, mouth: float = 4.0) -> Tensor:
    """A mesh [478,2] whose regions are circles and ovals, 80 pixels wide; mouth: half the opening of the lips."""
    points = torch.zeros(478, 2, dtype=torch.float64)
    _round(points, OVAL, (0, 0), (40, 48))
    for side, x in (("left", 15), ("right", -15)):
        _round(points, RINGS[f"{side}_eye"], (x, -10), (8, 4))
        _round(points, RINGS[f"{side}_brow"], (x, -22), (9, 2))
        middle, *rim = IRISES[f"{side}_iris"]
        points[middle] = torch.tensor([x, -10.0])
        _round(points, tuple(rim), (x, -10), (3, 3))
    _round(points, RINGS["nose"], (0, 4), (7, 9))
    _lips(points, mouth)
    return points * scale + torch.tensor(center, dtype=torch.float64)


def _lips(points: Tensor, opening: float) -> None:
    outer, inner = RINGS["upper_lip"][:11], RINGS["upper_lip"][11:]
    _arc(points, outer, 14, -8)
    _arc(points, RINGS["lower_lip"][1:10], 14, 8, corners=False)
    _arc(points, inner[::-1], 10, -opening)
    _arc(points, RINGS["lower_lip"][12:21][::-1], 10, opening, corners=False)


def _arc(points: Tensor, indices: tuple[int, ...], half: float, height: float, corners: bool = True) -> None:
    """From left to right, along half an ellipse below eyes and nose."""
    angles = torch.linspace(torch.pi, 0, len(indices) + (0 if corners else 2), dtype=torch.float64)
    angles = angles if corners else angles[1:-1]
    points[list(indices)] = torch.stack([half * angles.cos(), 24 + height * angles.sin()], 1)


def _round(
    points: Tensor, indices: tuple[int, ...], center: tuple[float, float], axes: tuple[float, float]
) -> None:
    angles = torch.arange(len(indices), dtype=torch.float64) * (2 * torch.pi / len(indices))
    ring = torch.stack([axes[0] * angles.cos(), axes[1] * angles.sin()], 1)
    points[list(indices)] = ring + torch.tensor(center, dtype=torch.float64)
