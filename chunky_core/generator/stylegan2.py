"""StyleGAN2's synthesis network (Karras et al. 2020), able to make just a box.

Parameters and buffers carry the names of NVlabs' stylegan2-ada-pytorch, so its weights fit without renaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..boxes import AnyBox, BoxOrBoxes, Size
from ..checks import check_shape
from ..errors import InvalidInputError
from .batches import Batch, batches
from .cost import BlockShape, Cost, relative_cost, synthesis_cost
from .layers import SynthesisBlock, SynthesisLayer, ToRGBLayer
from .noise import NoiseLayout, NoiseSource, check_noise
from .ops import cut
from .partial_synthesis import PartialSynthesis
from .region_plan import CONST_SIZE, BlockWindows, SynthesisPlan, plan_synthesis
from .settings import BILINEAR, FIR, UPSAMPLINGS

BLOCKS = ("skip", "resnet", "orig")


class SynthesisNetwork(nn.Module):
    """w -> image: a learnt constant of `const_size`, then one block per resolution, each twice as large.

    img_resolution: the longer side of the image, that of the constant times a power of two.
    block: "skip" sums the RGB outputs of all blocks, "resnet" has residual blocks and "orig" plain ones, with
    an RGB output of the last block only. conv_clamp: bound of all layers' outputs, None where there is none.
    upsampling: "fir" is StyleGAN2's own, "bilinear" doubles images and features bilinearly before convolving.
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
        upsampling: str = FIR,
        const_size: tuple[int, int] = CONST_SIZE,
    ) -> None:
        super().__init__()
        doublings = doublings_between(const_size, img_resolution)
        if block not in BLOCKS:
            raise InvalidInputError(f"block is {block!r}; expected one of {BLOCKS}")
        if upsampling not in UPSAMPLINGS:
            raise InvalidInputError(f"upsampling is {upsampling!r}; expected one of {UPSAMPLINGS}")
        self.block, self.conv_clamp, self.upsampling = block, conv_clamp, upsampling
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.channel_base, self.channel_max = channel_base, channel_max
        height, width = const_size
        self.const_size = (height, width)
        self.block_sizes = [(height << i, width << i) for i in range(doublings + 1)]
        self.block_names = [f"b{4 << i}" for i in range(doublings + 1)]
        self.block_resolutions = [max(size) for size in self.block_sizes]
        self.num_ws = 2 * len(self.block_sizes)
        shapes, in_channels = [], 0
        for index, (name, size) in enumerate(zip(self.block_names, self.block_sizes, strict=True)):
            out_channels = min(channel_base // (4 << index), channel_max)
            layers = SynthesisBlock(
                in_channels,
                out_channels,
                w_dim=w_dim,
                size=size,
                img_channels=img_channels,
                kind=block,
                is_first=index == 0,
                is_last=index == doublings,
                conv_clamp=conv_clamp,
                upsampling=upsampling,
            )
            self.add_module(name, layers)
            rgb = img_channels if layers.torgb is not None else 0
            shapes.append(
                BlockShape(in_channels, out_channels, rgb, layers.skip is not None, upsampling == BILINEAR)
            )
            in_channels = out_channels
        self.block_shapes = tuple(shapes)

    @property
    def dtype(self) -> torch.dtype:
        """What the convolutions compute in."""
        return next(self.parameters()).dtype

    def blocks(self) -> Iterator[SynthesisBlock]:
        """The blocks from the lowest resolution up."""
        for name in self.block_names:
            block = self.get_submodule(name)
            assert isinstance(block, SynthesisBlock)
            yield block

    def styled_layers(self) -> Iterator[tuple[str, SynthesisLayer | ToRGBLayer]]:
        """All layers that take styles, as ("b8.conv0", layer), in the order of synthesis."""
        for block_name, block in zip(self.block_names, self.blocks(), strict=True):
            for name, layer in block.styled_layers():
                yield f"{block_name}.{name}", layer

    @property
    def noise_layout(self) -> NoiseLayout:
        """(layer, resolution) of each noise map, in the order of synthesis; `size_at` has the map's size."""
        return tuple((name, max(size)) for name, size in self._noise_sizes())

    def _noise_sizes(self) -> tuple[tuple[str, Size], ...]:
        layers = self.styled_layers()
        return tuple((name, Size(*layer.size)) for name, layer in layers if isinstance(layer, SynthesisLayer))

    def size_at(self, resolution: int | None = None) -> Size:
        """Height and width of the map whose longer side is `resolution` (None: the image's).

        Raises InvalidInputError for a resolution that no block has.
        """
        if resolution is None:
            return Size(*self.block_sizes[-1])
        if resolution not in self.block_resolutions:
            message = f"out_resolution is {resolution}; expected one of {self.block_resolutions}"
            raise InvalidInputError(message)
        return Size(*self.block_sizes[self.block_resolutions.index(resolution)])

    @property
    def out_resolutions(self) -> tuple[int, ...]:
        """Where it can stop: wherever there is an RGB image."""
        return tuple(self.block_resolutions) if self.block == "skip" else (self.img_resolution,)

    def config_hints(self) -> dict[str, Any]:
        """What the tensors' shapes don't tell."""
        doubled = {} if self.upsampling == FIR else {"upsampling": self.upsampling}
        return {"conv_clamp": self.conv_clamp, **doubled}

    def plan(
        self, box: BoxOrBoxes | AnyBox | SynthesisPlan | None, out_resolution: int | None = None
    ) -> SynthesisPlan:
        """What `forward` takes in place of `box`, made once for many passes; `box` itself where it is one.

        Raises InvalidInputError for a bad box and for a resolution where it can't stop.
        """
        if isinstance(box, SynthesisPlan):
            return box
        size = self.size_at(out_resolution)
        if self.block != "skip" and size != self.block_sizes[-1]:
            found = f"out_resolution is {out_resolution}"
            raise InvalidInputError(f"{found}; this generator makes {self.img_resolution} pixels only")
        return plan_synthesis(size, box, self.const_size)

    def batches(self, boxes: Sequence[AnyBox], out_resolution: int | None = None) -> tuple[Batch, ...]:
        """Groups of boxes that cost least when each is made in one pass; see `generator.batches`."""
        return batches(boxes, self.size_at(out_resolution), self.block_shapes, self.const_size)

    def cost(
        self, box: AnyBox | None = None, out_resolution: int | None = None, first_layer: int = 0
    ) -> Cost:
        """Multiply-adds and feature values of making `box` (None: everything) of one sample, forward only.

        first_layer: the first of the styled layers that counts.
        """
        size = self.size_at(out_resolution)
        return synthesis_cost(self.block_shapes, size, box, self.const_size, first_layer)

    def relative_cost(self, box: AnyBox, out_resolution: int | None = None) -> float:
        """The estimated time of making `box`; 1 = the whole image."""
        return relative_cost(self.block_shapes, self.size_at(out_resolution), box, self.const_size)

    def freeze(self, device: torch.device | None = None) -> SynthesisNetwork:
        """Makes the weights constants, which spares each pass some work on them. For good: build anew to train.

        device: where they will be, if not where they are.
        """
        self.requires_grad_(False)
        device = device or next(self.parameters()).device
        for _, layer in self.styled_layers():
            if isinstance(layer, SynthesisLayer):
                layer.freeze(device)
        return self

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws: [B,num_ws,w_dim] -> the affine layers' outputs [B,C], in the order of synthesis: b4.conv1,
        b4.torgb, b8.conv0, b8.conv1, b8.torgb, ... (see `styled_layers`). A toRGB layer
        and the convolution after it read the same w.
        """
        check_shape(ws, "ws", ("B", self.num_ws, self.w_dim))
        result, index = [], 0
        each = ws.unbind(dim=1)
        for _, layer in self.styled_layers():
            result.append(layer.affine(each[index]))
            index += isinstance(layer, SynthesisLayer)
        return result

    def forward(
        self,
        styles: Sequence[Tensor],
        box: BoxOrBoxes | AnyBox | SynthesisPlan | None = None,
        noise_mode: str = "const",
        rng: torch.Generator | None = None,
        out_resolution: int | None = None,
        pyramid: bool = False,
        noise: Sequence[Tensor] | None = None,
        start: PartialSynthesis | None = None,
    ) -> Tensor | list[Tensor]:
        """Makes the image [B,img_channels,h,w], nominally in [-1,1], from `styles` (see `styles()`).

        box: (top, left, bottom, right), half-open output pixels; just these are made, equal to the crop of
        the whole image; or Boxes of one size, one per sample; or the `plan` of either. noise_mode: "const" (the
        stored noise), "none" or "random" (drawn from `rng`; the same seed gives a box and the whole image the
        same noise). out_resolution: stop where the longer side is this and return the RGB image there; `box` counts its
        pixels. pyramid: return the RGB images of all resolutions that have one, from the lowest up; with a
        box, the pixels of each that the box depends on. noise: maps [h,w] in place of the stored ones, one per
        entry of `noise_layout`; None or empty: the stored ones. start: what `partial` made of the same styles up to
        some layer, with the same noise; its plan stands in the place of box and out_resolution.
        Raises InvalidInputError for a bad box, noise mode, resolution, or number of styles or maps.
        """
        plan = self.plan(box, out_resolution) if start is None else start.plan
        made = self.partial(styles, None, plan, noise_mode, rng, noise, start)
        return list(made.images) if pyramid else made.images[-1]

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
        """The pass of `forward` up to before a layer, its place among `styled_layers`; None: with all of them."""
        self._check(styles, plan)
        check_noise(noise_mode, rng, noise, self._noise_sizes())
        source = NoiseSource(noise_mode, rng, noise)
        made = PartialSynthesis(plan) if start is None else start
        for index, (name, block, windows) in enumerate(self._layers(plan)[:layer]):
            drawn = self._noise_of(
                name, block, windows, source, len(styles[index])
            )  # in order, also where it is made
            if index >= made.layer:
                made = _with_layer(made, name, block, windows, styles[index], drawn)
        return made

    def _layers(self, plan: SynthesisPlan) -> list[tuple[str, SynthesisBlock, BlockWindows]]:
        """The styled layers that a plan takes, by their name in the block."""
        blocks = zip(self.blocks(), plan.windows, strict=False)
        return [(name, block, windows) for block, windows in blocks for name, _ in block.styled_layers()]

    def _noise_of(
        self, name: str, block: SynthesisBlock, windows: BlockWindows, source: NoiseSource, batch: int
    ) -> Tensor | None:
        if name == "torgb":
            return None
        if name == "conv0":
            return source.take(block.conv0, batch, windows.at_conv0)
        return source.take(block.conv1, batch, windows.at_conv1)

    def _check(self, styles: Sequence[Tensor], plan: SynthesisPlan) -> None:
        alien = not plan.windows or plan.blocks[0].size != self.const_size
        if alien or plan.resolution not in self.out_resolutions:
            found = f"the plan is another generator's ({plan.resolution} pixels)"
            raise InvalidInputError(f"{found}; make it with this one's `plan`")
        made = list(self.blocks())[: self.block_resolutions.index(plan.resolution) + 1]
        needed = sum(len(list(block.styled_layers())) for block in made)
        if len(styles) < needed:
            found = f"{len(styles)} styles given"
            raise InvalidInputError(f"{found}; expected {needed} for {plan.resolution} pixels")


def _with_layer(
    made: PartialSynthesis,
    name: str,
    block: SynthesisBlock,
    windows: BlockWindows,
    style: Tensor,
    noise: Tensor | None,
) -> PartialSynthesis:
    """A pass one layer further on."""
    features, shortcut, images = made.features, made.shortcut, made.images
    if name == "torgb":
        assert features is not None and block.torgb is not None
        # cropping the image afterwards spares a copy of the features
        image = cut(block.torgb(features, style), windows.rgb)
        if images and windows.rgb_below is not None:
            image = image + block.doubled(images[-1], windows.rgb_below)
        images = (*images, image)
    elif name == "conv0":
        assert features is not None and windows.conv0 is not None and windows.shortcut is not None
        shortcut = None if block.skip is None else block.skip(features, windows.shortcut)
        features = block.conv0(features, style, noise, windows.conv0)
    else:
        if features is None:
            features = cut(block.const.expand(len(style), -1, -1, -1), windows.at_conv0)
        features = block.conv1(features, style, noise, windows.conv1)
        features, shortcut = features if shortcut is None else features + shortcut, None
    return PartialSynthesis(made.plan, made.layer + 1, (*made.styles, style), features, shortcut, images)


def doublings_between(const_size: tuple[int, int], img_resolution: int) -> int:
    """How often a constant is doubled until the longer side is `img_resolution`.

    Raises InvalidInputError where no number of times does it.
    """
    longer = max(const_size)
    doublings = (img_resolution // longer).bit_length() - 1 if min(const_size) > 0 else -1
    if doublings < 0 or longer << doublings != img_resolution:
        kind = "a power of two from 4 up" if const_size == CONST_SIZE else f"{longer} times a power of two"
        raise InvalidInputError(f"img_resolution is {img_resolution}; expected {kind}")
    return doublings
