"""Chunkmogrify (Futschik et al. 2021): its projection and its masked tuning of the generator's weights."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from time import process_time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chunky_core.generator import Generator
from chunky_core.images import to_uint8
from chunky_core.losses import PerceptualNetwork
from chunky_core.segments import SegmentMasks

from .loss import Distance, FeatureVector
from .repository import import_from, no_downloads, official_generator, put_in_place
from .results import Result, as_picture

NAME = "Chunkmogrify"
BLENDED = "blended"
PROJECTORS = {"w": "StyleganProjector", "w+": "StyleganWPlusProjector", "s": "StyleganSSpaceProjector"}
TUNING_STEPS = 50  # the window's default
TUNING_RATE = 3e-4


class Chunkmogrify:
    """The tool with a generator. The whole picture is a mask of ones."""

    takes_masks = True

    def __init__(self, generator: Generator, network: PerceptualNetwork) -> None:
        put_in_place("resources", resource_list=no_downloads())  # wants Qt and a download
        if not hasattr(np, "float"):
            np.float = float  # type: ignore[attr-defined]  # numpy before 1.24 had it, and their masks are checked for it
        put_in_place("_C_heatmap", heatmap=None)  # the window's
        timers = dict.fromkeys(("get_notify_wait", "NowOrDelayTimer", "MeasureTime", "get_global_error"))
        put_in_place("qtutil", **timers)
        networks, self.project, self.tune, self.synthesis, config = import_from(
            NAME, "stylegan_networks", "stylegan_project", "stylegan_tune", "synthesis", "config"
        )
        config.config = config.dotdict(device="cpu")
        self.tune.LPIPS = lambda: Distance(network)
        self.provider = self._provider(networks, generator, network)

    def _provider(self, networks: Any, generator: Generator, network: PerceptualNetwork) -> Any:
        """What their StyleganProvider holds after it has read a file of 512 numbers in w."""
        provider = object.__new__(self.project.StyleganProvider)
        provider.device, provider.directions = "cpu", {}
        provider.g = official_generator(networks, generator).train()  # as they leave it
        provider.vgg = FeatureVector(network)
        provider.mean_latent = generator.w_avg[None, None].numpy()
        provider.std_latent = 1.0  # counts in a pull to the mean only, which is left out
        return provider

    def projection(self, photo: Tensor, mask: Tensor, space: str, num_steps: int) -> SimpleNamespace:
        """photo [1,3,H,W] in [-1,1], mask [1,1,H,W] -> their projector, the rendering [1,3,H,W] and CPU seconds."""
        start = process_time()
        pixels = to_uint8(photo)[0].numpy()
        with quiet():
            projector = getattr(self.project, PROJECTORS[space])(
                self.provider,
                pixels,
                mask[0, 0, :, :, None].numpy().astype(float),
                iters=num_steps,
                noise_regularize_weight=0.0,
                mean_latent_loss_weight=0.0,
            )
            for _ in range(num_steps):
                next(projector)
        projector.photo_pixels = pixels
        with torch.no_grad():
            rendering = projector.current_as_torch().detach()
        return SimpleNamespace(projector=projector, rendering=rendering, seconds=process_time() - start)

    def results(self, photo: Tensor, masks: SegmentMasks, num_steps: int) -> Iterator[tuple[str, Result]]:
        mask = (1 - masks.static).clamp(0, 1)
        for space in PROJECTORS:
            found = self.projection(photo, mask, space, num_steps)
            yield f"{NAME}, {space.upper()}", self.result(found.projector, found.rendering, found.seconds)
            if space == "w":
                rendering, seconds = self.tuning(found.projector)
                tuned = self.result(found.projector, rendering, found.seconds + seconds)
                yield f"{NAME}, W, tuned", tuned

    def result(self, projector: Any, rendering: Tensor, seconds: float) -> Result:
        """With the pictures of their modes of output."""
        pixels = self.provider.torch_to_numpy_uint8(rendering.clone())
        outputs = {"masked": projector.numpy_compose(pixels)[0]}
        if not projector.current_mask.all():
            outputs[BLENDED] = self.blended(projector, pixels)
        return Result(rendering, seconds, {name: as_picture(one) for name, one in outputs.items()})

    def blended(self, projector: Any, pixels: Any) -> Any:
        """Their Poisson blending of a rendering, a list of one array of bytes [H,W,3]."""
        state = object.__new__(self.synthesis.SynthesisState)
        state.output_mode = BLENDED
        state.target_image = projector.photo_pixels.copy()
        state.mask_pull = lambda: projector.current_mask[0, 0, :, :, None].numpy()
        return state._apply_output_mode(pixels)

    def tuning(self, projector: Any, num_steps: int = TUNING_STEPS) -> tuple[Tensor, float]:
        """The rendering of a projector in w after their tuning within its mask, and CPU seconds; the weights are put
        back.
        """
        start = process_time()
        synthesis = self.provider.g.synthesis
        before = {name: value.clone() for name, value in synthesis.state_dict().items()}
        pivot = projector.current_projected_w()[:1].detach().clone().repeat(1, self.provider.num_ws(), 1)
        tuning = self.tune.PivotalTuning(
            synthesis, "cpu", pivot, projector.target_image[:1], projector.current_mask[:1], 0, 1, TUNING_RATE
        )
        for _ in range(num_steps):
            tuning.step()
        rendering, seconds = self.provider.generate(pivot, "wplus"), process_time() - start
        synthesis.load_state_dict(before)
        synthesis.requires_grad_(False)
        return rendering, seconds


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what they print at each start."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
