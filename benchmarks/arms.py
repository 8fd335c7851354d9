"""Arms of benchmarks: the ways to invert a photo that are compared, each one plain JSON.

{"whole": true, "space": "w+", "num_steps": 50}     one code for the whole picture; options of `ProjectionConfig`
{"space": "s", "tune": {"num_steps": 50}}           one code per segment, then the weights tuned; options of `tune`
{"preset": "good"}                                  a preset of `project_preset`
{"file": "out/photo_{seed}.safetensors"}            a saved inversion for each photo

An arm without its file for a photo is left out there, which is said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import process_time
from typing import Any

from chunky_core.demo.photos import Photo, demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.generator import Generator
from chunky_core.inversion import Inversion, ProjectionConfig, load_inversion, project, save_inversion
from chunky_core.inversion.presets import preset_phases, project_preset
from chunky_core.inversion.tuning import TuningConfig, tune
from chunky_core.losses import LossConfig
from chunky_core.segments import SegmentMasks, segments_from_label_map, single_segment

Plain = dict[str, Any]


class UnavailableError(Exception):
    """An arm has no file for a photo."""


@dataclass(frozen=True)
class Subject:
    """A demo photo that is inverted, and its parts."""

    seed: int
    extras: tuple[str, ...]
    photo: Photo
    parts: SegmentMasks

    @classmethod
    def drawn(cls, seed: int, extras: tuple[str, ...] = (), resolution: int = 256) -> Subject:
        photo = demo_photo(seed, resolution=resolution, extras=extras)
        parts = segments_from_label_map(photo.labels, LABEL_NAMES, grow=4, feather=1.5, gaps="static")
        return cls(seed, extras, photo, parts)


@dataclass(frozen=True)
class Arm:
    """One way to invert a photo; see the head of this file.

    whole: one all-ones segment. project: options of `ProjectionConfig` beside its loss. tune: options of `tune`, None =
    the weights stay.
    """

    whole: bool = False
    preset: str = ""
    file: str = ""
    project: Mapping[str, Any] = field(default_factory=dict)
    tune: Mapping[str, Any] | None = None

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Arm:
        """Raises what `ProjectionConfig` raises for unknown options and values."""
        options = dict(plain)
        own = {name: options.pop(name) for name in ("whole", "preset", "file", "tune") if name in options}
        ProjectionConfig(**options)
        return cls(**own, project=options)

    def described(self) -> Plain:
        """All that its inversions depend on beside photo, generator and loss, as JSON gives it back."""
        if self.file:
            return {"file": self.file}
        if self.preset:
            found: Plain = {"preset": self.preset, "whole": self.whole, "phases": _phases(self.preset)}
        else:
            found = {"whole": self.whole, "project": _without_loss(ProjectionConfig(**self.project))}
        if self.tune is not None:
            found["tune"] = _without_loss(TuningConfig(**self.tune))
        plain: Plain = json.loads(json.dumps(found, default=str))
        return plain


class Inverter:
    """Makes inversions of photos with one loss; each is kept in the folder, with its CPU seconds, if there is one.

    Arms that differ in tuning alone share the projection, whose time counts for each of them.
    """

    def __init__(self, generator: Generator, loss: LossConfig, cache: Path | None = None) -> None:
        self.generator, self.loss, self.cache = generator, loss, cache
        self._recent: dict[str, tuple[Inversion, float]] = {}
        self._photo = ""

    def invert(self, arm: Arm, subject: Subject) -> tuple[Inversion, float]:
        """The inversion and process CPU seconds. Raises UnavailableError."""
        if arm.file:
            return _from_file(arm.file, subject), 0.0
        photo = f"{subject.seed}_{'_'.join(subject.extras)}"
        if photo != self._photo:
            self._recent, self._photo = {}, photo
        settings = [arm.described(), asdict(self.loss), self.generator.fingerprint]
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
        if key not in self._recent:
            path = self.cache / f"{photo}_{key}.safetensors" if self.cache else None
            self._recent[key] = self._kept(path) or self._made(arm, subject, path)
        return self._recent[key]

    def _kept(self, path: Path | None) -> tuple[Inversion, float] | None:
        if path is None or not path.with_suffix(".json").exists():
            return None
        return load_inversion(path), json.loads(path.with_suffix(".json").read_text())["seconds"]

    def _made(self, arm: Arm, subject: Subject, path: Path | None) -> tuple[Inversion, float]:
        spent = 0.0
        if arm.tune is not None:
            pivot, spent = self.invert(replace(arm, tune=None), subject)
        start = process_time()
        if arm.tune is not None:
            found = tune(self.generator, pivot, loss=self.loss, **arm.tune)
        else:
            found = self._projected(arm, subject)
        found, seconds = replace(found, state=None), spent + process_time() - start
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_inversion(found, path)
            path.with_suffix(".json").write_text(json.dumps({"seconds": seconds, "arm": arm.described()}))
        return found, seconds

    def _projected(self, arm: Arm, subject: Subject) -> Inversion:
        masks = single_segment(subject.parts.size) if arm.whole else subject.parts
        if arm.preset:
            return project_preset(self.generator, subject.photo.image, masks, arm.preset, loss=self.loss)
        config = ProjectionConfig(**arm.project, loss=self.loss)
        return project(self.generator, subject.photo.image, masks, config)


def named_arm(text: str) -> tuple[str, Plain]:
    """NAME=JSON, as the command line gives it."""
    name, _, plain = text.partition("=")
    return name, json.loads(plain)


def _from_file(pattern: str, subject: Subject) -> Inversion:
    path = Path(pattern.format(seed=subject.seed))
    if not path.exists():
        raise UnavailableError(f"there is no file {path}")
    return load_inversion(path)


def _phases(preset: str) -> list[Plain]:
    return [_without_loss(phase) for phase in preset_phases(preset, LossConfig())]


def _without_loss(config: ProjectionConfig | TuningConfig) -> Plain:
    return {name: value for name, value in asdict(config).items() if name != "loss"}
