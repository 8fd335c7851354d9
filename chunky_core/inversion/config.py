"""The knobs of the projection."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidInputError
from ..generator.spaces import SPACES


@dataclass(frozen=True)
class ProjectionConfig:
    """Knobs of `project`; the defaults give a good result on the demo portraits.

    space: "w+", "w", "s" or "z". steps: 1 or more; 100 to 500 is usual. learning_rate: of Adam, at its
    highest, in units of the space (Karras et al. 2020: 0.1). warmup: fraction of the steps, in [0,1), that
    fits one code to all segments together. l2, l1, ms_ssim, lpips: weights of the losses, 0 = off; lpips_net:
    "vgg", "alex" or "squeeze". lambda_reg: pull of each code to the mean code of the segments (P2 = Subrtova
    et al. 2022, equation 2), as a mean square per number of the code. lambda_mean: the same pull to the
    generator's mean code. code_noise: deviation of the noise added to the codes at the start, in deviations
    of w, gone after 75 % of the run (Karras et al. 2020: 0.05). dilation: pixels by which each segment's mask
    grows for the loss (P1). margin: pixels of photo around it that the structural losses see, at least 10.
    seed: of the noise and of the starting point in z.
    """

    space: str = "w+"
    steps: int = 100
    learning_rate: float = 0.1
    warmup: float = 0.3
    l2: float = 1.0
    l1: float = 0.0
    ms_ssim: float = 0.0
    lpips: float = 0.0
    lpips_net: str = "vgg"
    lambda_reg: float = 0.0
    lambda_mean: float = 0.0
    code_noise: float = 0.0
    dilation: int = 3
    margin: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise InvalidInputError(f"space {self.space!r} is unknown; choose one of {', '.join(SPACES)}")
        if self.steps < 1:
            raise InvalidInputError(f"steps is {self.steps}; at least 1 is needed")
        if self.learning_rate <= 0:
            raise InvalidInputError(
                f"learning_rate is {self.learning_rate}; it must be above 0, 0.1 is usual"
            )
        if not 0 <= self.warmup < 1:
            raise InvalidInputError(f"warmup is {self.warmup}; expected a fraction of the steps in [0, 1)")
        if self.dilation < 0 or self.margin < 10:
            raise InvalidInputError(
                f"dilation is {self.dilation} and margin {self.margin} pixels; expected at least 0 and 10"
            )
        losses = (self.l2, self.l1, self.ms_ssim, self.lpips)
        if min(losses) < 0 or max(losses) == 0:
            raise InvalidInputError(
                f"the weights of L2, L1, MS-SSIM, LPIPS are {losses}; none below 0, one above 0"
            )
