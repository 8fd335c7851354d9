"""The networks that a weighted sum of losses needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .identity import IdentityNetwork, load_identity_network
from .loss_config import LossConfig
from .perceptual import PerceptualNetwork, load_perceptual_network


@dataclass(frozen=True)
class LossNetworks:
    """perceptual: for LPIPS, identity: for the identity loss; None where the loss has weight 0."""

    perceptual: PerceptualNetwork | None = None
    identity: IdentityNetwork | None = None


def load_networks(
    config: LossConfig, device: torch.device | str = "cpu", folders: Sequence[Path] = ()
) -> LossNetworks:
    """The networks of the losses whose weight is above 0, on `device`; to be loaded once per run.

    folders: searched for a weight file before torch's cache. Nothing is downloaded. Raises MissingWeightsError
    if a file or a package is absent, InvalidInputError if a network is unknown or its file can't be used.
    """
    # A network that is built in inference mode could never be differentiated.
    with torch.inference_mode(False):
        return LossNetworks(
            load_perceptual_network(config.lpips_net, device, folders=folders) if config.lpips else None,
            load_identity_network(config.identity_net, device, channels=config.identity_channels)
            if config.identity
            else None,
        )
