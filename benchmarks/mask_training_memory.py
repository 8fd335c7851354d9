"""What training a mask generator takes for a larger generator: CPU seconds and peak memory, seeded weights.

    python benchmarks/mask_training_memory.py [--side 512] [--pictures 6] [--steps 100]

A StyleGAN2 of the usual width (32768 channels over the side, 512 at most) whose weights mean nothing: bright and dark
pixels of what it draws are the labels. Features fill their bound of bytes as those of more pictures would. One thread;
seconds of the sampling of features for each picture, and of 100 steps of training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.mask_generator import peak
from benchmarks.rows import Row, append_row, read_rows
from chunky_core.generator.architecture import GeneratorModule
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.sampling import sample
from chunky_core.generator.stylegan2 import SynthesisNetwork
from chunky_core.segments.mask_generator import MaskTrainingConfig, train_mask_generator


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rows", type=Path, help="file of rows, which a further run goes on with")
    options = parser.parse_args()
    if options.rows and any(row["arm"] == str(options.side) for row in read_rows([options.rows])):
        return
    torch.set_num_threads(1)
    generator = seeded(options.side)
    images, codes = sample(generator, 0, options.pictures)
    gray = images.mean(dim=1)
    labels = (gray > gray.median()).long()
    before, marks = peak(), [time.process_time()]
    config = MaskTrainingConfig(num_steps=options.steps, pixels=1 << 18)
    train_mask_generator(
        generator,
        codes,
        labels,
        ("dark", "bright"),
        config,
        callback=lambda *step: marks.append(time.process_time()),
    )
    row: Row = {"seed": 0, "extras": [], "arm": str(options.side), "spec": [options.pictures, options.steps]}
    row |= {"settings": {}, "MiB before": before, "peak MiB": peak()}
    row |= {"features, s a picture": round((marks[1] - marks[0]) / options.pictures, 1)}
    row |= {"100 steps, s": round((marks[-1] - marks[1]) / (options.steps - 1) * 100, 1)}
    append_row(row, options.rows)
    print(json.dumps(row))


def seeded(side: int) -> Generator:
    synthesis = SynthesisNetwork(w_dim=512, img_resolution=side, channel_base=32768, channel_max=512)
    module = GeneratorModule(MappingNetwork(z_dim=512, w_dim=512, num_ws=synthesis.num_ws), synthesis)
    rng = torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if name.endswith("weight"):
            tensor.normal_(std=100.0 if name.startswith("mapping") else 1.0, generator=rng)
    return Generator(module, {"source": "random"})


if __name__ == "__main__":
    main()
