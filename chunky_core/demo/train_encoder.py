"""Train the demo's masked encoder: `python -m chunky_core.demo.train_encoder --out DIR` (resumable, CPU or GPU).

Paints demo photos into DIR (once), trains an encoder for the demo's generator with them and the generator's own
pictures, and writes it to DIR/encoder.safetensors. No photo of a seed of HELD_OUT or above is trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import process_time

import numpy as np
import torch
from torch import Tensor

from ..checkpoints import load_generator
from ..devices import usable_device
from ..encoders.masked_encoder import save_masked_encoder
from ..encoders.training import (
    EncoderTrainingConfig,
    PhotoExamples,
    TrainingState,
    load_training,
    save_training,
    train_masked_encoder,
)
from ..encoders.training.pictures import to_bytes
from ..losses.perceptual import load_perceptual_network
from ..saving import replacing
from .photos import demo_photo

FIRST, HELD_OUT = 1000, 5000  # seeds of photos
RESOLUTION = 128


def main(arguments: list[str] | None = None) -> None:
    options = _parsed(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    device = usable_device(options.device, "--device")
    examples = cached_examples(options.out / "encoder_photos.npz", options.photos)
    state_file = options.out / "encoder_training.safetensors"
    began = process_time()

    def report(step: int, total: int, _image: Tensor | None) -> None:
        if step % 25 == 0 or step == total:
            print(f"{step}/{total} {process_time() - began:.0f} s of CPU time", flush=True)

    def autosave(state: TrainingState) -> None:
        save_training(state, state_file)

    encoder = train_masked_encoder(
        load_generator("demo", device=device),
        EncoderTrainingConfig(steps=options.steps, seed=options.seed),
        examples=examples,
        perceptual=load_perceptual_network("demo", device=device),
        callback=report,
        resume=load_training(state_file) if state_file.exists() else None,
        autosave=autosave,
    )
    save_masked_encoder(encoder, options.out / "encoder.safetensors")


def cached_examples(path: Path, count: int) -> PhotoExamples:
    """`count` demo photos with their labels, out of `path` if they are there."""
    if not path.exists():
        photos = [demo_photo(seed, resolution=RESOLUTION) for seed in range(FIRST, FIRST + count)]
        images = torch.cat([to_bytes(photo.image) for photo in photos])
        labels = torch.stack([photo.labels for photo in photos])
        with replacing(path) as new, new.open("wb") as file:
            np.savez(file, images=images.numpy(), labels=labels.numpy())
    with np.load(path) as stored:
        return PhotoExamples(torch.from_numpy(stored["images"]), torch.from_numpy(stored["labels"]))


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m chunky_core.demo.train_encoder", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a run there is resumed")
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument(
        "--photos", type=int, default=1200, help=f"demo photos; at most {HELD_OUT - FIRST} are not held out"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    if not 1 <= options.photos <= HELD_OUT - FIRST:
        parser.error(f"--photos is {options.photos}; expected 1 to {HELD_OUT - FIRST}")
    return options


if __name__ == "__main__":
    main()
