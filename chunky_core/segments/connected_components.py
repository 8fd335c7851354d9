"""Connected parts of soft masks: the largest one, and the holes inside."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_LEVELS = (0.5, 1 - 1 / 512)  # a hole's core lies below the first, its soft edge below the second


def largest_part(mask: Tensor) -> Tensor:
    """A mask [H,W] in [0,1] without all its connected parts but the heaviest; its soft edge stays.

    Parts are connected where the mask exceeds half of its maximum, also diagonally; a weaker pixel belongs to the
    nearest of them.
    """
    from scipy.ndimage import distance_transform_edt, label

    weights = mask.cpu().double().numpy()
    parts, count = label(weights > weights.max() / 2, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    rows, columns = distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    owner = parts[rows, columns]
    heaviest = int(np.bincount(owner.ravel(), weights.ravel()).argmax())
    return mask * torch.from_numpy(owner == heaviest).to(mask.device)


def holes(mask: Tensor) -> Tensor:
    """Where a mask [H,W] in [0,1] is low but encloses the pixel, soft edges included; bool [H,W].

    What is open to the image's border is no hole.
    """
    weights = mask.cpu().double().numpy()
    enclosed = np.zeros(weights.shape, dtype=bool)
    for level in _LEVELS:
        enclosed |= _enclosed(weights < level)
    return torch.from_numpy(enclosed).to(mask.device)


def _enclosed(low: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import label

    parts, count = label(low)
    open_parts = np.zeros(count + 1, dtype=bool)
    open_parts[0] = True
    for side in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        open_parts[side] = True
    result: NDArray[np.bool_] = ~open_parts[parts]
    return result
