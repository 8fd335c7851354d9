"""One projection from its first step to its record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.region import Box
from ..generator.spaces import SPACES, LatentCode
from ..segments.blend import blend
from ..segments.segments import Segments
from .config import ProjectionConfig
from .fit import Fit, Lbfgs
from .inversion import Inversion, Segment, photo_digest
from .judge import Judge
from .losses import load_networks
from .noise_maps import normalise_maps, starting_maps
from .objective import Objective, Verdict, segment_objective, shared_objective
from .regions import View, levels, reach_of
from .schedule import learning_rate_factor
from .start import starting_codes
from .state import ProjectionState

Callback = Callable[[int, int, Tensor | None], None]
TOGETHER = "together"  # the curve of the loss that all segments share in joint mode


class StopProjection(Exception):  # noqa: N818  # a request, no error; as StopIteration
    """Raised by a callback: the projection ends here, and its result so far is returned."""


@dataclass(frozen=True, eq=False)
class Source:
    """Where a run sets out from: an earlier inversion or None, and whether it goes on with that one's state."""

    inversion: Inversion | None = None
    resume: bool = False


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
        self.view = View(photo, segments, reach_of(segments.masks, config))
        self.networks = load_networks(config.losses, device, folders=folders)
        self.judge = Judge(self.generator, config, self.spaces)
        self.levels = levels(config, generator.img_resolution)
        self.step, self.stopped, self.warmup = 0, "", 0
        self.drawn: dict[int, tuple[Tensor, Box]] = {}  # by segment: its last crop and where it lies
        if source.inversion is None and len(self.names) > 1:
            self.warmup = round(config.warmup * config.steps)
        self.curves: dict[str, list[float]] = {name: [] for name in self._curve_names()}
        self.fit = self._resumed(source.inversion) if source.resume else self._begun(source.inversion)
        self._begin_stretch()

    def optimise(self, callback: Callback | None, preview_every: int) -> None:
        """All the steps that are left, or as many as go well."""
        total = self.config.steps
        while self.step < total and not self.stopped and any(self.fit.active):
            self._change_stretch()
            self._advance()
            if callback is None or self.stopped:
                continue
            last = self.step == total or not any(self.fit.active)
            try:
                shown = last or self.step % preview_every == 0
                callback(self.step, total, self._preview() if shown else None)
            except StopProjection:
                self.stopped = f"stopped on request after step {self.step} of {total}"

    def record(self, device: torch.device) -> Inversion:
        """The result so far, on `device`."""
        segments, masks = self.view.segments, self.view.segments.masks.to(device)
        numbers, tensors = self.fit.state()
        numbers["resolution"] = self.seen.resolution
        tensors["rng"] = self.judge.rng.get_state()
        codes = self.fit.best_codes(self.generator, self.spaces)
        return Inversion(
            photo=self.view.photo.to(device),
            segments=tuple(
                Segment(name, masks[i : i + 1].clone(), LatentCode(code.space, code.tensor.to(device)))
                for i, (name, code) in enumerate(zip(self.names, codes, strict=True))
            ),
            static_mask=segments.static.to(device),
            fingerprint=self.generator.fingerprint,
            settings=_plain(self.config),
            losses={name: list(curve) for name, curve in self.curves.items()},
            stopped=self.stopped or None,
            noise=tuple(map_.to(device) for map_ in self.fit.best_maps),
            state=ProjectionState(self.step, numbers, {name: one.cpu() for name, one in tensors.items()}),
        )

    @property
    def _is_shared(self) -> bool:
        """Whether one code still stands for all segments."""
        return len(self.fit.codes) < len(self.names)

    @property
    def _is_tied(self) -> bool:
        return self.config.mode == "joint" or self.config.optimise_noise

    def _curve_names(self) -> tuple[str, ...]:
        return (*self.names, TOGETHER) if self.config.mode == "joint" else self.names

    def _begun(self, start: Inversion | None) -> Fit:
        config, maps = self.config, []
        if config.optimise_noise:
            maps = starting_maps(self.generator, self.judge.rng)
            if start is not None and start.noise:
                maps = [map_.to(self.generator.device) for map_ in start.noise]
        names, spaces = self.names, self.spaces
        if self.warmup:
            names, spaces = names[:1], (min(spaces, key=SPACES.index),)
        codes = starting_codes(self.generator, names, spaces, config.seed, start)
        return Fit(codes, spaces, maps, self._is_tied)

    def _resumed(self, start: Inversion | None) -> Fit:
        """The fit of an earlier run, which must have had the same segments, spaces and way of judging."""
        if start is None or start.state is None:
            raise InvalidInputError(
                "there is no projection to go on with; give an inversion that holds its state, or start anew"
            )
        found = (start.names, [s.code.space for s in start.segments], start.settings.get("mode"))
        wanted = (self.names, list(self.spaces), self.config.mode)
        if found != wanted or bool(start.noise) != self.config.optimise_noise:
            raise InvalidInputError(
                f"the earlier projection had segments, spaces and mode {found}, now they are {wanted}; "
                "go on with the same ones, noise maps included, or start from its codes only"
            )
        if start.photo_digest != photo_digest(self.view.photo):
            raise InvalidInputError(
                "the earlier projection was of another photo; go on with that one, or start from its codes only"
            )
        state = start.state
        self.step = state.step
        if len(state.numbers["spaces"]) < len(self.names):  # it was still in its warm-up
            self.warmup = max(round(self.config.warmup * self.config.steps), self.step)
        self.judge.rng.set_state(state.tensors["rng"].detach().clone())
        self.curves = {name: list(start.losses.get(name, ())) for name in self.curves}
        fit = Fit.restore(state.numbers, state.tensors, self.generator.device, self._is_tied)
        if state.numbers["resolution"] != self._level():
            fit.forget_losses(self.step)
        return fit

    def _change_stretch(self) -> None:
        """Split the shared code, move on to a finer resolution, or leave resting codes out, where it is time."""
        splits = self._is_shared and self.step >= self.warmup
        if splits:
            self.fit = self.fit.split(self.generator, self.spaces)
        finer = self._level() != self.seen.resolution
        if splits or finer:
            self.fit.forget_losses(self.step)
        if splits or finer or self.moving != self.fit.moving():
            self._begin_stretch()

    def _level(self) -> int:
        return next(size for first, size in reversed(self.levels) if first <= self.step)

    def _begin_stretch(self) -> None:
        """What the codes that move are judged by, from here on."""
        generator, config = self.generator, self.config
        self.seen, self.moving = self.view.at(self._level()), self.fit.moving()
        arguments = (generator, self.seen, config, self.networks)
        if self._is_shared:
            self.objective = shared_objective(*arguments)
        else:
            self.objective = segment_objective(*arguments, self.moving)
        self.searches: list[tuple[list[int], Objective, Lbfgs]] = []
        if config.optimizer == "lbfgs":
            self.searches = self._line_searches()

    def _line_searches(self) -> list[tuple[list[int], Objective, Lbfgs]]:
        """Which codes L-BFGS moves together: all in joint mode, else each by itself."""
        if self._is_shared or self._is_tied:
            return [(self.moving, self.objective, Lbfgs([self.fit.codes[i] for i in self.moving]))]
        arguments = (self.generator, self.seen, self.config, self.networks)
        return [([i], segment_objective(*arguments, [i]), Lbfgs([self.fit.codes[i]])) for i in self.moving]

    def _advance(self) -> None:
        """One step for every code that moves; sets `stopped` instead if the run must end."""
        progress = (self.step + 0.5) / self.config.steps  # its middle: a first step of size 0 would be lost
        verdict = self.judge(self.objective, self.fit, self.moving, progress)
        values = torch.stack(verdict.losses).tolist()
        bad = self.fit.diverging(values, verdict.gradients)
        if bad is not None:
            self.stopped = self._divergence(bad, values[bad])
            return
        self._keep_crops(verdict.crops)
        self._write_curves(verdict, values)
        self.fit.remember(self.moving, values, self.step)
        if self.searches:
            self._search_lines(progress)
        else:
            rate = self.config.learning_rate * learning_rate_factor(progress)
            # Adam remembers the shared code's gradients for a thousand steps: beside them those of a small
            # segment, unscaled, would hardly count.
            scaled = [scale * one for scale, one in zip(self.objective.scales, verdict.gradients, strict=True)]
            gradients = dict(zip(self.moving, scaled, strict=True))
            self.fit.adam_step(gradients, verdict.noise_gradients, rate)
            normalise_maps(self.fit.maps)
        self.step += 1
        if self.config.plateau and not self._is_shared and self._level() == self.view.resolution:
            self.fit.rest_idle(self.step, self.config.plateau)

    def _search_lines(self, progress: float) -> None:
        for which, objective, search in self.searches:

            def judge(
                which: list[int] = which, objective: Objective = objective
            ) -> tuple[Tensor, list[Tensor]]:
                verdict = self.judge(objective, self.fit, which, progress)
                return verdict.losses[0], verdict.gradients

            search.step(judge)

    def _divergence(self, bad: int, loss: float) -> str:
        where = f"segment {self.names[self.moving[bad]]!r}"
        if self._is_shared:
            where = "the warm-up"
        elif self.config.mode == "joint":
            where = "the picture"
        return (
            f"diverged at step {self.step + 1} of {self.config.steps}: {where} had loss {loss:.4g}; "
            "the best codes before it are kept; try a lower learning rate"
        )

    def _write_curves(self, verdict: Verdict, values: Sequence[float]) -> None:
        """One value per step: each segment's loss, or its share of the picture's error in joint mode."""
        if self._is_shared:
            shown = dict.fromkeys(self.curves, values[0])
        elif self.config.mode == "joint":
            shares = torch.stack(verdict.shares).tolist()
            shown = {**dict(zip(self.names, shares, strict=True)), TOGETHER: values[0]}
        else:
            shown = {self.names[i]: value for i, value in zip(self.moving, values, strict=True)}
        for name, value in shown.items():
            self.curves[name].append(value)

    def _keep_crops(self, crops: Sequence[Tensor]) -> None:
        """What each segment last looked like, for the preview."""
        pairs = list(zip(crops, self.objective.boxes, strict=True))
        which = range(len(self.names)) if self._is_shared else self.moving
        self.drawn.update(zip(which, pairs * (len(which) // len(pairs)), strict=True))

    @torch.no_grad()
    def _preview(self) -> Tensor:
        """The photo with the segments as they were last drawn, at full size."""
        crops, boxes = zip(*(self.drawn[i] for i in range(len(self.names))), strict=True)
        picture = blend(self.seen.photo, self.seen.segments, crops, boxes)
        size = self.view.resolution
        if size == self.seen.resolution:
            return picture
        return F.interpolate(picture, (size, size), mode="bilinear", align_corners=False)


def segment_spaces(segments: Segments, config: ProjectionConfig) -> tuple[str, ...]:
    """The space of each segment. Raises InvalidInputError for a name that isn't among them."""
    chosen = dict.fromkeys(segments.names, config.space)
    for entry, space in config.spaces.items():
        chosen.update(dict.fromkeys(segments.resolve((entry,)), space))
    return tuple(chosen.values())


def _plain(config: ProjectionConfig) -> dict[str, Any]:
    """The config as plain values. Of a network's file only the name: an inversion may be shared, a path not."""
    settings = asdict(config)
    for name in ("lpips_net", "identity_net"):
        settings["losses"][name] = Path(settings["losses"][name]).name
    return settings


def _cloned(segments: Segments, device: torch.device) -> Segments:
    masks, static = (t.detach().clone().to(device, torch.float32) for t in (segments.masks, segments.static))
    return replace(segments, masks=masks, static=static)
