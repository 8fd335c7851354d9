"""The good generators that the fuzzer damages: as small as each architecture allows, all weights alike."""

from __future__ import annotations

import torch

from chunky_core.generator.architecture import GeneratorModule
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.stylegan2 import SynthesisNetwork
from chunky_core.generator.stylegan3 import StyleGAN3Architecture, StyleGAN3Synthesis

from .mutate import WEIGHT

CODE = 8


def seed_generator(kind: str) -> Generator:
    """A generator for a format of `checkpoint_writers.WRITERS`."""
    if kind in ("stylegan3", "stylegan_xl"):
        return _stylegan3(with_classes=kind == "stylegan_xl")
    synthesis = SynthesisNetwork(w_dim=CODE, img_resolution=8, channel_base=64, channel_max=8)
    mapping = MappingNetwork(z_dim=CODE, w_dim=CODE, num_ws=synthesis.num_ws, num_layers=2)
    return _alike(GeneratorModule(mapping, synthesis))


def seed_of_inversions() -> Generator:
    """The least that an inversion with a delta fits."""
    synthesis = SynthesisNetwork(w_dim=CODE, img_resolution=16, channel_base=64, channel_max=4)
    mapping = MappingNetwork(z_dim=CODE, w_dim=CODE, num_ws=synthesis.num_ws, num_layers=2)
    return _alike(GeneratorModule(mapping, synthesis))


def _alike(module: GeneratorModule) -> Generator:
    rng = torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if name.endswith(("freqs", "phases")):
            tensor.normal_(generator=rng)
        elif not name.endswith(("_filter", "transform")):
            tensor.fill_(WEIGHT)
    return Generator(module)


def _stylegan3(with_classes: bool) -> Generator:
    """with_classes: as StyleGAN-XL has them."""
    classes = 2 if with_classes else 0
    architecture = StyleGAN3Architecture(
        z_dim=CODE,
        w_dim=CODE,
        c_dim=classes,
        class_means=with_classes,
        img_resolution=16,
        channel_base=32,
        channel_max=4,
        num_layers=4,
        margin_size=2,
        conv_kernel=1,
    )
    synthesis = StyleGAN3Synthesis(architecture)
    mapping = MappingNetwork(
        CODE, CODE, synthesis.num_ws, num_layers=2, c_dim=classes, class_means=with_classes
    )
    generator = _alike(GeneratorModule(mapping, synthesis))
    if with_classes:
        mapping.embed.bias.data.zero_()  # the format has none
    return generator
