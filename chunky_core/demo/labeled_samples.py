"""Samples of the demo generator with the labels that are true of them: those of the portraits that it was taught."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import WrongGeneratorError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from .portraits import PARTS, draw_portraits
from .training.readout import build_mapping, build_readout

_SEED = 7  # of the shipped generator's mapping and read-out
_SAME = 0.05  # of w, whose numbers are of the size 1; weights were rounded to float16


@torch.no_grad()
def labeled_samples(
    generator: Generator, count: int, seed: int, resolution: int = 256
) -> tuple[LatentCode, Tensor, tuple[str, ...]]:
    """Codes in w, label maps int64 [count,R,R], and the names of the 13 classes.

    Each code of the demo generator stands for attributes of a portrait (`Readout`), and the synthesis network was
    trained to draw that portrait: the label map is the painted portrait's own, exact up to what the generator draws
    otherwise (33 dB). Raises WrongGeneratorError for a generator with another mapping network.
    """
    mapping = build_mapping(num_ws=1, seed=_SEED)
    readout = build_readout(mapping, _SEED)
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    w = generator.mapping(z.to(generator.device))[:, 0].cpu()
    if w.shape[1] != mapping.w_dim or not torch.allclose(mapping(z)[:, 0], w, atol=_SAME):
        raise WrongGeneratorError(
            'labelled samples are known of the demo generator alone; load it by load_generator("demo")'
        )
    labels = draw_portraits(readout.attributes(w), resolution)[1]
    return LatentCode("w", w.to(generator.device)), labels.long(), PARTS
