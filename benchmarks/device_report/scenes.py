"""What the report computes on: generators, photos, segments and edits of each size."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent.parent))  # the other benchmarks

from portrait import SEGMENTS, filled, portrait_segments, seeded_network

from chunky_core import Generator, load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.editing.directions import load_directions
from chunky_core.editing.edits import parse_edit
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.module import GeneratorModule
from chunky_core.generator.spaces import Direction
from chunky_core.generator.stylegan2 import SynthesisNetwork
from chunky_core.images import from_uint8, to_uint8
from chunky_core.inversion import Edit
from chunky_core.segments import SegmentMasks, segments_from_label_map, segments_from_masks


@dataclass(frozen=True)
class Scene:
    """A generator in float32 on the CPU, a photo [1,3,R,R] in [-1,1] of 8 bits, its segments, and an edit of all."""

    generator: Generator
    photo: Tensor
    segments: SegmentMasks
    edit: Edit

    @property
    def size(self) -> int:
        return self.generator.img_resolution

    def ws(self, count: int) -> Tensor:
        """Seeded codes [count,num_ws,w_dim] on the CPU."""
        z = torch.randn(count, self.generator.z_dim, generator=torch.Generator().manual_seed(0))
        return self.generator.mapping(z)


def demo_scene() -> Scene:
    """The shipped generator at 256 pixels and a demo photo, its background static."""
    drawn = demo_photo(5000, resolution=256)
    segments = segments_from_label_map(drawn.labels, LABEL_NAMES, static=("background",), grow=4, feather=1.5)
    edit = parse_edit("age=2", load_directions("demo"))
    return Scene(load_generator("demo"), drawn.image, segments, edit)


def tiny_scene() -> Scene:
    """A seeded network of 64 pixels and few channels."""
    synthesis = SynthesisNetwork(w_dim=32, img_resolution=64, channel_base=1024, channel_max=32)
    masks = {name: filled(64, SEGMENTS[name], name == "neck") for name in ("skin", "neck", "mouth")}
    return _seeded_scene(synthesis, segments_from_masks(masks, feather=0.7))


def large_scene() -> Scene:
    """A seeded network of the papers' size at 1024 pixels, and the 13 segments of a portrait."""
    return _seeded_scene(seeded_network(1024), portrait_segments(1024))


def _seeded_scene(synthesis: SynthesisNetwork, segments: SegmentMasks) -> Scene:
    w_dim = synthesis.w_dim
    mapping = MappingNetwork(z_dim=w_dim, w_dim=w_dim, num_ws=synthesis.num_ws, num_layers=2)
    module, rng = GeneratorModule(mapping, synthesis), torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if not name.endswith("resample_filter"):
            tensor.normal_(0.0, _deviation(name), generator=rng)
        if name.endswith("affine.bias"):
            tensor.add_(1.0)
    generator = Generator(module)
    size = generator.img_resolution
    coarse = torch.rand(1, 3, size // 8, size // 8, generator=rng) * 2 - 1
    photo = from_uint8(to_uint8(functional.interpolate(coarse, (size, size), mode="bilinear")))
    direction = Direction("any", "w", torch.randn(w_dim, generator=rng))
    return Scene(generator, photo, segments, Edit(direction, 1.0))


def _deviation(name: str) -> float:
    if name.startswith("mapping.fc"):
        return 100.0 if name.endswith("weight") else 0.0  # the learning rate's multiplier takes 100 away
    return 0.3 if name.endswith(("bias", "noise_strength")) else 1.0
