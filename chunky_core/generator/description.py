"""What a generator is, in words: the lines that the command line and the nodes show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from .module import Architecture


def dimensions(architecture: Architecture, state: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Label and text of a generator's architecture, resolution, classes, spaces and number of weights.

    state: its weights and buffers, by name.
    """
    synthesis = architecture.empty_module().synthesis
    channels = sum(layer.in_channels for _, layer in synthesis.styled_layers())
    count = sum(tensor.numel() for tensor in state.values())
    types = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in state.values()})
    size, w_dim = architecture.img_size, architecture.w_dim
    yield "architecture", architecture.as_metadata()["architecture"]
    yield "resolution", f"{size.width} x {size.height}"
    yield "classes", str(architecture.c_dim or "none")
    yield "spaces", f"z {architecture.z_dim}, w {w_dim}, w+ {synthesis.num_ws} x {w_dim}, s {channels}"
    yield "parameters", f"{count:,} ({', '.join(types)})"
