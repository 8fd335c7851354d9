"""How well an embedding tells people apart: on photos, and on photos beside the demo generator's pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ...checkpoints.generators import load_generator
from ..photos import paint_photos
from ..portraits import LABEL, PARTS
from .identity_head import CHUNK, pictures
from .people import TOGETHER, Album, draw_people

DIRECTIONS = Path(__file__).parent.parent / "assets" / "directions.safetensors"
Scores = tuple[Tensor, Tensor]  # of the same person, of different people


@torch.no_grad()
def embeddings(embed: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([embed(some) for some in images.split(CHUNK)])


def likeness(embed: Callable[[Tensor], Tensor], album: Album) -> Scores:
    """Cosines of the embeddings of every two photos. embed: pictures [B,3,R,R] -> [B,D] of unit length."""
    vectors = embeddings(embed, pictures(album.images.reshape(-1, *album.images.shape[2:])))
    return split_pairs(vectors @ vectors.T, album.images.shape[1])


def nearness_in_l2(album: Album) -> Scores:
    """Minus the squared distances of the pictures, as `likeness` gives the cosines."""
    flat = pictures(album.images.reshape(len(album.images) * album.images.shape[1], -1))
    return split_pairs(-torch.cdist(flat, flat).square(), album.images.shape[1])


def split_pairs(scores: Tensor, photos: int) -> Scores:
    """Scores [N,N] of photos, `photos` in a row for each person -> (same person, different people), a pair once."""
    person = torch.arange(len(scores)) // photos
    same = person[:, None] == person
    once = torch.ones_like(same).triu(1)
    return scores[same & once], scores[~same & once]


@torch.no_grad()
def photos_beside_generated(seed: int, people: int) -> tuple[Tensor, Tensor]:
    """Photos, and the demo generator's pictures of the same people in another mood: twice [people,3,256,256]."""
    rng = torch.Generator().manual_seed(seed)
    rows = draw_people(rng, people, 2)[:, :, LABEL["skin"]]
    whole = rows[:, 0, None].expand(-1, len(PARTS), -1)
    photos = [paint_photos(some, 256, (), rng, rng).image * 2 - 1 for some in whole.split(TOGETHER)]
    readout, generator = load_file(DIRECTIONS), load_generator("demo")
    centered = rows[:, 1] - readout["readout/bias"]
    codes = torch.linalg.solve(readout["readout/weight"], centered.T).T
    return torch.cat(photos), torch.cat([generator.synthesis(some) for some in codes.split(TOGETHER)])


def across(scores: Tensor) -> Scores:
    """Scores [N,N] of N photos with N generated pictures of the same people, in the same order."""
    own = torch.eye(len(scores), dtype=torch.bool)
    return scores[own], scores[~own]


def verification(same: Tensor, different: Tensor) -> dict[str, float]:
    """Area under the ROC curve and equal error rate of scores that are to be higher for the same person."""
    ordered = different.sort().values
    below = torch.searchsorted(ordered, same).double() / len(ordered)
    not_above = torch.searchsorted(ordered, same, right=True).double() / len(ordered)
    thresholds = torch.cat([same, different]).sort().values
    missed = torch.searchsorted(same.sort().values, thresholds).double() / len(same)
    taken = 1 - torch.searchsorted(ordered, thresholds).double() / len(ordered)
    nearest = (missed - taken).abs().argmin()
    return {"auc": float((below + not_above).mean() / 2), "eer": float((missed + taken)[nearest] / 2)}


def identity_figures(embed: Callable[[Tensor], Tensor], album: Album, seed: int, people: int = 64) -> dict:
    """Verification by the embedding and by L2, on the photos of `album` and on photos beside generated pictures."""
    photos, generated = photos_beside_generated(seed, people)
    cosines = embeddings(embed, photos) @ embeddings(embed, generated).T
    nearness = -torch.cdist(photos.flatten(1), generated.flatten(1)).square()
    return {
        "people": len(album.images),
        "photos": album.images.shape[0] * album.images.shape[1],
        "identity": verification(*likeness(embed, album)),
        "l2": verification(*nearness_in_l2(album)),
        "generated_people": people,
        "identity, photo beside generated": verification(*across(cosines)),
        "l2, photo beside generated": verification(*across(nearness)),
    }
