"""Codes in W read off pictures at a glance, as far as a direction needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...callbacks import Callback
from ...checks import check_image, checked_list
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import SPACES, LatentCode, convert
from ...generator.statistics import GeneratorStatistics, draw_codes, measure_statistics
from ...inversion import Inversion
from ...inversion.record import check_generator
from ...wording import in_pixels
from .viewing import pictures_at_once, viewing_resolution
from .whitening import Whitening

SAMPLES = 800  # random pictures that the reading is learnt from
SIDE = 32  # pixels of the longer side at which pictures are read
_LARGEST_ASPECT = 1.02  # how far sides may be from the generator's: what rounding makes of a resized picture


def codes_of_pictures(
    generator: Generator,
    groups: Sequence[Tensor],
    statistics: GeneratorStatistics | None = None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    callback: Callback | None = None,
) -> tuple[LatentCode, ...]:
    """The codes in W of several groups of pictures, [B,3,H,W] in [-1,1] each, one code per picture.

    They are read by a ridge regression of whitened w on the pixels at 32 pixels, learnt from `samples` random pictures
    of the generator; the penalty is the mean variance of a component of these, so what the generator's pictures vary
    little in is hardly trusted. That is far from an inversion: what can't be told from so small a picture stays at the
    mean, which is as it should be where groups are compared. For closer codes project the pictures (`project`) and use
    `codes_of_inversions`.
    pictures: aligned as the generator's are and of their shape, in any size. statistics: the generator's; None =
    measured now. callback(done, samples, pictures) while the generator draws.
    Raises InvalidInputError for pictures of another shape and fewer than two samples.
    """
    if samples < 2:
        raise InvalidInputError(f"{samples} samples were asked for; expected at least 2")
    size = generator.img_size
    for pictures in groups:
        check_image(pictures, "a group")
        _check_shape(pictures, size)
    known = statistics or measure_statistics(generator)
    _, w = draw_codes(generator, samples, seed)
    seen = _thumbnails(generator, w, callback)
    whitening = Whitening.of_covariance(known.w_covariance)
    mean = known.w_mean.double()
    reading = _Reading(seen, (w.cpu().double() - mean) @ whitening.inverse.T)
    read = [reading(_small(pictures[:, :3].detach().float().cpu(), size)) for pictures in groups]
    return tuple(LatentCode("w", (mean + one @ whitening.factor.T).float()) for one in read)


def codes_of_inversions(generator: Generator, inversions: Iterable[Inversion]) -> LatentCode:
    """One code for each inversion: the mean of its segments', weighted by their areas, in the latest space of any, w at
    the earliest.

    Raises WrongGeneratorError for one of another generator, InvalidInputError where there are none.
    """
    records = checked_list(inversions, "the inversions", Inversion)
    if not records:
        raise InvalidInputError("there are no inversions; give at least one")
    for record in records:
        check_generator(generator, record)
    spaces = [segment.code.space for record in records for segment in record.segments]
    space = max("w", *spaces, key=SPACES.index)
    return LatentCode(space, torch.cat([_mean_code(generator, record, space) for record in records]))


class _Reading:
    """The ridge regression of targets [N,k] on pictures [N,numbers], float64."""

    def __init__(self, pictures: Tensor, targets: Tensor) -> None:
        self._mean, self._offset = pictures.mean(dim=0), targets.mean(dim=0)
        turned, sizes, axes = torch.linalg.svd(pictures - self._mean, full_matrices=False)
        kept = sizes / (sizes.square() + sizes.square().mean()).clamp(min=1e-300)
        self._weights = axes.T @ (kept[:, None] * (turned.T @ (targets - self._offset)))

    def __call__(self, pictures: Tensor) -> Tensor:
        return (pictures - self._mean) @ self._weights + self._offset


def _thumbnails(generator: Generator, w: Tensor, callback: Callback | None) -> Tensor:
    """What codes [N,w_dim] draw, small: [N,numbers]."""
    resolution = viewing_resolution(generator, SIDE)
    found: list[Tensor] = []
    done = 0
    for chunk in w.split(pictures_at_once(generator, resolution)):
        with torch.no_grad():
            pictures = generator.synthesis(chunk, out_resolution=resolution).float().clamp(-1, 1).cpu()
        found.append(_small(pictures, generator.img_size))
        done += len(chunk)
        if callback is not None:
            callback(done, len(w), pictures)
    return torch.cat(found)


def _small(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures [B,3,H,W] as rows [B,numbers], float64, SIDE pixels along the longer side of (height, width)."""
    height, width = (max(1, round(SIDE * one / max(size))) for one in size)
    return functional.interpolate(pictures, (height, width), mode="area").flatten(1).double()


def _check_shape(pictures: Tensor, size: tuple[int, int]) -> None:
    """Raise InvalidInputError for pictures of another shape than (height, width)."""
    height, width = size
    found = (pictures.shape[-1] * height) / (pictures.shape[-2] * width)
    if not 1 / _LARGEST_ASPECT < found < _LARGEST_ASPECT:
        raise InvalidInputError(
            f"the pictures of a group are {in_pixels(pictures)}, the generator's are {size}; align and crop them to "
            "that shape"
        )


def _mean_code(generator: Generator, record: Inversion, space: str) -> Tensor:
    areas = torch.stack([segment.mask.mean() for segment in record.segments]).cpu()
    codes = [
        LatentCode(segment.code.space, segment.code.tensor.to(generator.device))
        for segment in record.segments
    ]
    with torch.no_grad():
        tensors = torch.cat([convert(generator, code, space).tensor.cpu() for code in codes])
    return torch.einsum("n,n...->...", areas / areas.sum(), tensors)[None]
