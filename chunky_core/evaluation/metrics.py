"""Distances of an image from its target: plain functions of tensors that return floats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..deprecated import old_names
from ..devices import float64_device
from ..errors import InvalidInputError
from ..losses import IdentityNetwork, LossNetworks, PerceptualNetwork, perceptual_distance
from ..losses.resize import input_size, resize

__getattr__ = old_names(__name__)


def mse(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Mean squared difference of images [B,3,H,W] in [-1,1] (0 ... 4), over the mask, [H,W] or [B or 1,1,H,W], if
    one is given.

    Raises InvalidInputError if the sizes differ or the mask is empty.
    """
    _check_sizes(image, target)
    place = float64_device(image.device)
    error = (
        (image.to(place, torch.float64) - target.to(place, torch.float64)).square().mean(dim=1, keepdim=True)
    )
    if mask is None:
        return error.mean().item()
    weights = _weights(mask, image).to(place, torch.float64).expand_as(error)
    return ((error * weights).sum() / weights.sum()).item()


def psnr(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(2^2 / mse) as the images span 2; infinite for equal ones."""
    error = mse(image, target, mask)
    return math.inf if error == 0.0 else 10.0 * math.log10(4.0 / error)


@torch.no_grad()
def lpips_distance(
    image: Tensor, target: Tensor, network: PerceptualNetwork, mask: Tensor | None = None
) -> float:
    """LPIPS (Zhang et al. 2018) of images [B,3,H,W] in [-1,1] of any perceptual network, mean of the batch; 0 = equal.

    With a mask, [H,W] or [B or 1,1,H,W]: of the image laid over the target with the mask, divided by the mask's
    share of the image, as LPIPS counts in the projection. Images smaller than the network's smallest side are
    enlarged. Raises InvalidInputError if the sizes differ or the mask is empty.
    """
    _check_sizes(image, target)
    share = image.new_ones(())
    if mask is not None:
        weights = _weights(mask, image).to(image)
        image, share = target + weights * (image - target), weights.mean()
    size = input_size((image.shape[-2], image.shape[-1]), 0, network.smallest_side)
    features, others = (network.features(resize(t, size)) for t in (image, target))
    return (perceptual_distance(features, others).mean() / share).item()


@torch.no_grad()
def identity_distance(image: Tensor, target: Tensor, network: IdentityNetwork) -> float:
    """1 - cosine of the identity embeddings of portraits [B,3,H,W] in [-1,1] (0 ... 2), mean over the batch.

    Raises InvalidInputError if the sizes differ.
    """
    _check_sizes(image, target)
    return 1.0 - (network.embed(image) * network.embed(target)).sum(dim=1).mean().item()


def both_networks(networks: LossNetworks, purpose: str) -> tuple[PerceptualNetwork, IdentityNetwork]:
    """The perceptual and the identity network. Raises InvalidInputError, which names the purpose, without either."""
    if networks.perceptual is None or networks.identity is None:
        raise InvalidInputError(
            f"{purpose} needs a perceptual and an identity network; load them with weights above 0 for both"
        )
    return networks.perceptual, networks.identity


def _check_sizes(image: Tensor, target: Tensor) -> None:
    if image.shape != target.shape:
        raise InvalidInputError(
            f"the image has shape {tuple(image.shape)}, its target {tuple(target.shape)}; they must be equal"
        )


def _weights(mask: Tensor, image: Tensor) -> Tensor:
    """The mask as [B,1,H,W] for the image."""
    if mask.shape[-2:] != image.shape[-2:]:
        raise InvalidInputError(
            f"the mask is {tuple(mask.shape[-2:])}, the image {tuple(image.shape[-2:])} pixels"
        )
    weights = mask.expand(len(image), 1, -1, -1)
    if not weights.sum() > 0:
        raise InvalidInputError("the mask is empty; nothing to measure")
    return weights
