"""StyleGAN2's mapping and synthesis networks (Karras et al. 2020, with RGB skips), able to make just a box.

Parameters and buffers carry the names of NVlabs' stylegan2-ada-pytorch, so its weights fit without renaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..errors import InvalidInputError
from .layers import FullyConnectedLayer, SynthesisBlock, SynthesisLayer, ToRGBLayer
from .ops import crop, leaky_relu, upsample_rgb
from .region import BlockPlan, Box, full_box, plan_region

NOISE_MODES = ("const", "none", "random")


class MappingNetwork(nn.Module):
    """z -> w: normalises z, then `num_layers` fully connected layers with leaky ReLU."""

    w_avg: Tensor

    def __init__(self, *, z_dim: int, w_dim: int, num_ws: int, num_layers: int = 8) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.num_ws, self.num_layers = z_dim, w_dim, num_ws, num_layers
        for index in range(num_layers):
            layer = FullyConnectedLayer(z_dim if index == 0 else w_dim, w_dim, lr_multiplier=0.01)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, truncation_psi: float = 1.0, truncation_cutoff: int | None = None) -> Tensor:
        """z: [B,z_dim], normally distributed -> ws: [B,num_ws,w_dim].

        truncation_psi: 1 leaves w as it is, 0 gives w_avg; truncation_cutoff: only the first that many of the
        num_ws vectors are truncated (None: all).
        """
        x = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for index in range(self.num_layers):
            x = leaky_relu(self.get_submodule(f"fc{index}")(x))
        ws = x.unsqueeze(1).expand(-1, self.num_ws, -1)
        if truncation_psi == 1.0:
            return ws.contiguous()
        cutoff = self.num_ws if truncation_cutoff is None else truncation_cutoff
        truncated = self.w_avg.lerp(ws[:, :cutoff], truncation_psi)
        return torch.cat([truncated, ws[:, cutoff:]], dim=1)


class SynthesisNetwork(nn.Module):
    """w -> image: a learnt 4x4 constant, one block per resolution, the RGB outputs of all blocks summed."""

    def __init__(
        self,
        *,
        w_dim: int,
        img_resolution: int,
        img_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
    ) -> None:
        super().__init__()
        if img_resolution < 4 or img_resolution & (img_resolution - 1):
            raise InvalidInputError(f"img_resolution is {img_resolution}; expected a power of two from 4 up")
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.channel_base, self.channel_max = channel_base, channel_max
        self.block_resolutions = [2**i for i in range(2, img_resolution.bit_length())]
        self.num_ws = 2 * len(self.block_resolutions)
        in_channels = 0
        for resolution in self.block_resolutions:
            out_channels = min(channel_base // resolution, channel_max)
            block = SynthesisBlock(
                in_channels, out_channels, w_dim=w_dim, resolution=resolution, img_channels=img_channels
            )
            self.add_module(f"b{resolution}", block)
            in_channels = out_channels

    @property
    def dtype(self) -> torch.dtype:
        """What the convolutions compute in."""
        return next(self.parameters()).dtype

    def blocks(self) -> Iterator[SynthesisBlock]:
        """The blocks from 4x4 upwards."""
        for resolution in self.block_resolutions:
            block = self.get_submodule(f"b{resolution}")
            assert isinstance(block, SynthesisBlock)
            yield block

    def styled_layers(self) -> Iterator[tuple[str, SynthesisLayer | ToRGBLayer]]:
        """All layers that take styles, as ("b8.conv0", layer), in the order of synthesis."""
        for block in self.blocks():
            for name, layer in block.styled_layers():
                yield f"b{block.resolution}.{name}", layer

    def freeze(self) -> SynthesisNetwork:
        """Makes the weights constants, which spares each pass some work on them. For good: build anew to train."""
        self.requires_grad_(False)
        for _, layer in self.styled_layers():
            if isinstance(layer, SynthesisLayer):
                layer.freeze()
        return self

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws: [B,num_ws,w_dim] -> the affine layers' outputs [B,C], in the order of synthesis: b4.conv1,
        b4.torgb, b8.conv0, b8.conv1, b8.torgb, ...; a toRGB layer and the convolution after it read the same w.
        """
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise InvalidInputError(f"ws is {tuple(ws.shape)}; expected [B,{self.num_ws},{self.w_dim}]")
        result, index = [], 0
        for _, layer in self.styled_layers():
            result.append(layer.affine(ws[:, index]))
            index += isinstance(layer, SynthesisLayer)
        return result

    def forward(
        self,
        styles: Sequence[Tensor],
        box: Box | tuple[int, int, int, int] | None = None,
        noise_mode: str = "const",
        rng: torch.Generator | None = None,
        out_resolution: int | None = None,
        pyramid: bool = False,
    ) -> Tensor | list[Tensor]:
        """Makes the image [B,img_channels,h,w], nominally in [-1,1], from `styles` (see `styles()`).

        box: (top, left, bottom, right), half-open output pixels; just these are made, equal to the crop of
        the whole image. noise_mode: "const" (the stored noise), "none" or "random" (drawn from `rng`; the
        same seed gives a box and the whole image the same noise). out_resolution: stop at this resolution and
        return the RGB image there; `box` counts its pixels. pyramid: return the RGB images of all resolutions,
        from 4x4 up; with a box, the pixels of each that the box depends on.
        Raises InvalidInputError for a bad box, noise mode, resolution or number of styles.
        """
        resolution = self.img_resolution if out_resolution is None else out_resolution
        self._check(styles, noise_mode, rng, resolution)
        plan = plan_region(resolution, full_box(resolution) if box is None else box)
        remaining = iter(styles)
        features = rgb = None
        images: list[Tensor] = []
        source = Box(0, 0, 0, 0)
        for block, boxes in zip(self.blocks(), plan, strict=False):
            features = self._features(block, boxes, features, remaining, noise_mode, rng)
            # cropping the image afterwards spares a copy of the features
            image = crop(block.torgb(features, next(remaining)), boxes.rgb.within(boxes.conv1))
            if rgb is not None:
                image = image + upsample_rgb(rgb, block.resample_filter, source, boxes.rgb)
            rgb, source = image, boxes.rgb
            images.append(image)
        return images if pyramid else images[-1]

    def _features(
        self,
        block: SynthesisBlock,
        boxes: BlockPlan,
        features: Tensor | None,
        styles: Iterator[Tensor],
        noise_mode: str,
        rng: torch.Generator | None,
    ) -> Tensor:
        """The pixels `boxes.conv1` of a block's features from those of the block before."""
        first = next(styles)
        batch = first.shape[0]
        if boxes.features_in is None:
            features = crop(block.const, boxes.conv0).expand(batch, -1, -1, -1)
            second = first
        else:
            noise = _noise(block.conv0, batch, boxes.conv0, noise_mode, rng)
            features = block.conv0(features, first, noise, boxes.features_in, boxes.conv0)
            second = next(styles)
        noise = _noise(block.conv1, batch, boxes.conv1, noise_mode, rng)
        return block.conv1(features, second, noise, boxes.conv0, boxes.conv1)

    def _check(
        self, styles: Sequence[Tensor], noise_mode: str, rng: torch.Generator | None, resolution: int
    ) -> None:
        if resolution not in self.block_resolutions:
            message = f"out_resolution is {resolution}; expected one of {self.block_resolutions}"
            raise InvalidInputError(message)
        needed = 3 * (self.block_resolutions.index(resolution) + 1) - 1
        if len(styles) < needed:
            raise InvalidInputError(f"{len(styles)} styles given; expected {needed} for {resolution} pixels")
        if noise_mode not in NOISE_MODES:
            raise InvalidInputError(f"noise_mode is {noise_mode!r}; expected one of {NOISE_MODES}")
        if noise_mode == "random" and rng is None:
            raise InvalidInputError("noise_mode 'random' without rng; pass a seeded torch.Generator")


def _noise(
    layer: SynthesisLayer, batch: int, box: Box, mode: str, rng: torch.Generator | None
) -> Tensor | None:
    """The noise of a layer's pixels `box`: [1 or B,1,h,w], or None. Random noise is drawn whole, then cut."""
    if mode == "none":
        return None
    if rng is None or mode == "const":
        return crop(layer.noise_const, box)[None, None]
    size = layer.resolution
    drawn = torch.randn(batch, 1, size, size, generator=rng, device=rng.device)
    return crop(drawn, box).to(layer.noise_const)
