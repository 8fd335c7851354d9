"""Early stopping: a segment whose loss has reached a plateau comes to rest; when all have, the run ends."""

from __future__ import annotations

from ..projection import Hook, Projection


class EarlyStopping(Hook):
    """Lets codes rest that haven't improved by 1 % for `patience` steps, at full resolution.

    When each improved last is part of the codes' own state (`CodeHistory`).
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def after_step(self, run: Projection) -> None:
        if run.is_shared or run.resolution < run.full.resolution:
            return
        for index in run.latents.moving():
            history = run.latents.history[index]
            history.resting = run.step - history.improved_at > self.patience
        if not run.latents.moving():
            run.stopped = f"came to rest after step {run.step} of {run.config.num_steps}"
