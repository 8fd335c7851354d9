"""Where a projection sets out from: the generator's mean code, or the codes of an earlier inversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode, convert
from ..generator.statistics import draw_codes
from .inversion import Inversion, check_generator

_SAMPLES = 1000  # of w, enough for its deviation to within a few percent


def check_start(start: Inversion, generator: Generator) -> None:
    """Raise WrongGeneratorError for an inversion of another generator, InvalidInputError for one that holds NaN or
    infinite values where a run would go on with them.
    """
    check_generator(start, generator)
    held = {f"the code of segment {segment.name!r}": segment.code.tensor for segment in start.segments}
    held |= {f"noise map {index}": noise for index, noise in enumerate(start.noise)}
    if start.state is not None:
        held |= {f"the state's tensor {name!r}": tensor for name, tensor in start.state.tensors.items()}
    _check_finite(held, "the earlier inversion", "start from another one, or anew from the mean code")


def starting_codes(
    generator: Generator, names: Sequence[str], spaces: Sequence[str], seed: int, start: Inversion | None
) -> list[Tensor]:
    """One code per name, in the space that belongs to it: the mean code, or that of the segment of that name
    in `start` (or its only one).

    Raises InvalidInputError if `start` lacks a name, if its codes can't be brought into their spaces, and if the
    generator's mean code isn't finite.
    """
    if start is None:
        means = {space: mean_code(generator, space, seed) for space in set(spaces)}
        advice = "its weights are damaged; load another file"
        _check_finite(
            {f"its mean code in {space}": one for space, one in means.items()}, "the generator", advice
        )
        return [means[space].clone() for space in spaces]
    known = {segment.name: segment.code for segment in start.segments}
    if len(known) == 1:
        known = dict.fromkeys(names, *known.values())
    missing = [name for name in names if name not in known]
    if missing:
        raise InvalidInputError(
            f"the earlier inversion has no segment {', '.join(missing)} (it has {', '.join(known)}); "
            "start from one with the same segments or with a single one"
        )
    return [_moved(generator, known[name], space) for name, space in zip(names, spaces, strict=True)]


def mean_code(generator: Generator, space: str, seed: int) -> Tensor:
    """The mean code in `space`: w_avg in W, W+ and S; in Z, which has no such point, of `_SAMPLES` seeded
    draws the one whose w is nearest to w_avg.
    """
    w_avg = generator.w_avg.detach().clone()[None]
    if space != "z":
        return convert(generator, LatentCode("w", w_avg), space).tensor.detach().float().clone()
    z, w = draw_codes(generator, _SAMPLES, seed)
    return z[(w - w_avg).square().sum(dim=1).argmin()][None].clone()


def approached(generator: Generator, code: LatentCode, space: str, seed: int) -> Tensor:
    """A starting point in `space` for a segment that `code` stood for until now: the code itself where it can be
    carried there; in w for one in w+ the mean over the layers; else the mean code.
    """
    if SPACES.index(space) >= SPACES.index(code.space):
        return _moved(generator, code, space)
    if (code.space, space) == ("w+", "w"):
        return code.tensor.detach().float().mean(dim=1)
    return mean_code(generator, space, seed)


def code_spread(generator: Generator, seed: int) -> float:
    """Deviation of w from its mean, sqrt(E ||w - w_avg||^2), as in the projector of Karras et al. 2020."""
    _, w = draw_codes(generator, _SAMPLES, seed)
    return (w - generator.w_avg).square().sum(dim=1).mean().sqrt().item()


def _moved(generator: Generator, code: LatentCode, space: str) -> Tensor:
    # A clone first: codes that were loaded in inference mode can't take part in anything that records
    # gradients.
    own = LatentCode(code.space, code.tensor.detach().clone().to(generator.device))
    return convert(generator, own, space).tensor.detach().float().clone()


def _check_finite(tensors: Mapping[str, Tensor], owner: str, advice: str) -> None:
    """Raise InvalidInputError for the first that isn't finite; `tensors` by what they are."""
    for what, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InvalidInputError(f"{owner} can't be used: {what} holds NaN or infinite values; {advice}")
