"""One step's pictures, masks and codes, drawn from the seed and the number of the step alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...generator.generator import Generator
from ...losses.resize import resize
from ..masked_encoder import Whitening
from .config import EncoderTrainingConfig
from .masks import draw_masks
from .pictures import PhotoExamples, PicturePool, disturb, draw_pool, from_bytes


@dataclass(frozen=True, eq=False)
class Batch:
    """seen: what the network gets, [B,3,S,S]; clean: the same before nuisances; masks: [B,1,S,S]. numbers: the whitened
    codes [G,layers,w_dim] of the first G; the last `judged` pictures are compared with what the codes draw.
    """

    seen: Tensor
    clean: Tensor
    masks: Tensor
    numbers: Tensor
    judged: int


class Batches:
    """Draws batches; keeps one pool of pictures at a time."""

    def __init__(
        self,
        generator: Generator,
        config: EncoderTrainingConfig,
        whitening: Whitening,
        examples: PhotoExamples | None,
    ) -> None:
        self.generator, self.config, self.whitening, self.examples = generator, config, whitening, examples
        self.photos = 0 if examples is None else round(config.photo_share * config.batch)
        self._number, self._pool = -1, PicturePool(torch.empty(0), torch.empty(0))

    def draw(self, step: int) -> Batch:
        """The batch of a step, on the CPU; the same for the same step."""
        config, pool = self.config, self._pool_of(step // self.config.pool_steps)
        rng = torch.Generator().manual_seed(2 * ((config.seed << 20) + step) + 1)
        drawn = config.batch - self.photos
        chosen = torch.randint(len(pool.images), (drawn,), generator=rng)
        clean = from_bytes(pool.images[chosen])
        seen = disturb(clean, rng)
        labels = None
        if self.examples is not None:
            which = torch.randint(len(self.examples.images), (config.batch,), generator=rng)
            photos = resize(from_bytes(self.examples.images[which[drawn:]]), (config.size, config.size))
            clean, seen = torch.cat([clean, photos]), torch.cat([seen, photos])
            labels = None if self.examples.labels is None else self.examples.labels[which]
        masks = draw_masks(config.batch, config.size, rng, labels)
        layers = slice(None) if config.space == "w+" else slice(1)
        numbers = self.whitening.whitened(pool.codes[chosen][:, layers])
        judged = round(config.picture_share * drawn) if config.picture_weight else 0
        return Batch(seen, clean, masks, numbers, judged + (self.photos if config.picture_weight else 0))

    def _pool_of(self, number: int) -> PicturePool:
        if number != self._number:
            config = self.config
            self._pool = draw_pool(
                self.generator, config.space, config.pool, config.size, config.seed, number
            )
            self._number = number
        return self._pool
