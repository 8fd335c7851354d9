"""A projection under way, as data: what is fitted to what, where it stands, and the hooks that watch and steer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from ..deprecated import old_names
from ..generator.generator import Generator
from ..losses import LossNetworks
from .config import ProjectionConfig
from .latents import LatentOptimizer
from .loss_regions import PyramidLevel
from .objectives import LossAndGrads, Objective
from .optimizers import CodeStep
from .original_crop import Alignment
from .projection_loss import ProjectionLoss
from .record import Edit


class Hook:
    """A heuristic of the projection with a state of its own. Leaving it out of the list of hooks switches it off.

    In each step, in the order of the list: `before_loss` of all hooks, `at_stage` where a new stage begins, the
    synthesis and its loss, `before_step`, the step of the codes, `after_step`. One that sets `run.stopped` ends the
    run; before the step, no later hook is asked and the step isn't made.
    """

    def before_loss(self, run: Projection) -> None:
        """May change masks, resolution and codes; then it sets `run.losses_changed`."""

    def at_stage(self, run: Projection) -> None:
        """`run.stage` has just begun."""

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        """`found`: of the codes as they stand, with which the step will be made."""

    def after_step(self, run: Projection) -> None:
        """`run.step` counts the step already."""

    def at_end(self, run: Projection) -> None:
        """No step follows."""

    def store(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Add the hook's state to a projection's: plain values that JSON can hold, and copies of tensors."""

    def restore(self, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Stand where the hook stood when it stored this. Raises KeyError and the like for a damaged state."""


SomeHook = TypeVar("SomeHook", bound=Hook)
__getattr__ = old_names(__name__)


@dataclass(frozen=True, eq=False)
class Stage:
    """Some steps with the same moving codes, masks and resolution.

    which: the codes that move; objective: what they are judged by; move: one step of them. losses_are_new: they can't
    be compared with those of the stage before.
    """

    level: PyramidLevel
    which: list[int]
    objective: Objective
    move: CodeStep
    losses_are_new: bool


@dataclass(eq=False)
class Projection:
    """What a projection works on, and where it stands.

    full: photo and masks at the photo's own resolution; resolution: at which codes are judged now; spaces: of the
    segments; step: how many are done; stopped: why
    it ended early, or "". shared_latents: the one code that stood for all segments until they were split.
    losses_changed: losses from here on can't be compared with earlier ones. edits, alignment: what the record takes
    over from an earlier inversion.
    """

    generator: Generator
    config: ProjectionConfig
    networks: LossNetworks
    loss: ProjectionLoss
    spaces: tuple[str, ...]
    full: PyramidLevel
    resolution: int
    latents: LatentOptimizer
    hooks: Sequence[Hook]
    step: int = 0
    stopped: str = ""
    shared_latents: LatentOptimizer | None = None
    losses_changed: bool = False
    edits: tuple[Edit, ...] = ()
    alignment: Alignment | None = None
    stage: Stage = field(init=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the segments."""
        return self.full.masks.names

    @property
    def is_shared(self) -> bool:
        """Whether one code still stands for all segments."""
        return len(self.latents.codes) < len(self.names)

    @property
    def progress(self) -> float:
        """The fraction of the run at the middle of the next step: at its start the first would have size 0."""
        return (self.step + 0.5) / self.config.num_steps

    @property
    def is_over(self) -> bool:
        """Whether no step will follow."""
        return self.is_finished or bool(self.stopped)

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done, or all codes have come to rest."""
        return self.step >= self.config.num_steps or not self.latents.moving()

    def hook(self, kind: type[SomeHook]) -> SomeHook | None:
        """The hook of a kind, if there is one."""
        return next((hook for hook in self.hooks if isinstance(hook, kind)), None)
