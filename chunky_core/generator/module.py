"""What every architecture gives: its dimensions, and a mapping and a synthesis network behind one interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..boxes import AnyBox, BoxOrBoxes, Size
from ..errors import UnsupportedCheckpointError
from .batches import Batch
from .cost import Cost
from .mapping import MappingNetwork
from .partial_synthesis import PartialSynthesis
from .region_plan import SynthesisPlan

MAX_RESOLUTION = 4096
MAX_MAPPING_LAYERS = 64  # StyleGAN's networks have 2 to 8
MAX_WIDTH = 1 << 16  # of a code or layer; StyleGAN's networks have up to 1024

Shapes = Mapping[str, Sequence[int]]


class StyledLayer(Protocol):
    """A layer that takes a style of `in_channels` numbers."""

    in_channels: int


class Synthesis(Protocol):
    """A synthesis network: a torch module, which maps ws to styles and styles to an image.

    exact_boxes: whether making a box costs less than the whole image; either way it equals the crop.
    """

    exact_boxes: bool
    num_ws: int
    img_resolution: int

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def noise_layout(self) -> tuple[tuple[str, int], ...]: ...

    @property
    def out_resolutions(self) -> tuple[int, ...]:
        """Where it can stop, from the lowest up to img_resolution."""

    def size_at(self, resolution: int | None = None) -> Size:
        """(height, width) of the map whose longer side is `resolution` (None: the image's)."""

    def config_hints(self) -> dict[str, Any]:
        """What its tensors' shapes don't tell, for `architecture_from`."""

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws: [B,num_ws,w_dim] -> the styles [B,C] in the order of `styled_layers`."""

    def styled_layers(self) -> Iterable[tuple[str, StyledLayer]]: ...

    def freeze(self, device: torch.device | None = None) -> Any:
        """Makes the weights constants. device: where they will be, if not where they are."""

    def plan(
        self, box: BoxOrBoxes | AnyBox | SynthesisPlan | None, out_resolution: int | None
    ) -> SynthesisPlan:
        """What a call takes in place of `box`, made once for many calls; `box` itself where it is one."""

    def batches(self, boxes: Sequence[AnyBox], out_resolution: int | None) -> tuple[Batch, ...]:
        """Groups of boxes that cost least when each is made in one pass."""

    def cost(self, box: AnyBox | None, out_resolution: int | None, first_layer: int = 0) -> Cost:
        """Multiply-adds and feature values of making `box` (None: everything), from a styled layer on."""

    def relative_cost(self, box: AnyBox, out_resolution: int | None) -> float:
        """The estimated time of making `box`; 1 = the whole image."""

    def __call__(
        self,
        styles: Sequence[Tensor],
        box: BoxOrBoxes | AnyBox | SynthesisPlan | None = None,
        noise_mode: str = "const",
        rng: torch.Generator | None = None,
        out_resolution: int | None = None,
        pyramid: bool = False,
        noise: Sequence[Tensor] | None = None,
        start: PartialSynthesis | None = None,
    ) -> Any:
        """The image [B,C,h,w]; with `pyramid` a list of images."""

    def partial(
        self,
        styles: Sequence[Tensor],
        layer: int | None,
        plan: SynthesisPlan,
        noise_mode: str = "const",
        rng: torch.Generator | None = None,
        noise: Sequence[Tensor] | None = None,
        start: PartialSynthesis | None = None,
    ) -> PartialSynthesis:
        """A pass up to before a layer, which another one takes as `start`."""

    def parameters(self) -> Iterator[nn.Parameter]: ...


class GeneratorModule(nn.Module):
    """Mapping and synthesis network under NVlabs' names `mapping.*` and `synthesis.*`."""

    def __init__(self, mapping: MappingNetwork, synthesis: Synthesis) -> None:
        super().__init__()
        self.synthesis = synthesis
        self.mapping = mapping

    def config_hints(self) -> dict[str, Any]:
        """What the tensors' shapes don't tell, for `architecture_from`."""
        return {**self.mapping.config_hints(), **self.synthesis.config_hints()}


class Architecture(Protocol):
    """The dimensions of a generator."""

    @property
    def z_dim(self) -> int: ...
    @property
    def w_dim(self) -> int: ...
    @property
    def c_dim(self) -> int: ...
    @property
    def mapping_layers(self) -> int: ...
    @property
    def lr_multiplier(self) -> float: ...
    @property
    def class_means(self) -> bool: ...
    @property
    def img_resolution(self) -> int:
        """The longer side of the images."""

    @property
    def img_size(self) -> Size:
        """(height, width) of the images."""

    @property
    def img_channels(self) -> int: ...

    def empty_module(self) -> GeneratorModule:
        """The networks without memory for their weights (on torch's "meta" device)."""

    def check(self, shapes: Shapes) -> None:
        """Raises UnsupportedCheckpointError unless `shapes` are exactly this architecture's."""

    def as_metadata(self) -> dict[str, str]:
        """The dimensions as strings, for a file's header."""

    def __hash__(self) -> int:
        """That of the dimensions, which never change."""


def check_widths(architecture: Architecture, channels: int) -> None:
    """Raises UnsupportedCheckpointError where a layer would be wider than any real network's.

    channels: the most that a layer of the synthesis network has.
    """
    widths = {"channels": channels, "z_dim": architecture.z_dim, "w_dim": architecture.w_dim}
    widths |= {"c_dim": architecture.c_dim, "img_channels": architecture.img_channels}
    for name, width in widths.items():
        if width > MAX_WIDTH:
            raise UnsupportedCheckpointError(f"{name} is {width}; expected at most {MAX_WIDTH}")


def new_mapping(architecture: Architecture, num_ws: int) -> MappingNetwork:
    """The mapping network of an architecture.

    Raises UnsupportedCheckpointError where it takes no z, or has more layers than any real one.
    """
    if architecture.mapping_layers > MAX_MAPPING_LAYERS:
        found = f"the mapping network has {architecture.mapping_layers} layers"
        raise UnsupportedCheckpointError(f"{found}; expected at most {MAX_MAPPING_LAYERS}")
    if architecture.z_dim < 1:
        raise UnsupportedCheckpointError("the mapping network takes labels only; expected one that takes z")
    return MappingNetwork(
        z_dim=architecture.z_dim,
        w_dim=architecture.w_dim,
        num_ws=num_ws,
        num_layers=architecture.mapping_layers,
        c_dim=architecture.c_dim,
        lr_multiplier=architecture.lr_multiplier,
        class_means=architecture.class_means,
    )


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a state dict."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def shape_of(shapes: Shapes, name: str, dimensions: int) -> Sequence[int]:
    """The shape of a tensor that any generator of its kind has.

    Raises UnsupportedCheckpointError where it is missing, empty or of another number of dimensions.
    """
    if name not in shapes:
        message = f"the tensor {name} is missing among {len(shapes)}; expected a StyleGAN with NVlabs' names"
        raise UnsupportedCheckpointError(message)
    if len(shapes[name]) != dimensions or 0 in shapes[name]:
        message = f"the tensor {name} is {tuple(shapes[name])}; expected {dimensions} dimensions, none empty"
        raise UnsupportedCheckpointError(message)
    return shapes[name]


def check_shapes(shapes: Shapes, module: nn.Module, hint: str) -> None:
    """Raises UnsupportedCheckpointError, ending in `hint`, unless `shapes` are exactly `module`'s."""
    expected = shapes_of(module.state_dict())
    for name in sorted(expected.keys() | shapes.keys()):
        if name not in shapes:
            raise UnsupportedCheckpointError(f"the tensor {name} is missing; {hint}")
        if name not in expected:
            raise UnsupportedCheckpointError(f"the tensor {name} is unknown; {hint}")
        if tuple(shapes[name]) != expected[name]:
            found = tuple(shapes[name])
            raise UnsupportedCheckpointError(
                f"the tensor {name} is {found}; expected {expected[name]}; {hint}"
            )
