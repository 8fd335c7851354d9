"""What compares a rendering with the photo."""

from .identity import IdentityNetwork
from .loss_config import LossConfig
from .masked_loss import MaskedLoss
from .ms_ssim import MS_SSIM_WEIGHTS, ms_ssim
from .networks import LossNetworks, load_networks
from .perceptual import LPIPS_NETWORKS, PerceptualNetwork, perceptual_distance
from .pixel import l1_loss, l2_loss

__all__ = [
    "LPIPS_NETWORKS",
    "MS_SSIM_WEIGHTS",
    "IdentityNetwork",
    "LossConfig",
    "LossNetworks",
    "PerceptualNetwork",
    "MaskedLoss",
    "l1_loss",
    "l2_loss",
    "load_networks",
    "ms_ssim",
    "perceptual_distance",
]
