"""StyleGAN2's synthesis network (Karras et al. 2020), able to make just a box.

Parameters and buffers carry the names of NVlabs' stylegan2-ada-pytorch, so its weights fit without renaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InvalidInputError
from .layers import SynthesisBlock, SynthesisLayer, ToRGBLayer
from .ops import crop, upsample_rgb
from .region import BlockPlan, Box, full_box, plan_region

NOISE_MODES = ("const", "none", "random")
BLOCKS = ("skip", "resnet", "orig")


class SynthesisNetwork(nn.Module):
    """w -> image: a learnt 4x4 constant, then one block per resolution.

    block: "skip" sums the RGB outputs of all blocks, "resnet" has residual blocks and "orig" plain ones, with
    an RGB output of the last block only. conv_clamp: bound of all layers' outputs, None where there is none.
    """

    exact_boxes = True

    def __init__(
        self,
        *,
        w_dim: int,
        img_resolution: int,
        img_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        block: str = "skip",
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        if img_resolution < 4 or img_resolution & (img_resolution - 1):
            raise InvalidInputError(f"img_resolution is {img_resolution}; expected a power of two from 4 up")
        if block not in BLOCKS:
            raise InvalidInputError(f"block is {block!r}; expected one of {BLOCKS}")
        self.block, self.conv_clamp = block, conv_clamp
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.channel_base, self.channel_max = channel_base, channel_max
        self.block_resolutions = [2**i for i in range(2, img_resolution.bit_length())]
        self.num_ws = 2 * len(self.block_resolutions)
        in_channels = 0
        for resolution in self.block_resolutions:
            out_channels = min(channel_base // resolution, channel_max)
            layers = SynthesisBlock(
                in_channels,
                out_channels,
                w_dim=w_dim,
                resolution=resolution,
                img_channels=img_channels,
                kind=block,
                is_last=resolution == img_resolution,
                conv_clamp=conv_clamp,
            )
            self.add_module(f"b{resolution}", layers)
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

    def hints(self) -> dict[str, Any]:
        """What the tensors' shapes don't tell."""
        return {"conv_clamp": self.conv_clamp}

    def freeze(self) -> SynthesisNetwork:
        """Makes the weights constants, which spares each pass some work on them. For good: build anew to train."""
        self.requires_grad_(False)
        for _, layer in self.styled_layers():
            if isinstance(layer, SynthesisLayer):
                layer.freeze()
        return self

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws: [B,num_ws,w_dim] -> the affine layers' outputs [B,C], in the order of synthesis: b4.conv1,
        b4.torgb, b8.conv0, b8.conv1, b8.torgb, ... (see `styled_layers`). A toRGB layer
        and the convolution after it read the same w.
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
        return the RGB image there; `box` counts its pixels. pyramid: return the RGB images of all resolutions
        that have one, from the lowest up; with a box, the pixels of each that the box depends on.
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
            if block.torgb is None:
                continue
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
        skipped = None
        first = next(styles)
        batch = first.shape[0]
        if boxes.features_in is None:
            features = crop(block.const, boxes.conv0).expand(batch, -1, -1, -1)
            second = first
        else:
            if block.skip is not None:
                skipped = block.skip(features, boxes.features_in, boxes.conv1)
            noise = _noise(block.conv0, batch, boxes.conv0, noise_mode, rng)
            features = block.conv0(features, first, noise, boxes.features_in, boxes.conv0)
            second = next(styles)
        noise = _noise(block.conv1, batch, boxes.conv1, noise_mode, rng)
        features = block.conv1(features, second, noise, boxes.conv0, boxes.conv1)
        return features if skipped is None else features + skipped

    def _check(
        self, styles: Sequence[Tensor], noise_mode: str, rng: torch.Generator | None, resolution: int
    ) -> None:
        if resolution not in self.block_resolutions:
            message = f"out_resolution is {resolution}; expected one of {self.block_resolutions}"
            raise InvalidInputError(message)
        if self.block != "skip" and resolution != self.img_resolution:
            message = (
                f"out_resolution is {resolution}; this generator makes {self.img_resolution} pixels only"
            )
            raise InvalidInputError(message)
        needed = sum(block.resolution <= resolution for block in self.blocks() for _ in block.styled_layers())
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
