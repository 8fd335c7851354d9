"""Random pictures of a generator, and what a network says of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...callbacks import Callback
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import LatentCode
from ...generator.statistics import draw_codes
from ..scorers import AttributeScorer, attribute_index
from .viewing import pictures_at_once, viewing_resolution

SAMPLES = 500


@dataclass(frozen=True, eq=False)
class ScoredSamples:
    """codes: [N,w_dim] in w; scores: [N], of one attribute, in the scorer's unit; float32 on the CPU."""

    codes: LatentCode
    scores: Tensor


def scored_samples(
    generator: Generator,
    scorer: AttributeScorer,
    attribute: str,
    samples: int = SAMPLES,
    seed: int = 0,
    callback: Callback | None = None,
) -> ScoredSamples:
    """Draws `samples` random pictures and scores each.

    attribute: one of the scorer's names. callback(done, samples, pictures) after every few. The generator's classes are
    drawn, too, where it has any. Raises InvalidInputError for an attribute that the scorer doesn't know.
    """
    index = attribute_index(scorer, attribute)
    if samples < 2:
        raise InvalidInputError(f"{samples} samples were asked for; expected at least 2")
    _, w = draw_codes(generator, samples, seed)
    resolution = viewing_resolution(generator)
    scores: list[Tensor] = []
    done = 0
    for chunk in w.split(pictures_at_once(generator, resolution)):
        with torch.no_grad():
            pictures = generator.synthesis(chunk, out_resolution=resolution).float()
            scores.append(scorer(pictures)[:, index].float().cpu())
        done += len(chunk)
        if callback is not None:
            callback(done, samples, pictures)
    return ScoredSamples(LatentCode("w", w.cpu()), torch.cat(scores))
