"""Sizes of tensors and counts in the words of people, for errors."""

from __future__ import annotations

from torch import Tensor


def in_pixels(image: Tensor) -> str:
    """ "512x256", width first, of a picture or mask [...,H,W]; the bare shape of anything smaller."""
    return f"{image.shape[-1]}x{image.shape[-2]}" if image.ndim >= 2 else f"of shape {list(image.shape)}"


def counted(count: int, noun: str) -> str:
    """ "1 photo", "3 photos"; noun: one whose plural has an s."""
    return f"{count} {noun}{'s' * (count != 1)}"


def pictures(images: Tensor) -> str:
    """ "a picture of 512x256" or "3 pictures of 512x256" for [B,3,H,W]; other channels and shapes are said."""
    if images.ndim != 4:
        return f"a tensor of shape {list(images.shape)}"
    count, channels = images.shape[:2]
    colors = "" if channels == 3 else f" with {counted(channels, 'channel')}"
    return f"{'a picture' if count == 1 else f'{count} pictures'} of {in_pixels(images)}{colors}"
