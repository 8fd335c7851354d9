"""How near found directions come to the demo domain's true ones, along which one attribute grows and no other.

    python benchmarks/discovery.py
    python benchmarks/discovery.py --repeats 20 --photos 160 --json discovery.json

Components: of each method the first 20, the one nearest to each attribute. Groups: N examples in all, half of them at
least half a standard deviation above the attribute's mean and half as far below, given as exact codes, or as photos
(demo photos: parts of their own, freckles, grain, patterns) that are read; against the difference of the group means
and the normal of a logistic regression in plain W, which is what InterFaceGAN's boundary is. Scores: the attribute's
own value, with noise of .3 standard deviations, and what the demo's regressor says of 500 pictures. Cosines are taken
in W after whitening, where a cosine of .7 says that of an edit's length, in standard deviations, .7 goes into the
attribute and the rest elsewhere.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from time import process_time

import torch
from safetensors.torch import load_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.rows import ASSETS
from benchmarks.timing import markdown
from chunky_core.checkpoints import load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.editing import load_directions
from chunky_core.editing.discovery import (
    METHODS,
    codes_of_pictures,
    direction_from_groups,
    direction_from_scores,
    find_components,
)
from chunky_core.editing.discovery.regression import logistic
from chunky_core.editing.scorers import load_scorer
from chunky_core.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.generator.statistics import draw_codes, measure_statistics

COMPONENTS = 20
LAYERS: dict[str, tuple[int, ...]] = {"all": (), "0-3": (0, 1, 2, 3), "4-7": (4, 5, 6, 7)}
SIZES = (4, 8, 16, 32)
MARGIN = 0.5  # standard deviations from the mean
NOISE = 0.3
SCORED = 500  # pictures
FIRST_PHOTO = 7000
RESOLUTION = 64  # pixels of the photos, which are read at 32


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=8, help="draws of each group")
    parser.add_argument("--photos", type=int, default=160, help="that groups are drawn from; 0 = none")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    bench = Bench(load_generator("demo"))
    figures = {"components": bench.components(), "scores": bench.scores(), **bench.groups(options)}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    for title, table in figures.items():
        print(f"\n{title}\n{table_of(table)}")


def table_of(rows: Mapping[str, Mapping[str, float]]) -> str:
    columns = list(next(iter(rows.values())))
    return markdown(
        ["", *columns], [[name, *(f"{row[column]:.2f}" for column in columns)] for name, row in rows.items()]
    )


class Bench:
    """The demo generator with its true directions."""

    def __init__(self, generator: Generator) -> None:
        self.generator, self.known = generator, measure_statistics(generator)
        file = load_file(ASSETS / "directions.safetensors")
        self.readout, self.offset = file["readout/weight"].double(), file["readout/bias"].double()
        self.scorer = load_scorer("demo")
        named = load_directions("demo")
        self.truth = {one.name: one.tensor.double() for one in named.values()}
        self.index = {name: int((self.readout @ one).argmax()) for name, one in self.truth.items()}
        self.codes = draw_codes(generator, 4000, 7)[1]
        self.attributes = self.codes.double() @ self.readout.T + self.offset

    def cosine(self, found: Tensor, name: str) -> float:
        """In attributes, which are W whitened and turned."""
        moved = self.readout @ found.double()
        return float(moved[self.index[name]] / moved.norm())

    def components(self) -> dict[str, dict[str, float]]:
        rows = {}
        for method in METHODS:
            for text, layers in LAYERS.items():
                if layers and not method.startswith("SeFa"):
                    continue  # the same vectors
                start = process_time()
                found = find_components(self.generator, method, layers, COMPONENTS, self.known)
                seconds = process_time() - start
                best = {name: max(abs(self.cosine(one.tensor, name)) for one in found) for name in self.truth}
                rows[f"{method}, layers {text}"] = {**best, "mean": mean(best.values()), "s": seconds}
        return rows

    def scores(self) -> dict[str, dict[str, float]]:
        rng = torch.Generator().manual_seed(0)
        rows = {}
        for count in (50, 100, 500):
            found = {}
            for name, index in self.index.items():
                noise = NOISE * torch.randn(count, generator=rng)
                scores = self.attributes[:count, index] + noise
                code = LatentCode("w", self.codes[:count])
                made = direction_from_scores(self.generator, code, scores, name, (), self.known)
                found[name] = self.cosine(made.tensor, name)
            rows[f"{count} samples"] = {**found, "mean": mean(found.values())}
        return {**rows, **self._scored(self._judged(SCORED))}

    def _judged(self, count: int) -> Tensor:
        """What the demo's regressor says of the first pictures: [count,len(scorer.names)]."""
        parts = []
        for chunk in self.codes[:count].split(4):
            with torch.no_grad():
                parts.append(self.scorer(self.generator.synthesis(chunk)))
        return torch.cat(parts)

    def _scored(self, scores: Tensor) -> dict[str, dict[str, float]]:
        code, found = LatentCode("w", self.codes[: len(scores)]), {}
        for name in self.index:
            column = scores[:, self.scorer.names.index(name)]
            made = direction_from_scores(self.generator, code, column, name, (), self.known)
            found[name] = self.cosine(made.tensor, name)
        return {
            f"{len(scores)} samples, scored by the demo's regressor": {**found, "mean": mean(found.values())}
        }

    def groups(self, options: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
        tables = {"groups, exact codes": self._table(self.codes, self.attributes, options.repeats)}
        if options.photos:
            start = process_time()
            photos = [
                demo_photo(FIRST_PHOTO + index, resolution=RESOLUTION) for index in range(options.photos)
            ]
            drawn = process_time()
            (read,) = codes_of_pictures(
                self.generator, [torch.cat([one.image for one in photos])], self.known
            )
            print(f"photos {drawn - start:.0f} s, reading {process_time() - drawn:.0f} s", file=sys.stderr)
            attributes = torch.stack([one.attributes.mean(dim=0) for one in photos]).double()
            tables["groups, photos read"] = self._table(
                read.tensor, attributes / attributes.std(dim=0), options.repeats
            )
        return tables

    def _table(self, codes: Tensor, attributes: Tensor, repeats: int) -> dict[str, dict[str, float]]:
        ways: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "found": self._found,
            "difference of means": lambda one, other: one.mean(dim=0) - other.mean(dim=0),
            "normal in plain W": _normal,
        }
        rows: dict[str, dict[str, float]] = {}
        for way, fit in ways.items():
            for size in SIZES:
                values = {
                    name: mean(
                        self.cosine(fit(*_drawn(codes, attributes[:, index], size, repeat)), name)
                        for repeat in range(repeats)
                    )
                    for name, index in self.index.items()
                }
                rows[f"{way}, {size}"] = {**values, "mean": mean(values.values())}
        return rows

    def _found(self, one: Tensor, other: Tensor) -> Tensor:
        groups = LatentCode("w", one), LatentCode("w", other)
        return direction_from_groups(self.generator, *groups, statistics=self.known).tensor


def _drawn(codes: Tensor, attribute: Tensor, size: int, repeat: int) -> tuple[Tensor, Tensor]:
    """Half of `size` codes above the margin, half below."""
    rng = torch.Generator().manual_seed(1000 * size + repeat)
    sides = [torch.where(attribute > MARGIN)[0], torch.where(attribute < -MARGIN)[0]]
    above, below = (codes[side[torch.randperm(len(side), generator=rng)[: size // 2]]] for side in sides)
    return above, below


def _normal(one: Tensor, other: Tensor) -> Tensor:
    labels = torch.cat([torch.ones(len(one)), torch.zeros(len(other))]).double()
    return logistic(torch.cat([one, other]).double(), labels)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
