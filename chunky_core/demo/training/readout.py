"""The frozen mapping network and the linear read-out u = A (w − μ) that ties W to the renderer's attributes.

The mapping network is seeded and never trained. The covariance of its output is whitened and rotated, so the
read-out of a random code is a vector of uncorrelated numbers of unit variance, which the renderer takes as its
attributes. Nothing can get lost in the mapping, only the synthesis is learnt, and moving a code by row i of
`directions` moves attribute i by exactly one standard deviation and no other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...generator.mapping import MappingNetwork
from ...generator.stylegan2 import SynthesisNetwork
from ..portraits import ATTRIBUTES

Z_DIM = 64
W_DIM = len(ATTRIBUTES)  # as many as attributes: no dead dimension of W, so no code without a gradient
MAPPING_LAYERS = 2  # deeper ones make W longer in some directions and its read-out less normal
SAMPLES = 200_000


@dataclass(frozen=True)
class Readout:
    """u = w @ weight.T + bias; weight [K, w_dim], bias [K]; directions [K, w_dim] with directions @ weight.T = 1."""

    weight: Tensor
    bias: Tensor
    directions: Tensor

    def attributes(self, w: Tensor) -> Tensor:
        """w: [..., w_dim] -> the renderer's attributes [..., K], about standard normal."""
        return w @ self.weight.T + self.bias


def build_mapping(num_ws: int, seed: int) -> MappingNetwork:
    """A mapping network with seeded weights, StyleGAN2's own initialisation."""
    rng = torch.Generator().manual_seed(seed)
    mapping = MappingNetwork(z_dim=Z_DIM, w_dim=W_DIM, num_ws=num_ws, num_layers=MAPPING_LAYERS)
    with torch.no_grad():
        for name, parameter in mapping.named_parameters():
            if name.endswith("weight"):
                # lr_multiplier .01 is divided out, as StyleGAN2 does at initialisation
                parameter.copy_(torch.randn(parameter.shape, generator=rng) / 0.01)
    return mapping.requires_grad_(False).eval()


@torch.no_grad()
def build_readout(mapping: MappingNetwork, seed: int) -> Readout:
    """Measure W on `SAMPLES` codes, set the mapping's w_avg to the mean, and return the rotated whitening."""
    rng = torch.Generator().manual_seed(seed)
    w = mapping(torch.randn(SAMPLES, Z_DIM, generator=rng))[:, 0].double()
    mean = w.mean(0)
    variance, axes = torch.linalg.eigh((w - mean).T @ (w - mean) / len(w))
    rotation = torch.linalg.qr(torch.randn(W_DIM, W_DIM, generator=rng, dtype=torch.float64))[0]
    weight = rotation @ axes @ torch.diag(variance.rsqrt()) @ axes.T
    directions = rotation @ axes @ torch.diag(variance.sqrt()) @ axes.T
    mapping.w_avg.copy_(mean)
    return Readout(weight.float(), (-weight @ mean).float(), directions.float())


@torch.no_grad()
def fold(network: SynthesisNetwork, readout: Readout) -> SynthesisNetwork:
    """Turn a synthesis network that reads attributes u into the same network that reads w (exact: u is affine in w)."""
    folded = SynthesisNetwork(
        w_dim=W_DIM,
        img_resolution=network.img_resolution,
        channel_base=network.channel_base,
        channel_max=network.channel_max,
    )
    state = dict(network.state_dict())
    for name in [n for n in state if n.endswith("affine.weight")]:
        weight = state[name]
        bias = name.replace("weight", "bias")
        gain = weight.shape[1] ** -0.5
        state[bias] = state[bias] + weight @ readout.bias.to(weight) * gain
        state[name] = weight @ readout.weight.to(weight) * (gain / W_DIM**-0.5)
    folded.load_state_dict(state)
    return folded
