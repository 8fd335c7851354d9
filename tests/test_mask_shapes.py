"""One mask may be [H,W] or [1,1,H,W] wherever one is meant: the same comes out; three dimensions are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.alignment import AlignedCrop, paste_back
from chunky_core.compositing import poisson_blend, seamless_clone
from chunky_core.compositing.color_shift import shift_colors
from chunky_core.compositing.correction_mask import CorrectionPart, connected_component_masks
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.metrics import mse, psnr
from chunky_core.inversion import Alignment
from chunky_core.losses import l1_loss, l2_loss, ms_ssim
from chunky_core.segments import add_segment, evolve, mask_box, relayer, segments_from_masks, single_segment
from chunky_core.visualization.outlines import draw_outlines

pytestmark = pytest.mark.cpu("shapes alone")
SIZE = 32
RNG = torch.Generator().manual_seed(4)
PHOTO, RENDERING = torch.rand(2, 1, 3, SIZE, SIZE, generator=RNG) * 2 - 1
MASK = torch.zeros(SIZE, SIZE)
MASK[8:20, 10:26] = 1
MASK[8:20, 9] = 0.5
WHOLE = Alignment(((0.0, 0.0), (0.0, SIZE), (SIZE, SIZE), (SIZE, 0.0)), (SIZE, SIZE))
FUNCTIONS: dict[str, Callable[[Tensor], Any]] = {
    "poisson_blend": lambda mask: poisson_blend(PHOTO, RENDERING, mask),
    "seamless_clone": lambda mask: seamless_clone(PHOTO, RENDERING, mask, mode="seam only", band=4),
    "shift_colors": lambda mask: shift_colors(PHOTO, RENDERING, mask),
    "connected_component_masks": lambda mask: connected_component_masks(mask)[0].reshape(SIZE, SIZE),
    "CorrectionPart": lambda mask: CorrectionPart(mask).mask,
    "paste_back": lambda mask: paste_back(PHOTO, RENDERING, AlignedCrop(PHOTO, WHOLE), mask),
    "mse": lambda mask: mse(PHOTO, RENDERING, mask),
    "psnr": lambda mask: psnr(PHOTO, RENDERING, mask),
    "l1_loss": lambda mask: l1_loss(RENDERING, PHOTO, mask),
    "l2_loss": lambda mask: l2_loss(RENDERING, PHOTO, mask),
    "ms_ssim": lambda mask: ms_ssim(RENDERING, PHOTO, mask),
    "segments_from_masks": lambda mask: segments_from_masks({"a": mask}).masks,
    "add_segment": lambda mask: add_segment(single_segment((SIZE, SIZE)), "a", mask).masks,
    "relayer": lambda mask: relayer(single_segment((SIZE, SIZE)), {"a": mask}).masks,
    "evolve": lambda mask: evolve(mask, mask, distance=2, sign=1, allowed=mask),
    "mask_box": lambda mask: mask_box(mask),
    "draw_outlines": lambda mask: draw_outlines(PHOTO, [mask], [mask]),
}
ANY_SHAPE = {
    "mse",
    "psnr",
    "l1_loss",
    "l2_loss",
    "mask_box",
    "connected_component_masks",
    "relayer",
}  # or broadcast


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_plane_and_a_stack_of_one_are_the_same(name: str):
    plane, stack = FUNCTIONS[name](MASK), FUNCTIONS[name](MASK[None, None])
    if isinstance(plane, Tensor):
        assert plane.shape == stack.shape and torch.equal(plane, stack)
    else:
        assert plane == stack


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - ANY_SHAPE - {"ms_ssim", "draw_outlines"}))
def test_two_masks_are_refused_where_one_is_meant(name: str):
    with pytest.raises(InvalidInputError, match="mask"):
        FUNCTIONS[name](torch.stack([MASK, MASK])[:, None])
