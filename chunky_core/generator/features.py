"""What a generator's convolutions see of a picture: their outputs, by resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from .generator import Generator
from .stylegan2 import SynthesisNetwork


@contextmanager
def recorded_features(generator: Generator, resolutions: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Within, the outputs [B,C,h,w] of each block's last convolution, of the latest picture that was drawn.

    resolutions: the longer sides of the blocks wanted; those that it doesn't have are left out. A generator without
    blocks of fixed sizes (StyleGAN3) has none. Of a box that is drawn, the outputs that its pixels depend on.
    """
    found: dict[int, Tensor] = {}
    with ExitStack() as stack:
        for resolution, layer in _last_convolutions(generator):
            if resolution in resolutions:
                stack.enter_context(_recording(layer, resolution, found))
        yield found


def _last_convolutions(generator: Generator) -> Iterator[tuple[int, nn.Module]]:
    synthesis = generator.module.synthesis
    if isinstance(synthesis, SynthesisNetwork):
        for resolution, block in zip(synthesis.block_resolutions, synthesis.blocks(), strict=True):
            yield resolution, block.conv1


@contextmanager
def _recording(layer: nn.Module, resolution: int, found: dict[int, Tensor]) -> Iterator[None]:
    def keep(_: nn.Module, __: tuple[object, ...], output: Tensor) -> None:
        found[resolution] = output

    handle = layer.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
