"""What a projection is asked for, against what the generator, the photo and the masks can do."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..checks import check_picture
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..segments.segment_masks import Segments
from ..wording import in_pixels, pictures
from .config import ProjectionConfig
from .hooks import TOGETHER, resolution_schedule
from .initialization import check_finite
from .record import Inversion, check_generator

_BRIGHTEST = 20.0  # generators leave [-1, 1] by a few units; what is brighter was never scaled from 0 ... 255


def check_setup(
    generator: Generator, masks: Segments, spaces: Sequence[str], config: ProjectionConfig
) -> None:
    """Raise InvalidInputError for what this generator or these segments can't do."""
    if config.refine_every:
        masks.resolve(config.refine)
    if generator.c_dim and "z" in spaces:
        raise InvalidInputError("this generator draws classes, which z knows nothing of; choose w, w+ or s")
    schedule = resolution_schedule(config.coarse, config.num_steps, generator.img_resolution)
    missing = {size for _, size in schedule} - {*generator.out_resolutions}
    if missing:
        raise InvalidInputError(
            f"this generator makes {generator.img_resolution} pixels only; set coarse to 0"
        )
    if config.mode == "joint" and TOGETHER in masks.names:
        raise InvalidInputError(f"a segment is named {TOGETHER!r}, as the common curve is; rename it")


def segment_spaces(masks: Segments, config: ProjectionConfig) -> tuple[str, ...]:
    """The space of each segment. Raises InvalidInputError for a name that isn't among them."""
    chosen = dict.fromkeys(masks.names, config.space)
    for entry, space in config.spaces.items():
        chosen.update(dict.fromkeys(masks.resolve((entry,)), space))
    return tuple(chosen.values())


def check_start(start: Inversion, generator: Generator) -> None:
    """Raise WrongGeneratorError for an inversion of another generator, InvalidInputError for one that holds NaN or
    infinite values where a run would go on with them.
    """
    check_generator(start, generator)
    held = {f"the code of segment {segment.name!r}": segment.code.tensor for segment in start.segments}
    held |= {f"noise map {index}": noise for index, noise in enumerate(start.noise)}
    if start.state is not None:
        held |= {f"the state's tensor {name!r}": tensor for name, tensor in start.state.tensors.items()}
    check_finite(held, "the earlier inversion", "start from another one, or anew from the mean code")


def check_photo_size(size: tuple[int, int], resolution: int) -> None:
    """Raise InvalidInputError for a photo of another (height, width) than the pictures of a generator."""
    if size != (resolution, resolution):
        raise InvalidInputError(
            f"the photo is {size[1]}x{size[0]}, the generator makes {resolution}x{resolution}; cut the face "
            f"out in that size (Align Face) or resize the photo to {resolution}x{resolution}, and make the masks anew"
        )


def check_photo(photo: Tensor, generator: Generator, masks: Segments) -> None:
    """Raise InvalidInputError for a photo that `project` doesn't take, or one of another size than the masks."""
    if not isinstance(photo, Tensor):
        raise InvalidInputError(
            f"the photo is a {type(photo).__name__}; expected a tensor of floats [1,3,H,W]"
        )
    if photo.ndim != 4 or photo.shape[:2] != (1, 3):
        raise InvalidInputError(
            f"the photo is {pictures(photo)}; expected one RGB image [1, 3, height, width], so project the images of a "
            "batch one by one"
        )
    check_photo_size((photo.shape[-2], photo.shape[-1]), generator.img_resolution)
    if photo.shape[-2:] != masks.static.shape[-2:]:
        height, width = masks.static.shape[-2:]
        raise InvalidInputError(
            f"the photo is {in_pixels(photo)}, the masks are {width}x{height}; make the masks of this very photo "
            "(after Align Face, if that cut it out)"
        )
    check_picture(photo, "the photo", batch=1)
    if photo.abs().max() > _BRIGHTEST:
        raise InvalidInputError(
            f"the photo has values from {photo.min():.4g} to {photo.max():.4g}; expected [-1, 1]; scale it"
        )
