"""Projections of demo photos that benchmarks share: each is made once and kept in a folder.

python benchmarks/projections.py --cache out/projections --first 5000 --photos 20 [--mode joint] [--device cuda]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from chunky_core.checkpoints import load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.generator import Generator
from chunky_core.inversion import Inversion, ProjectionConfig, load_inversion, project, save_inversion
from chunky_core.inversion.config import plain_settings
from chunky_core.segments import segments_from_label_map

MIXED = {"mouth": "s", "eyes": "w", "brows": "w"}


def projected(generator: Generator, seed: int, config: ProjectionConfig, cache: Path) -> Inversion:
    """A demo photo's inversion, its background static, out of the cache if it is there; on the CPU."""
    settings = json.dumps([plain_settings(config), generator.fingerprint], sort_keys=True)
    path = cache / f"{seed}_{hashlib.sha256(settings.encode()).hexdigest()[:12]}.safetensors"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        photo = demo_photo(seed, resolution=generator.img_resolution)
        segments = segments_from_label_map(
            photo.labels, LABEL_NAMES, static=("background",), grow=4, feather=1.5
        )
        save_inversion(replace(project(generator, photo.image, segments, config), state=None), path)
    return load_inversion(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--first", type=int, default=5000)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--mode", default="independent")
    parser.add_argument(
        "--mixed", action="store_true", help="mouth in S, eyes and brows in W, the rest in W+"
    )
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    config = ProjectionConfig(
        mode=options.mode, num_steps=options.steps, spaces=MIXED if options.mixed else {}
    )
    generator = load_generator("demo", device=options.device)
    for seed in range(options.first, options.first + options.photos):
        start = perf_counter()
        projected(generator, seed, config, options.cache)
        print(f"{seed}: {perf_counter() - start:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
