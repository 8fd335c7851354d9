"""The distance of features of unit length (Zhang et al. 2018), with its gradient made in the same passes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# The squared length of features x [B,1,h,w] -> (factor, slope): factor * x is of unit length, and
# -factor**3 * slope * x is the factor's gradient; slope may be the number 1.
Unit = Callable[[Tensor], tuple[Tensor, Tensor | float]]


class UnitFeatures(ABC):
    """A network whose maps are brought to unit length in each pixel and weighted by channel."""

    roots: Sequence[Tensor]  # of the weights of each map's channels, that broadcast with it

    @staticmethod
    @abstractmethod
    def unit(squared_length: Tensor) -> tuple[Tensor, Tensor | float]:
        """See `Unit`."""

    @abstractmethod
    def maps(self, images: Tensor) -> list[Tensor]:
        """images [B,3,h,w] in [-1,1] -> maps [B,C,h',w'] as they are."""


def unit_distance(network: UnitFeatures, images: Tensor, target: Sequence[Tensor]) -> Tensor:
    """The `perceptual_distance` of images [B,3,h,w] from others' features, [B]. Differentiable once, by the
    images.
    """
    lots = zip(network.maps(images), target, network.roots, strict=True)
    terms = [_UnitDistance.apply(maps, others, root, network.unit) for maps, others, root in lots]
    return torch.stack(terms).sum(0)


class _UnitDistance(torch.autograd.Function):
    """Keeps the gradient alone, and neither the maps nor anything made of them."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, target: Tensor, root: Tensor, unit: Unit) -> Tensor:
        pixels = maps.shape[-2] * maps.shape[-1]
        factor, slope = unit(torch.linalg.vector_norm(maps, dim=1, keepdim=True).square())
        ones = maps * factor
        difference = torch.addcmul(target, ones, root, value=-1)
        distance = torch.linalg.vector_norm(difference, dim=1).square().mean(dim=(-2, -1))
        if ctx.needs_input_grad[0]:
            difference *= root
            along = (difference * ones).sum(dim=1, keepdim=True).mul_(slope)
            difference.addcmul_(ones, along, value=-1).mul_(factor * (-2 / pixels))
            ctx.save_for_backward(difference)
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * outer[:, None, None, None], None, None, None
