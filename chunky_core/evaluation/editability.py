"""What an inversion is worth for edits: figures of an edited picture against what the edit is to make of the photo.

Inverting more faithfully takes codes away from where the generator was trained, where directions mean less
(Tov et al. 2021, "Designing an Encoder for StyleGAN Image Manipulation", on distortion and editability).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..errors import InvalidInputError
from ..losses import LossNetworks
from ..segments.segment_masks import SegmentMasks
from .metrics import both_networks, identity_distance, lpips_distance
from .seam_visibility import seam_gradient_error

SEAM_WIDTH = 6  # pixels on either side of a boundary; see `seam_gradient_error`


@dataclass(frozen=True)
class EditFigures:
    """gain: see `edit_gain`. identity_to_photo, identity_to_truth: 1 - cosine of the embeddings, 0 ... 2.
    perceptual_to_truth: of a perceptual network, 0 = equal. seams: `seam_gradient_error` of the edited picture against
    the truth over 6 pixels on either side, in units of images in [-1,1].
    """

    gain: float
    identity_to_photo: float
    identity_to_truth: float
    perceptual_to_truth: float
    seams: float


def edit_gain(change: Tensor, true_change: Tensor) -> float:
    """<change, true change> / |true change|^2 of differences of images, any equal shapes: how much of the change that
    is wanted a picture shows. 1 = all of it, wherever else it changes, 0 = nothing, below 0 = the opposite.

    Raises InvalidInputError for different shapes and where the true change is 0.
    """
    if change.shape != true_change.shape:
        raise InvalidInputError(
            f"the change is {list(change.shape)}, the true one {list(true_change.shape)}; they must be equal"
        )
    change, true_change = change.double(), true_change.double()
    size = true_change.square().sum()
    if not size > 0:
        raise InvalidInputError("the true change is 0 everywhere; give one that shows")
    return ((change * true_change).sum() / size).item()


def measure_edit(
    photo: Tensor,
    truth: Tensor,
    unedited: Tensor,
    edited: Tensor,
    masks: SegmentMasks,
    networks: LossNetworks,
) -> EditFigures:
    """Figures of a picture `edited` that was `unedited` before, for `photo` and `truth`, the photo as the edit is to
    make it; [1,3,H,W] in [-1,1] each. masks: whose boundaries count as seams.

    Raises InvalidInputError if sizes differ, truth and photo are equal, or a network is missing: both are needed.
    """
    perceptual, identity = both_networks(networks, "editability")
    return EditFigures(
        gain=edit_gain(edited - unedited, truth - photo),
        identity_to_photo=identity_distance(edited, photo, identity),
        identity_to_truth=identity_distance(edited, truth, identity),
        perceptual_to_truth=lpips_distance(edited, truth, perceptual),
        seams=seam_gradient_error(truth, edited, masks, width=SEAM_WIDTH),
    )
