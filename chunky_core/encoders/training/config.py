"""Knobs of the training of a masked encoder."""

from __future__ import annotations

from dataclasses import dataclass

from ...checks import check_whole, is_number
from ...errors import InvalidInputError
from ..masked_encoder import SPACES
from ..masked_network import MaskedSizes

MOST_SEED = (1 << 32) - 1


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """space: of the codes, "w+" or "w". steps: of Adam, whose rate falls from learning_rate to 0 along half a cosine;
    batch: pictures of a step; size, channels, hidden: of the network, see `MaskedSizes`.

    code_weight: of the mean square of the whitened codes' error. picture_weight: of the mean square error inside of the
    mask, where the code is drawn, and of the perceptual distance there where a network is given; picture_share: of the
    generator's pictures that are judged so; loss_size: pixels of a side of what is drawn for it. photo_share: of a
    batch that are photos, where there are any: they have no codes, the pictures' loss alone judges them. pool: pictures
    drawn at once; pool_steps: steps after which others take their place. seed: of everything drawn.
    Raises InvalidInputError for values out of range.
    """

    space: str = "w+"
    steps: int = 2000
    batch: int = 32
    learning_rate: float = 1e-3
    size: int = 128
    channels: tuple[int, ...] = (32, 64, 96, 160, 256)
    hidden: int = 256
    code_weight: float = 1.0
    picture_weight: float = 2.0
    picture_share: float = 0.2
    loss_size: int = 64
    photo_share: float = 0.25
    pool: int = 1024
    pool_steps: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise InvalidInputError(f"the space is {self.space!r}; expected one of {', '.join(SPACES)}")
        for name in ("steps", "batch", "loss_size", "pool", "pool_steps"):
            check_whole(getattr(self, name), name, 1)
        check_whole(self.seed, "seed", 0, MOST_SEED)
        MaskedSizes(1, 1, self.size, self.channels, self.hidden)
        if not is_number(self.learning_rate) or not 0 < self.learning_rate < float("inf"):
            raise InvalidInputError(
                f"learning_rate is {self.learning_rate!r:.40}; it must be above 0, 0.001 is usual"
            )
        for name in ("code_weight", "picture_weight"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < float("inf"):
                raise InvalidInputError(f"{name} is {value!r:.40}; expected 0 or more")
        for name in ("picture_share", "photo_share"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise InvalidInputError(f"{name} is {value!r:.40}; expected a fraction in [0, 1]")
