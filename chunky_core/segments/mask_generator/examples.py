"""What a training of mask generators is given: labels by name, pictures that one exemplar's labels are carried to, and
the config of a training that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.sampling import sample_codes
from ...generator.spaces import LatentCode, convert
from .exemplar import labels_from_exemplar
from .pixels import UNLABELED
from .record import MaskGenerator
from .training import MaskTrainingConfig

TRUNCATION = 0.7  # of the pictures that an exemplar's labels are carried to


def labels_by_place(
    maps: Sequence[tuple[Tensor, Mapping[int, str]]], known: Sequence[str] | None = None
) -> tuple[list[Tensor], tuple[str, ...]]:
    """Label maps [...,H,W] with names of their own -> the same with places in common names, int64, UNLABELED for labels
    without a name; and these names.

    known: the names to keep to, None: those that occur, in the order in which they do. Raises InvalidInputError for
    others.
    """
    present = [names[one] for labels, names in maps for one in labels.unique().tolist() if one in names]
    wanted = tuple(known or dict.fromkeys(present))
    strange = sorted(set(present) - set(wanted))
    if strange:
        raise InvalidInputError(
            f"the labels have {', '.join(strange):.80}, the mask generator to go on with {', '.join(wanted):.80}; "
            "rename them, or train a new one"
        )
    placed = []
    for labels, names in maps:
        own = torch.full_like(labels, UNLABELED, dtype=torch.int64)
        for label, name in names.items():
            if name in wanted:
                own[labels == label] = wanted.index(name)
        placed.append(own)
    return placed, wanted


def with_carried_labels(
    generator: Generator, code: LatentCode, labels: Tensor, samples: int, seed: int
) -> tuple[LatentCode, Tensor]:
    """One labelled picture, and random others after it with what can be told of their labels.

    code: one; labels: [1,H,W]; samples: how many others, of the seeds from `seed` on. Returns codes [1+samples,...] in
    w+ and labels [1+samples,H,W]. Raises what `labels_from_exemplar` raises.
    """
    drawn = sample_codes(generator, [seed + index for index in range(samples)], TRUNCATION)
    targets = LatentCode("w", drawn)
    carried = labels_from_exemplar(generator, code, labels[0], targets)
    codes = [convert(generator, one, "w+").tensor for one in (code, targets)]
    return LatentCode("w+", torch.cat(codes)), torch.cat([labels.to(carried.device), carried])


def continued_config(
    earlier: MaskGenerator | None, num_steps: int, members: int, seed: int
) -> MaskTrainingConfig:
    """The config of a training, anew or going on with `earlier`, whose networks stay as many and as large as they are.

    Raises InvalidInputError where there is nothing left to do.
    """
    if earlier is None:
        return MaskTrainingConfig(num_steps=num_steps, members=members, seed=seed)
    done = 0 if earlier.training is None else earlier.training.step
    if done >= num_steps:
        raise InvalidInputError(
            f"the mask generator to go on with was trained for {done} steps already and steps is {num_steps}, which "
            "counts them; raise it"
        )
    first, *others = earlier.classifier.weights
    hidden = (first.shape[-1], others[0].shape[-1])
    return MaskTrainingConfig(
        num_steps=num_steps, members=earlier.members, hidden=hidden, layers=earlier.layers, seed=seed
    )
