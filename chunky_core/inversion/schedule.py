"""The learning rate over a run."""

from __future__ import annotations

import math


def learning_rate_factor(progress: float, *, rampup: float = 0.05, rampdown: float = 0.25) -> float:
    """Factor in [0, 1] on the learning rate, `progress` being the finished fraction of the run (Karras et al. 2020,
    "Analyzing and Improving the Image Quality of StyleGAN").

    min(1, t / rampup) * (1 - cos(pi * min(1, (1 - t) / rampdown))) / 2: a linear start and a cosine end. From
    progress 1 on it stays 0, so a run that is continued past its end never gets large steps again (the bare
    formula rises there, because the cosine is even).
    """
    if progress >= 1.0:
        return 0.0
    falling = 0.5 * (1.0 - math.cos(math.pi * min(1.0, (1.0 - progress) / rampdown)))
    return min(1.0, max(0.0, progress) / rampup) * falling
