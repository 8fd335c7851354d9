"""What Find Directions looks for, and where: the components of a generator, two groups of examples, or scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..chunky_core.callbacks import Callback
from ..chunky_core.editing.direction_checks import layer_count
from ..chunky_core.editing.discovery import (
    METHODS,
    codes_of_inversions,
    codes_of_pictures,
    direction_from_groups,
    direction_from_scores,
    find_components,
    scored_samples,
    space_of_direction,
)
from ..chunky_core.editing.layer_ranges import parse_layers
from ..chunky_core.editing.scorers import load_scorer
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import Direction, LatentCode
from ..chunky_core.generator.statistics import GeneratorStatistics
from .calibration import scorer_source
from .host import to_core
from .types import InversionBatch

GROUPS, SCORES = "two groups", "scores"
AUTO_LAYER = -1
Examples: TypeAlias = Tensor | LatentCode | InversionBatch  # pictures as a host IMAGE, codes, or inversions


@dataclass(frozen=True)
class Search:
    """The widgets and links of the node that say what to look for; each is named like its input."""

    layers: str
    components: int
    samples: int
    seed: int
    feature_layer: int
    scorer: str
    attribute: str
    scores: str
    examples_with: Examples | None = None
    examples_without: Examples | None = None
    scored: Examples | None = None

    def found(
        self, method: str, generator: Generator, statistics: GeneratorStatistics, report: Callback
    ) -> tuple[Direction, ...]:
        """All components of a method, or the one direction from examples. Raises InvalidInputError."""
        if method == GROUPS:
            return (self._of_groups(generator, statistics, report),)
        if method == SCORES:
            return (self._of_scores(generator, statistics, report),)
        return find_components(
            generator,
            next(one for one in METHODS if one == method),
            parse_layers(self.layers, generator.num_ws),
            self.components,
            statistics,
            feature_layer=None if self.feature_layer == AUTO_LAYER else self.feature_layer,
            samples=self.samples,
            seed=self.seed,
            callback=report,
        )

    def _of_groups(
        self, generator: Generator, statistics: GeneratorStatistics, report: Callback
    ) -> Direction:
        if self.examples_with is None or self.examples_without is None:
            raise InvalidInputError(
                "two groups need examples_with and examples_without; connect pictures, codes or inversions to both"
            )
        groups = (self.examples_with, self.examples_without)
        codes = self._codes(generator, groups, statistics, report)
        layers = self._layers(generator, codes)
        with_it, without_it = codes
        return direction_from_groups(generator, with_it, without_it, layers=layers, statistics=statistics)

    def _of_scores(
        self, generator: Generator, statistics: GeneratorStatistics, report: Callback
    ) -> Direction:
        if not self.scores.strip():
            judge = load_scorer(scorer_source(self.scorer), generator.device)
            name = self.attribute.strip()
            found = scored_samples(generator, judge, name, self.samples, self.seed, report)
            layers = self._layers(generator, [found.codes])
            return direction_from_scores(generator, found.codes, found.scores, name, layers, statistics)
        if self.scored is None:
            raise InvalidInputError(
                "scores are written down, but of what? Connect the pictures or codes to scored, such as Sample "
                "StyleGAN's; or empty scores, so that scorer judges random pictures"
            )
        (codes,) = self._codes(generator, [self.scored], statistics, report)
        numbers, layers = scores_of_text(self.scores), self._layers(generator, [codes])
        return direction_from_scores(generator, codes, numbers, layers=layers, statistics=statistics)

    def _codes(
        self,
        generator: Generator,
        groups: Sequence[Examples],
        statistics: GeneratorStatistics,
        report: Callback,
    ) -> list[LatentCode]:
        """One for each example; those of all pictures are read at once."""
        pictures = [to_core(group) for group in groups if isinstance(group, Tensor)]
        reading: dict[str, Any] = {"samples": self.samples, "seed": self.seed, "callback": report}
        read = iter(codes_of_pictures(generator, pictures, statistics, **reading) if pictures else ())
        return [
            next(read)
            if isinstance(group, Tensor)
            else group
            if isinstance(group, LatentCode)
            else codes_of_inversions(generator, group)
            for group in groups
        ]

    def _layers(self, generator: Generator, codes: Sequence[LatentCode]) -> tuple[int, ...]:
        return parse_layers(self.layers, layer_count(generator, space_of_direction(codes)))


def scores_of_text(text: str) -> Tensor:
    """Numbers separated by commas, semicolons, spaces or lines: [N]. Raises InvalidInputError for anything else."""
    parts = text.replace(",", " ").replace(";", " ").split()
    try:
        return torch.tensor([float(part) for part in parts], dtype=torch.float64)
    except ValueError as error:
        raise InvalidInputError(
            f"the scores can't be read ({str(error):.80}); write a number for each picture, as in '1 0 0 1'"
        ) from error
