"""The head's skeleton, which all parts share, and the painter of the bare face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .attributes import LABEL, Traits
from .colors import aging, shadow_color, skin_color, youth
from .raster_canvas import RasterCanvas, Window, bump, ellipse, mix, smooth

EYE_Y, NOSE_Y, MOUTH_Y = -0.12, 0.20, 0.47  # fixed mean heights of the parts
FACE_Y, FACE_TOP = -0.03, 0.80  # the widest line of the face and the height of the skull above it
SIDES = ((-1, "left"), (1, "right"))


@dataclass(frozen=True)
class Head:
    """Measures [B,1,1] of a head. The features keep their places, so the outline moves against the yaw."""

    yaw: Tensor
    sine: Tensor  # of the yaw
    half_width: Tensor
    chin: Tensor  # height of the face below its widest line
    light: Tensor  # horizontal place of the light, -0.8 (left) to 0.8
    ray: tuple[Tensor, Tensor, Tensor]  # unit vector towards the light
    eye_x: dict[str, Tensor]
    eye_squeeze: dict[str, Tensor]  # foreshortening of each eye
    traits: Traits

    def face_x(self, x: Tensor) -> Tensor:
        """Horizontal coordinate relative to the face's outline."""
        return x + 0.62 * self.half_width * self.sine

    def hair_x(self, x: Tensor) -> Tensor:
        return x + 0.80 * self.half_width * self.sine

    def outline(self, y: Tensor) -> Tensor:
        """Half width [B,H,1] that scales the face's ellipse at height y."""
        below = ((y - FACE_Y).clamp(min=0.0) / self.chin).clamp(max=1.0)
        above = ((FACE_Y - y).clamp(min=0.0) / FACE_TOP).clamp(max=1.0)
        taper = self.traits.between("jaw", 0.30, 0.06) * below * below
        cheeks = self.traits.between("cheek_fullness", -0.045, 0.085) * bump(below - 0.45, 0.32)
        temples = self.traits.between("temple_width", -0.10, 0.08) * smooth(0.0, 0.5, above)
        return self.half_width * (1.0 - taper + cheeks + temples)


def build_head(traits: Traits) -> Head:
    yaw = traits.between("yaw", -0.22, 0.22)
    half_width = traits.between("face_width", 0.515, 0.60)
    light = traits.between("light", -0.85, 0.85)
    length = (light.square() + 0.45**2 + 0.8**2).sqrt()
    eye_x, eye_squeeze = {}, {}
    for sign, side in SIDES:
        angle = torch.asin(traits.between("eye_spacing", 0.262, 0.294) / half_width) * sign
        eye_x[side] = half_width * ((angle + yaw).sin() - yaw.sin())
        eye_squeeze[side] = (angle + yaw).cos() / angle.cos()
    return Head(
        yaw=yaw,
        sine=yaw.sin(),
        half_width=half_width,
        chin=traits.between("chin_length", 0.755, 0.855),
        light=light,
        ray=(light / length, -0.45 / length, 0.8 / length),
        eye_x=eye_x,
        eye_squeeze=eye_squeeze,
        traits=traits,
    )


def paint_face(canvas: RasterCanvas, traits: Traits, head: Head) -> None:
    """The bare face with its soft shading; fills `canvas.face`."""
    window = canvas.window(-0.85, 0.85, -0.90, 0.90)
    face_x, face_y = head.face_x(window.x), window.y - FACE_Y
    half_width = head.outline(window.y)
    half_height = torch.where(face_y > 0.0, head.chin, torch.full_like(head.chin, FACE_TOP))
    across, down = face_x / half_width, face_y / half_height
    radius = across.square().add_(down.square())
    slope = (across / half_width).square_().add_((down / half_height).square()).add_(1e-4).sqrt_()
    window.face.copy_(window.cover((radius - 1.0).div_(slope.mul_(2.0))))

    depth = (1.0 - 0.86 * radius).clamp_(min=0.05).sqrt_()
    right, up, front = head.ray
    turned = front + 0.3 * head.sine * right
    lit = (0.93 * right * across).add_(0.75 * up * down).add_(turned * depth)
    skin = skin_color(traits)
    tone = smooth(-0.15, 0.95, lit)
    window.paint_between(window.face, shadow_color(skin), skin * 1.04, tone, LABEL["skin"])
    _tint_cheeks(window, traits, head)
    _paint_wrinkles(window, traits, head)


def _tint_cheeks(window: Window, traits: Traits, head: Head) -> None:
    smile = traits.between("smile", -0.3, 1.0).clamp(min=0.0)
    rosy = traits.between("blush", 0.02, 0.95) + 0.25 * youth(traits) + 0.15 * smile
    x, y, face = window.x, window.y, window.face
    sockets, cheeks = torch.zeros(1, 1, 1), torch.zeros(1, 1, 1)
    for sign, side in SIDES:
        sockets = sockets + bump(x - head.eye_x[side], 0.22) * bump(y - EYE_Y + 0.03, 0.13)
        cheeks = cheeks + bump(x - head.eye_x[side] - sign * 0.05, 0.16) * bump(y - 0.19 + 0.04 * smile, 0.12)
    window.shade(sockets * face * 0.22, (0.78, 0.58, 0.55))
    window.shade(cheeks * face * (0.60 * rosy), (1.04, 0.66, 0.66))
    forehead = bump(x - 0.2 * head.light, 0.28) * bump(y + 0.42, 0.15) * face
    window.glow(forehead * 0.06, (1.0, 0.92, 0.85))
    window.shade(bump(x, 0.18) * bump(y - MOUTH_Y - 0.18, 0.05) * face * 0.14, (0.2, 0.1, 0.1))


def _paint_wrinkles(window: Window, traits: Traits, head: Head) -> None:
    old = aging(traits)
    smile = traits.between("smile", -0.3, 1.0).clamp(min=0.0)
    x, y, face = window.x, window.y, window.face
    lines = 0.8 * bump(y - EYE_Y + 0.33 + 0.10 * x.square(), 0.022) * smooth(0.38, 0.10, x.abs())
    for sign, side in SIDES:
        outward = (x - head.eye_x[side]) * sign
        bags = bump(y - EYE_Y - 0.155 + 0.5 * outward.square(), 0.028) * smooth(0.18, 0.06, outward.abs())
        lines = lines + 0.9 * bags + 0.7 * bump(outward - 0.235, 0.04) * bump(y - EYE_Y - 0.01, 0.07)
    window.shade(lines * face * (0.40 * old), (0.55, 0.42, 0.40))
    fall = ((y - NOSE_Y + 0.02) / (MOUTH_Y - NOSE_Y + 0.08)).clamp(0.0, 1.1)
    folds = torch.zeros(1, 1, 1)
    for sign, _ in SIDES:
        folds = folds + bump(x - sign * (0.145 + 0.17 * fall + 0.03 * smile), 0.026)
    folds = folds * (smooth(0.0, 0.25, fall) * smooth(1.08, 0.70, fall)) * face
    window.shade(folds * (0.04 + 0.34 * old + 0.14 * smile), (0.55, 0.42, 0.40))


def paint_ears(canvas: RasterCanvas, traits: Traits, head: Head) -> None:
    size = traits.between("ear_size", 0.78, 1.30)
    skin = skin_color(traits)
    for sign, _ in SIDES:
        window = canvas.window(*((-1.0, -0.25) if sign < 0 else (0.25, 1.0)), -0.30, 0.34)
        x = head.hair_x(window.x) - sign * head.half_width * 0.99
        width = 0.085 * size * (1.0 - 1.6 * sign * head.sine).clamp(0.4, 1.5)
        y = window.y - 0.02
        hollow = smooth(0.02, -0.03, ellipse(x - sign * 0.012, y, 0.55 * width, 0.10 * size))
        tone = 0.88 + 0.12 * sign * head.ray[0] - 0.24 * hollow
        window.paint(window.cover(ellipse(x, y, width, 0.155 * size)), skin, tone, LABEL["ears"])


def paint_beard(canvas: RasterCanvas, traits: Traits, head: Head, color: Tensor) -> None:
    """From clean over stubble to a full beard, on the face only; it keeps the label of the skin."""
    window = canvas.window(-0.75, 0.75, -0.10, 0.90)
    x, y = window.x, window.y
    amount = ((traits.between("beard") - 0.06) / 0.86).clamp(0.0, 1.0) ** 1.8
    smile = traits.between("smile", -0.25, 1.2).clamp(min=0.0)
    mouth_open = traits.between("mouth_open").square()
    width = traits.between("mouth_width", 0.20, 0.265) * (1.0 + 0.14 * smile)
    edge = 0.36 - 0.42 * smooth(0.50, 1.0, (head.face_x(x) / head.half_width).abs())
    mouth = ellipse(x, y - MOUTH_Y - 0.06 * mouth_open, width * 1.04, 0.085 + 0.11 * mouth_open)
    jaw = smooth(-0.10, 0.12, y - edge) * smooth(-0.02, 0.06, mouth)
    moustache = bump(y - 0.352 - 0.5 * x.square() + 0.03 * smile, 0.042)
    moustache = moustache * smooth(width * 1.2, width * 0.7, x.abs())
    tone = mix(0.78, 1.15, (0.5 + 0.9 * head.ray[0] * x).clamp(0.0, 1.0))
    window.paint(torch.maximum(jaw, 0.95 * moustache) * window.face * (amount * 0.92), color, tone)
