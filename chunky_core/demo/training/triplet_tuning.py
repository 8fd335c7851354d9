"""The perceptual trunk, trained further on triplets of known order while it goes on with labels and attributes."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ...losses.feature_network import Trunk
from .channel_weights import SHARPNESS, channel_distances, unit_features
from .loop import train
from .triplets import Triplets, draw_round, is_of_equal_error, is_trained
from .trunk import Batches, TrunkTask

AT_ONCE = 3  # triplets of a kind
MUON_RATE = 0.01
FIRST_BATCH = 350  # its batches are smaller than the trunk's, so that the same numbers draw other pictures


def order_loss(trunk: Trunk, triplets: Triplets) -> Tensor:
    """Sum over the triplets of the logistic loss on the ratio of the two distances, all channels alike."""
    count = len(triplets.reference)
    images = torch.cat([triplets.reference, triplets.near, triplets.far])
    reference, near, far = zip(*(maps.split(count) for maps in unit_features(trunk, images)), strict=True)
    ratio = channel_distances(reference, far).sum(1).log() - channel_distances(reference, near).sum(1).log()
    return F.softplus(-SHARPNESS * ratio).sum()


def tune_trunk(
    task: TrunkTask, batches: Batches, steps: int, batch: int, checkpoint: Path, seed: int
) -> Trunk:
    """A trunk whose distances order triplets better; `task` stays as it is.

    Graded disturbances are left out: any trunk orders them.
    """
    tuned = copy.deepcopy(task).requires_grad_(True)

    def loss_at(step: int) -> Tensor:
        drawn = [t for t in draw_round(seed, step, AT_ONCE) if len(t.reference) and _is_hard(t.kind)]
        count = max(1, sum(len(t.reference) for t in drawn))
        order = sum((order_loss(tuned.trunk, some) for some in drawn), torch.zeros(()))
        return order / count + tuned.loss(*batches.draw(FIRST_BATCH + step, batch))

    train(tuned, loss_at, steps, checkpoint, muon_rate=MUON_RATE, every=25)
    return tuned.trunk.requires_grad_(False)


def _is_hard(kind: str) -> bool:
    return is_trained(kind) and (is_of_equal_error(kind) or kind.startswith("attributes"))
