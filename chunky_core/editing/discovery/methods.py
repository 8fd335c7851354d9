"""The methods that need nothing but a generator, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from ...callbacks import Callback
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import Direction
from ...generator.statistics import GeneratorStatistics
from .ganspace import SAMPLES, feature_directions, ganspace_directions
from .sefa import sefa_directions

Method = Literal["SeFa", "SeFa whitened", "GANSpace W", "GANSpace features"]
METHODS: tuple[Method, ...] = get_args(Method)


def find_components(
    generator: Generator,
    method: Method,
    layers: Sequence[int] = (),
    count: int = 10,
    statistics: GeneratorStatistics | None = None,
    *,
    feature_layer: int | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    callback: Callback | None = None,
) -> tuple[Direction, ...]:
    """The first `count` components by a method; feature_layer and what follows count for "GANSpace features" alone.

    See `sefa_directions`, `ganspace_directions`, `feature_directions`. Raises InvalidInputError as they do, and for an
    unknown method.
    """
    if method not in METHODS:
        raise InvalidInputError(f"the method is {method!r:.60}; expected one of {', '.join(METHODS)}")
    if method == "GANSpace W":
        return ganspace_directions(generator, layers, count, statistics)
    if method == "GANSpace features":
        return feature_directions(
            generator,
            layers,
            count,
            statistics,
            feature_layer=feature_layer,
            samples=samples,
            seed=seed,
            callback=callback,
        )
    return sefa_directions(generator, layers, count, statistics, whiten=method == "SeFa whitened")
