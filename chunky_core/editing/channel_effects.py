"""What style channels change inside a mask and outside of it: estimated for all at once, measured for some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..boxes import Box, crop
from ..checks import check_shape
from ..generator.generator import Generator
from ..generator.layers import ToRGBLayer
from ..generator.spaces import LatentCode, convert
from ..generator.stylegan3_layers import OutputLayer
from ..inversion.segment_synthesis import GRAY_LEVELS
from ..segments.masks import mask_box

_CHUNK_PIXELS = 1 << 18  # output pixels at a time, which bounds memory and the wait for an interruption


@dataclass(frozen=True, eq=False)
class MaskedCode:
    """A code [1,...] of any space, the generator that draws it, and the mask [1,1,H,W] in [0,1] of what is inside.

    noise: maps [h,w] of the generator's noise_layout, or () for its own. Raises InvalidInputError for a mask of another
    size than the generator's pictures.
    """

    generator: Generator
    code: LatentCode
    mask: Tensor
    noise: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        hint = "give masks in the size of the generator's pictures"
        check_shape(self.mask, "the mask", (1, 1, *self.generator.img_size), hint)

    def styles(self) -> Tensor:
        """The styles of all layers, [1, sum of all style channels]."""
        place = self.generator.device
        with torch.no_grad():
            code = LatentCode(self.code.space, self.code.tensor.to(place))
            return convert(self.generator, code, "s").tensor.to(self.generator.dtype)

    def by_layer(self, styles: Tensor) -> list[Tensor]:
        """Styles [B, sum of all style channels] as one tensor [B,C] per layer."""
        return list(styles.split([width for _, width in self.generator.style_layout], dim=1))

    def draw(self, styles: Sequence[Tensor], box: Box | None = None) -> Tensor:
        """Pictures [B,3,h,w] by the styles [B,C] of each layer, in float32 at least."""
        noise = [one.to(self.generator.device, self.generator.dtype) for one in self.noise] or None
        image = self.generator.synthesis(styles, box=box, noise=noise)
        return image.to(torch.promote_types(image.dtype, torch.float32))


@dataclass(frozen=True, eq=False)
class Effects:
    """Squared changes by N channels, each summed over the pixels of one or several pictures, in gray levels, averaged
    over the colors.

    inside, outside: [N] on the CPU; area: pixels inside; whole: pixels of the pictures.
    """

    inside: Tensor
    outside: Tensor
    area: float
    whole: float

    def __add__(self, other: Effects) -> Effects:
        """Over the pictures of both."""
        return Effects(
            self.inside + other.inside,
            self.outside + other.outside,
            self.area + other.area,
            self.whole + other.whole,
        )

    def scaled(self, factors: Tensor | float) -> Effects:
        """With the changes multiplied by `factors`, [N] or one number."""
        squares = torch.as_tensor(factors).square()
        return Effects(squares * self.inside, squares * self.outside, self.area, self.whole)

    def shares(self) -> Tensor:
        """[N] in [0,1]: the part of the squared change that lies inside; 0 without any change."""
        return self.inside / (self.inside + self.outside).clamp(min=torch.finfo(torch.float32).tiny)

    def scores(self, floor: float) -> Tensor:
        """[N] in [0,1]: the shares, less for changes that are small inside; half at `floor` gray levels."""
        return self.inside / (self.inside + self.outside + floor**2 * self.area)

    def rms(self) -> tuple[Tensor, Tensor]:
        """Root mean square changes inside and outside, [N] each; 0 where there is no outside."""
        outer = max(self.whole - self.area, 0.0)
        outside = (self.outside / outer).sqrt() if outer else torch.zeros_like(self.outside)
        return (self.inside / self.area).sqrt(), outside


def estimate_effects(masked: MaskedCode, layers: Sequence[int], probes: int, rng: torch.Generator) -> Effects:
    """The effect of moving every channel by 1, as far as the picture depends linearly on it; 0 in other layers.

    layers: those of `Generator.style_layout` whose channels are of interest.
    Hutchinson's estimator: with signs v drawn at random for each pixel and color, the gradient of <v sqrt(M), G> by
    a style is <v, sqrt(M) J>, and its square has the expectation ||sqrt(M) J||^2 (M the mask, J the picture's
    derivative by this style). One backward pass of a probe v gives all channels; the relative standard deviation is
    about sqrt(2 / probes). Inside only the mask's box is drawn, outside the whole picture.
    """
    weight = masked.mask.to(masked.generator.device, torch.float32)
    box = mask_box(weight)
    inside = _squared_gradients(masked, crop(weight, box), box, layers, probes, rng)
    outside = _squared_gradients(masked, 1 - weight, None, layers, probes, rng)
    return _effects(masked, inside, outside)


def _squared_gradients(
    masked: MaskedCode,
    weight: Tensor,
    box: Box | None,
    layers: Sequence[int],
    probes: int,
    rng: torch.Generator,
) -> Tensor:
    """[sum of all style channels], the estimate of sum_p weight(p) |J(p)|^2 in gray levels."""
    own = masked.styles()
    styles = [one.clone() for one in masked.by_layer(own)]
    wanted = [styles[layer].requires_grad_() for layer in layers]
    total = torch.zeros(own.shape, device=weight.device)
    parts = masked.by_layer(total)
    with torch.enable_grad():
        image = masked.draw(styles, box)
    root = weight.sqrt().expand_as(image)
    for _ in range(probes):
        signs = torch.randint(0, 2, image.shape, generator=rng).to(root) * 2 - 1
        gradients = torch.autograd.grad(image, wanted, (root * signs).to(image), retain_graph=True)
        for layer, gradient in zip(layers, gradients, strict=True):
            parts[layer].add_(gradient.float().square())
    return total[0] * (GRAY_LEVELS**2 / (3 * probes))


@torch.no_grad()
def measure_effects(
    masked: MaskedCode,
    shifts: Tensor,
    indices: Sequence[int],
    progress: Callable[[int], None] = lambda count: None,
) -> Effects:
    """The effect of shifting single channels up and down, drawn and compared: the mean of both ways.

    shifts: [N], by how much channel indices[n] of all style channels is moved. progress(count) is called after the
    pictures of every few channels, with how many they were.
    """
    styles = masked.styles()
    size = max(1, _CHUNK_PIXELS // (2 * masked.generator.img_size.area))
    plain = masked.draw(masked.by_layer(styles))
    sums: list[Tensor] = []
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        count = len(chosen)
        moved = styles.repeat(2 * count, 1)
        shift = shifts[start : start + size].to(moved)
        moved[range(2 * count), [*chosen, *chosen]] += torch.cat([shift, -shift])
        both = torch.stack(changes(masked, moved, plain)).unflatten(1, (2, count))
        sums.append(both.mean(dim=1))
        progress(count)
    return _effects(masked, *torch.cat(sums, dim=1))


def changes(masked: MaskedCode, styles: Tensor, plain: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The squared changes inside and outside, [B] each as in `Effects`, of drawing styles [B,all] instead of its own.

    plain: what its own draw, if known.
    """
    if plain is None:
        plain = masked.draw(masked.by_layer(masked.styles()))
    squares = (masked.draw(masked.by_layer(styles)) - plain).square().mean(dim=1) * GRAY_LEVELS**2
    weight = masked.mask[0].to(squares)
    return (squares * weight).sum(dim=(1, 2)), (squares * (1 - weight)).sum(dim=(1, 2))


def ranked_layers(generator: Generator, *, rgb_layers: bool) -> list[int]:
    """Numbers of the layers in `Generator.style_layout`; rgb_layers: also of those that make colors."""
    layers = enumerate(layer for _, layer in generator.module.synthesis.styled_layers())
    return [
        number for number, layer in layers if rgb_layers or not isinstance(layer, ToRGBLayer | OutputLayer)
    ]


def _effects(masked: MaskedCode, inside: Tensor, outside: Tensor) -> Effects:
    return Effects(inside.cpu(), outside.cpu(), float(masked.mask.sum()), float(masked.mask.numel()))
