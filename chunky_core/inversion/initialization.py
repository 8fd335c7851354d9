"""Where codes start: at the generator's mean code, or at the codes of an earlier inversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode, convert
from ..generator.statistics import draw_codes
from .record import Inversion

_SAMPLES = 1000  # of w, enough for its deviation to within a few percent


def starting_codes(
    generator: Generator, names: Sequence[str], spaces: Sequence[str], seed: int, start: Inversion | None
) -> list[LatentCode]:
    """One code per name, in the space that belongs to it: the mean code, or that of the segment of that name
    in `start` (or its only one).

    Raises InvalidInputError if `start` lacks a name, if its codes can't be brought into their spaces, and if the
    generator's mean code isn't finite.
    """
    if start is None:
        means = {space: mean_latent(generator, space, seed) for space in set(spaces)}
        advice = "its weights are damaged; load another file"
        check_finite(
            {f"its mean code in {space}": one for space, one in means.items()}, "the generator", advice
        )
        return [LatentCode(space, means[space].clone()) for space in spaces]
    known = {segment.name: segment.code for segment in start.segments}
    if len(known) == 1:
        known = dict.fromkeys(names, *known.values())
    missing = [name for name in names if name not in known]
    if missing:
        raise InvalidInputError(
            f"the earlier inversion has no segment {', '.join(missing)} (it has {', '.join(known)}); "
            "start from one with the same segments or with a single one"
        )
    return [
        LatentCode(space, _moved(generator, known[name], space))
        for name, space in zip(names, spaces, strict=True)
    ]


def starting_noise(
    generator: Generator, rng: torch.Generator, start: Inversion | None, *, optimize_noise: bool
) -> list[Tensor]:
    """The noise maps [h,w] that a projection starts with, one per layer of `noise_layout`: white noise, or those of
    an earlier inversion; none where they aren't optimized.

    Raises InvalidInputError for a generator without noise, and where the earlier inversion's maps would be lost.
    """
    maps = white_noise(generator, rng) if optimize_noise else []
    if start is None or not start.noise:
        return maps
    if not optimize_noise:
        raise InvalidInputError(
            "the earlier inversion has noise maps of its own; optimize noise maps here, too, or start from one "
            "without"
        )
    return [noise_map.to(generator.device) for noise_map in start.noise]


def mean_latent(generator: Generator, space: str, seed: int) -> Tensor:
    """The mean code in `space`: w_avg in W, W+ and S; in Z, which has no such point, of `_SAMPLES` seeded
    draws the one whose w is nearest to w_avg.
    """
    w_avg = generator.w_avg.detach().clone()[None]
    if space != "z":
        return convert(generator, LatentCode("w", w_avg), space).tensor.detach().float().clone()
    z, w = draw_codes(generator, _SAMPLES, seed)
    return z[(w - w_avg).square().sum(dim=1).argmin()][None].clone()


def nearest_in_space(generator: Generator, code: LatentCode, space: str, seed: int) -> LatentCode:
    """A starting point in `space` for a segment that `code` stood for until now: the code itself where it can be
    carried there; in w for one in w+ the mean over the layers; else the mean code.
    """
    if SPACES.index(space) >= SPACES.index(code.space):
        return LatentCode(space, _moved(generator, code, space))
    if (code.space, space) == ("w+", "w"):
        return LatentCode(space, code.tensor.detach().float().mean(dim=1))
    return LatentCode(space, mean_latent(generator, space, seed))


@torch.no_grad()
def nearest_in_spaces(
    generator: Generator, code: LatentCode, spaces: Sequence[str], seed: int
) -> list[LatentCode]:
    """One starting point per entry of `spaces` (see `nearest_in_space`)."""
    return [nearest_in_space(generator, code, space, seed) for space in spaces]


def code_spread(generator: Generator, seed: int) -> float:
    """Deviation of w from its mean, sqrt(E ||w - w_avg||^2), as in the projector of Karras et al. 2020."""
    _, w = draw_codes(generator, _SAMPLES, seed)
    return (w - generator.w_avg).square().sum(dim=1).mean().sqrt().item()


def _moved(generator: Generator, code: LatentCode, space: str) -> Tensor:
    # A clone first: codes that were loaded in inference mode can't take part in anything that records
    # gradients.
    own = LatentCode(code.space, code.tensor.detach().clone().to(generator.device))
    return convert(generator, own, space).tensor.detach().float().clone()


def white_noise(generator: Generator, rng: torch.Generator) -> list[Tensor]:
    """One map [h,w] of white noise per layer of `noise_layout`. InvalidInputError where there is none."""
    if not generator.noise_layout:
        raise InvalidInputError("this generator has no noise inputs; optimize none")
    sizes = [generator.size_at(resolution) for _, resolution in generator.noise_layout]
    return [torch.randn(*size, generator=rng).to(generator.device) for size in sizes]


def check_finite(tensors: Mapping[str, Tensor], owner: str, advice: str) -> None:
    """Raise InvalidInputError for the first that isn't finite; `tensors` by what they are."""
    for what, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InvalidInputError(f"{owner} can't be used: {what} holds NaN or infinite values; {advice}")
