"""The dimensions of a generator, read off its tensors, and the networks built from them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ..errors import UnsupportedCheckpointError
from .stylegan2 import MappingNetwork, SynthesisNetwork

NAME = "stylegan2-skip"
MAX_RESOLUTION = 4096


class GeneratorModule(nn.Module):
    """Mapping and synthesis network under NVlabs' names `mapping.*` and `synthesis.*`."""

    def __init__(self, mapping: MappingNetwork, synthesis: SynthesisNetwork) -> None:
        super().__init__()
        self.synthesis = synthesis
        self.mapping = mapping


@dataclass(frozen=True)
class Architecture:
    """The dimensions of a StyleGAN2 with RGB skips; a resolution has min(base // resolution, max) channels."""

    z_dim: int
    w_dim: int
    img_resolution: int
    img_channels: int
    channel_base: int
    channel_max: int
    mapping_layers: int

    @classmethod
    def of(cls, module: GeneratorModule) -> Architecture:
        """The dimensions of given networks."""
        return cls.from_shapes({name: tuple(tensor.shape) for name, tensor in module.state_dict().items()})

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Architecture:
        """The dimensions behind a state dict's names and shapes.

        Raises UnsupportedCheckpointError where a tensor is missing, left over or of another shape than this
        architecture's.
        """
        found = (re.match(r"synthesis\.b([0-9]{1,5})\.", name) for name in shapes)
        resolutions = {4, *(int(match[1]) for match in found if match)}
        largest = max(resolutions)
        output = _shape(shapes, f"synthesis.b{largest}.torgb.weight", 4)
        first = _shape(shapes, "mapping.fc0.weight", 2)
        channel_max = max(_shape(shapes, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions)
        architecture = cls(
            z_dim=first[1],
            w_dim=first[0],
            img_resolution=largest,
            img_channels=output[0],
            channel_base=output[1] * largest,
            channel_max=channel_max,
            mapping_layers=sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in shapes),
        )
        architecture.check(shapes)
        return architecture

    def empty_module(self) -> GeneratorModule:
        """The networks without memory for their weights (on torch's "meta" device)."""
        if self.img_resolution > MAX_RESOLUTION or self.img_resolution & (self.img_resolution - 1):
            raise UnsupportedCheckpointError(
                f"resolution {self.img_resolution} found; expected a power of two up to {MAX_RESOLUTION}"
            )
        with torch.device("meta"):
            synthesis = SynthesisNetwork(
                w_dim=self.w_dim,
                img_resolution=self.img_resolution,
                img_channels=self.img_channels,
                channel_base=self.channel_base,
                channel_max=self.channel_max,
            )
            mapping = MappingNetwork(
                z_dim=self.z_dim, w_dim=self.w_dim, num_ws=synthesis.num_ws, num_layers=self.mapping_layers
            )
        return GeneratorModule(mapping, synthesis)

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Raises UnsupportedCheckpointError unless `shapes` are exactly this architecture's."""
        expected = {name: tuple(tensor.shape) for name, tensor in self.empty_module().state_dict().items()}
        for name in sorted(expected.keys() | shapes.keys()):
            if name not in shapes:
                raise UnsupportedCheckpointError(f"the tensor {name} is missing; {self._hint()}")
            if name not in expected:
                raise UnsupportedCheckpointError(f"the tensor {name} is unknown; {self._hint()}")
            if tuple(shapes[name]) != expected[name]:
                found = tuple(shapes[name])
                message = f"the tensor {name} is {found}; expected {expected[name]}; {self._hint()}"
                raise UnsupportedCheckpointError(message)

    def as_metadata(self) -> dict[str, str]:
        """The dimensions as strings, for a file's header."""
        return {"architecture": NAME, **{key: str(value) for key, value in asdict(self).items()}}

    def _hint(self) -> str:
        size = f"{self.img_resolution}x{self.img_resolution}"
        return (
            f"only unconditional StyleGAN2 with RGB skips is supported (read as {size}, w_dim {self.w_dim})"
        )


def build_module(
    architecture: Architecture, state: Mapping[str, Tensor], device: torch.device | str, dtype: torch.dtype
) -> GeneratorModule:
    """The networks with copies of the weights `state`: synthesis in `dtype`, mapping in at least float32.

    Works in inference mode too: the weights become ordinary tensors, which autograd can save.
    """
    mapping_dtype = torch.promote_types(dtype, torch.float32)
    with torch.inference_mode(False):
        module = architecture.empty_module()
        copies = {}
        for name, tensor in state.items():
            target = mapping_dtype if name.startswith("mapping.") else dtype
            copies[name] = tensor.detach().to(device, target, copy=True)
        module.load_state_dict(copies, assign=True)
        return module.requires_grad_(False).eval()


def _shape(shapes: Mapping[str, Sequence[int]], name: str, dimensions: int) -> Sequence[int]:
    """The shape of a tensor that any StyleGAN2 has."""
    if name not in shapes:
        message = f"the tensor {name} is missing among {len(shapes)}; expected a StyleGAN2 with NVlabs' names"
        raise UnsupportedCheckpointError(message)
    if len(shapes[name]) != dimensions or 0 in shapes[name]:
        message = f"the tensor {name} is {tuple(shapes[name])}; expected {dimensions} dimensions, none empty"
        raise UnsupportedCheckpointError(message)
    return shapes[name]
