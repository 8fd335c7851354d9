"""What a generator's convolutions see of a picture: their outputs, by resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from torch import Tensor, nn

from ..errors import InvalidInputError
from .generator import Generator
from .stylegan2 import SynthesisNetwork
from .stylegan3 import StyleGAN3Synthesis
from .stylegan3_layers import FilteredLayer

_Key = TypeVar("_Key")


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


def feature_layers(generator: Generator) -> tuple[str, ...]:
    """The layers whose outputs tell best what a pixel shows, from the coarsest on: names for `recorded_layers`.

    Of a StyleGAN2 the last convolution of each block ("b4.conv1", ...), of a StyleGAN3 every layer but the RGB output.
    """
    synthesis = generator.module.synthesis
    if isinstance(synthesis, SynthesisNetwork):
        return tuple(f"{name}.conv1" for name in synthesis.block_names)
    return tuple(name for name, layer in synthesis.styled_layers() if isinstance(layer, FilteredLayer))


@contextmanager
def recorded_layers(generator: Generator, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Within, the outputs of some of `feature_layers` for the latest whole picture that was drawn, [B,C,h,w] each: what
    lies inside of the picture, without the margin that a StyleGAN3 computes around it.

    Raises InvalidInputError for a layer that the generator doesn't have.
    """
    missing = set(layers) - set(feature_layers(generator))
    if missing:
        raise InvalidInputError(
            f"the generator has no layers {', '.join(sorted(missing))!r:.100}; it has "
            f"{', '.join(feature_layers(generator))}"
        )
    found: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name in layers:
            layer = generator.module.get_submodule(f"synthesis.{name}")
            stack.enter_context(_recording(layer, name, found, _margin(generator, name)))
        yield found


def _margin(generator: Generator, layer: str) -> tuple[int, int]:
    """Rows above and columns left of the picture in the output of a layer."""
    synthesis = generator.module.synthesis
    if not isinstance(synthesis, StyleGAN3Synthesis):
        return 0, 0
    signal = synthesis.architecture.signals()[synthesis.layer_names.index(layer)]
    inside = signal.rate, signal.rate * generator.img_size.width // generator.img_size.height
    height, width = signal.size
    return (height - inside[0]) // 2, (width - inside[1]) // 2


def _last_convolutions(generator: Generator) -> Iterator[tuple[int, nn.Module]]:
    synthesis = generator.module.synthesis
    if isinstance(synthesis, SynthesisNetwork):
        for resolution, block in zip(synthesis.block_resolutions, synthesis.blocks(), strict=True):
            yield resolution, block.conv1


@contextmanager
def _recording(
    layer: nn.Module, key: _Key, found: dict[_Key, Tensor], margin: tuple[int, int] = (0, 0)
) -> Iterator[None]:
    top, left = margin

    def keep(_: nn.Module, __: tuple[object, ...], output: Tensor) -> None:
        height, width = output.shape[-2:]
        found[key] = output[..., top : height - top, left : width - left]

    handle = layer.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
