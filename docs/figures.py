"""Draw the pictures of docs/demo_domain.md and its tables anew: `PYTHONPATH=. python docs/figures.py`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from chunky_core import load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import EXTRAS, INDEX, PALETTE, draw_portraits
from chunky_core.demo.shipped import RECIPES, load_shipped_photo
from chunky_core.demo.training.export import DIRECTIONS
from chunky_core.images import to_uint8
from chunky_core.visualization.sheets import tile

IMAGES = Path(__file__).parent / "images"
ASSETS = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets"
SIDE = 160  # pixels of one picture on a sheet


def save(name: str, images: Tensor, columns: int) -> None:
    """Images [B,3,H,W] as a JPEG sheet of small pictures."""
    small = functional.interpolate(images.clamp(-1, 1), size=(SIDE, SIDE), mode="area")
    pixels = to_uint8(tile(small, columns))[0].numpy()
    cv2.imwrite(
        str(IMAGES / f"{name}.jpg"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90]
    )


class World:
    """The generator and the ways between its codes w and the renderer's attributes u."""

    def __init__(self) -> None:
        self.generator = load_generator("demo")
        tensors = load_file(ASSETS / "directions.safetensors")
        self.weight, self.bias = tensors["readout/weight"], tensors["readout/bias"]

    def codes(self, count: int, seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return self.generator.mapping(torch.randn(count, self.generator.z_dim, generator=rng))[:, 0]

    def attributes(self, w: Tensor) -> Tensor:
        return w @ self.weight.T + self.bias

    def code_of(self, u: Tensor) -> Tensor:
        return torch.linalg.solve(self.weight, (u - self.bias).T).T

    def draw(self, codes: Tensor) -> Tensor:
        return torch.cat([self.generator.synthesis(part) for part in codes.split(16)])


def samples(world: World) -> None:
    w = world.codes(16, 2026)
    targets, labels = draw_portraits(world.attributes(w), 256)
    save("samples", torch.stack([targets, world.draw(w)], 1).flatten(0, 1), 8)
    coloured = PALETTE[labels.long()].permute(0, 3, 1, 2).float() / 127.5 - 1
    save("labels", torch.stack([targets, coloured], 1).flatten(0, 1)[:16], 8)


def edits(world: World) -> None:
    """One row for each direction, from -2 to 2 standard deviations."""
    rows = []
    for row, (attribute, _) in enumerate(DIRECTIONS.values()):
        u = world.attributes(world.codes(1, 400 + row)) * 0.7
        for other, value in (("glasses", -1.5), ("beard", -0.8), ("fringe", -0.5)):
            u[:, INDEX[other]] = value
        u = u.repeat(7, 1)
        u[:, INDEX[attribute]] = torch.linspace(-2, 2, 7)
        rows.append(world.draw(world.code_of(u)))
    save("edits", torch.cat(rows), 7)


def walk(world: World) -> None:
    """Straight lines in W between random codes, then truncation from the mean outward."""
    ends = world.codes(3, 77)
    share = torch.linspace(0, 1, 8)[:, None]
    lines = [ends[i] * (1 - share) + ends[i + 1] * share for i in range(2)]
    psi = torch.tensor([0, 0.25, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0])[:, None]
    lines.append(world.generator.w_avg + psi * (ends[2] - world.generator.w_avg))
    save("walk", world.draw(torch.cat(lines)), 8)


def photos() -> None:
    shipped = [load_shipped_photo(number).image for number in range(1, len(RECIPES) + 1)]
    extras = [demo_photo(60 + index, extras=(name,)).image for index, name in enumerate(EXTRAS)]
    save("photos", torch.cat(shipped + extras), 6)


def tables() -> str:
    """The figures of the shipped generator as markdown."""
    figures = json.loads((ASSETS / "figures.json").read_text())
    quality = {
        key: value for key, value in figures.items() if isinstance(value, float) and key != "training_minutes"
    }
    lines = ["| " + " | ".join(quality) + " |", "|---" * len(quality) + "|",
             "| " + " | ".join(f"{value:.1f}" for value in quality.values()) + " |", "",
             "| direction | gain | cosine |", "|---|---|---|"]  # fmt: skip
    for name, (attribute, _) in DIRECTIONS.items():
        gain, cosine = figures["gain"][attribute]
        lines.append(f"| {name} | {gain:.2f} | {cosine:.2f} |")
    rest = {k: v for k, v in figures["gain"].items() if k not in {a for a, _ in DIRECTIONS.values()}}
    lines += ["", "Other attributes: " + ", ".join(f"{k} {g:.2f}" for k, (g, _) in rest.items()) + "."]
    return "\n".join(lines)


def main() -> None:
    torch.set_grad_enabled(False)
    IMAGES.mkdir(exist_ok=True)
    world = World()
    samples(world)
    edits(world)
    walk(world)
    photos()
    print(tables())


if __name__ == "__main__":
    main()
