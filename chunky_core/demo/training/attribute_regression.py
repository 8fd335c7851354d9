"""The regression of attributes from pictures: batches, the training, R² on pictures never trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...encoders.training.pictures import disturb
from ...losses.feature_network import FeatureNetwork, FeatureSizes, Trunk
from ..portraits import ATTRIBUTES, INDEX, LABEL, PARTS, SHARED_ATTRIBUTES
from .attribute_pictures import AttributePictures
from .identity_head import pictures
from .loop import train
from .trunk import BROW, EYE, SHOWN_BY, start_weights

MUON_RATE = 0.01  # half of what a trunk from scratch takes
SHARES = (0.3, 0.25, 0.2)  # of portraits, the generator's pictures and photos; the rest are photos with edits
BESIDE = {**dict.fromkeys(EYE, ("left_eye", "right_eye")), **dict.fromkeys(BROW, ("left_brow", "right_brow"))}
SHARED = [INDEX[name] for name in SHARED_ATTRIBUTES]
READABLE = 0.5  # R² on held-out pictures of the generator, below which an attribute isn't offered


def whole_attributes(rows: Tensor) -> Tensor:
    """Attributes [B,P,K] of parts -> [B,K] of the whole: of the part that shows each, of two the mean."""
    columns = [
        rows[:, [LABEL[part] for part in BESIDE.get(name, (SHOWN_BY.get(name, "skin"),))], INDEX[name]]
        for name in ATTRIBUTES
    ]
    return torch.stack([column.mean(1) for column in columns], 1)


class AttributeBatches:
    """Pictures [B,3,R,R] and their attributes [B,K], a quarter of them photos in which some parts are edited."""

    def __init__(self, given: AttributePictures, seed: int) -> None:
        self.given, self.seed = given, seed

    def draw(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """The same for the same step."""
        rng = np.random.default_rng((self.seed, step))
        draws = torch.Generator().manual_seed(int(rng.integers(2**40)))
        counts = [round(share * size) for share in SHARES]
        kinds = (self._portraits, self._generated, self._photos, self.edited_photos)
        drawn = [kind(rng, count) for kind, count in zip(kinds, [*counts, size - sum(counts)], strict=True)]
        images = torch.cat([images for images, _ in drawn])
        soft = torch.rand(size, 1, 1, 1, generator=draws) < 0.5
        return torch.where(soft, disturb(images, draws), images), torch.cat([rows for _, rows in drawn])

    def _portraits(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        chosen = rng.integers(len(self.given.portraits), size=count)
        return pictures(self.given.portraits[chosen]), torch.from_numpy(self.given.portrait_rows[chosen])

    def _generated(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        given, chosen = self.given, rng.integers(len(self.given.generated), size=count)
        first, second = (given.generated, given.edited), (given.generated_rows, given.edited_rows)
        which = int(rng.integers(2))
        return pictures(first[which][chosen]), torch.from_numpy(second[which][chosen])

    def _photos(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        chosen = rng.integers(len(self.given.photos), size=count)
        return pictures(self.given.photos[chosen]), whole_attributes(
            torch.from_numpy(self.given.photo_rows[chosen])
        )

    def edited_photos(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Photos with some parts replaced by the generator's, or moved by what an edit changes there."""
        given, chosen = self.given, rng.integers(len(self.given.photos), size=count)
        photos, before, after = (pictures(a[chosen]) for a in (given.photos, given.generated, given.edited))
        rows = torch.from_numpy(given.photo_rows[chosen])
        own, moved = (torch.from_numpy(a[chosen]) for a in (given.generated_rows, given.edited_rows))
        parts = torch.from_numpy(rng.random((count, len(PARTS))) < rng.uniform(0.15, 1.0, (count, 1)))
        masks = _soft_masks(torch.from_numpy(given.labels[chosen]), parts)
        kept = torch.from_numpy(rng.random(count) < 0.5)  # the photo's detail
        images = torch.where(
            kept[:, None, None, None], photos + masks * (after - before), photos + masks * (before - photos)
        )
        taken = torch.where(kept[:, None, None], rows + (moved - own)[:, None], own[:, None])
        taken[..., SHARED] = rows[..., SHARED]
        rows = torch.where(parts[:, :, None], taken, rows)
        return images.clamp(-1, 1), whole_attributes(rows)


def _soft_masks(labels: Tensor, parts: Tensor) -> Tensor:
    """[B,1,R,R]: the pixels of the chosen parts [B,P], soft by a pixel."""
    known = F.pad(parts.float(), (0, int(LABEL["odd_glasses"]) + 1 - parts.shape[1]))
    inside = known.gather(1, labels.flatten(1).long()).view(len(labels), 1, *labels.shape[1:])
    return F.avg_pool2d(inside, 3, stride=1, padding=1, count_include_pad=False)


def train_regression(
    trunk: Trunk, given: AttributePictures, steps: int, batch: int, checkpoint: Path, seed: int
) -> FeatureNetwork:
    """A network of kind "attributes" for all of ATTRIBUTES that sets out from `trunk`."""
    sizes = FeatureSizes("attributes", embedding=len(ATTRIBUTES), names=ATTRIBUTES)
    network = FeatureNetwork(sizes).to(memory_format=torch.channels_last)
    start_weights(network, seed)
    network.trunk.load_state_dict(trunk.state_dict())
    batches = AttributeBatches(given, seed)

    def loss_at(step: int) -> Tensor:
        images, rows = batches.draw(step, batch)
        found = network.scores(images.contiguous(memory_format=torch.channels_last))
        return F.smooth_l1_loss(found, rows)

    train(network, loss_at, steps, checkpoint, muon_rate=MUON_RATE)
    return network.requires_grad_(False)


@torch.no_grad()
def scores_of(network: FeatureNetwork, images: Tensor) -> Tensor:
    return torch.cat([network.scores(some) for some in images.split(32)])


def r2_of(found: Tensor, rows: Tensor) -> list[float]:
    """Of each attribute: 1 - mean squared error / variance."""
    return (1 - (found - rows).square().mean(0) / rows.var(0, unbiased=False)).tolist()


def held_out_figures(network: FeatureNetwork, given: AttributePictures) -> dict[str, dict[str, float]]:
    """R² of every attribute by kind of picture. given: pictures that `network` was not trained on."""
    rows = torch.from_numpy(given.photo_rows)
    edited, edited_rows = AttributeBatches(given, 0).edited_photos(
        np.random.default_rng(0), len(given.photos)
    )
    sets = {
        "renders": (pictures(given.portraits), torch.from_numpy(given.portrait_rows)),
        "generated": (pictures(given.generated), torch.from_numpy(given.generated_rows)),
        "photos": (pictures(given.photos), whole_attributes(rows)),
        "edited photos": (edited, edited_rows),
    }
    return {
        kind: dict(zip(ATTRIBUTES, r2_of(scores_of(network, images), truth), strict=True))
        for kind, (images, truth) in sets.items()
    }


def only_readable(network: FeatureNetwork, figures: dict[str, dict[str, float]]) -> FeatureNetwork:
    """The same for the attributes alone of which the held-out R² on the generator's pictures is 0.5 or more."""
    names = tuple(name for name in network.sizes.names if figures["generated"][name] >= READABLE)
    rows = [network.sizes.names.index(name) for name in names]
    smaller = FeatureNetwork(replace(network.sizes, names=names, embedding=len(names)))
    state = network.state_dict()
    smaller.load_state_dict(
        {**state, "out.weight": state["out.weight"][rows], "out.bias": state["out.bias"][rows]}
    )
    return smaller.requires_grad_(False)
