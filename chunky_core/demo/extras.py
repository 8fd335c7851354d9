"""Things that no portrait of the generator has: every painter marks them with a label of their own.

Every painter gets the canvas of one portrait (see portraits.canvas), its head and a random generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .nuisances import choice, uniform
from .portraits.attributes import LABEL
from .portraits.head import EYE_Y, FACE_Y, SIDES, Head
from .portraits.raster_canvas import RasterCanvas, Window, bump, ellipse, mix, ramp, rgb, round_union, smooth

FABRICS = ((0.72, 0.20, 0.22), (0.88, 0.62, 0.25), (0.35, 0.60, 0.42), (0.24, 0.44, 0.68), (0.60, 0.36, 0.62))
Place = tuple[float, float]
GOLD, PEARL = (0.92, 0.74, 0.34), (0.95, 0.93, 0.88)


def paint_extra(name: str, canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """Paint the extra of that name, one of portraits.EXTRAS."""
    PAINTERS[name](canvas, head, rng)


def _fabric(rng: torch.Generator) -> Tensor:
    return ramp(torch.rand(1, 1, 1, generator=rng), FABRICS)


def _capsule(x: Tensor, y: Tensor, start: Place, end: Place, radius: float) -> Tensor:
    """Signed distance to a line with round ends."""
    across, down = end[0] - start[0], end[1] - start[1]
    x, y = x - start[0], y - start[1]
    along = ((x * across + y * down) / (across**2 + down**2)).clamp(0.0, 1.0)
    return ((x - along * across).square() + (y - along * down).square() + 1e-8).sqrt() - radius


def _bindi(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    size = uniform(rng, 0.036, 0.055)
    x, y = 0.06 * head.sine, EYE_Y - uniform(rng, 0.15, 0.22)
    window = canvas.window(-0.25, 0.25, -0.55, 0.05)
    distance = ((window.x - x).square() + (window.y - y).square()).sqrt()
    red = rgb(0.74, 0.04, 0.12)
    window.paint(window.cover(distance - size), red, 1.25 - 0.35 * distance / size, LABEL["bindi"])


def _face_mask(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """A pleated mask over nose, mouth and chin, with bands to the ears."""
    window = canvas.window(-0.9, 0.9, -0.1, 1.0)
    x, y = head.face_x(window.x), window.y - FACE_Y
    upper = 0.08 + 0.9 * (window.x - 0.2 * head.sine).square() + uniform(rng, -0.03, 0.03)
    face = ellipse(x / head.outline(window.y), y / head.chin, 1.0, 1.0) * 0.6
    distance = -round_union(0.02 - face, window.y - upper, 0.06)
    folds = torch.zeros(1, 1, 1)
    for height in (0.36, 0.50, 0.64):
        folds = folds + bump(window.y - height + 0.10 * window.x.square(), 0.018)
    color = mix(_fabric(rng), 1.0, torch.tensor(uniform(rng, 0.35, 0.75)))
    across = x / head.half_width
    tone = 0.98 + 0.20 * head.ray[0] * across - 0.28 * across.square() - 0.10 * folds
    wide = float(head.half_width)
    for sign, _ in SIDES:
        for start, end in (((0.62, 0.24), (1.02, 0.06)), ((0.62, 0.48), (1.02, 0.20))):
            band = _capsule(
                x, window.y, (sign * wide * start[0], start[1]), (sign * wide * end[0], end[1]), 0.014
            )
            window.paint(window.cover(band), color * 0.88, label=LABEL["face_mask"])
    window.paint(window.cover(distance), color, tone, LABEL["face_mask"])


def _hand(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """A hand that comes from below and lies over a cheek."""
    window = canvas.window(-1.0, 1.0, 0.0, 1.0)
    side = 1.0 if choice(rng, 2) else -1.0
    face = (canvas.labels == LABEL["skin"])[:, None]
    skin = (canvas.image * face).sum((2, 3), keepdim=True) / face.sum()
    skin = (skin * uniform(rng, 0.95, 1.25)).clamp(0.05, 1.0)
    center, lean = uniform(rng, 0.40, 0.55), uniform(rng, -0.10, 0.10)
    x = side * window.x - center - lean * (0.9 - window.y)

    def limb(start: Place, end: Place, radius: float) -> None:
        distance = _capsule(x, window.y, start, end, radius)
        tone = mix(0.72, 1.04, smooth(0.0, -0.055, distance))
        window.paint(window.cover(distance), skin, tone, LABEL["hand"])

    limb((0.06, 0.90), (0.12, 1.30), 0.19)
    limb((0.0, 0.82), (0.08, 0.92), 0.19)
    for index, tip in enumerate((0.36, 0.28, 0.30, 0.40)):
        root = -0.155 + 0.105 * index
        limb((root * 0.9, 0.76), (root * 1.15, tip), 0.056)
        nail = _capsule(x, window.y, (root * 1.15, tip - 0.012), (root * 1.15, tip + 0.020), 0.026)
        window.shade(window.cover(nail) * 0.35, (1.0, 0.75, 0.75))
    limb((-0.10, 0.88), (-0.27, 0.66), 0.060)


def _hat(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """A knitted cap with a cuff, or a hat with a wide brim and a ribbon."""
    window = canvas.window(-1.0, 1.0, -1.0, -0.2)
    x, y = head.hair_x(window.x), window.y
    half_width = head.half_width + 0.22
    edge = y + 0.46 - 0.10 * (x / half_width).square()
    crown = torch.maximum(ellipse(x, y + 0.10, half_width, 0.98), edge)
    light = 0.92 + 0.35 * head.ray[0] * x - 0.25 * (x / half_width).square()
    color = _fabric(rng)
    if choice(rng, 2):
        ribs = 0.07 * torch.sin(46.0 * x)
        window.paint(window.cover(crown), color, light + ribs, LABEL["hat"])
        cuff = torch.maximum(edge.abs() - 0.085, x.abs() - half_width - 0.015)
        window.paint(window.cover(cuff), mix(color, 1.0, torch.tensor(0.25)), light + ribs, LABEL["hat"])
        return
    window.paint(window.cover(crown), color, light, LABEL["hat"])
    ribbon = torch.maximum(crown, (edge + 0.10).abs() - 0.055)
    window.paint(window.cover(ribbon), color * 0.45, light, LABEL["hat"])
    brim = ellipse(x, edge, half_width + 0.22, 0.075)
    window.paint(window.cover(brim), color, light * 1.08, LABEL["hat"])


def _bead(window: Window, x: Tensor | float, y: Tensor | float, size: float, color: Sequence[float]) -> None:
    distance = ((window.x - x).square() + (window.y - y).square() + 1e-8).sqrt()
    spot = bump(window.x - x + 0.3 * size, 0.5 * size) * bump(window.y - y + 0.35 * size, 0.5 * size)
    tone = 1.0 - 0.40 * (distance / size).square().clamp(max=1.5) + 0.30 * spot
    window.paint(window.cover(distance - size), rgb(*color), tone, LABEL["jewellery"])


def _jewelry(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """Drop earrings and a string of beads with a pendant."""
    metal = GOLD if choice(rng, 2) else PEARL
    size = uniform(rng, 0.030, 0.045)
    window = canvas.window()
    for sign, _ in SIDES:
        lobe = sign * head.half_width * 1.0 - 0.80 * head.half_width * head.sine
        for drop, scale in ((0.19, 0.6), (0.26, 1.0), (0.35, 1.25)):
            _bead(window, lobe, drop, size * scale, metal)
    shift = -0.45 * head.half_width * head.sine
    for index in range(-6, 7):
        along = 0.05 * index
        _bead(window, shift + along, 0.935 - 1.1 * along**2, 0.026, metal)
    _bead(window, shift, 0.965, 0.045, (0.55, 0.10, 0.30))


def _odd_glasses(canvas: RasterCanvas, head: Head, rng: torch.Generator) -> None:
    """Bright frames: one round and one square glass of two colours, or red ones that sweep upwards."""
    window = canvas.window(-0.85, 0.85, -0.50, 0.22)
    uneven = bool(choice(rng, 2))
    for sign, side in SIDES:
        x, y = window.x - head.eye_x[side], window.y - EYE_Y - 0.01
        square = uneven and sign > 0
        color = rgb(0.86, 0.10, 0.14) if not square else _fabric(rng)
        width, height = 0.225 * head.eye_squeeze[side], 0.20 if uneven else 0.165
        sweep = 0.0 if uneven else 0.35 * sign
        u, v = x / width, (y + sweep * x) / height
        radius = (u.abs() ** 5 + v.abs() ** 5 + 1e-8) ** 0.2 if square else (u * u + v * v + 1e-8).sqrt()
        distance = (radius - 1.0) * height
        window.paint(window.cover(distance) * 0.12, color)
        outward = (window.x - head.eye_x[side]) * sign
        arm = torch.maximum(width - outward, sign * head.face_x(window.x) - head.half_width)
        bridge = torch.maximum(outward + width, -sign * window.x)
        bar = torch.maximum(torch.minimum(arm, bridge), (window.y - EYE_Y + 0.02).abs() - 0.024)
        frame = torch.minimum(distance.abs() - 0.032, bar)
        window.paint(window.cover(frame), color, 1.05 - 0.8 * y, LABEL["odd_glasses"])


PAINTERS: dict[str, Callable[[RasterCanvas, Head, torch.Generator], None]] = {
    "bindi": _bindi,
    "face_mask": _face_mask,
    "hand": _hand,
    "hat": _hat,
    "jewellery": _jewelry,
    "odd_glasses": _odd_glasses,
}
