"""CPU time of one projection of a whole face, this checkout against another one.

    python benchmarks/projection_time.py --baseline OTHER/CHECKOUT --rounds 3

The demo generator (256x256), a demo photo, its segments with a static background, W+, L2 and the demo's perceptual
distance with equal weights, 12 steps of which the usual share is warm-up. One thread, process CPU time. Each
measurement is a process of its own; the checkouts take turns, after one round that does not count. `same` tells
whether both make the same picture to the bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent.parent
PHOTO = 7112


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--baseline", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--mode", choices=("independent", "joint"), default="independent")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one, options.steps, options.mode)))
        return
    checkouts = [HERE, *([options.baseline] if options.baseline else [])]
    runs: list[list[dict[str, Any]]] = [[] for _ in checkouts]
    for _ in range(options.rounds + 1):
        for checkout, found in zip(checkouts, runs, strict=True):
            found.append(in_own_process(checkout, options))
    seconds = [median(run["seconds"] for run in found[1:]) for found in runs]
    print(f"{options.mode}, {options.steps} steps, {options.rounds} rounds")
    for checkout, took, found in zip(checkouts, seconds, runs, strict=True):
        every = ", ".join(f"{run['seconds']:.2f}" for run in found[1:])
        print(f"{checkout.name}: {took:.2f} s of CPU (median of {every})")
    if options.baseline:
        same = runs[0][0]["picture"] == runs[1][0]["picture"]
        print(f"ratio {seconds[0] / seconds[1]:.3f}; the pictures are {'the same' if same else 'different'}")


def in_own_process(checkout: Path, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(checkout), "--steps", str(options.steps)]
    done = subprocess.run([*command, "--mode", options.mode], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measured(checkout: Path, steps: int, mode: str) -> dict[str, Any]:
    """Seconds of `project` in this process, with the package of that checkout, and a hash of its rendering."""
    sys.path.insert(0, str(checkout))
    import torch

    torch.set_num_threads(1)
    generator, photo, segments, config = scene(steps, mode)
    project = import_module("chunky_core.inversion").project
    project(generator, photo, segments, config_of(1, mode))  # what is made at the first use
    start = time.process_time()
    inversion = project(generator, photo, segments, config)
    seconds = time.process_time() - start
    picture = import_module("chunky_core.compositing.render").render(generator, inversion)
    return {"seconds": seconds, "picture": hashlib.sha256(picture.numpy().tobytes()).hexdigest()}


def scene(steps: int, mode: str) -> tuple[Any, Any, Any, Any]:
    """Generator, photo, segments and config."""
    photo = import_module("chunky_core.demo.photos").demo_photo(PHOTO, resolution=256)
    names = import_module("chunky_core.demo.shipped").LABEL_NAMES
    divide = import_module("chunky_core.segments").segments_from_label_map
    segments = divide(photo.labels, names, static=("background",), grow=4, feather=1.5)
    generator = first("chunky_core:load_generator", "chunky_core.generator:load_generator")("demo")
    return generator, photo.image, segments, config_of(steps, mode)


def first(*places: str) -> Any:
    """The first of the "module:name" that a checkout has."""
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise LookupError(f"none of {', '.join(places)} is there")


def config_of(steps: int, mode: str) -> Any:
    """A ProjectionConfig; two of its knobs had other names once."""
    inversion = import_module("chunky_core.inversion")
    loss = inversion.LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
    known = {field.name for field in fields(inversion.ProjectionConfig)}
    knobs = {"num_steps" if "num_steps" in known else "steps": steps, "mode": mode, "space": "w+"}
    return inversion.ProjectionConfig(**knobs, **{"loss" if "loss" in known else "losses": loss})


if __name__ == "__main__":
    main()
