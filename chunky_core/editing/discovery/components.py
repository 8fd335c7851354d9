"""Components, found all at once and ordered by what they explain, as directions of W."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...checks import check_type
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import Direction
from ...generator.statistics import GeneratorStatistics, measure_statistics
from ..direction_checks import check_layers
from ..layer_ranges import layers_text
from ..units import in_sigma

NEGLIGIBLE = 1e-9  # of the first eigenvalue: what rounding leaves where there is nothing


def component_directions(
    generator: Generator,
    method: str,
    vectors: Tensor,
    layers: Sequence[int],
    statistics: GeneratorStatistics,
) -> tuple[Direction, ...]:
    """Vectors of W [k,w_dim] as directions "METHOD_0", ... in sigma, whose signs follow from their numbers alone."""
    found = f"{method}, layers {layers_text(layers)}"
    prefix = "_".join([method.lower().replace(" ", "_"), *([layers_text(layers)] if layers else [])])
    signs = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True)).sign()
    return tuple(
        in_sigma(
            generator,
            Direction(
                f"{prefix.replace(', ', '_')}_{index}",
                "w",
                vector.float().cpu(),
                layers=tuple(layers),
                unit="raw",
                source=f"{found}, component {index}",
                license=generator.metadata.get("licence", ""),
                fingerprint=generator.fingerprint,
            ),
            statistics,
        )
        for index, vector in enumerate(vectors * signs)
    )


def leading(values: Tensor, vectors: Tensor, count: int, what: str) -> Tensor:
    """The rows of `vectors` [k,w_dim] with the `count` largest `values` [k], largest first.

    Raises InvalidInputError where fewer are above zero.
    """
    order = values.argsort(descending=True)
    present = int((values > values.max() * NEGLIGIBLE).sum())
    if not 1 <= count <= present:
        raise InvalidInputError(f"{count} components of {what} were asked for; there are 1 to {present}")
    return vectors[order[:count]]


def checked_statistics(
    generator: Generator, layers: Sequence[int], statistics: GeneratorStatistics | None
) -> GeneratorStatistics:
    """Those given, or measured now. Raises InvalidInputError for layers that the generator doesn't have."""
    check_layers(generator, "w+", layers, "a direction in the layers asked for")
    check_type(statistics, "statistics", GeneratorStatistics | None)
    return statistics or measure_statistics(generator)
