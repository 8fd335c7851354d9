"""The loss of one segment on the crop of its box, normalised by the segment's own area."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..boxes import Box, crop
from ..checks import check_shape
from ..errors import InvalidInputError
from .identity import IdentityNetwork
from .loss_config import LossConfig
from .ms_ssim import WINDOW, MsSsim
from .networks import LossNetworks
from .perceptual import PerceptualNetwork, distance_from
from .pixel import masked_mean
from .resize import input_size, resize


class MaskedLoss:
    """Weighted sum of the losses of one segment; a weight of 0 leaves a loss out entirely.

    L2, L1, MS-SSIM and LPIPS are means over the mask, so an eye and the background give gradients of the same
    scale; with an all-ones mask over the whole photo each is the ordinary loss of the image. MS-SSIM, LPIPS
    and identity see the rendering laid over the photo with the mask: what lies outside of the segment is the
    photo itself on both sides and adds nothing. Identity belongs to the face and not to its pixels: it judges
    the whole photo with the segment set into it, and isn't divided by the segment's area.

    What depends on the photo and the mask alone is computed once, here.
    """

    def __init__(
        self, config: LossConfig, networks: LossNetworks, photo: Tensor, box: Box, mask: Tensor
    ) -> None:
        """photo: [1,3,H,W] in [-1,1]; mask: [1,1,h,w] in [0,1] of the box of the photo, 1 = counts.

        Photo, mask and networks lie on one device. Raises InvalidInputError for a mask of another size or an
        empty one, and for networks that were loaded for another config.
        """
        _check(config, networks, box, mask)
        # Copies: autograd can't save tensors that were made in inference mode.
        self.target = crop(photo, box).detach().clone()
        self.mask = mask.detach().clone()
        self.config = config
        self._mask_sum = self.mask.sum()
        self._structure = self._perception = self._identity = None
        if config.ms_ssim:
            self._structure = _Structure(self.target, self.mask, config.resolution)
        if config.lpips and networks.perceptual is not None:
            self._perception = _Perception(networks.perceptual, self.target, self.mask, config.resolution)
        if config.identity and networks.identity is not None:
            self._identity = _Identity(networks.identity, photo.detach().clone(), box)

    def __call__(self, rendering: Tensor) -> Tensor:
        """rendering: [1,3,h,w] in [-1,1], the segment's crop; a scalar."""
        config, mask = self.config, self.mask
        difference = rendering - self.target
        total = rendering.new_zeros(())
        if config.l2:
            total = total + config.l2 * masked_mean(difference.square(), mask, self._mask_sum)
        if config.l1:
            total = total + config.l1 * masked_mean(difference.abs(), mask, self._mask_sum)
        if self._structure is None and self._perception is None and self._identity is None:
            return total
        change = mask * difference
        if self._structure is not None:
            total = total + config.ms_ssim * self._structure(self.target + change)
        if self._perception is not None:
            total = total + config.lpips * self._perception(self.target + change)
        if self._identity is not None:
            total = total + config.identity * self._identity(change)
        return total


class _Structure:
    """1 - MS-SSIM of a composite crop, over the mask."""

    def __init__(self, target: Tensor, mask: Tensor, resolution: int) -> None:
        self.size = input_size((target.shape[-2], target.shape[-1]), resolution, WINDOW)
        self.ms_ssim = MsSsim(resize(target, self.size), resize(mask, self.size))

    def __call__(self, composite: Tensor) -> Tensor:
        return 1.0 - self.ms_ssim(resize(composite, self.size))


class _Perception:
    """Perceptual distance of a composite crop from the photo's. It is a mean over the crop, of which only the
    mask's share can differ.
    """

    def __init__(self, network: PerceptualNetwork, target: Tensor, mask: Tensor, resolution: int) -> None:
        self.network, self.share = network, mask.mean()
        self.size = input_size((target.shape[-2], target.shape[-1]), resolution, network.smallest_side)
        with torch.no_grad():
            self.target = network.features(resize(target, self.size))

    def __call__(self, composite: Tensor) -> Tensor:
        distance = distance_from(self.network, resize(composite, self.size), self.target)
        return distance.mean() / self.share


class _Identity:
    """1 - cosine of the embeddings of the photo and of the photo with a change in the box."""

    def __init__(self, network: IdentityNetwork, photo: Tensor, box: Box) -> None:
        self.network, self.photo = network, photo
        height, width = photo.shape[-2:]
        self.padding = (box.left, width - box.right, box.top, height - box.bottom)
        with torch.no_grad():
            self.target = network.embed(photo)

    def __call__(self, change: Tensor) -> Tensor:
        embedding = self.network.embed(self.photo + F.pad(change, self.padding))
        return 1.0 - (embedding * self.target).sum()


def _check(config: LossConfig, networks: LossNetworks, box: Box, mask: Tensor) -> None:
    check_shape(mask, "the mask", (1, 1, box.height, box.width), "crop it to its box")
    if not mask.sum() > 0:
        raise InvalidInputError("the mask is empty, so there is nothing to compare; leave the segment out")
    for name, weight, network in (
        ("LPIPS", config.lpips, networks.perceptual),
        ("identity", config.identity, networks.identity),
    ):
        if weight and network is None:
            raise InvalidInputError(f"the weight of {name} is {weight}, but its network isn't loaded")
