"""The labelled pixels that a mask generator learns from: their features, sampled without up-sampling whole pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...boxes import Size
from ...checks import check_tensor
from ...errors import InvalidInputError
from ...generator.features import recorded_layers
from ...generator.generator import Generator
from ...generator.spaces import LatentCode, synthesis_input
from .classifier import sampled_features

UNLABELED = -1
UNLABELED_8BIT = 255  # as files of label maps mark pixels that nothing is known of
_LEAST_SCALE = 1e-3  # of a feature's deviation, relative to the mean one: constant features say nothing


@dataclass(frozen=True, eq=False)
class LabeledPixels:
    """features: [P,C], float32, (feature - mean) / scale; labels: int64 [P]; weights: [P], mean 1: how many pixels of
    the pictures each one stands for. mean, scale: [C], of the features as the generator has them.
    """

    features: Tensor
    labels: Tensor
    weights: Tensor
    mean: Tensor
    scale: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features [*,C], labels and weights [*] of the pixels at these places."""
        places = chosen.to(self.labels.device)
        return self.features[places], self.labels[places], self.weights[places]


@torch.no_grad()
def sample_pixels(
    generator: Generator,
    codes: LatentCode,
    labels: Tensor,
    classes: int,
    layers: Sequence[str],
    most: int,
    memory: int,
    seed: int,
    statistics: tuple[Tensor, Tensor] | None = None,
) -> LabeledPixels:
    """Pixels of N pictures, drawn anew one by one: at most `most` of each, and `memory` bytes of features in all.

    Within a picture a class is drawn in proportion to the root of its area. statistics: mean and scale, None = those of
    the pixels. Raises InvalidInputError for labels of another number, range or shape, and where none are known.
    """
    known = checked_labels(labels, len(codes.tensor), classes, generator.img_size)
    size = Size(*labels.shape[-2:])
    features, found, weights = [], [], []
    for index, one in enumerate(known):
        labelled = int((one >= 0).sum())
        if not labelled:
            continue
        code = LatentCode(codes.space, codes.tensor[index : index + 1].to(generator.device))
        with recorded_layers(generator, layers) as maps:
            generator.synthesis(synthesis_input(generator, code))
        channels = sum(maps[name].shape[1] for name in layers)
        count = max(1, min(most, memory // (4 * channels * len(known))))
        rng = torch.Generator().manual_seed(derived_seed(seed, 16, index))
        places, stands_for = _drawn(one, classes, count, rng)
        own = {name: maps[name] for name in layers}
        features.append(sampled_features(own, places // size.width, places % size.width, size))
        found.append(one.flatten()[places])
        weights.append(stands_for)
    if not features:
        raise InvalidInputError(f"no pixel is labelled; expected numbers from 0 to {classes - 1} somewhere")
    return _normalized(features, torch.cat(found), torch.cat(weights), statistics)


def _drawn(labels: Tensor, classes: int, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places of `count` labelled pixels of [H,W], drawn with replacement, and how many pixels each stands for."""
    flat = labels.flatten()
    known = (flat >= 0).nonzero()[:, 0]
    areas = torch.bincount(flat[known], minlength=classes).double()
    shares = areas.sqrt() / areas.sqrt().sum()
    drawn = torch.multinomial(shares, count, replacement=True, generator=rng)
    places = torch.empty(count, dtype=torch.long)
    for label in drawn.unique().tolist():
        own = known[flat[known] == label]
        which = drawn == label
        places[which] = own[torch.randint(len(own), (int(which.sum()),), generator=rng)]
    return places, (areas[drawn] / (shares[drawn] * count)).float()


def _normalized(
    features: list[Tensor], labels: Tensor, weights: Tensor, statistics: tuple[Tensor, Tensor] | None
) -> LabeledPixels:
    joined = torch.cat(features)
    features.clear()
    if statistics is None:
        deviation, mean = torch.std_mean(joined, dim=0, correction=0)
        statistics = mean, deviation.clamp(min=max(_LEAST_SCALE * float(deviation.mean()), 1e-8))
    mean, scale = (one.to(joined) for one in statistics)
    joined.sub_(mean).div_(scale)
    place = joined.device
    return LabeledPixels(joined, labels.to(place), (weights / weights.mean()).to(place), mean, scale)


def derived_seed(seed: int, bits: int, number: int) -> int:
    """The seed of one of several draws, each below 2^64 as torch takes it: seed and number side by side, or a hash of
    both where that has no room.

    bits: that the numbers have.
    """
    joined = (seed << bits) + number
    if joined < 1 << 64:
        return joined
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:8], "little")


def checked_labels(labels: Tensor, count: int, classes: int, size: Size) -> Tensor:
    """Labels [N,H,W] on the CPU, int64, -1 where nothing is known.

    Raises InvalidInputError for another number, kind, range or proportion than those of the pictures.
    """
    check_tensor(labels, "the labels", "of whole numbers [N,H,W]")
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.is_meta or labels.is_sparse)
    if not whole or labels.ndim != 3 or not labels.numel():
        raise InvalidInputError(
            f"the labels are {labels.dtype} {list(labels.shape)}; expected whole numbers [N,H,W]"
        )
    if len(labels) != count:
        raise InvalidInputError(
            f"{len(labels)} label maps were given for {count} codes; give one for each, [N,H,W]"
        )
    height, width = labels.shape[-2:]
    if abs(height * size.width - width * size.height) > max(size):
        raise InvalidInputError(
            f"the label maps are {width}x{height}, the pictures {size.width}x{size.height}; "
            "expected the same proportions"
        )
    known = labels.detach().cpu().long()
    known = torch.where(known == UNLABELED_8BIT, UNLABELED, known)
    wrong = known[(known < UNLABELED) | (known >= classes)]
    if wrong.numel():
        raise InvalidInputError(
            f"a label is {int(wrong[0])}; expected 0 to {classes - 1}, places in the names; "
            "-1 or 255 where it is unknown"
        )
    return known
