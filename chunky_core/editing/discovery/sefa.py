"""SeFa: the directions of W that change the styles most, in closed form (Shen & Zhou 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...checks import check_whole
from ...generator.generator import Generator
from ...generator.layers import ToRGBLayer
from ...generator.spaces import Direction
from ...generator.statistics import GeneratorStatistics
from ...generator.stylegan3_layers import OutputLayer
from .components import checked_statistics, component_directions, leading
from .whitening import Whitening


def sefa_directions(
    generator: Generator,
    layers: Sequence[int] = (),
    count: int = 10,
    statistics: GeneratorStatistics | None = None,
    *,
    whiten: bool = False,
) -> tuple[Direction, ...]:
    """The first `count` eigenvectors of A'A, with A the weights of the affine layers that read `layers` of W+ (Shen &
    Zhou 2021, eq. 5), as directions in sigma that move these layers.

    As in the authors' own code the rows of A have length 1, and those of toRGB layers are left out, unless nothing else
    reads the layers. layers: numbers from 0; () = all. statistics: the generator's; None = measured now.
    whiten: not the paper's: what changes the styles most per standard deviation of the generator's codes, not per
    length in W, and with the rows as long as they are; these are the principal components of the styles.
    Raises InvalidInputError for layers that aren't there, and for more components than A has.
    """
    check_whole(count, "count")
    known = checked_statistics(generator, layers, statistics)
    weights = affine_weights(generator, layers).double()
    if not whiten:
        chosen = _eigenvectors(functional.normalize(weights, dim=1), count)
        return component_directions(generator, "SeFa", chosen, layers, known)
    factor = Whitening.of_covariance(known.w_covariance).factor
    chosen = _eigenvectors(weights @ factor, count) @ factor.T
    return component_directions(generator, "SeFa whitened", chosen, layers, known)


def _eigenvectors(weights: Tensor, count: int) -> Tensor:
    """The first ones of A'A: [count,columns]."""
    values, vectors = torch.linalg.eigh(weights.T @ weights)
    return leading(values, vectors.T, count, f"SeFa in {len(weights)} style channels")


def affine_weights(generator: Generator, layers: Sequence[int] = ()) -> Tensor:
    """What the styles gain for each number of w, if it moves in `layers` of W+: [style channels,w_dim] on the CPU.

    Only of style channels that do: those of convolutions or, where no convolution reads these layers, of toRGB layers.
    """
    precise = generator.to(dtype=torch.promote_types(generator.dtype, torch.float32))
    size = generator.w_dim
    still = torch.zeros(size, generator.num_ws, size, device=generator.device)
    moved = still.clone()
    moved[:, list(layers) or slice(None)] = torch.eye(size, device=generator.device)[:, None]
    with torch.no_grad():
        pairs = zip(precise.styles(moved), precise.styles(still[:1]), strict=True)
        by_layer = [(after - before).T for after, before in pairs]
    kinds = [
        isinstance(layer, ToRGBLayer | OutputLayer) for _, layer in precise.module.synthesis.styled_layers()
    ]
    read = [(rows, is_rgb) for rows, is_rgb in zip(by_layer, kinds, strict=True) if rows.any()]
    convolutions = [rows for rows, is_rgb in read if not is_rgb]
    found = torch.cat(convolutions or [rows for rows, _ in read]).cpu()
    return found[found.any(dim=1)]
