"""The perceptual distance LPIPS (Zhang et al. 2018), through the package `lpips`; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InvalidInputError, MissingWeightsError

_WEIGHTS = {"vgg": "VGG16_Weights", "alex": "AlexNet_Weights", "squeeze": "SqueezeNet1_1_Weights"}
NETWORKS = tuple(_WEIGHTS)


def load_lpips(net: str, device: torch.device | str) -> Callable[[Tensor, Tensor], Tensor]:
    """LPIPS distance of two images [B,3,h,w] in [-1,1], [B,1,1,1]; `net` is one of NETWORKS.

    Raises InvalidInputError for another network and MissingWeightsError if the package, or the file of the
    network's ImageNet weights in torch's cache, is absent. The file is looked for first because `lpips` would
    download it.
    """
    if net not in NETWORKS:
        raise InvalidInputError(f"perceptual network {net!r} is unknown; choose one of {', '.join(NETWORKS)}")
    try:
        import lpips
    except ImportError as error:
        raise MissingWeightsError(
            "the loss LPIPS needs the package lpips, which is not installed; run `pip install lpips`, "
            "or use the losses that need none: L2, L1, MS-SSIM"
        ) from error
    require_weights(net)
    # Building the network draws random weights first: the caller's random state must not move.
    with torch.random.fork_rng(devices=[]):
        network = lpips.LPIPS(net=net, spatial=False, verbose=False)
    return network.requires_grad_(False).eval().to(device)


def require_weights(net: str) -> Path:
    """The file of the ImageNet weights of `net` in torch's cache; MissingWeightsError names it if absent."""
    from torchvision import models  # type: ignore[import-untyped]

    url = getattr(models, _WEIGHTS[net]).IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        raise MissingWeightsError(
            f"the loss LPIPS ({net}) needs the file {path.name}, which is not in {path.parent}; "
            f"put it there (from {url}), or use the losses that need no weights: L2, L1, MS-SSIM"
        )
    return path
