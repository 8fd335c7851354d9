"""This project's ways, measured as the peers are."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time

from torch import Tensor

from benchmarks.lone_cases import LOSS
from chunky_core.compositing.render import render
from chunky_core.generator import Generator
from chunky_core.inversion import Inversion, ProjectionConfig, project
from chunky_core.losses import PerceptualNetwork
from chunky_core.segments import SegmentMasks, single_segment

from .results import Result

PRESETS = ("draft", "good", "best")


class Ours:
    takes_masks = True

    def __init__(self, generator: Generator, network: PerceptualNetwork) -> None:
        self.generator, self.presets = generator, PRESETS
        if importlib.util.find_spec("chunky_core.inversion.presets") is None:
            print("there are no presets here; they are left out", file=sys.stderr)
            self.presets = ()

    def results(self, photo: Tensor, masks: SegmentMasks, num_steps: int) -> Iterator[tuple[str, Result]]:
        config = ProjectionConfig(num_steps=num_steps, loss=LOSS)
        if not masks.static.any():
            yield "one code, W+", self._result(photo, single_segment(masks.size), config)
        yield "ours, W+", self._result(photo, masks, config)
        for preset in self.presets:
            yield f"ours, {preset}", self._preset(photo, masks, preset)

    def _result(self, photo: Tensor, masks: SegmentMasks, config: ProjectionConfig) -> Result:
        start = process_time()
        return self._drawn(project(self.generator, photo, masks, config), start)

    def _preset(self, photo: Tensor, masks: SegmentMasks, preset: str) -> Result:
        from chunky_core.inversion.presets import project_preset

        start = process_time()
        return self._drawn(project_preset(self.generator, photo, masks, preset, loss=LOSS), start)

    def _drawn(self, inversion: Inversion, start: float) -> Result:
        rendering, seconds = render(self.generator, inversion), process_time() - start
        return Result(rendering, seconds, facts={"bytes": file_size(inversion)})


def file_size(inversion: Inversion) -> int:
    """Bytes of its file: codes, masks and weight deltas, without the photo and the optimizer's state."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inversion.safetensors"
        replace(inversion, state=None).save(path, with_photo=False)
        return path.stat().st_size
