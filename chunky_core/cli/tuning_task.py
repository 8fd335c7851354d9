"""Pivotal tuning of a projected photo, as work that can be gone on with."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InvalidInputError
from ..inversion import Inversion, TuningConfig, tune
from ..inversion.record import check_same_generator
from .task import Task


@dataclass(frozen=True, kw_only=True)
class TuningTask(Task):
    """pivot: the inversion that is tuned, None until it is projected."""

    noun = "tuning"

    config: TuningConfig
    pivot: Inversion | None = None

    def work(self, earlier: Inversion | None, **watching: Any) -> Inversion:
        begun = self.pivot if earlier is None else earlier
        if begun is None:
            raise InvalidInputError("there is nothing to tune yet; project the photo first")
        return tune(self.generator, begun, self.config, resume=earlier is not None, **watching)

    def check_goes_on(self, found: Inversion) -> None:
        check_same_generator(self.generator, found)
        settings = found.settings.get("tuning")
        if found.state is None or not found.state.is_tuning or not isinstance(settings, dict):
            raise InvalidInputError(f"{self.path} holds no tuning to go on with; give another --out")
        self.check_settings(self.config.plain(), settings, free={"num_steps"})
        if found.state.step > self.config.num_steps:
            raise InvalidInputError(
                f"{self.path} is at step {found.state.step}, --tune-steps is {self.config.num_steps}; give at least "
                f"{found.state.step}"
            )

    def of_same_pivot(self, earlier: Inversion | None) -> Inversion | None:
        """`earlier` if it has the pivot's photo and codes; otherwise None, and a line says that it begins anew."""
        if earlier is None or (self.pivot is not None and _is_of(earlier, self.pivot)):
            return earlier
        print(f"{self.path} was made from other codes; the tuning begins anew", file=sys.stderr)
        return None


def _is_of(tuned: Inversion, pivot: Inversion) -> bool:
    if tuned.names != pivot.names or tuned.photo_digest != pivot.photo_digest:
        return False
    pairs = zip(tuned.segments, pivot.segments, strict=True)
    return all(
        a.code.space == b.code.space and torch.equal(a.code.tensor.cpu(), b.code.tensor.cpu())
        for a, b in pairs
    )
