"""One projection from its first step to its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..losses import load_networks
from ..segments.segment_masks import Segments
from .canvas import Canvas
from .companion import Companion, checks_of
from .config import ProjectionConfig
from .fit import Fit, FitState, Lbfgs
from .inversion import Inversion, Segment, photo_digest
from .judge import Judge
from .noise_maps import normalise_maps, starting_maps
from .objective import IndependentObjective, Objective, Verdict, segment_objective, shared_objective
from .refinement import refined_segments
from .regions import View, levels, reach_of, segment_regions
from .resumption import check_resumable, restored_companion, restored_fit
from .schedule import learning_rate_factor
from .setup import TOGETHER, check_setup, plain_settings, segment_spaces
from .start import approached, starting_codes
from .state import ProjectionState
from .state_check import COMPANION
from .stopwatch import Stopwatch

Callback = Callable[[int, int, Tensor | None], None]


class StopProjection(Exception):  # noqa: N818  # a request, no error; as StopIteration
    """Raised by a callback: the projection ends here, and its result so far is returned."""


@dataclass(frozen=True, eq=False)
class Source:
    """Where a run sets out from: an earlier inversion or None, and whether it goes on with that one's state."""

    inversion: Inversion | None = None
    resume: bool = False


@dataclass(frozen=True, eq=False)
class Moment:
    """A place between two steps."""

    state: ProjectionState
    view: View
    seen: View
    curve_lengths: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Search:
    """Codes that L-BFGS moves together, and what they are judged by."""

    which: list[int]
    objective: Objective
    lbfgs: Lbfgs


class Run:
    """One call of `project`: its inputs on the generator's device and fit for gradients, and its state."""

    def __init__(
        self,
        generator: Generator,
        photo: Tensor,
        segments: Segments,
        config: ProjectionConfig,
        source: Source,
        folders: Sequence[Path],
    ) -> None:
        # Copies throughout: autograd can't save tensors that were made in inference mode, weights included.
        self.generator, self.config, device = generator.to(), config, generator.device
        photo, segments = photo.detach().clone().to(device, torch.float32), _cloned(segments, device)
        self.names, self.spaces = segments.names, segment_spaces(segments, config)
        check_setup(self.generator, segments, self.spaces, config)
        self.view = View(photo, segments, reach_of(segments.masks, config))
        self.networks = load_networks(config.losses, device, folders=folders)
        self.judge = Judge(self.generator, config, self.spaces)
        self.levels, self.finest = levels(config, generator.img_resolution), 0
        self.step, self.stopped, self.warmup = 0, "", 0
        self.objective: Objective
        self.companion: Companion | None = None
        self.earlier = source.inversion
        if source.inversion is None and len(self.names) > 1:
            self.warmup = round(config.warmup * config.steps)
        self.curves: dict[str, list[float]] = {name: [] for name in self._curve_names()}
        self.resumed = source.resume
        self.fit = self._resumed(source.inversion) if source.resume else self._begun(source.inversion)
        self._begin_stretch()

    def steps(self) -> Iterator[None]:
        """Make all the steps that are left, or as many as go well; yields after each of them.

        An exception in the middle of one leaves everything as it was before that step.
        """
        while not self.is_over:
            before = self._moment()
            try:
                self._change_stretch()
                self._advance()
            except BaseException:
                self._return_to(before)
                raise
            if not self.stopped or not any(self.fit.active):
                yield
        if self.searches and not self.stopped:
            self._judged(1.0)  # what the last line searches found; Adam's last steps are too small to matter
        finished = self.step == self.config.steps or not any(self.fit.active)
        if finished and not self._is_shared and self.seen.resolution == self.view.resolution:
            self._compare(range(len(self.names)))

    @property
    def is_over(self) -> bool:
        """Whether no step will follow."""
        return self.step >= self.config.steps or bool(self.stopped)

    def report(self, callback: Callback, previews: Stopwatch) -> None:
        """Tell the callback of the step that was made, with a picture where one is due."""
        shown = self.is_over or previews.is_due()
        try:
            callback(self.step, self.config.steps, self._preview() if shown else None)
        except StopProjection:
            self.stopped = f"stopped on request after step {self.step} of {self.config.steps}"
        if shown:
            previews.start()

    def unfinished_record(self, device: torch.device) -> Inversion:
        """The result so far, as that of a run that goes no further."""
        reason = f"interrupted after step {self.step} of {self.config.steps}"
        return replace(self.record(device), stopped=reason)

    def record(self, device: torch.device) -> Inversion:
        """The result so far, on `device`. The run isn't touched."""
        segments, masks = self.view.segments, self.view.segments.masks.to(device)
        codes = self._split_codes(self.fit.best_codes())
        same_photo = self.earlier is not None and self.earlier.photo_digest == photo_digest(self.view.photo)
        return Inversion(
            photo=self.view.photo.to(device),
            segments=tuple(
                Segment(name, masks[i : i + 1].clone(), LatentCode(space, code.to(device)))
                for i, (name, space, code) in enumerate(zip(self.names, self.spaces, codes, strict=True))
            ),
            static_mask=segments.static.to(device),
            fingerprint=self.generator.fingerprint,
            edits=self.earlier.edits if self.earlier is not None and self.resumed else (),
            alignment=self.earlier.alignment if self.earlier is not None and same_photo else None,
            settings=plain_settings(self.config),
            losses={name: list(curve) for name, curve in self.curves.items()},
            stopped=self.stopped or None,
            noise=tuple(map_.to(device) for map_ in self.fit.best_maps),
            state=self._state(Fit.mended_state).on("cpu"),
        )

    def _state(self, state_of: Callable[[Fit], FitState] = Fit.state) -> ProjectionState:
        """A copy of where the run stands."""
        numbers, tensors = state_of(self.fit)
        numbers["resolution"] = self.seen.resolution
        if self.companion is not None:
            numbers["companion"], own = state_of(self.companion.fit)
            tensors |= {f"{COMPANION}{name}": tensor for name, tensor in own.items()}
        tensors["rng"] = self.judge.rng.get_state()
        return ProjectionState(self.step, numbers, tensors)

    def _moment(self) -> Moment:
        return Moment(
            self._state(), self.view, self.seen, {name: len(curve) for name, curve in self.curves.items()}
        )

    def _return_to(self, moment: Moment) -> None:
        """Stand where the run stood at that moment, to be recorded; no step can follow."""
        self.step, self.view, self.seen = moment.state.step, moment.view, moment.seen
        self.fit = restored_fit(moment.state, self.judge.rng, self.generator.device, self._is_tied)
        self.companion = restored_companion(moment.state, self.judge)
        self.curves = {name: self.curves[name][:length] for name, length in moment.curve_lengths.items()}

    @property
    def _is_shared(self) -> bool:
        """Whether one code still stands for all segments."""
        return len(self.fit.codes) < len(self.names)

    @property
    def _is_accompanied(self) -> bool:
        """Whether the shared code goes on beside the segments' own."""
        return self.config.companion and self.config.optimizer == "adam" and not self._is_tied

    @property
    def _is_tied(self) -> bool:
        return self.config.mode == "joint" or self.config.optimise_noise

    def _curve_names(self) -> tuple[str, ...]:
        return (*self.names, TOGETHER) if self.config.mode == "joint" else self.names

    def _begun(self, start: Inversion | None) -> Fit:
        config, names, spaces = self.config, self.names, self.spaces
        maps = starting_maps(self.generator, self.judge.rng) if config.optimise_noise else []
        if start is not None and start.noise:
            if not config.optimise_noise:
                raise InvalidInputError(
                    "the earlier inversion has noise maps of its own; switch optimise_noise on, or start from "
                    "one without"
                )
            maps = [map_.to(self.generator.device) for map_ in start.noise]
        if self.warmup:
            names, spaces = names[:1], (max(spaces, key=spaces.count),)
        codes = starting_codes(self.generator, names, spaces, config.seed, start)
        return Fit(codes, spaces, maps, self._is_tied)

    def _resumed(self, start: Inversion | None) -> Fit:
        config, segments = self.config, self.view.segments
        earlier, state = check_resumable(
            start, self.generator, self.view.photo, segments, self.spaces, config
        )
        self._move_to(
            _cloned(earlier.masks(), self.generator.device)
        )  # they may have been refined on the way
        fit = restored_fit(state, self.judge.rng, self.generator.device, self._is_tied)
        self.step, self.finest = state.step, int(state.numbers.get("resolution", 0))
        if len(fit.codes) < len(self.names):  # it was still in its warm-up
            self.warmup = max(round(config.warmup * config.steps), self.step)
        if config.companion:
            self.companion = restored_companion(state, self.judge)
        self.curves = {name: list(earlier.losses.get(name, ())) for name in self.curves}
        if self.finest != self._level():
            fit.forget_losses(self.step)
            if self.companion is not None:
                self.companion.fit.forget_losses(self.step)
        if config.steps > int(earlier.settings.get("steps", 0)):
            fit.wake(self.step)
        return fit

    def _split_codes(self, codes: Sequence[LatentCode]) -> list[Tensor]:
        """One code per segment, in its space, also while one code stands for all."""
        if len(codes) == len(self.names):
            return [code.tensor for code in codes]
        with torch.no_grad():
            return [approached(self.generator, codes[0], space, self.config.seed) for space in self.spaces]

    def _change_stretch(self) -> None:
        """Split the shared code, move on to a finer resolution, or leave resting codes out, where it is time."""
        splits = self._is_shared and self.step >= self.warmup
        if splits:
            self.companion = Companion(self.fit, self.judge) if self._is_accompanied else None
            self.fit = self.fit.split(self._split_codes(self.fit.latent_codes()), self.spaces)
        refines = self._is_refining()
        if refines:
            codes, config = self.fit.latent_codes(), self.config
            self._move_to(refined_segments(self.generator, self.view, codes, self.fit.maps, config))
        finer = self._level() != self.seen.resolution
        if splits or finer or refines:
            self._forget_losses()
        if splits or finer or refines or self.moving != self.fit.moving():
            self._begin_stretch()

    def _forget_losses(self) -> None:
        """Losses of other masks or another resolution say nothing about what comes."""
        self.fit.forget_losses(self.step)
        if self.companion is not None:
            self.companion.fit.forget_losses(self.step)

    def _is_refining(self) -> bool:
        """Whether it is time to move boundaries, which needs a code for each segment."""
        every = self.config.refine_every
        return every > 0 and self.step > 0 and self.step % every == 0 and not self._is_shared

    def _move_to(self, segments: Segments) -> None:
        """Other masks from here on."""
        self.view = View(self.view.photo, segments, reach_of(segments.masks, self.config))

    def _level(self) -> int:
        """The resolution of this step; a run that goes on never falls back to a lower one."""
        return max(self.finest, next(size for first, size in reversed(self.levels) if first <= self.step))

    def _begin_stretch(self) -> None:
        """What the codes that move are judged by, from here on."""
        generator, config = self.generator, self.config
        self.seen, self.moving = self.view.at(self._level()), self.fit.moving()
        self.canvas = Canvas(generator, self.seen)
        arguments = (generator, self.seen, config, self.networks)
        if self.companion is not None and self.companion.view is not self.seen:
            self.companion.objective, self.companion.view = shared_objective(*arguments), self.seen
        if self._is_shared:
            self.objective = shared_objective(*arguments)
        else:
            self.objective = segment_objective(*arguments, self.moving)
        self.searches = self._line_searches() if config.optimizer == "lbfgs" else []

    def _line_searches(self) -> list[Search]:
        """Which codes L-BFGS moves together: all in joint mode, else each by itself."""
        if self._is_shared or self.config.mode == "joint":
            return [Search(self.moving, self.objective, Lbfgs([self.fit.codes[i] for i in self.moving]))]
        arguments = (self.generator, self.seen, self.config, self.networks)
        return [
            Search([i], segment_objective(*arguments, [i]), Lbfgs([self.fit.codes[i]])) for i in self.moving
        ]

    def _advance(self) -> None:
        """One step for every code that moves; sets `stopped` instead if the run must end."""
        progress = (self.step + 0.5) / self.config.steps  # its middle: a first step of size 0 would be lost
        verdict = self._judged(progress)
        if verdict is None:
            return
        if self.searches:
            self._search_lines(verdict, progress)
        else:
            rate = self.config.learning_rate * learning_rate_factor(progress)
            # Adam remembers the shared code's gradients for a thousand steps: beside them those of a small
            # segment, unscaled, would hardly count.
            scaled = [
                scale * one for scale, one in zip(self.objective.scales, verdict.gradients, strict=True)
            ]
            gradients = dict(zip(self.moving, scaled, strict=True))
            self.fit.adam_step(gradients, verdict.noise_gradients, rate)
            normalise_maps(self.fit.maps)
            if self.companion is not None:
                self.companion.step(self.step, progress, rate)
        self.step += 1
        if self.step in checks_of(self.config.steps):
            self._compare(self.moving)
        if self.config.plateau and not self._is_shared and self._level() == self.view.resolution:
            self.fit.rest_idle(self.step, self.config.plateau)
            if not any(self.fit.active):
                self.stopped = f"came to rest after step {self.step} of {self.config.steps}"

    def _judged(self, progress: float) -> Verdict | None:
        """The verdict on the codes as they stand, remembered; None, and `stopped` set, if it is a bad one."""
        verdict = self.judge(self.objective, self.fit, self.moving, progress)
        values = torch.stack(verdict.losses).tolist()
        bad = self.fit.diverging(self.moving, values, verdict.gradients)
        if bad is not None:
            self.stopped = self._divergence(bad, values[self.moving.index(bad)])
            return None
        which = range(len(self.names)) if self._is_shared else self.moving
        self.canvas.keep(which, verdict.crops, self.objective.boxes)
        self._write_curves(verdict, values)
        self.fit.remember(self.moving, values, self.step)
        return verdict

    def _compare(self, which: Sequence[int]) -> None:
        """Let the segments `which` take over the companion's code where it fits them better."""
        if self.companion is not None:
            regions = segment_regions(self.generator, self.seen, self.config, self.networks, which)
            objective = IndependentObjective(self.generator, regions, self.seen.resolution)
            self.companion.lend(self.fit, which, objective, self.fit.maps, self.step)

    def _search_lines(self, verdict: Verdict, progress: float) -> None:
        slopes = dict(zip(self.moving, zip(verdict.losses, verdict.gradients, strict=True), strict=True))
        for search in self.searches:
            which = search.which
            known = (slopes[which[0]][0], [slopes[i][1] for i in which])

            def judge(search: Search = search) -> tuple[Tensor, list[Tensor]]:
                found = self.judge(search.objective, self.fit, search.which, progress)
                return found.losses[0], found.gradients

            search.lbfgs.step(known, judge)

    def _preview(self) -> Tensor:
        return self.canvas.picture(self.fit.latent_codes(), self.fit.maps, self.view.resolution)

    def _divergence(self, bad: int, loss: float) -> str:
        where = f"segment {self.names[bad]!r}"
        if self._is_shared:
            where = "the warm-up"
        elif self.config.mode == "joint":
            where = "the picture"
        advice = "try a lower learning rate" if self.config.optimizer == "adam" else 'try "adam"'
        return (
            f"diverged at step {self.step + 1} of {self.config.steps}: {where} had loss {loss:.4g}; "
            f"the best codes before it are kept; {advice}"
        )

    def _write_curves(self, verdict: Verdict, values: Sequence[float]) -> None:
        """One value per step: each segment's loss, or its mean squared error in joint mode."""
        if self.config.mode == "joint":
            shares = verdict.shares
            if self._is_shared:
                shares = self.canvas.errors(verdict.crops[0], self.objective.boxes[0])
            shown = {**dict(zip(self.names, torch.stack(shares).tolist(), strict=True)), TOGETHER: values[0]}
        elif self._is_shared:
            shown = dict.fromkeys(self.names, values[0])
        else:
            shown = {self.names[i]: value for i, value in zip(self.moving, values, strict=True)}
        for name, value in shown.items():
            self.curves[name].append(value)


def _cloned(segments: Segments, device: torch.device) -> Segments:
    masks, static = (t.detach().clone().to(device, torch.float32) for t in (segments.masks, segments.static))
    return replace(segments, masks=masks, static=static)
