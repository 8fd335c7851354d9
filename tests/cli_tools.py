"""What the tests of the command line's `edit` share."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from chunky_core.checkpoints.generators import save_generator
from chunky_core.cli import main
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.generator.generator import Generator
from chunky_core.images import save_image, save_label_map


def furnish(folder: Path, generator: Generator) -> None:
    """Lay out a 64x64 photo, its label map, single masks, the generator and one direction for it."""
    photo = demo_photo(7, resolution=64)
    save_image(photo.image, folder / "photo.png")
    save_label_map(photo.labels, folder / "labels.png")
    (folder / "labels.json").write_text(json.dumps({str(k): v for k, v in LABEL_NAMES.items()}))
    (folder / "masks").mkdir()
    for label, name in ((0, "background"), (2, "skin"), (8, "mouth")):
        save_label_map((photo.labels == label).to(torch.uint8) * 255, folder / "masks" / f"{name}.png")
    save_generator(generator, folder / "tiny.safetensors")
    direction = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(1))
    save_file({"directions/smile": direction}, folder / "directions.safetensors")


def edit(folder: Path, *more: str, masks: str = "labels.png") -> int:
    """Run `edit` in a furnished folder, three steps, pictures to `out`; options in `more` win."""
    return main(
        ["edit", str(folder / "photo.png"), "--masks", str(folder / masks), "--generator"]
        + [str(folder / "tiny.safetensors"), "--directions", str(folder / "directions.safetensors")]
        + ["--static", "background", "--steps", "3", "--grow", "1", "--feather", "0.7", "--device", "cpu"]
        + ["--out", str(folder / "out"), *more]
    )
