"""The channel weights of the perceptual network, fitted to triplets of known order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...deprecated import old_names
from ...losses.feature_network import FeatureNetwork, FeatureSizes, Trunk, unit_length
from ..portraits import draw_portraits
from .people import draw_rows
from .triplets import KINDS, Triplets, is_of_equal_error, is_trained, squared_error

__getattr__ = old_names(__name__)

SHARPNESS = 4.0  # of the sigmoid on the ratio of the two distances
PULL = 2e-3  # towards equal weights
SPREAD = 3.0  # a weight is at most e^3 times, at least e^-3 times the mean of all at the start
PEOPLE_APART = 0.5  # mean distance of two people, about LPIPS' own scale
FITTING_STEPS = 400


@dataclass(frozen=True)
class TripletDistances:
    """near, far: [N,C] squared differences of the unit features, a mean over the pixels; kinds: [N] into KINDS.

    l2_near, l2_far: [N] squared errors of the pictures.
    """

    near: Tensor
    far: Tensor
    l2_near: Tensor
    l2_far: Tensor
    kinds: Tensor


def unit_features(trunk: Trunk, images: Tensor) -> list[Tensor]:
    return [unit_length(maps) for maps in trunk(images)]


def channel_distances(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """[B, sum of channels]: the squared difference of two pictures' unit features in every channel of every map."""
    return torch.cat([(p - q).square().mean((2, 3)) for p, q in zip(a, b, strict=True)], 1)


@torch.no_grad()
def measure_triplets(trunk: Trunk, triplets: Sequence[Triplets]) -> TripletDistances:
    """What the fit and the count need to know about the triplets."""
    filled = [t for t in triplets if len(t.reference)]
    near, far = zip(*(_both(trunk, t) for t in filled), strict=True)
    l2_near = torch.cat([squared_error(t.reference, t.near) for t in filled])
    l2_far = torch.cat([squared_error(t.reference, t.far) for t in filled])
    kinds = torch.cat([torch.full((len(t.reference),), KINDS.index(t.kind)) for t in filled])
    return TripletDistances(torch.cat(near), torch.cat(far), l2_near, l2_far, kinds)


def _both(trunk: Trunk, triplets: Triplets) -> tuple[Tensor, Tensor]:
    reference, near, far = (
        unit_features(trunk, images) for images in (triplets.reference, triplets.near, triplets.far)
    )
    return channel_distances(reference, near), channel_distances(reference, far)


def fit_weights(data: TripletDistances) -> Tensor:
    """[C] positive: the weights with which the far picture is the farther one, every kind counting alike."""
    counts = torch.bincount(data.kinds, minlength=len(KINDS)).clamp(min=1)
    share = 1 / (counts[data.kinds] * len(KINDS))
    logs = torch.zeros(data.near.shape[1], requires_grad=True)
    adam = torch.optim.Adam([logs], 0.05)
    with torch.enable_grad():
        for _ in range(FITTING_STEPS):
            weights = (SPREAD * torch.tanh(logs / SPREAD)).exp()
            margin = SHARPNESS * ((data.far @ weights).log() - (data.near @ weights).log())
            loss = (F.softplus(-margin) * share).sum() + PULL * logs.square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return (SPREAD * torch.tanh(logs.detach() / SPREAD)).exp()


def accuracy(near: Tensor, far: Tensor, kinds: Tensor) -> dict[str, float]:
    """Share of the triplets in which the near picture is the nearer one: of each kind, and means over kinds."""
    right = (near < far).float()
    table = {
        name: float(right[kinds == i].mean()) for i, name in enumerate(KINDS) if bool((kinds == i).any())
    }
    groups = {
        "graded": [share for name, share in table.items() if not is_of_equal_error(name)],
        "equal L2": [share for name, share in table.items() if is_of_equal_error(name) and is_trained(name)],
        "equal L2, never trained": [share for name, share in table.items() if not is_trained(name)],
    }
    return {name: sum(shares) / len(shares) for name, shares in groups.items() if shares} | table


def perceptual_network(trunk: Trunk, sizes: FeatureSizes, weights: Tensor) -> FeatureNetwork:
    """The network with these weights, scaled so that two people are PEOPLE_APART on average."""
    images = draw_portraits(draw_rows(torch.Generator().manual_seed(5), 32), 128)[0]
    with torch.no_grad():
        a, b = (unit_features(trunk, some) for some in images.chunk(2))
        scale = PEOPLE_APART / (channel_distances(a, b) @ weights).mean()
    network = FeatureNetwork(sizes)
    network.trunk.load_state_dict(trunk.state_dict())
    parts = (weights * scale).split(sizes.channels)
    network.load_state_dict({f"weights.{i}": part for i, part in enumerate(parts)}, strict=False)
    return network.requires_grad_(False)


def agreement(
    trained: TripletDistances, weights: Tensor, untrained: TripletDistances, others: Tensor
) -> dict[str, dict]:
    """`accuracy` of L2, and of the untrained and the trained trunk with equal and with fitted weights.

    untrained: the same triplets seen by the untrained trunk; others: the weights fitted to it.
    """
    equal = torch.ones_like(weights)
    rows = {
        "l2": (trained.l2_near, trained.l2_far),
        "untrained, equal weights": (untrained.near @ equal, untrained.far @ equal),
        "untrained, fitted weights": (untrained.near @ others, untrained.far @ others),
        "trained, equal weights": (trained.near @ equal, trained.far @ equal),
        "trained, fitted weights": (trained.near @ weights, trained.far @ weights),
    }
    return {name: accuracy(near, far, trained.kinds) for name, (near, far) in rows.items()}
