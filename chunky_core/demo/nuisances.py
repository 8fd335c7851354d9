"""What a photo has and the generator never saw: freckles, strands, patterns, textures, light, grain.

Every function paints on a canvas of one portrait, in frame coordinates (see portraits.canvas).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .portraits.attributes import LABEL
from .portraits.head import Head
from .portraits.raster_canvas import RasterCanvas, Window, bump, smooth

FRECKLES, MOLES = 90, 3
BROWN = (0.45, 0.30, 0.22)


def uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def choice(rng: torch.Generator, count: int) -> int:
    return int(torch.randint(count, (), generator=rng))


def add_nuisances(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """Everything that lies on the things themselves, before extras come on top."""
    _add_spots(canvas, rng)
    _texture_background(canvas, rng)
    _pattern_clothes(canvas, rng)
    _draw_strands(canvas, head, rng)


def develop(canvas: RasterCanvas, rng: torch.Generator) -> None:
    """What the camera does to everything: vignette, colour cast, contrast and grain."""
    window = canvas.window()
    edge = window.x.square() + window.y.square()
    window.shade(edge * uniform(rng, 0.04, 0.20), (0.0, 0.0, 0.0))
    cast = 1.0 + 0.06 * (2.0 * torch.rand(1, 3, 1, 1, generator=rng) - 1.0)
    canvas.image.mul_(cast).clamp_(0.0, 1.0).pow_(uniform(rng, 0.85, 1.15))
    grain = torch.randn(canvas.image.shape, generator=rng)
    canvas.image.add_(grain, alpha=uniform(rng, 0.008, 0.022))


def _inside(canvas: RasterCanvas, part: str) -> Tensor:
    """The pixels of a part, with softened borders [1,R,R]."""
    return F.avg_pool2d((canvas.labels == LABEL[part]).float(), 3, stride=1, padding=1)


def _add_spots(canvas: RasterCanvas, rng: torch.Generator) -> None:
    """Freckles across the nose and the cheeks, and a few moles anywhere on the skin."""
    freckled = uniform(rng, 0.05, 0.45)
    for index in range(FRECKLES + MOLES):
        mole = index < MOLES
        x = uniform(rng, -0.45, 0.45)
        y = uniform(rng, -0.5, 0.75) if mole else 0.13 + 0.09 * float(torch.randn((), generator=rng))
        size = uniform(rng, 0.014, 0.024) if mole else uniform(rng, 0.008, 0.015)
        window = canvas.window(x - 0.06, x + 0.06, y - 0.06, y + 0.06)
        skin = (window.labels == LABEL["skin"]) | (window.labels == LABEL["nose"])
        spot = bump(window.x - x, size) * bump(window.y - y, size) * skin
        window.shade(spot * (0.75 if mole else freckled), BROWN)


def _texture_background(canvas: RasterCanvas, rng: torch.Generator) -> None:
    """Out-of-focus lights, wallpaper or drifting clouds."""
    background = _inside(canvas, "background")
    textures: tuple[Callable[[Window, torch.Generator], Tensor], ...] = (_lights, _wallpaper, _clouds)
    window = canvas.window()
    texture = textures[choice(rng, len(textures))](window, rng) * background
    strength = uniform(rng, 0.10, 0.22)
    window.glow(texture.clamp(min=0.0) * strength, (1.0, 0.95, 0.80))
    window.shade((-texture).clamp_(0.0, 1.0) * (2.0 * strength), (0.3, 0.3, 0.4))


def _lights(window: Window, rng: torch.Generator) -> Tensor:
    discs = torch.zeros(1, 1, 1)
    for _ in range(14):
        x, y = window.x - uniform(rng, -1.0, 1.0), window.y - uniform(rng, -1.0, 0.8)
        size = uniform(rng, 0.05, 0.16)
        discs = discs + smooth(size, size - 0.025, (x.square() + y.square()).sqrt())
    return discs.clamp(max=1.6)


def _wallpaper(window: Window, rng: torch.Generator) -> Tensor:
    frequency, slant = uniform(rng, 12.0, 26.0), uniform(rng, -0.6, 0.6)
    stripes = torch.sin(frequency * (window.x + slant * window.y))
    return 0.6 * stripes + 0.6 * torch.sin(frequency * (window.y - slant * window.x)) * choice(rng, 2)


def _clouds(window: Window, rng: torch.Generator) -> Tensor:
    coarse = torch.randn(1, 1, 7, 7, generator=rng)
    size = (window.y.shape[1], window.x.shape[2])
    return F.interpolate(coarse, size, mode="bicubic", align_corners=False)[:, 0]


def _pattern_clothes(canvas: RasterCanvas, rng: torch.Generator) -> None:
    """Stripes, checks or dots."""
    window = canvas.window(-1.0, 1.0, 0.66, 1.0)
    frequency = uniform(rng, 24.0, 44.0)
    across, down = torch.sin(frequency * window.x), torch.sin(frequency * window.y)
    patterns = (down.expand(1, -1, window.x.shape[2]), torch.maximum(across, down), 1.6 * across * down)
    pattern = smooth(0.1, 0.7, patterns[choice(rng, len(patterns))]) * (window.labels == LABEL["cloth"])
    tint = [uniform(rng, 0.3, 1.5) for _ in range(3)]
    window.shade(pattern * uniform(rng, 0.4, 0.9), tint)


def _draw_strands(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """Fine bright and dark strands that fall along the hair."""
    window = canvas.window()
    x = head.hair_x(window.x) / (1.0 + 0.35 * (window.y + 0.5).clamp(min=0.0))
    strands = torch.zeros(1, 1, 1)
    for _ in range(3):
        bend = uniform(rng, 0.01, 0.05) * torch.sin(
            uniform(rng, 3.0, 8.0) * window.y + uniform(rng, 0.0, 6.0)
        )
        strands = strands + torch.sin(uniform(rng, 60.0, 150.0) * (x + bend))
    strands = strands * _inside(canvas, "hair") * uniform(rng, 0.04, 0.09)
    window.shade(strands, (2.0, 2.0, 2.0))
