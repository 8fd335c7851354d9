"""Pivotal Tuning (Roich et al. 2021) by its own settings, and the projector in W+ that it ships; no masks in either."""

from __future__ import annotations

import copy
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from chunky_core.generator import Generator
from chunky_core.losses import PerceptualNetwork
from chunky_core.segments import SegmentMasks

from . import official
from .loss import Distance
from .repository import import_from, official_generator, put_in_place, repository
from .results import Result

NAME = "PTI"
OFFICIAL_RATE = 0.1  # of the projector that it is a copy of; its own default is a tenth


class PivotalTuning:
    takes_masks = False

    def __init__(self, generator: Generator, network: PerceptualNetwork) -> None:
        put_in_place("models.e4e.psp", pSp=None)  # an encoder that isn't used, with CUDA code
        self.wide, self.coaches, self.base, self.paths, self.settings = import_from(
            NAME,
            "training.projectors.w_plus_projector",
            "training.coaches.single_id_coach",
            "training.coaches.base_coach",
            "configs.paths_config",
            "configs.global_config",
        )
        self.G, self.network = official_generator(official_networks(), generator).eval(), network
        self.settings.device = "cpu"
        self.base.load_old_G = lambda: copy.deepcopy(self.G)
        self.base.LPIPS = lambda **_: Distance(network)

    def results(self, photo: Tensor, masks: SegmentMasks, num_steps: int) -> Iterator[tuple[str, Result]]:
        yield "official projector, W+", self.projection(photo, num_steps)
        stopped, pivot = self.tuning(photo)
        yield "Pivotal Tuning", stopped
        with mock.patch("configs.hyperparameters.LPIPS_value_threshold", 0.0):
            yield "Pivotal Tuning, all steps", self.tuning(photo, pivot)[0]

    def projection(self, photo: Tensor, num_steps: int) -> Result:
        start = process_time()
        torch.manual_seed(official.SEED)
        with official.network_in_place(self.network):
            ws = self.wide.project(
                self.G,
                official.pixels_of(photo),
                num_steps=num_steps,
                initial_learning_rate=OFFICIAL_RATE,
                device=torch.device("cpu"),
                w_name="",
            )
        rendering = self.G.synthesis(ws.detach(), noise_mode="const")
        return Result(rendering, process_time() - start)

    def tuning(self, photo: Tensor, pivot: Pivot | None = None) -> tuple[Result, Pivot]:
        """By its settings, with the pivot of an earlier tuning if one is given; its time counts all the same."""
        torch.manual_seed(official.SEED)
        first_step = self.settings.training_step
        with tempfile.TemporaryDirectory() as folder, official.network_in_place(self.network):
            self.paths.checkpoints_dir = self.paths.embedding_base_dir = folder
            coach = self._coach(pivot)([(("photo",), photo)], use_wandb=False)
            start = process_time()
            coach.train()
            seconds = process_time() - start + (pivot.seconds if pivot else 0.0)
            size = sum(path.stat().st_size for path in Path(folder).glob("model_*.pt"))
        with torch.no_grad():
            rendering = coach.G.synthesis(coach.pivot.ws, noise_mode="const")
        steps = self.settings.training_step - first_step
        facts = {"tuning steps": steps, "pivot seconds": coach.pivot.seconds, "bytes": size}
        return Result(rendering, seconds, facts=facts), coach.pivot

    def _coach(self, pivot: Pivot | None) -> Any:
        num_ws = self.G.num_ws

        class Coach(self.coaches.SingleIDCoach):  # type: ignore[misc, name-defined]
            """Theirs, with as many vectors in the pivot as the generator takes, and not 18."""

            def calc_inversions(self, image: Tensor, image_name: str) -> Tensor:
                start = process_time()
                if pivot is None:
                    ws = super().calc_inversions(image, image_name).detach()[:, :num_ws]
                self.pivot = pivot or Pivot(ws, process_time() - start)
                return self.pivot.ws

        return Coach


@dataclass(frozen=True)
class Pivot:
    """ws: [1,num_ws,w_dim]. seconds: CPU time that finding it took."""

    ws: Tensor
    seconds: float


def official_networks() -> ModuleType:
    """The official repository's networks; PTI has them in its pickles only. Its folder `training` isn't PTI's."""
    folder = repository(official.NAME)
    if folder is None:
        sys.exit(f"{NAME} needs {official.NAME} beside it in PEERS_PATH, for its networks")
    spec = importlib.util.spec_from_file_location("official_networks", folder / "training" / "networks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
