"""Photos of the same invented people again and again: another face to every photo, the same person behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...images import to_uint8
from ...saving import replacing
from ..photos import GAZE_SHARE, NO_GLASSES, PERSON_SPREAD, paint_photos
from ..portraits import ATTRIBUTES, EXTRAS, INDEX, PARTS, SHARED_ATTRIBUTES

# What a person keeps from photo to photo; the rest is expression, pose, light, cosmetics, hair style and clothes.
IDENTITY_ATTRIBUTES: tuple[str, ...] = (
    "skin", "undertone", "face_width", "jaw", "chin_length", "cheek_fullness", "temple_width", "age",
    "eye_size", "eye_tilt", "eye_colour", "eye_spacing", "iris_size",
    "brow_height", "brow_thickness", "brow_tilt", "brow_arch", "nose_width", "nose_length", "nose_bridge",
    "mouth_width", "lip_thickness", "lip_bow", "ear_size",
)  # fmt: skip
PART_DEVIATION = 0.8  # as in demo photos: two different eyes and so on belong to a person
TOGETHER = 8  # photos that share their nuisances: nuisances tell nobody apart
PLAIN, WITH_EXTRAS = 0.25, 0.25  # shares of the photos without nuisances, and with an extra


@dataclass(frozen=True)
class Album:
    """images: uint8 [N,M,3,R,R], M photos of each of N people. labels: uint8 [N,M,R,R].

    attributes: float32 [N,M,P,K] of every photo's parts.
    """

    images: np.ndarray
    labels: np.ndarray
    attributes: np.ndarray


def draw_rows(rng: torch.Generator, people: int) -> Tensor:
    """Standard normal numbers of the parts of `people` people, [people, P, K], spread as in demo photos."""
    person = PERSON_SPREAD * torch.randn(people, 1, len(ATTRIBUTES), generator=rng)
    own = PART_DEVIATION * torch.randn(people, len(PARTS), len(ATTRIBUTES), generator=rng)
    own[..., [INDEX["gaze_x"], INDEX["gaze_y"]]] *= GAZE_SHARE
    own[..., [INDEX[name] for name in SHARED_ATTRIBUTES]] = 0.0
    return person + own


def draw_people(rng: torch.Generator, people: int, photos: int) -> Tensor:
    """[people, photos, P, K]: the same identity attributes in all photos of a person, all others drawn anew."""
    kept = [INDEX[name] for name in IDENTITY_ATTRIBUTES]
    identity = draw_rows(rng, people)[:, None, :, kept]
    rows = torch.stack([draw_rows(rng, people) for _ in range(photos)], 1)
    rows[..., kept] = identity
    return rows


def make_album(seed: int, people: int, photos: int, resolution: int = 128, first: str = "any") -> Album:
    """Photos of `people` people; the same seed gives the same album. Photos shown together are of different people.

    first: "any" or "plain" (then the first photo of everybody is without nuisances and extras).
    """
    rng = torch.Generator().manual_seed(seed)
    rows = draw_people(rng, people, photos)
    images = np.empty((people, photos, 3, resolution, resolution), np.uint8)
    labels = np.empty((people, photos, resolution, resolution), np.uint8)
    for number in range(photos):
        for some in torch.randperm(people, generator=rng).split(TOGETHER):
            picture, label = _paint(rng, rows, some, number, resolution, first == "plain" and number == 0)
            images[some.numpy(), number], labels[some.numpy(), number] = picture.numpy(), label.numpy()
    return Album(images, labels, rows.numpy())


def _paint(
    rng: torch.Generator, rows: Tensor, people: Tensor, number: int, resolution: int, plain: bool
) -> tuple[Tensor, Tensor]:
    """8-bit pictures and labels of photo `number` of some people; takes glasses off where odd ones come on."""
    if float(torch.rand((), generator=rng)) < PLAIN or plain:
        canvases = [paint_photos(rows[people, number], resolution, (), None, rng)]
    elif float(torch.rand((), generator=rng)) >= WITH_EXTRAS / (1 - PLAIN):
        canvases = [paint_photos(rows[people, number], resolution, (), rng, rng)]
    else:
        canvases = []
        for person in people.tolist():
            extra = EXTRAS[int(torch.randint(len(EXTRAS), (), generator=rng))]
            if extra == "odd_glasses":
                rows[person, number, :, INDEX["glasses"]] = NO_GLASSES
            canvases.append(paint_photos(rows[person : person + 1, number], resolution, (extra,), rng, rng))
    pictures = torch.cat([to_uint8(canvas.image * 2.0 - 1.0) for canvas in canvases]).permute(0, 3, 1, 2)
    return pictures, torch.cat([canvas.labels for canvas in canvases])


def cached_album(path: Path, seed: int, people: int, photos: int, resolution: int = 128) -> Album:
    """`make_album`, kept in a .npz file."""
    if not path.exists():
        album = make_album(seed, people, photos, resolution)
        with replacing(path) as new, new.open("wb") as file:
            np.savez(file, images=album.images, labels=album.labels, attributes=album.attributes)
    with np.load(path) as stored:
        return Album(stored["images"], stored["labels"], stored["attributes"])
