"""Train the demo generator: `python -m chunky_core.demo.train --out DIR` (resumable, CPU or GPU).

Renders the training set into DIR/renders (once), trains with checkpoints into DIR, draws DIR/samples.png and
DIR/curve.json while it runs, and writes the finished assets into DIR/assets.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import torch

from .training.export import export_assets
from .training.renders import render_set
from .training.trainer import CHECKPOINT, TrainingConfig, train_worker


def parse(arguments: list[str] | None) -> argparse.Namespace:
    defaults = TrainingConfig()
    parser = argparse.ArgumentParser(
        prog="python -m chunky_core.demo.train", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; an existing run is resumed"
    )
    parser.add_argument("--images", type=int, default=defaults.images, help="portraits to present in all")
    parser.add_argument("--renders", type=int, default=defaults.renders, help="different portraits to render")
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="workers on a CPU")
    parser.add_argument(
        "--every", type=float, default=120, help="seconds between checkpoints and sample sheets"
    )
    parser.add_argument("--port", type=int, default=29533, help="local port over which the workers meet")
    parser.add_argument("--stage", choices=("all", "render", "train", "export"), default="all")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    a = parse(arguments)
    config = replace(TrainingConfig(), images=a.images, renders=a.renders, batch=a.batch, seed=a.seed)
    if a.stage in ("all", "render"):
        for done, shard in enumerate(
            render_set(a.out / "renders", config.renders, config.seed, config.resolution, a.processes)
        ):
            print(f"rendered shard {shard} ({done + 1})", flush=True)
    if a.stage in ("all", "train"):
        world = a.processes if a.device == "cpu" else 1
        job = (world, config, str(a.out), a.device, a.every, a.port)
        if world > 1:
            torch.multiprocessing.spawn(train_worker, job, nprocs=world)
        else:
            train_worker(0, *job)
    if a.stage in ("all", "export"):
        checkpoint = torch.load(a.out / CHECKPOINT, map_location="cpu", weights_only=True)
        figures = export_assets(checkpoint, a.out / "assets")
        print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
