"""Pictures of known attributes: portraits, photos whose parts differ, and the generator's pictures of those people."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...generator.generator import Generator
from ...images import to_uint8
from ...saving import replacing
from ..photos import paint_photos
from ..portraits import ATTRIBUTES, INDEX, LABEL, SHARED_ATTRIBUTES, draw_portraits
from .people import draw_rows
from .readout import Readout

RESOLUTION = 128
TOGETHER = 8  # photos that share their nuisances
PLAIN = 0.25  # share of the photos without nuisances
SPREAD = 1.2  # of the portraits' attributes: edits go beyond what is common
CHANGED, CHANGE = 0.3, 1.5  # share of the attributes that differ between a code and its edit, and by how much
LOOSE = 0.6  # how far the generator's picture is another person than the photo


@dataclass(frozen=True)
class AttributePictures:
    """Pictures are uint8 [N,3,R,R].

    portraits with their attributes portrait_rows [M,K]; photos with labels uint8 [N,R,R] and the attributes of
    their parts photo_rows [N,P,K]; the generator's pictures, for each photo, of someone of the same head and pose:
    generated, of attributes generated_rows [N,K], and edited, the same with some attributes changed, edited_rows.
    """

    portraits: np.ndarray
    portrait_rows: np.ndarray
    photos: np.ndarray
    labels: np.ndarray
    photo_rows: np.ndarray
    generated: np.ndarray
    generated_rows: np.ndarray
    edited: np.ndarray
    edited_rows: np.ndarray


def make_pictures(
    generator: Generator, readout: Readout, portraits: int, photos: int, seed: int, spread: float = SPREAD
) -> AttributePictures:
    """The same seed gives the same pictures. readout: the generator's, see `build_readout`."""
    rng = torch.Generator().manual_seed(seed)
    rows = spread * torch.randn(portraits, len(ATTRIBUTES), generator=rng)
    drawn = [_bytes(draw_portraits(some, RESOLUTION)[0]) for some in rows.split(16)]
    parts = draw_rows(rng, photos)
    painted = [_photos(some, rng) for some in parts.split(TOGETHER)]
    codes = _people_like(parts, rng)
    edits = codes + _changes(codes, rng)
    return AttributePictures(
        np.concatenate(drawn),
        rows.numpy(),
        np.concatenate([images for images, _ in painted]),
        np.concatenate([labels for _, labels in painted]),
        parts.numpy(),
        _generated(generator, readout, codes),
        codes.numpy(),
        _generated(generator, readout, edits),
        edits.numpy(),
    )


def cached_pictures(
    generator: Generator,
    readout: Readout,
    path: Path,
    portraits: int,
    photos: int,
    seed: int,
    spread: float = SPREAD,
) -> AttributePictures:
    """`make_pictures`, kept in a .npz file."""
    if not path.exists():
        made = make_pictures(generator, readout, portraits, photos, seed, spread)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new, new.open("wb") as file:
            np.savez(file, **{field.name: getattr(made, field.name) for field in fields(made)})
    with np.load(path) as stored:
        return AttributePictures(**{name: stored[name] for name in stored.files})


def _photos(rows: Tensor, rng: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    nuisances = None if float(torch.rand((), generator=rng)) < PLAIN else rng
    canvas = paint_photos(rows, RESOLUTION, (), nuisances, rng)
    return _bytes(canvas.image * 2 - 1), canvas.labels.numpy()


def _people_like(parts: Tensor, rng: torch.Generator) -> Tensor:
    """Attributes [N,K] of the photos' heads and poses, all else changed by a part."""
    own = parts[:, LABEL["skin"]].clone()
    shared = [INDEX[name] for name in SHARED_ATTRIBUTES]
    mixed = (1 - LOOSE**2) ** 0.5 * own + LOOSE * torch.randn(own.shape, generator=rng)
    mixed[:, shared] = own[:, shared]
    return mixed


def _changes(codes: Tensor, rng: torch.Generator) -> Tensor:
    chosen = torch.rand(codes.shape, generator=rng) < CHANGED
    chosen[:, [INDEX[name] for name in SHARED_ATTRIBUTES]] = False
    return CHANGE * torch.randn(codes.shape, generator=rng) * chosen


@torch.no_grad()
def _generated(generator: Generator, readout: Readout, rows: Tensor) -> np.ndarray:
    # u = weight w + bias, and directions is the inverse of weight
    w = (rows - readout.bias) @ readout.directions
    made = [generator.synthesis(some[:, None].expand(-1, generator.num_ws, -1)) for some in w.split(8)]
    return np.concatenate([_bytes(F.avg_pool2d(some, some.shape[-1] // RESOLUTION)) for some in made])


def _bytes(images: Tensor) -> np.ndarray:
    """[B,3,R,R] in [-1,1] -> uint8."""
    array: np.ndarray = to_uint8(images).permute(0, 3, 1, 2).contiguous().numpy()
    return array
