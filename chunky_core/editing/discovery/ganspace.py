"""GANSpace: principal components of W, or of a layer's features (Harkonen et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...callbacks import Callback
from ...checks import MOST_SEED, check_callback, check_whole
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import Direction
from ...generator.statistics import GeneratorStatistics, draw_codes
from .components import checked_statistics, component_directions, leading
from .features import feature_layers, features_of
from .running_pca import RunningPCA

SAMPLES = 1000  # codes whose features are compared
_KEPT = 4  # components that are followed on the way, for each that is asked for
_LEAST_KEPT = 32
_NUMBERS_AT_ONCE = 1 << 24  # of features, which bounds memory


def ganspace_directions(
    generator: Generator,
    layers: Sequence[int] = (),
    count: int = 10,
    statistics: GeneratorStatistics | None = None,
) -> tuple[Direction, ...]:
    """The first `count` principal components of the generator's codes in W (Harkonen et al. 2020, sec. 3.1), as
    directions in sigma that move `layers` (their "layer-wise edits", sec. 3.3).

    layers: numbers from 0; () = all. statistics: the generator's, whose covariance is decomposed; None = measured now.
    Raises InvalidInputError for layers that aren't there, and for more components than W has.
    """
    check_whole(count, "count")
    known = checked_statistics(generator, layers, statistics)
    values, vectors = torch.linalg.eigh(known.w_covariance.double())
    chosen = leading(values, vectors.T, count, "W")
    return component_directions(generator, "GANSpace", chosen, layers, known)


def feature_directions(
    generator: Generator,
    layers: Sequence[int] = (),
    count: int = 10,
    statistics: GeneratorStatistics | None = None,
    *,
    feature_layer: int | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    callback: Callback | None = None,
) -> tuple[Direction, ...]:
    """The first `count` principal components of a layer's features, carried over to W by linear regression (Harkonen
    et al. 2020, sec. 3.2, there for BigGAN's z), as directions in sigma that move `layers`.

    feature_layer: the convolution whose result is looked at, by the number of the w that it reads, from 0; None = that
    a third of the way up, which is at 16 to 32 pixels. samples: random codes, more than components. Memory is bounded
    whatever their number: the components are followed from batch to batch. callback(done, samples, None) after each.
    Raises InvalidInputError for layers that aren't there and for too few samples.
    """
    for value, name in ((count, "count"), (samples, "samples"), (feature_layer or 0, "feature_layer")):
        check_whole(value, name)
    check_whole(seed, "seed", 0, MOST_SEED)
    check_callback(callback)
    known = checked_statistics(generator, layers, statistics)
    named = feature_layers(generator)
    number = len(named) // 3 if feature_layer is None else feature_layer
    if not 0 <= number < len(named):
        raise InvalidInputError(f"the layer of features is {number}; expected 0 to {len(named) - 1}")
    if not 1 <= count < min(samples, generator.w_dim + 1):
        raise InvalidInputError(
            f"{count} components of {samples} samples were asked for; expected at least 1, fewer than samples and at "
            f"most {generator.w_dim}"
        )
    _, w = draw_codes(generator, samples, seed)
    scores = _feature_scores(generator, named[number], w, count, callback)
    # U of their eq. 3, the w that a unit of each component stands for
    solved = torch.linalg.lstsq(scores, (w - w.mean(dim=0)).cpu().double()).solution
    return component_directions(generator, f"GANSpace {named[number]}", solved, layers, known)


def _feature_scores(
    generator: Generator, layer: str, w: Tensor, count: int, callback: Callback | None
) -> Tensor:
    """How much of each of the first components of `layer`'s features every code of w [N,w_dim] has: [N,count]."""
    kept = max(_KEPT * count, _LEAST_KEPT)
    origin = features_of(generator, layer, generator.w_avg.float()[None])
    at_once = max(1, min(kept, _NUMBERS_AT_ONCE // origin.numel()))
    components, done = RunningPCA(kept), 0
    for chunk in w.split(at_once):
        components.add(features_of(generator, layer, chunk) - origin)
        done += len(chunk)
        if callback is not None:
            callback(done, len(w), None)
    return components.scores(count)
