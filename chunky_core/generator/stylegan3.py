"""StyleGAN3's synthesis network (Karras et al. 2021), configurations T and R.

Parameters and buffers carry the names of NVlabs' stylegan3, so its weights fit without renaming.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..boxes import AnyBox, BoxOrBoxes, Size, check_box, check_region, full_box
from ..checks import check_shape
from ..errors import InvalidInputError, UnsupportedCheckpointError
from .batches import Batch
from .cost import Cost
from .mapping import LR_MULTIPLIER, mapping_dimensions
from .module import GeneratorModule, Shapes, check_shapes, check_widths, new_mapping, shape_of
from .noise import NoiseLayout, check_noise
from .ops import cut
from .partial_synthesis import PartialSynthesis
from .region_plan import SynthesisPlan, window
from .settings import checked, from_header
from .stylegan3_layers import FilteredLayer, FourierFeatures, OutputLayer, Signal
from .stylegan3_limits import HINTED, check_bands, check_filters

_LAYER = re.compile(r"synthesis\.L([0-9]{1,3})_([0-9]{1,5})_([0-9]{1,5})\.")


@dataclass(frozen=True)
class StyleGAN3Architecture:
    """The dimensions of a StyleGAN3; the defaults are those of NVlabs.

    num_layers: without the Fourier features and the RGB output; num_critical: how many of these, at the end,
    are sampled critically; first_cutoff, first_stopband: frequencies of the first layer, in periods per image;
    last_stopband_rel: the last stopband relative to the cutoff; margin_size: pixels around the image;
    conv_kernel: 3 in configuration T, 1 in R, which has use_radial_filters too; conv_clamp: bound of the
    activations, None where there is none; lr_multiplier: what the mapping network's weights are scaled with;
    class_means: whether each class has its own mean of w (see `MappingNetwork`), which the tensors' names tell;
    img_resolution: height of the images; square: whether they are as wide as high, otherwise half as wide, with half
    the margin (StyleGAN-Human).
    """

    z_dim: int
    w_dim: int
    c_dim: int
    img_resolution: int
    img_channels: int = 3
    channel_base: int = 32768
    channel_max: int = 512
    mapping_layers: int = 2
    num_layers: int = 14
    num_critical: int = 2
    first_cutoff: float = 2.0
    first_stopband: float = 2**2.1
    last_stopband_rel: float = 2**0.3
    margin_size: int = 10
    output_scale: float = 0.25
    filter_size: int = 6
    lrelu_upsampling: int = 2
    conv_kernel: int = 3
    use_radial_filters: bool = False
    conv_clamp: float | None = 256.0
    lr_multiplier: float = LR_MULTIPLIER
    class_means: bool = False
    square: bool = True

    @property
    def img_size(self) -> Size:
        """(height, width) of the images."""
        return self._size(self.img_resolution)

    @classmethod
    def from_shapes(
        cls, shapes: Shapes, config_hints: Mapping[str, Any] | None = None
    ) -> StyleGAN3Architecture:
        """The dimensions behind a state dict's names and shapes.

        config_hints: what these can't tell, e.g. "margin_size" and "conv_clamp"; NVlabs' defaults where absent.
        Raises UnsupportedCheckpointError where a tensor is missing, left over or of another shape than this
        architecture's, or where a hint makes no sense.
        """
        names = {int(m[1]): m for m in map(_LAYER.match, shapes) if m}
        count = max(names, default=0)
        if len(names) != count + 1 or count < 2:
            message = f"the layers {sorted(names)} were found; expected L0 to the last one, without gaps"
            raise UnsupportedCheckpointError(message)
        layers = [names[index] for index in range(count + 1)]
        architecture = cls._read(shapes, layers, config_hints or {}, square=True)
        widths = [int(layer[2]) for layer in layers]
        if not architecture._has_widths(widths):
            narrow = cls._read(shapes, layers, config_hints or {}, square=False)
            architecture = narrow if narrow._has_widths(widths) else architecture
        architecture.check(shapes)
        return architecture

    @classmethod
    def _read(
        cls, shapes: Shapes, layers: Sequence[re.Match[str]], config_hints: Mapping[str, Any], square: bool
    ) -> StyleGAN3Architecture:
        """The dimensions of a network of these layers if its images are square, or if they are not."""
        shape_of(shapes, "mapping.fc0.weight", 2)
        weight = shape_of(shapes, f"{layers[0][0]}weight", 4)
        known = checked(HINTED, config_hints)
        channels = [int(layer[3]) for layer in layers[:-1]]
        resolution = int(layers[-1][2]) * (1 if square else 2)
        known.setdefault("channel_base", channels[-1] * resolution)
        known.setdefault("channel_max", max(channels))
        if f"{layers[0][0]}up_filter" in shapes:
            known["filter_size"] = _filter_size(shapes, f"{layers[0][0]}up_filter", known)
        return cls(
            **mapping_dimensions(shapes),
            img_resolution=resolution,
            img_channels=int(layers[-1][3]),
            num_layers=len(layers) - 1,
            conv_kernel=weight[3],
            use_radial_filters=any(n.endswith(".down_filter") and len(s) == 2 for n, s in shapes.items()),
            square=square,
            **known,
        )

    def _has_widths(self, widths: Sequence[int]) -> bool:
        """Whether its layers would be as wide as those found."""
        try:
            self._check_dimensions()
        except UnsupportedCheckpointError:
            return False
        return [signal.size.width for signal in self.signals()] == list(widths)

    def _size(self, height: int) -> Size:
        return Size(height, height if self.square else height // 2)

    def signals(self) -> list[Signal]:
        """What comes out of the layers L0, L1, ... and, last, of the RGB output (ibid., sec. 3.2)."""
        last = self.img_resolution / 2
        critical = self.num_layers - self.num_critical
        result = []
        for index in range(self.num_layers + 1):
            progress = min(index / critical, 1)
            cutoff = self.first_cutoff * (last / self.first_cutoff) ** progress
            stopbands = last * self.last_stopband_rel / self.first_stopband
            stopband = self.first_stopband * stopbands**progress
            rate = 2 ** math.ceil(math.log2(min(stopband * 2, self.img_resolution)))
            at_end = index >= self.num_layers - 1
            height = self.img_resolution if at_end else rate + self.margin_size * 2
            channels = round(min(self.channel_base / 2 / cutoff, self.channel_max))
            result.append(
                Signal(channels, self._size(height), rate, cutoff, max(stopband, rate / 2) - cutoff)
            )
        return [*result[:-1], result[-1]._replace(channels=self.img_channels)]

    def empty_module(self) -> GeneratorModule:
        """The networks without memory for their weights (on torch's "meta" device).

        Raises UnsupportedCheckpointError for impossible dimensions.
        """
        self._check_dimensions()
        with torch.device("meta"):
            synthesis = StyleGAN3Synthesis(self)
            return GeneratorModule(new_mapping(self, synthesis.num_ws), synthesis)

    def check(self, shapes: Shapes) -> None:
        """Raises UnsupportedCheckpointError unless `shapes` are exactly this architecture's."""
        hint = f"expected all of a {self._name()} and no more (read as {self.img_size}, w_dim {self.w_dim})"
        check_shapes(shapes, self.empty_module(), hint)

    def as_metadata(self) -> dict[str, str]:
        """The dimensions as strings, for a file's header."""
        values = asdict(self)
        del values["class_means"]
        if values.pop("square") is False:
            values["img_size"] = self.img_size
        return {"architecture": self._name(), **{key: str(value) for key, value in values.items()}}

    @staticmethod
    def metadata_hints(metadata: Mapping[str, str]) -> dict[str, Any]:
        """The config_hints for `from_shapes` in what `as_metadata` wrote.

        Raises UnsupportedCheckpointError where one is malformed.
        """
        return from_header(HINTED, metadata)

    def config_hints(self) -> dict[str, Any]:
        """What `from_shapes` cannot read off the shapes."""
        return {key: value for key, value in asdict(self).items() if key in HINTED}

    def _name(self) -> str:
        return "stylegan3-r" if self.use_radial_filters else "stylegan3-t"

    def _check_dimensions(self) -> None:
        """Before anything is made, since the settings decide how large it would be."""
        checked(HINTED, self.config_hints())
        check_bands(
            self.img_resolution,
            self.num_layers,
            self.num_critical,
            self.first_cutoff,
            self.first_stopband,
            self.margin_size,
        )
        if round(min(self.channel_base / self.img_resolution, self.channel_max)) < 1:
            found = f"channel_base is {self.channel_base}, channel_max {self.channel_max}"
            raise UnsupportedCheckpointError(f"{found}; this leaves layers without channels")
        check_widths(self, self.channel_max)
        check_filters(self.signals()[: self.num_layers], self.filter_size, self.lrelu_upsampling)


class StyleGAN3Synthesis(nn.Module):
    """w -> image: Fourier features, then convolutions without aliasing, then the RGB output.

    Each pixel depends on far more than its surroundings, so a box costs as much as the whole image.
    """

    exact_boxes = False
    noise_layout: NoiseLayout = ()

    def __init__(self, architecture: StyleGAN3Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.img_resolution, self.img_size = architecture.img_resolution, architecture.img_size
        self.w_dim = architecture.w_dim
        self.num_ws = architecture.num_layers + 2
        signals = architecture.signals()
        self.input = FourierFeatures(signals[0], self.w_dim)
        self.layer_names = [f"L{i}_{s.size.width}_{s.channels}" for i, s in enumerate(signals)]
        sources = [signals[0], *signals[:-1]]
        for index, name in enumerate(self.layer_names):
            self.add_module(name, self._layer(index, sources[index], signals[index]))

    def _layer(self, index: int, source: Signal, target: Signal) -> FilteredLayer | OutputLayer:
        a = self.architecture
        if index == a.num_layers:
            return OutputLayer(source, target.channels, w_dim=a.w_dim, conv_clamp=a.conv_clamp)
        return FilteredLayer(
            source,
            target,
            w_dim=a.w_dim,
            conv_kernel=a.conv_kernel,
            filter_size=a.filter_size,
            lrelu_upsampling=a.lrelu_upsampling,
            radial=a.use_radial_filters and index < a.num_layers - a.num_critical,
            conv_clamp=a.conv_clamp,
        )

    @property
    def dtype(self) -> torch.dtype:
        """What the convolutions compute in."""
        return self.input.weight.dtype

    def styled_layers(self) -> Iterator[tuple[str, FourierFeatures | FilteredLayer | OutputLayer]]:
        """All layers that take styles, as ("input", layer), ("L0_36_512", layer), ... in the order of synthesis."""
        yield "input", self.input
        for name in self.layer_names:
            layer = self.get_submodule(name)
            assert isinstance(layer, FilteredLayer | OutputLayer)
            yield name, layer

    @property
    def out_resolutions(self) -> tuple[int, ...]:
        """Its own only: the layers in between aren't pictures."""
        return (self.img_resolution,)

    def size_at(self, resolution: int | None = None) -> Size:
        """(height, width) of the image. Raises InvalidInputError for any resolution but its height."""
        if resolution not in (None, self.img_resolution):
            found = f"out_resolution is {resolution}"
            raise InvalidInputError(f"{found}; this generator makes {self.img_resolution} pixels only")
        return self.img_size

    def config_hints(self) -> dict[str, Any]:
        """What the tensors' shapes don't tell."""
        return {k: v for k, v in self.architecture.config_hints().items() if k != "lr_multiplier"}

    def plan(
        self, box: BoxOrBoxes | AnyBox | SynthesisPlan | None, out_resolution: int | None = None
    ) -> SynthesisPlan:
        """What `forward` takes in place of `box`; `box` itself where it is one.

        Raises InvalidInputError for a bad box and for any resolution but the image's.
        """
        if isinstance(box, SynthesisPlan):
            return box
        size = self.size_at(out_resolution)
        made = full_box(size) if box is None else check_region(box, size)
        return SynthesisPlan(self.img_resolution, made)

    def batches(self, boxes: Sequence[AnyBox], out_resolution: int | None = None) -> tuple[Batch, ...]:
        """Each box by itself: whole pictures have no cost that a batch would share."""
        size = self.size_at(out_resolution)
        return tuple(Batch((index,), (check_box(box, size),)) for index, box in enumerate(boxes))

    def cost(
        self, box: AnyBox | None = None, out_resolution: int | None = None, first_layer: int = 0
    ) -> Cost:
        """Multiply-adds of the convolutions and feature values of one sample, forward only, whatever the box.

        first_layer: the first of the styled layers that counts.
        """
        *layers, (_, output) = list(self.styled_layers())[first_layer:]
        convolutions = [layer for _, layer in layers if isinstance(layer, FilteredLayer)]
        macs = sum(layer.weight.numel() * layer.sizes[0].area for layer in convolutions)
        activations = sum(layer.out_channels * layer.sizes[1].area for layer in convolutions)
        return Cost(macs + output.weight.numel() * self.img_size.area, activations)

    def relative_cost(self, box: AnyBox, out_resolution: int | None = None) -> float:
        """1, the whole image, whatever the box."""
        check_box(box, self.size_at(out_resolution))
        return 1.0

    def freeze(self, device: torch.device | None = None) -> StyleGAN3Synthesis:
        """Makes the weights constants, which spares each pass some work on them. For good: build anew to train.

        device: not needed, the weights are laid out alike everywhere (the filters work on planes).
        """
        self.requires_grad_(False)
        for _, layer in self.styled_layers():
            if isinstance(layer, FilteredLayer):
                layer.freeze()
        return self

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws: [B,num_ws,w_dim] -> the affine layers' outputs, in the order of `styled_layers`: [B,4] for the
        Fourier features, [B,in_channels] for each layer; every one reads a w of its own.
        """
        check_shape(ws, "ws", ("B", self.num_ws, self.w_dim))
        return [layer.affine(ws[:, index]) for index, (_, layer) in enumerate(self.styled_layers())]

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

        box: (top, left, bottom, right), half-open output pixels, cut from the whole image; or Boxes of one
        size, one per sample; or the `plan` of either. noise_mode, rng: without effect, there is no noise.
        out_resolution: none but the image's. pyramid: return [image]. noise: None or empty. start: what `partial` made
        of the same styles up to some layer; its plan stands in the place of box and out_resolution.
        Raises InvalidInputError for a bad box, noise mode, resolution or number of styles, and for noise.
        """
        plan = self.plan(box, out_resolution) if start is None else start.plan
        x = self.partial(styles, None, plan, noise_mode, rng, noise, start).features
        assert x is not None
        image = cut(x * self.architecture.output_scale, window(plan.boxes, full_box(self.img_size)))
        return [image] if pyramid else image

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
        check_noise(noise_mode, rng, noise, ())
        made = PartialSynthesis(plan) if start is None else start
        for index, (_, own) in enumerate(list(self.styled_layers())[:layer]):
            if index >= made.layer:
                style = styles[index]
                features = self.input(style) if made.features is None else own(made.features, style)
                made = PartialSynthesis(plan, index + 1, (*made.styles, style), features)
        return made

    def _check(self, styles: Sequence[Tensor], plan: SynthesisPlan) -> None:
        if plan.resolution != self.img_resolution:
            found = f"the plan is another generator's ({plan.resolution} pixels)"
            raise InvalidInputError(f"{found}; make it with this one's `plan`")
        check_region(plan.boxes, self.img_size)
        if len(styles) != self.num_ws:
            raise InvalidInputError(f"{len(styles)} styles given; expected {self.num_ws}")


def _filter_size(shapes: Shapes, name: str, known: Mapping[str, Any]) -> int:
    """Taps per sample of the first layer's up-sampling filter, whose factor is lrelu_upsampling."""
    factor = int(known.get("lrelu_upsampling", 2))
    taps = shape_of(shapes, name, 1)[0]
    if taps % factor or taps > HINTED["filter_size"].highest * factor:
        raise UnsupportedCheckpointError(f"{name} has {taps} taps; expected a multiple of {factor}")
    return taps // factor
