"""Masks and label maps brought to the size of their photo."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..wording import in_pixels

_PLACEHOLDER = (64, 64)  # of the mask that ComfyUI's Load Image gives where an image has no transparency


def fit_mask(mask: Tensor, size: tuple[int, int], what: str) -> Tensor:
    """A mask in the size of its photo: the mean of the pixels below where it shrinks, else interpolated linearly.

    mask: [...,H,W] in [0,1], or bool. size: (height, width). what: the mask in the words of an error, such as "the
    mask of 'mouth'". Returns [...,height,width] on the same device: the mask itself if it has that size, else its type,
    float32 for bool and whole numbers.
    Raises InvalidInputError for another aspect than the photo's (one may be the other with both sides scaled
    and rounded to whole pixels), and for a mask of 64x64 that shows nothing, as loaders make them up for images
    without transparency.
    """
    if mask.shape[-2:] == size:
        return mask
    if mask.numel() and is_placeholder(mask):
        raise InvalidInputError(
            f"{what} is a constant 64x64 placeholder, as a picture without transparency gives; expected a real mask of "
            f"{size[1]}x{size[0]}, so paint or connect one"
        )
    _check_aspect(mask, size, what)
    return _resized(mask, size)


def fit_labels(labels: Tensor, size: tuple[int, int], what: str) -> Tensor:
    """A label map in the size of its photo: every pixel has the label of the nearest one, so none is made up.

    labels: whole numbers [...,H,W]; size, what and errors: as for `fit_mask`. Returns the same type.
    """
    if labels.shape[-2:] == size:
        return labels
    _check_aspect(labels, size, what)
    rows, columns = (_nearest(old, new) for old, new in zip(labels.shape[-2:], size, strict=True))
    return labels[..., rows.to(labels.device)[:, None], columns.to(labels.device)]


def is_placeholder(mask: Tensor) -> bool:
    """Whether a mask [...,H,W] is the constant one of 64x64 that loaders give for an image without transparency."""
    return mask.shape[-2:] == _PLACEHOLDER and bool((mask == mask[..., :1, :1]).all())


def _check_aspect(mask: Tensor, size: tuple[int, int], what: str) -> None:
    if mask.ndim < 2 or 0 in mask.shape:
        raise InvalidInputError(f"{what} has the shape {list(mask.shape)}; expected [...,height,width]")
    scales = [
        ((small - 0.5) / large, (small + 0.5) / large)
        for small, large in zip(*sorted((tuple(mask.shape[-2:]), size), key=sum), strict=True)
    ]
    if max(low for low, _ in scales) > min(high for _, high in scales):
        raise InvalidInputError(
            f"{what} is {in_pixels(mask)}, the photo is {size[1]}x{size[0]}; expected the photo's size or its aspect, "
            "so make it for this photo (a face that Align Face cut out needs one of its own)"
        )


def _resized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    import cv2

    values = mask.detach() if mask.is_floating_point() else mask.float()
    planes = (
        values.reshape(-1, *mask.shape[-2:])
        .cpu()
        .to(torch.float64 if values.dtype == torch.float64 else torch.float32)
    )
    shrinks = size[0] * size[1] < mask.shape[-2] * mask.shape[-1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    made = torch.stack(
        [torch.from_numpy(cv2.resize(one.numpy(), size[::-1], interpolation=way)) for one in planes]
    )
    return made.reshape(*mask.shape[:-2], *size).to(values)


def _nearest(old: int, new: int) -> Tensor:
    """For each of `new` pixels the one of `old` at its center."""
    return ((torch.arange(new, dtype=torch.float64) + 0.5) * (old / new)).long().clamp(max=old - 1)
