"""Mask generators of the demo generator against true labels: from 30 labelled samples, and from one exemplar.

    python -m benchmarks.mask_generator [--rows FILE] [--held-out 16] [--steps 1000] [--exemplars 0,2,4,11,15]
    python -m benchmarks.mask_generator --arms shipped [--rows FILE]
    python -m benchmarks.mask_generator --sheet FILE | --save FILE

A row for each: intersection over union of the 13 classes on held-out samples, its mean, and that of the classes which
the exemplar shows (nothing can be learnt of others); CPU seconds of training, peak memory of the process until then;
but for exemplars, how the uncertainty tells errors (see `telling`). Exemplars are samples, each by itself; "shipped" is
the mask generator that comes with the demo generator. --save keeps that of 30 labelled samples in float16: the shipped
file was made so. Rows are appended to the file as soon as they are
measured, and skipped where it holds them.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.rows import Row, append_row, read_rows, row_key, versions
from chunky_core.checkpoints import load_generator
from chunky_core.demo.labeled_samples import labeled_samples
from chunky_core.demo.portraits import PALETTE
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.images import to_uint8
from chunky_core.segments.mask_generator import (
    MaskGenerator,
    MaskTrainingConfig,
    labels_from_exemplar,
    load_mask_generator,
    save_mask_generator,
    train_mask_generator,
)

TRAINED, HELD_OUT = 1, 2  # seeds of the samples
LABELLED, TARGETS = 30, 24
EXEMPLARS = (0, 2, 4, 11, 15)  # 4 wears no glasses, as two thirds of all
SHIPPED, PAIRS, EXEMPLAR = ARMS = ("shipped", "labelled", "exemplar")


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    torch.set_num_threads(1)
    bench = Bench.of(options.held_out, options.steps, options.resolution)
    if options.sheet:
        sheet(bench.generator, load_mask_generator("demo"), bench.held_out, bench.truth, options.sheet)
        return
    if options.save:
        found = bench.from_pairs()
        figures = {name: value for name, value in bench.figures(found).items() if name.startswith("IoU")}
        kept = replace(found, figures=figures).to(dtype=torch.float16)
        save_mask_generator(kept, options.save, with_training=False)
        return
    known = {row_key(row) for row in read_rows([options.rows])} if options.rows else set()
    places = {SHIPPED: (0,), PAIRS: (0,), EXEMPLAR: options.exemplars}
    for arm, index in ((one, place) for one in options.arms for place in places[one]):
        if (index, (), arm) not in known:
            row = bench.row(arm, index)
            append_row(row, options.rows)
            print(json.dumps({**row, "settings": None}), flush=True)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(one) for one in text.split(",") if one]

    def arms(text: str) -> list[str]:
        return [ARMS[ARMS.index(one)] for one in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=Path, help="file of rows, which a further run goes on with")
    parser.add_argument("--arms", type=arms, default=list(ARMS), help=f"some of {','.join(ARMS)}")
    parser.add_argument("--save", type=Path)
    parser.add_argument(
        "--sheet", type=Path, help="a picture of held-out samples of the shipped one, and no more"
    )
    parser.add_argument("--held-out", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--resolution", type=int, default=256, help="of the label maps that are learnt from")
    parser.add_argument("--exemplars", type=numbers, default=list(EXEMPLARS), help="places of samples")
    return parser.parse_args(arguments)


@dataclass(frozen=True, eq=False)
class Bench:
    """Samples to learn from, with their labels [N,R,R], and held-out ones with theirs."""

    generator: Generator
    codes: LatentCode
    labels: Tensor
    names: tuple[str, ...]
    held_out: LatentCode
    truth: Tensor
    config: MaskTrainingConfig

    @classmethod
    def of(cls, held_out: int, steps: int, resolution: int) -> Bench:
        generator = load_generator("demo")
        samples = labeled_samples(generator, LABELLED, TRAINED, resolution)
        others = labeled_samples(generator, held_out, HELD_OUT)[:2]
        return cls(generator, *samples, *others, MaskTrainingConfig(num_steps=steps))

    def row(self, arm: str, index: int) -> Row:
        """One mask generator, trained and measured. index: of the exemplar."""
        makers: dict[str, Callable[[], MaskGenerator]] = {
            SHIPPED: lambda: load_mask_generator("demo", generator=self.generator),
            PAIRS: self.from_pairs,
            EXEMPLAR: lambda: self.from_one(index),
        }
        start = time.process_time()
        found = makers[arm]()
        row: Row = {"seed": index, "extras": [], "arm": arm}
        row |= {"spec": {} if arm == SHIPPED else {"steps": self.config.num_steps}}
        settings = {"held out": len(self.truth), "resolution of labels": self.labels.shape[-1]}
        row |= {"settings": {**versions(self.generator), **settings}}
        row |= {"seconds": round(time.process_time() - start, 1), "peak MiB": peak()}
        return row | self.figures(found, self.labels[index] if arm == EXEMPLAR else None)

    def from_pairs(self) -> MaskGenerator:
        return train_mask_generator(self.generator, self.codes, self.labels, self.names, self.config)

    def from_one(self, index: int) -> MaskGenerator:
        """Trained on one labelled sample and what of it could be carried to TARGETS others, their labels unseen."""
        own = LatentCode("w", self.codes.tensor[index : index + 1])
        tensors = torch.cat([self.codes.tensor[:index], self.codes.tensor[index + 1 :]])[:TARGETS]
        carried = labels_from_exemplar(self.generator, own, self.labels[index], LatentCode("w", tensors))
        together = LatentCode("w", torch.cat([own.tensor, tensors]))
        labels = torch.cat([self.labels[index : index + 1], carried])
        return train_mask_generator(self.generator, together, labels, self.names, self.config)

    def figures(self, found: MaskGenerator, exemplar: Tensor | None = None) -> dict[str, float]:
        """Of the held-out samples; exemplar: labels [H,W] that it was learnt from, None: of all classes."""
        classes = len(found.names)
        confusion, told = torch.zeros(classes, classes), []
        for index, truth in enumerate(self.truth):
            code = LatentCode("w", self.held_out.tensor[index : index + 1])
            shown = found.labels(self.generator, code)[0].cpu()
            pairs = truth.flatten() * classes + shown.flatten()
            confusion += torch.bincount(pairs, minlength=classes**2).view(classes, classes)
            if exemplar is None:
                told.append(telling(found.uncertainty(self.generator, code)[0, 0].cpu(), shown != truth))
        both = confusion.diagonal()
        shares = both / (confusion.sum(0) + confusion.sum(1) - both)
        known = torch.ones(classes, dtype=torch.bool)
        if exemplar is not None:
            known = torch.isin(torch.arange(classes), exemplar)
        figures = {f"IoU {name}": float(one) for name, one in zip(found.names, shares, strict=True)}
        figures |= {"mean IoU": float(shares.mean()), "shown IoU": float(shares[known].mean())}
        if told:
            figures |= {name: sum(one[name] for one in told) / len(told) for name in told[0]}
        return {name: round(value, 3) for name, value in figures.items()}


def telling(uncertainty: Tensor, wrong: Tensor) -> dict[str, float]:
    """How uncertainty [H,W] tells wrong pixels [H,W]: the share of them among the tenth that is least certain, and how
    often a wrong pixel is less certain than a right one (the area under the ROC curve, 0.5 = it tells nothing).
    """
    order = uncertainty.flatten().argsort()
    ranked = wrong.flatten()[order].double()
    amiss, right = ranked.sum(), (1 - ranked).sum()
    if not amiss or not right:
        return {"errors in 10 %": 1.0, "AUC": 1.0}
    below = (1 - ranked).cumsum(dim=0)
    return {
        "errors in 10 %": float(ranked[-len(ranked) // 10 :].sum() / amiss),
        "AUC": float((below * ranked).sum() / (amiss * right)),
    }


def peak() -> int:
    """MiB that the process has taken at most."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def sheet(generator: Generator, found: MaskGenerator, codes: LatentCode, labels: Tensor, path: Path) -> None:
    """Held-out samples in columns: picture, true labels, found labels, uncertainty."""
    colors = PALETTE.float() / 127.5 - 1
    columns = []
    for index, truth in enumerate(labels):
        code = LatentCode("w", codes.tensor[index : index + 1])
        picture = generator.synthesis(code.tensor)[0].clamp(-1, 1)
        unsure = found.uncertainty(generator, code)[0].expand(3, -1, -1) * 2 - 1
        maps = [colors[one].permute(2, 0, 1) for one in (truth, found.labels(generator, code)[0])]
        columns.append(torch.cat([picture, *maps, unsure], dim=1))
    pixels = to_uint8(torch.cat(columns, dim=2)[None])[0]
    Image.fromarray(pixels.numpy()).save(path, quality=88)


if __name__ == "__main__":
    main(sys.argv[1:])
