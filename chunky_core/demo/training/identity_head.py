"""The identity embedding: a head on the trained trunk, taught that photos of the same person lie together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...encoders.training.pictures import disturb
from ...losses.feature_network import FeatureNetwork, FeatureSizes, Trunk
from .loop import train
from .people import Album
from .trunk import start_weights

TEMPERATURE = 0.08
PEOPLE_AT_ONCE = 192
DROPPED = 0.15  # of the trunk's channels in every picture, so that the head leans on none of them
CHUNK = 16


def pictures(images: np.ndarray) -> Tensor:
    """8-bit pictures [B,3,R,R] -> float32 in [-1,1]."""
    return torch.from_numpy(images).float() / 127.5 - 1


@torch.no_grad()
def last_maps(trunk: Trunk, album: Album, seed: int) -> Tensor:
    """Of every photo, disturbed, the trunk's last map: float16 [people, photos, C, h, w]."""
    flat = album.images.reshape(-1, *album.images.shape[2:])
    rng = torch.Generator().manual_seed(seed)
    chunks = (pictures(flat[start : start + CHUNK]) for start in range(0, len(flat), CHUNK))
    maps = torch.cat([trunk(disturb(some, rng))[-1].half() for some in chunks])
    return maps.unflatten(0, album.images.shape[:2])


def contrast(first: Tensor, second: Tensor) -> Tensor:
    """InfoNCE of the embeddings [B,D] of two photos of each of B people (van den Oord et al. 2018), both ways."""
    scores = first @ second.T / TEMPERATURE
    own = torch.arange(len(first))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def train_identity(
    trunk: Trunk, sizes: FeatureSizes, maps: Tensor, steps: int, checkpoint: Path, seed: int
) -> FeatureNetwork:
    """The network of kind "identity" with this trunk, which stays as it is. maps: of `last_maps`."""
    network = FeatureNetwork(sizes)
    start_weights(network, seed)
    network.trunk.load_state_dict(trunk.state_dict())
    network.trunk.requires_grad_(False)

    def loss_at(step: int) -> Tensor:
        rng = torch.Generator().manual_seed((seed << 20) + step)
        people = torch.randperm(len(maps), generator=rng)[:PEOPLE_AT_ONCE]
        photos = torch.rand(len(people), maps.shape[1], generator=rng).argsort(1)
        first, second = (network.read(_dropped(maps[people, photos[:, i]].float(), rng)) for i in range(2))
        return contrast(first, second)

    train(network, loss_at, steps, checkpoint)
    return network.requires_grad_(False)


def _dropped(maps: Tensor, rng: torch.Generator) -> Tensor:
    kept = torch.rand(*maps.shape[:2], 1, 1, generator=rng) >= DROPPED
    return maps * kept / (1 - DROPPED)
