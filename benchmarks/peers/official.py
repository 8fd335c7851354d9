"""The official projector of StyleGAN2-ADA (Karras et al. 2020), in W; it knows no masks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from time import process_time
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from chunky_core.generator import Generator
from chunky_core.images import to_uint8
from chunky_core.losses import PerceptualNetwork
from chunky_core.segments import SegmentMasks

from .loss import FeatureVector
from .repository import import_from, official_generator
from .results import Result

NAME = "stylegan2-ada-pytorch"
SEED = 303  # its default


class OfficialProjector:
    takes_masks = False

    def __init__(self, generator: Generator, network: PerceptualNetwork) -> None:
        networks, self.projector = import_from(NAME, "training.networks", "projector")
        self.G, self.network = official_generator(networks, generator).eval(), network

    def results(self, photo: Tensor, masks: SegmentMasks, num_steps: int) -> Iterator[tuple[str, Result]]:
        start = process_time()
        torch.manual_seed(SEED)
        with network_in_place(self.network):
            ws = self.projector.project(
                self.G, pixels_of(photo), num_steps=num_steps, device=torch.device("cpu")
            )
        rendering = self.G.synthesis(ws[-1:], noise_mode="const")
        yield "official projector, W", Result(rendering, process_time() - start)


def pixels_of(photo: Tensor) -> Tensor:
    """[3,H,W] in 0 ... 255, what the projector takes."""
    return to_uint8(photo)[0].permute(2, 0, 1).float()


@contextlib.contextmanager
def network_in_place(network: PerceptualNetwork) -> Iterator[Any]:
    """Their download of VGG-16 gives the common loss instead."""
    with (
        mock.patch("dnnlib.util.open_url", lambda *_, **__: contextlib.nullcontext()),
        mock.patch("torch.jit.load", lambda _: FeatureVector(network)),
    ):
        yield
