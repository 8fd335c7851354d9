"""A tuning under way, as data: its deltas and what each is tuned for, where it stands, and the record of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ...boxes import Box
from ...generator.generator import Generator
from ...generator.spaces import LatentCode
from ..record import PHASE, TUNING, Inversion, ProjectionState
from ..segment_codes import SegmentCodes
from .config import TuningConfig
from .delta_optimizer import DeltaOptimizer
from .locality import Locality
from .objective import TuningObjective
from .tuned_fits import tuned_fits

CURVE = "{}, tuning"  # the name of a segment's curve


@dataclass(frozen=True, eq=False)
class TunedPart:
    """One delta, and what it is tuned for.

    of_all: whether it is the inversion's, or that of its segments only. drawings: the segments (their numbers) that
    each drawing of the objective shows, by the same code; codes: of the drawings, as they were before.
    """

    of_all: bool
    drawings: tuple[tuple[int, ...], ...]
    codes: tuple[LatentCode, ...]
    objective: TuningObjective
    optimizer: DeltaOptimizer
    locality: Locality | None

    @property
    def segments(self) -> tuple[int, ...]:
        """The numbers of all segments that it is for."""
        return tuple(segment for drawing in self.drawings for segment in drawing)

    def draw(self, noise: Sequence[Tensor]) -> list[Tensor]:
        """The crops of the drawings as the delta stands."""
        optimizer = self.optimizer
        codes = self.codes_with(list(optimizer.moving_codes().values()))
        return self.objective.draw(optimizer.tuned_weights(), codes, noise)

    def codes_with(self, moved: Sequence[Tensor]) -> list[LatentCode]:
        """The codes of the drawings, with those tensors in the place of the ones that move."""
        if not moved:
            return list(self.codes)
        return [LatentCode(code.space, one) for code, one in zip(self.codes, moved, strict=True)]


@dataclass(eq=False)
class Tuning:
    """What a tuning works on, and where it stands.

    source: the inversion as it was given; step: how many are done; stopped: why it ended early, or "";
    limits: of each part's loss; curves: losses by the names they have in a record; noise: the
    inversion's maps, where gradients can flow; untouched: for previews, what the other segments look like, and where.
    """

    generator: Generator
    source: Inversion
    config: TuningConfig
    parts: tuple[TunedPart, ...]
    rng: torch.Generator
    step: int = 0
    stopped: str = ""
    limits: dict[int, float] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    noise: tuple[Tensor, ...] = ()
    untouched: dict[int, tuple[Tensor, Box]] = field(default_factory=dict)

    @property
    def progress(self) -> float:
        """The fraction of the run at the middle of the next step."""
        return (self.step + 0.5) / self.config.num_steps

    @property
    def is_over(self) -> bool:
        """Whether no step will follow."""
        return self.step >= self.config.num_steps or bool(self.stopped) or not self.moving()

    def moving(self) -> list[int]:
        """The parts that haven't come to rest."""
        return [index for index, part in enumerate(self.parts) if not part.optimizer.history.resting]


def state_of(run: Tuning) -> ProjectionState:
    """A copy of where the run stands."""
    packed = [part.optimizer.pack() for part in run.parts]
    tensors = {f"{index}/{name}": one for index, (_, own) in enumerate(packed) for name, one in own.items()}
    tensors["rng"] = run.rng.get_state()
    numbers = {
        "parts": [numbers for numbers, _ in packed],
        "segments": [list(part.segments) for part in run.parts],
        "limits": [run.limits.get(index) for index in range(len(run.parts))],
    }
    return ProjectionState(run.step, {TUNING: numbers}, tensors)


def restore(run: Tuning, state: ProjectionState) -> None:
    """Stand where a run with the same parts stood. Raises KeyError and the like for a damaged state."""
    numbers: Mapping[str, Any] = state.numbers[TUNING]
    for index, part in enumerate(run.parts):
        own = {
            name.partition("/")[2]: one for name, one in state.tensors.items() if name.startswith(f"{index}/")
        }
        part.optimizer.unpack(numbers["parts"][index], own)
    run.limits = {index: float(one) for index, one in enumerate(numbers["limits"]) if one is not None}
    run.rng.set_state(state.tensors["rng"].detach().clone())
    run.step = state.step


@contextmanager
def undone_on_error(run: Tuning) -> Iterator[None]:
    """An exception leaves the run where it stood, to be recorded; no step can follow."""
    state, lengths = state_of(run), {name: len(curve) for name, curve in run.curves.items()}
    try:
        yield
    except BaseException:
        run.curves = {name: curve[: lengths[name]] for name, curve in run.curves.items()}
        restore(run, state)
        raise


def record_of(
    run: Tuning, device: torch.device, *, unfinished: bool = False, measured: bool = True
) -> Inversion:
    """The inversion with the best deltas so far, on `device`.

    unfinished: as that of a run that goes no further. measured: with its fits, for which segments are drawn once more.
    """
    stopped = f"interrupted after step {run.step} of {run.config.num_steps}" if unfinished else run.stopped
    segments, delta = list(run.source.segments), run.source.delta
    for part in run.parts:
        best = {name: one.to(device) for name, one in part.optimizer.best_delta().items()}
        delta = best if part.of_all else delta
        own: Mapping[str, Tensor] = {} if part.of_all else best
        codes = part.codes_with([one.to(device) for one in part.optimizer.best_codes()])
        for drawing, code in zip(part.drawings, codes, strict=True):
            for index in drawing:
                segments[index] = replace(segments[index], code=code, delta=own)
    # what comes of a preset's result by another tuning is none of its phases
    earlier = {name: value for name, value in run.source.settings.items() if name != PHASE}
    record = replace(
        run.source,
        segments=SegmentCodes(segments),
        delta=delta,
        settings={**earlier, TUNING: run.config.plain()},
        losses={**run.source.losses, **{name: list(curve) for name, curve in run.curves.items()}},
        stopped=stopped or None,
        state=state_of(run).on("cpu"),
    )
    if not measured:
        return record
    tuned = [index for part in run.parts for index in part.segments]
    with (
        suppress(RuntimeError, MemoryError) if unfinished else nullcontext()
    ):  # memory may be what ended the run
        return replace(record, fits=tuned_fits(run.generator, run.source, record, tuned))
    return record
