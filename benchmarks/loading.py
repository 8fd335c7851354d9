"""Loading a network against reading its bytes and copying its weights once.

    PYTHONPATH=. python benchmarks/loading.py [--resolution 1024] [--rounds 9] [--threads 1]

The network is a seeded config F (30 million weights at 1024). Baseline: the file's bytes read into memory, plus a
copy of every weight. The file lies in the page cache. Ways take turns; the ratio is of the medians.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from chunky_core.checkpoints.generators import load_generator
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.module import GeneratorModule
from chunky_core.generator.stylegan2 import SynthesisNetwork
from tests.checkpoint_writers import WRITERS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = config_f(options.resolution)
    weights = [tensor.clone() for tensor in generator.module.state_dict().values()]
    print(f"{'file':14} {'MB':>6} {'baseline s':>11} {'load s':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("own", "ada", "tensorflow", "rosinality", "whole"):
            path = Path(folder) / name
            WRITERS[name](generator, path)
            print(row(name, path, weights, options.rounds), flush=True)
            path.unlink()


def config_f(resolution: int) -> Generator:
    """A network of config F's size with seeded weights."""
    rng = torch.Generator().manual_seed(0)
    synthesis = SynthesisNetwork(w_dim=512, img_resolution=resolution)
    mapping = MappingNetwork(z_dim=512, w_dim=512, num_ws=synthesis.num_ws)
    module = GeneratorModule(mapping, synthesis)
    for name, tensor in module.state_dict().items():
        if not name.endswith("resample_filter"):
            tensor.normal_(generator=rng)
    return Generator(module)


def row(name: str, path: Path, weights: list[torch.Tensor], rounds: int) -> str:
    """One line of the table."""
    ways: tuple[Callable[[], object], ...] = (
        lambda: (path.read_bytes(), [tensor.clone() for tensor in weights]),
        lambda: load_generator(path),
    )
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for way, taken in zip(ways, times, strict=True):
            start = time.perf_counter()
            kept = way()
            taken.append(time.perf_counter() - start)
            del kept
    baseline, load = (median(taken[1:]) for taken in times)  # the first round warms up
    return f"{name:14} {path.stat().st_size / 1e6:6.0f} {baseline:11.3f} {load:8.3f} {load / baseline:6.2f}"


if __name__ == "__main__":
    main()
