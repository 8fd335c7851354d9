"""A direction from codes of which something is known: two groups of them, or a score for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ...checks import check_type
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import SPACES, Direction, LatentCode, convert
from ...generator.statistics import GeneratorStatistics, measure_statistics
from ..direction_checks import check_layers
from ..units import in_sigma
from .regression import logistic, ridge
from .whitening import pattern, whitened

_NOTHING = 1e-6  # standard deviations; what is smaller is rounding


def direction_from_groups(
    generator: Generator,
    with_it: LatentCode,
    without_it: LatentCode,
    name: str = "groups",
    layers: Sequence[int] = (),
    statistics: GeneratorStatistics | None = None,
) -> Direction:
    """The direction, in sigma, from the codes of pictures without something to those of pictures with it.

    with_it, without_it: at least one code each, in any spaces; the direction is in the later one, w at the earliest.
    A logistic regression in coordinates in which the generator's codes are white (which is what shrinks it where
    pictures are few), and of what it finds the pattern: how codes change with the label (Haufe et al. 2014), not the
    shortest way over the boundary that InterFaceGAN takes (Shen et al. 2020) and that moves other things as well.
    layers: those that the direction moves, () = all. statistics: the generator's; None = measured now.
    Raises InvalidInputError for codes and layers of another generator, and for groups that don't differ.
    """
    for code, which in ((with_it, "with"), (without_it, "without")):
        check_type(code, f"the group {which} it", LatentCode, "codes_of_pictures makes one of pictures")
    codes = _joined(generator, (with_it, without_it))
    counts = len(with_it.tensor), len(without_it.tensor)
    labels = torch.cat([torch.ones(counts[0]), torch.zeros(counts[1])])
    return _fitted(generator, codes, labels, name, layers, statistics)


def direction_from_scores(
    generator: Generator,
    codes: LatentCode,
    scores: Sequence[float] | Tensor,
    name: str = "scores",
    layers: Sequence[int] = (),
    statistics: GeneratorStatistics | None = None,
) -> Direction:
    """The direction, in sigma, along which the scores of codes grow.

    codes: [B,...] in any space; the direction is in w for codes of z, else in their space. scores: a number for each,
    such as `scored_samples` gives; where there are two values only they are labels, and it is `direction_from_groups`,
    else a ridge regression in the same coordinates whose penalty leave-one-out chooses. The rest: see there.
    Raises InvalidInputError for another number of scores, scores that aren't finite or all alike, and as there.
    """
    check_type(codes, "codes", LatentCode, "scored_samples gives some with their scores")
    try:
        found = torch.as_tensor(scores, dtype=torch.float64).flatten().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"the scores are {scores!r:.60}; expected a number for each code") from error
    if len(found) != len(codes.tensor):
        raise InvalidInputError(
            f"{len(found)} scores were given for {len(codes.tensor)} codes; give one for each"
        )
    if not bool(found.isfinite().all()):
        raise InvalidInputError(f"score {int((~found.isfinite()).nonzero()[0])} is no finite number")
    return _fitted(generator, _joined(generator, (codes,)), found, name, layers, statistics)


def space_of_direction(codes: Iterable[LatentCode]) -> str:
    """The space of a direction found from codes: the latest of theirs, w at the earliest."""
    return max("w", *(code.space for code in codes), key=SPACES.index)


def _joined(generator: Generator, codes: Sequence[LatentCode]) -> LatentCode:
    """All of them in one space. Raises InvalidInputError for those of another generator."""
    space = space_of_direction(codes)
    moved = [LatentCode(code.space, code.tensor.detach().float().to(generator.device)) for code in codes]
    with torch.no_grad():
        tensors = [convert(generator, code, space).tensor for code in moved]
    return LatentCode(space, torch.cat(tensors))


def _fitted(
    generator: Generator,
    codes: LatentCode,
    scores: Tensor,
    name: str,
    layers: Sequence[int],
    statistics: GeneratorStatistics | None,
) -> Direction:
    check_layers(generator, codes.space, layers, f"the direction {name[:80]!r}")
    values = scores.double().unique()
    spread = scores.double().std()
    if not bool(spread.isfinite()):
        raise InvalidInputError(
            "the scores are too far apart to be counted with; divide them all by their largest one"
        )
    if len(values) < 2:
        raise InvalidInputError(
            f"all {len(scores)} pictures have one score or label; give some with and some without what is looked for"
        )
    known = statistics or measure_statistics(generator)
    inputs = whitened(codes, known)
    if not bool(inputs.isfinite().all()):
        raise InvalidInputError("a code holds NaN or infinite values; leave it out")
    if float((inputs - inputs.mean(dim=0)).norm()) < _NOTHING * len(inputs) ** 0.5:
        raise InvalidInputError(f"the {len(scores)} codes are all alike; nothing can be told from them")
    if len(values) == 2:
        normal = logistic(inputs, (scores == values[1]).double())
        how = f"{int((scores == values[1]).sum())} against {int((scores == values[0]).sum())} pictures"
    else:
        normal = ridge(inputs, (scores.double() - scores.double().mean()) / spread)
        how = f"scores of {len(scores)} pictures"
    if not bool(normal.isfinite().all()) or float(normal.norm()) < _NOTHING:
        raise InvalidInputError(
            f"the {len(scores)} codes don't differ along with their {'groups' if len(values) == 2 else 'scores'}; "
            "nothing can be told from them"
        )
    found = Direction(
        name,
        codes.space,
        pattern(normal, codes.space, known).float(),
        layers=tuple(layers),
        unit="raw",
        source=f"{how}, in {codes.space.upper()}",
        license=generator.metadata.get("licence", ""),
        fingerprint=generator.fingerprint,
    )
    return in_sigma(generator, found, known)
