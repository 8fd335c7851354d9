"""What an encoder is trained to make small: the error of the codes, and inside of the masks that of the pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from ...generator.generator import Generator
from ...losses.perceptual import PerceptualNetwork, distance_from
from ...losses.resize import input_size, resize
from ..masked_encoder import Whitening
from .batches import Batch
from .config import EncoderTrainingConfig
from .pictures import draw_pictures

_LEAST_SHARE = 0.02  # of the picture: the perceptual distance of what is smaller isn't blown up further


def batch_loss(
    generator: Generator,
    config: EncoderTrainingConfig,
    whitening: Whitening,
    found: Tensor,
    batch: Batch,
    perceptual: PerceptualNetwork | None,
) -> tuple[Tensor, Tensor | None]:
    """found: whitened codes [B,layers,w_dim] of the batch. The loss, and the pictures drawn for it, if any were."""
    loss = config.code_weight * (found[: len(batch.numbers)] - batch.numbers).square().mean()
    if not batch.judged:
        return loss, None
    ws = whitening.codes(found[-batch.judged :]).expand(-1, generator.num_ws, -1)
    drawn = draw_pictures(generator, ws, config.loss_size)
    size = (config.loss_size, config.loss_size)
    target, masks = (resize(part[-batch.judged :], size) for part in (batch.clean, batch.masks))
    return loss + config.picture_weight * picture_loss(drawn, target, masks, perceptual), drawn.detach()


def picture_loss(
    drawn: Tensor, target: Tensor, masks: Tensor, perceptual: PerceptualNetwork | None
) -> Tensor:
    """Mean square error inside of the masks, and the perceptual distance there; the mean over the batch.

    drawn, target: [B,3,h,w] in [-1,1]; masks: [B,1,h,w].
    """
    change = masks * (drawn - target)
    share = masks.mean((1, 2, 3))
    loss = ((drawn - target).square() * masks).mean((1, 2, 3)) / share.clamp(min=1e-4)
    if perceptual is not None:
        size = input_size((target.shape[-2], target.shape[-1]), 0, perceptual.smallest_side)
        with torch.no_grad():
            features = perceptual.features(resize(target, size))
        distance = distance_from(perceptual, resize(target + change, size), features)
        loss = loss + distance / share.clamp(min=_LEAST_SHARE)
    return loss.mean()
