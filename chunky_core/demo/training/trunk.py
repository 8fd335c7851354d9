"""The trunk of the feature networks, trained on what the demo domain knows: every pixel's label, every attribute."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...encoders.training.pictures import disturb
from ...losses.feature_network import Trunk
from ..portraits import ATTRIBUTES, INDEX, LABEL, LABELS
from .people import Album
from .renders import RenderedSet

GRID = 8  # cells of the last map from which attributes are read
LABEL_WEIGHT = 0.5
EYE = ("eye_size", "eye_tilt", "eye_colour", "eyelid", "iris_size", "gaze_x", "gaze_y", "eye_makeup")
BROW = ("brow_height", "brow_thickness", "brow_tilt", "brow_arch")
HAIR = ("hair_colour", "hair_redness", "hair_length", "hair_volume", "hair_wave", "fringe", "parting")
MOUTH = ("mouth_width", "lip_thickness", "lip_bow", "lip_colour", "smile", "mouth_open")
# The parts of a photo differ: each attribute is read off the part that shows it, "skin" unless said otherwise.
SHOWN_BY: dict[str, str] = {
    **dict.fromkeys(EYE, "left_eye"),
    **dict.fromkeys(BROW, "left_brow"),
    **dict.fromkeys(HAIR, "hair"),
    **dict.fromkeys(MOUTH, "mouth"),
    **dict.fromkeys(("nose_width", "nose_length", "nose_bridge"), "nose"),
    **dict.fromkeys(("background_hue", "background_lightness"), "background"),
    **dict.fromkeys(("cloth_hue", "cloth_lightness", "collar"), "cloth"),
    "glasses": "glasses",
    "ear_size": "ears",
}
TARGETS: tuple[tuple[str, str], ...] = (
    *((SHOWN_BY.get(name, "skin"), name) for name in ATTRIBUTES),
    *(("right_eye", name) for name in EYE),
    *(("right_brow", name) for name in BROW),
)  # part, attribute


def targets_of(rows: Tensor) -> Tensor:
    """Attributes [B,P,K] of parts, or [B,K] of whole people -> [B,len(TARGETS)]."""
    columns = [INDEX[name] for _, name in TARGETS]
    if rows.dim() == 2:
        return rows[:, columns]
    return rows[:, [LABEL[part] for part, _ in TARGETS], columns]


class TrunkTask(nn.Module):
    """A trunk with a head for the labels, at a quarter of the resolution, and one for the attributes."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.trunk = Trunk(channels)
        self.labels = nn.Conv2d(sum(channels[2:]), len(LABELS), 1)
        self.attributes = nn.Linear(channels[-1] * GRID**2, len(TARGETS))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images: [B,3,R,R] -> scores of the labels [B,L,R/4,R/4], attributes [B,len(TARGETS)]."""
        maps = self.trunk(images)
        side = maps[2].shape[-2:]
        fine = [F.interpolate(m, side, mode="nearest") for m in maps[2:]]
        cells = F.adaptive_avg_pool2d(maps[-1], GRID).flatten(1)
        return self.labels(torch.cat(fine, 1)), self.attributes(cells)

    def loss(self, images: Tensor, labels: Tensor, attributes: Tensor | None) -> Tensor:
        """attributes: None where the pictures are crops, which don't show all of them."""
        scores, found = self(images)
        loss = LABEL_WEIGHT * F.cross_entropy(scores, labels[:, 2::4, 2::4].long())
        return loss if attributes is None else loss + F.smooth_l1_loss(found, attributes)


def start_weights(module: nn.Module, seed: int) -> None:
    """Seeded normal weights of the gain that keeps the signal's size behind SiLU; zero biases."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 1.7 / parameter[0].numel() ** 0.5, generator=rng)
            else:
                parameter.zero_()


class Batches:
    """Disturbed training pictures, one from the photos in two: whole ones with attributes, or crops without."""

    def __init__(self, renders: RenderedSet, album: Album, seed: int) -> None:
        self.renders, self.album, self.seed = renders, album, seed

    def draw(self, step: int, size: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images of 64 (2*size of them) or 128 pixels, labels, attributes; the same for the same step."""
        rng = np.random.default_rng((self.seed, step))
        small, crop = rng.random() < 0.5, rng.random() < 0.25
        count = 2 * size if small else size
        images, labels, rows = (
            self._photos(rng, count) if rng.random() < 0.5 else self._renders(rng, count, crop)
        )
        if small and images.shape[-1] == 128:
            images, labels = F.avg_pool2d(images, 2), labels[..., 1::2, 1::2]
        return disturb(images, torch.Generator().manual_seed(int(rng.integers(2**40)))), labels, rows

    def _photos(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor, Tensor | None]:
        album = self.album
        people, photo = (
            rng.integers(len(album.images), size=count),
            rng.integers(album.images.shape[1], size=count),
        )
        images = torch.from_numpy(album.images[people, photo]).float() / 127.5 - 1
        rows = torch.from_numpy(album.attributes[people, photo])
        return images, torch.from_numpy(album.labels[people, photo]), targets_of(rows)

    def _renders(
        self, rng: np.random.Generator, count: int, crop: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        images, labels, rows = self.renders.batch(count, rng)
        if crop:
            top, left = rng.integers(images.shape[-1] - 127, size=2)
            area = (..., slice(top, top + 128), slice(left, left + 128))
            return images[area], labels[area], None
        return F.avg_pool2d(images, 2), labels[:, 1::2, 1::2], targets_of(rows)


@torch.no_grad()
def trunk_figures(task: TrunkTask, renders: RenderedSet) -> dict[str, float | dict[str, float]]:
    """On held-out renders: share of pixels whose label is found, R² of every attribute and their mean."""
    images, labels, rows = renders.held_out()
    images, labels = F.avg_pool2d(images, 2), labels[:, 1::2, 1::2]
    parts = [task(some) for some in images.split(16)]
    found = torch.cat([scores.argmax(1) for scores, _ in parts])
    errors = torch.cat([attributes for _, attributes in parts])[:, : len(ATTRIBUTES)] - rows
    r2 = 1 - errors.square().mean(0) / rows.var(0, unbiased=False)
    table = {name: round(float(value), 3) for name, value in zip(ATTRIBUTES, r2, strict=True)}
    right = (found == labels[:, 2::4, 2::4].long()).float().mean()
    return {"pixels_right": round(float(right), 4), "mean_r2": round(float(r2.mean()), 3), "r2": table}
