"""Small random generators whose pictures have unequal sides, or sides that are no power of two."""

from __future__ import annotations

import torch

from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.module import GeneratorModule
from chunky_core.generator.stylegan2 import SynthesisNetwork
from chunky_core.generator.stylegan3 import StyleGAN3Architecture, StyleGAN3Synthesis

W_DIM = 16


def stylegan2(
    const_size: tuple[int, int], doublings: int = 3, seed: int = 0, block: str = "skip"
) -> Generator:
    """A StyleGAN2 that starts from a constant of (height, width), as StyleGAN-Human's (4, 2) and eps696's."""
    synthesis = SynthesisNetwork(
        w_dim=W_DIM,
        img_resolution=max(const_size) << doublings,
        channel_base=256,
        channel_max=16,
        block=block,
        const_size=const_size,
    )
    module = GeneratorModule(MappingNetwork(W_DIM, W_DIM, synthesis.num_ws, num_layers=2), synthesis)
    return Generator(_random(module, seed), {"source": "random"})


def stylegan3(seed: int = 0) -> Generator:
    """A StyleGAN3 of 16x32 pixels (width x height), as StyleGAN-Human's."""
    architecture = StyleGAN3Architecture(
        W_DIM, W_DIM, 0, 32, 3, 128, 12, num_layers=4, margin_size=4, square=False
    )
    synthesis = StyleGAN3Synthesis(architecture)
    module = GeneratorModule(MappingNetwork(W_DIM, W_DIM, synthesis.num_ws, num_layers=2), synthesis)
    return Generator(_random(module, seed), {"source": "random"})


def _random(module: GeneratorModule, seed: int) -> GeneratorModule:
    """Nothing stays zero or one, so that nothing can be left out unnoticed."""
    rng = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith(("_filter", "transform", "freqs", "phases")):
            continue
        if name.endswith("magnitude_ema"):
            tensor.fill_(0.7)
            continue
        small = name.endswith(("bias", "noise_strength"))
        tensor.normal_(0.0, (30.0 if "mapping.fc" in name else 0.3) if small else 1.0, generator=rng)
        if name.startswith("mapping.fc") and name.endswith("weight"):
            tensor.mul_(100.0)
        if name.endswith("affine.bias"):
            tensor.add_(1.0)
    if "synthesis.input.freqs" in module.state_dict():  # drawn by torch's own seed otherwise
        module.state_dict()["synthesis.input.freqs"].normal_(generator=rng)
        module.state_dict()["synthesis.input.phases"].uniform_(-0.5, 0.5, generator=rng)
    return module
