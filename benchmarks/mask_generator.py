"""Mask generators of the demo generator against true labels: from 30 labelled samples, and from one exemplar.

    python -m benchmarks.mask_generator [--save FILE] [--held-out 20] [--steps 1000] [--sheet FILE]

Prints a row for each: mean intersection over union of the 13 classes on held-out samples, CPU seconds of training, peak
memory of the process. The exemplars are the first samples, each by itself. --save keeps the first in float16: the
file that the demo generator ships with was made so.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--save", type=Path)
    parser.add_argument(
        "--sheet", type=Path, help="a picture of held-out samples of the shipped one, and no more"
    )
    parser.add_argument("--held-out", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--exemplars", type=int, default=1)
    arguments = parser.parse_args()
    generator = load_generator("demo")
    codes, labels, names = labeled_samples(generator, LABELLED, TRAINED)
    held_out = labeled_samples(generator, arguments.held_out, HELD_OUT)[:2]
    if arguments.sheet:
        sheet(generator, load_mask_generator("demo"), *held_out, arguments.sheet)
        return
    config = MaskTrainingConfig(num_steps=arguments.steps)
    start = time.process_time()
    found = train_mask_generator(generator, codes, labels, names, config)
    figures = _report(f"{LABELLED} labelled", generator, found, held_out, time.process_time() - start)
    if arguments.save:
        kept = replace(found, figures=figures).to(dtype=torch.float16)
        save_mask_generator(kept, arguments.save, with_training=False)
    for index in range(arguments.exemplars):
        start = time.process_time()
        found = from_one(generator, codes, labels, names, index, config)
        _report(f"exemplar {index}", generator, found, held_out, time.process_time() - start)


def from_one(
    generator: Generator,
    codes: LatentCode,
    labels: Tensor,
    names: tuple[str, ...],
    index: int,
    config: MaskTrainingConfig,
) -> MaskGenerator:
    """Trained on one labelled sample and what of it could be carried to TARGETS others, their labels unseen."""
    own = LatentCode("w", codes.tensor[index : index + 1])
    others = torch.cat([codes.tensor[:index], codes.tensor[index + 1 :]])[:TARGETS]
    carried = labels_from_exemplar(generator, own, labels[index], LatentCode("w", others))
    together = LatentCode("w", torch.cat([own.tensor, others]))
    return train_mask_generator(
        generator, together, torch.cat([labels[index : index + 1], carried]), names, config
    )


def intersection_over_union(
    generator: Generator, found: MaskGenerator, codes: LatentCode, labels: Tensor
) -> Tensor:
    """Of each class over all pictures together: [K]."""
    classes = len(found.names)
    confusion = torch.zeros(classes, classes)
    for index, truth in enumerate(labels):
        shown = found.labels(generator, LatentCode("w", codes.tensor[index : index + 1]))[0]
        pairs = truth.flatten() * classes + shown.flatten().cpu()
        confusion += torch.bincount(pairs, minlength=classes**2).view(classes, classes)
    both = confusion.diagonal()
    return both / (confusion.sum(0) + confusion.sum(1) - both)


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


def _report(
    what: str,
    generator: Generator,
    found: MaskGenerator,
    held_out: tuple[LatentCode, Tensor],
    seconds: float,
) -> dict[str, float]:
    shares = intersection_over_union(generator, found, *held_out)
    figures = {f"IoU {name}": round(float(share), 3) for name, share in zip(found.names, shares, strict=True)}
    figures["mean IoU"] = round(float(shares.mean()), 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {"from": what, "seconds": round(seconds), "peak MiB": round(peak), **figures}
    print(json.dumps(row), flush=True)
    return figures


if __name__ == "__main__":
    main()
