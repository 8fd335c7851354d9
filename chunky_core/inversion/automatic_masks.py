"""Masks of a photo in which nothing was painted: the mask generator on the code of a quick global inversion (P2 §3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..callbacks import Callback
from ..checks import check_image, check_type
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..segments.mask_generator import MaskGenerator
from ..segments.mask_generator.record import segment_masks, static_classes
from ..segments.segment_masks import SegmentMasks, single_segment
from .config import ProjectionConfig
from .projector import project

STEPS = 60
QUICK = ProjectionConfig(space="w+", num_steps=STEPS, warmup=0.0, global_code=False, coarse=0.5, dilation=0)


@dataclass(frozen=True, eq=False)
class PhotoMasks:
    """What `masks_of_photo` found.

    masks: the photo's segments. labels: int64 [1,H,W], the most likely class of each pixel, places in the mask
    generator's names. uncertainty: [1,1,H,W] in [0,1], where its networks disagree. code: [1,num_ws,w_dim] in w+ of
    the whole photo, a start for a projection by these masks.
    """

    masks: SegmentMasks
    labels: Tensor
    uncertainty: Tensor
    code: LatentCode


def masks_of_photo(
    generator: Generator,
    mask_generator: MaskGenerator,
    photo: Tensor,
    steps: int = STEPS,
    *,
    static: Sequence[str] = (),
    start: LatentCode | None = None,
    config: ProjectionConfig | None = None,
    callback: Callback | None = None,
    folders: Sequence[Path] = (),
) -> PhotoMasks:
    """The masks of a photo of what the generator draws: one code is fitted to all of it, and its classes are read off.

    photo: [1,3,H,W] in [-1,1] of the generator's size, aligned as its pictures. steps: of the projection, 1 or more.
    static: names or groups of classes that belong to the static mask. start: a code to set out from, None: the mean.
    config: of the projection, None: one in w+ by colors, half of it at lower resolutions; its num_steps are replaced.
    callback(step, total, image): as that of `project`. folders: where its loss networks are looked for.
    What the generator can't draw, such as a hat, has no class of its own and falls to what lies beneath.
    Raises WrongGeneratorError for a mask generator of another generator, InvalidInputError for a photo of another
    size, unknown names and where no segment is left.
    """
    check_type(mask_generator, "the mask generator", MaskGenerator, "load_mask_generator reads one")
    mask_generator.check_generator(generator)
    check_image(photo, "the photo", batch=1)
    config = QUICK if config is None else config
    check_type(config, "the config", ProjectionConfig)
    kept = static_classes(static, mask_generator.names)
    with torch.inference_mode(False), torch.no_grad():
        whole = single_segment((photo.shape[-2], photo.shape[-1]), photo.device)
        chosen = replace(config, num_steps=steps)
        found = project(generator, photo, whole, chosen, callback=callback, start=start, folders=folders)
        return masks_of_code(generator, mask_generator, found.segments[0].code, static=kept)


def masks_of_code(
    generator: Generator, mask_generator: MaskGenerator, code: LatentCode, *, static: Collection[str] = ()
) -> PhotoMasks:
    """The masks of what one code draws; static: names of classes. Raises as `MaskGenerator.masks`."""
    probabilities, uncertainty = mask_generator.read(generator, code)
    return PhotoMasks(
        masks=segment_masks(probabilities[0], mask_generator.names, set(static)),
        labels=probabilities.argmax(dim=1),
        uncertainty=uncertainty,
        code=code,
    )
