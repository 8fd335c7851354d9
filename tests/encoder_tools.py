"""A training of an encoder so small that it takes a second."""

from __future__ import annotations

from typing import Any

import torch

from chunky_core.encoders.training import EncoderTrainingConfig, PhotoExamples

SMALL: dict[str, Any] = {
    "steps": 6, "batch": 6, "size": 32, "channels": (8, 16, 16), "hidden": 32, "loss_size": 32,
    "pool": 8, "pool_steps": 4,
}  # fmt: skip


def small_config(**more: Any) -> EncoderTrainingConfig:
    return EncoderTrainingConfig(**{**SMALL, **more})


def small_examples() -> PhotoExamples:
    """Four photos of noise, whose left and right halves are two classes."""
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8, generator=rng)
    labels = torch.zeros(4, 32, 32, dtype=torch.uint8)
    labels[..., 16:] = 7
    return PhotoExamples(images, labels)
