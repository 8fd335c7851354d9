"""The dimensions of a generator, read off its tensors, and the networks built from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..boxes import Size
from ..errors import InvalidInputError, UnsupportedCheckpointError
from .mapping import LR_MULTIPLIER, mapping_dimensions
from .module import (
    MAX_RESOLUTION,
    Architecture,
    GeneratorModule,
    Shapes,
    check_shapes,
    check_widths,
    new_mapping,
    shape_of,
    shapes_of,
)
from .region_plan import CONST_SIZE
from .settings import BILINEAR, FIR, SHARED, checked, checked_upsampling, from_header
from .stylegan2 import SynthesisNetwork, doublings_between

__all__ = [
    "Architecture",
    "GeneratorModule",
    "StyleGAN2Architecture",
    "architecture_from",
    "architecture_of",
    "build_module",
    "metadata_hints",
]

_STYLEGAN3_NAME = re.compile(r"synthesis\.(L\d+_.*|input\.freqs)")


@dataclass(frozen=True)
class StyleGAN2Architecture:
    """The dimensions of a StyleGAN2; block bR has min(channel_base // R, channel_max) channels.

    img_resolution: the longer side of its images; const_size: (height, width) of the learnt constant, which block b4
    starts from and each further one doubles: (4, 2) in StyleGAN-Human, anything in eps696's stylegan2ada; block:
    "skip", "resnet" or "orig"; conv_clamp: bound of the layers' outputs, None where there is none;
    lr_multiplier: what the mapping network's weights are scaled with; upsampling: "fir" or "bilinear";
    class_means: whether each class has its own mean of w (see `MappingNetwork`), which the tensors' names tell.
    """

    z_dim: int
    w_dim: int
    c_dim: int
    img_resolution: int
    img_channels: int
    channel_base: int
    channel_max: int
    mapping_layers: int
    block: str = "skip"
    conv_clamp: float | None = None
    lr_multiplier: float = LR_MULTIPLIER
    upsampling: str = FIR
    class_means: bool = False
    const_size: tuple[int, int] = CONST_SIZE

    @property
    def img_size(self) -> Size:
        """(height, width) of the images."""
        longer = max(self.const_size)
        return Size(*(side * self.img_resolution // longer for side in self.const_size))

    @classmethod
    def from_shapes(
        cls, shapes: Shapes, config_hints: Mapping[str, Any] | None = None
    ) -> StyleGAN2Architecture:
        """The dimensions behind a state dict's names and shapes.

        config_hints: what these can't tell, "conv_clamp", "lr_multiplier", "upsampling"; NVlabs' defaults where absent.
        Raises UnsupportedCheckpointError where a tensor is missing, left over or of another shape than this
        architecture's, or where a hint makes no sense.
        """
        known = checked(SHARED, config_hints or {})
        found = (re.match(r"synthesis\.b([0-9]{1,5})\.", name) for name in shapes)
        resolutions = {4, *(int(match[1]) for match in found if match)}
        largest = max(resolutions)
        output = shape_of(shapes, f"synthesis.b{largest}.torgb.weight", 4)
        shape_of(shapes, "mapping.fc0.weight", 2)
        const_size = _const_size(shapes)
        channel_max = max(shape_of(shapes, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions)
        architecture = cls(
            **mapping_dimensions(shapes),
            img_resolution=max(const_size) * largest // 4,
            img_channels=output[0],
            channel_base=output[1] * largest,
            channel_max=channel_max,
            block=_block_kind(shapes),
            upsampling=checked_upsampling((config_hints or {}).get("upsampling", FIR)),
            const_size=const_size,
            **known,
        )
        architecture.check(shapes)
        return architecture

    def empty_module(self) -> GeneratorModule:
        """The networks without memory for their weights (on torch's "meta" device).

        Raises UnsupportedCheckpointError for impossible dimensions.
        """
        largest = self._largest_block()
        checked(SHARED, {"conv_clamp": self.conv_clamp, "lr_multiplier": self.lr_multiplier})
        if checked_upsampling(self.upsampling) == BILINEAR and self.block == "resnet":
            raise UnsupportedCheckpointError(
                "it is bilinear and has residual blocks; expected one of the two"
            )
        if min(self.channel_base // largest, self.channel_max) < 1:
            found = f"channel_base is {self.channel_base}, channel_max {self.channel_max}"
            raise UnsupportedCheckpointError(f"{found}; this leaves layers without channels")
        check_widths(self, min(self.channel_base // 4, self.channel_max))
        with torch.device("meta"):
            synthesis = SynthesisNetwork(
                w_dim=self.w_dim,
                img_resolution=self.img_resolution,
                img_channels=self.img_channels,
                channel_base=self.channel_base,
                channel_max=self.channel_max,
                block=self.block,
                conv_clamp=self.conv_clamp,
                upsampling=self.upsampling,
                const_size=self.const_size,
            )
            return GeneratorModule(new_mapping(self, synthesis.num_ws), synthesis)

    def check(self, shapes: Shapes) -> None:
        """Raises UnsupportedCheckpointError unless `shapes` are exactly this architecture's."""
        hint = f"expected all of a {self._name()} and no more (read as {self.img_size}, w_dim {self.w_dim})"
        check_shapes(shapes, self.empty_module(), hint)

    def as_metadata(self) -> dict[str, str]:
        """The dimensions as strings, for a file's header; what has its default value is left out."""
        defaults = {
            "c_dim": 0,
            "conv_clamp": None,
            "lr_multiplier": LR_MULTIPLIER,
            "block": self.block,
            "upsampling": FIR,
        }
        defaults["class_means"] = self.class_means
        values = {key: value for key, value in asdict(self).items() if defaults.get(key, "") != value}
        del values["const_size"]
        if self.const_size != CONST_SIZE:
            values |= {
                "const_size": Size(*self.const_size),
                "img_size": self.img_size,
            }  # written as width x height
        return {"architecture": self._name(), **{key: str(value) for key, value in values.items()}}

    @staticmethod
    def metadata_hints(metadata: Mapping[str, str]) -> dict[str, Any]:
        """The config_hints for `from_shapes` in what `as_metadata` wrote.

        Raises UnsupportedCheckpointError where one is malformed.
        """
        stored = {"upsampling": metadata["upsampling"]} if "upsampling" in metadata else {}
        return {**from_header(SHARED, metadata), **stored}

    def _largest_block(self) -> int:
        """The number in the last block's name: 4 for the constant's, doubled by every block."""
        try:
            if self.img_resolution <= MAX_RESOLUTION:
                return 4 << doublings_between(self.const_size, self.img_resolution)
        except InvalidInputError:
            pass
        longer = max(self.const_size)
        kind = "a power of two" if longer == 4 else f"{longer} times a power of two"
        raise UnsupportedCheckpointError(
            f"resolution {self.img_resolution} found; expected {kind}, from {longer} to {MAX_RESOLUTION}"
        )

    def _name(self) -> str:
        return f"stylegan2-{self.block}"


def architecture_from(shapes: Shapes, config_hints: Mapping[str, Any] | None = None) -> Architecture:
    """The architecture behind a state dict's names and shapes, told apart by the names.

    config_hints: what the shapes can't tell, see the architectures' `from_shapes`.
    Raises UnsupportedCheckpointError where they fit none.
    """
    if any(_STYLEGAN3_NAME.match(name) for name in shapes):
        from .stylegan3 import StyleGAN3Architecture

        return StyleGAN3Architecture.from_shapes(shapes, config_hints or {})
    return StyleGAN2Architecture.from_shapes(shapes, config_hints or {})


def architecture_of(module: GeneratorModule) -> Architecture:
    """The architecture of given networks."""
    return architecture_from(shapes_of(module.state_dict()), module.config_hints())


def metadata_hints(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The config_hints for `architecture_from` in a file's header, which an architecture's `as_metadata` wrote.

    Raises UnsupportedCheckpointError where one is malformed.
    """
    if metadata.get("architecture", "").startswith("stylegan3"):
        from .stylegan3 import StyleGAN3Architecture

        return StyleGAN3Architecture.metadata_hints(metadata)
    return StyleGAN2Architecture.metadata_hints(metadata)


def build_module(
    architecture: Architecture, state: Mapping[str, Tensor], device: torch.device | str, dtype: torch.dtype
) -> GeneratorModule:
    """The frozen networks with copies of the weights `state`: synthesis in `dtype`, mapping in at least float32.

    Works in inference mode too: the weights become ordinary tensors, which autograd can save.
    """
    mapping_dtype = torch.promote_types(dtype, torch.float32)
    with torch.inference_mode(False):
        module = architecture.empty_module()
        module.synthesis.freeze(
            torch.device(device)
        )  # first, so that each weight is copied right into its final layout
        copies = {}
        for name, empty in module.state_dict().items():
            target = mapping_dtype if name.startswith("mapping.") else dtype
            copies[name] = torch.empty_like(empty, device=device, dtype=target).copy_(state[name].detach())
        module.load_state_dict(copies, assign=True)
        return module.requires_grad_(False).eval()


def _const_size(shapes: Shapes) -> tuple[int, int]:
    """Of the learnt constant; where it is missing or none, that of NVlabs' networks: `check` names it then."""
    shape = shapes.get("synthesis.b4.const", ())
    return (shape[1], shape[2]) if len(shape) == 3 and 0 not in shape else CONST_SIZE


def _block_kind(shapes: Shapes) -> str:
    """How the resolutions are joined: "skip" where each has its RGB output, else "resnet" or "orig"."""
    if "synthesis.b4.torgb.weight" in shapes:
        return "skip"
    return "resnet" if "synthesis.b8.skip.weight" in shapes else "orig"
