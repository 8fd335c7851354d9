"""Names on a picture, each near its place: none covers another, and a thin line leads from one that had to move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..images import to_uint8
from ..segments.names import check_name

Pixels = NDArray[np.uint8]
Place = tuple[float, float]  # column, row
LEGIBLE = 0.34  # of OpenCV's font scale: letters of about 8 pixels
SMALLEST = 0.1  # still shows that there is a name
WIDTH_OF_FULL_SCALE = 1000  # pixels of the picture's shorter side
SHRINK = 0.85
PADDING = 2  # pixels around a text, which its dark rim needs


@dataclass(frozen=True)
class Caption:
    """A text and where it stands: left, top, width, height in pixels; anchor: what it names; scale: of the font."""

    text: str
    left: int
    top: int
    width: int
    height: int
    anchor: Place
    scale: float

    def nearest(self) -> tuple[int, int]:
        """The point of the rectangle that is nearest to the anchor; the anchor itself if that lies inside."""
        (x, y), right, bottom = self.anchor, self.left + self.width - 1, self.top + self.height - 1
        return round(min(max(x, self.left), right)), round(min(max(y, self.top), bottom))


def place_captions(texts: Sequence[str], anchors: Sequence[Place], size: tuple[int, int]) -> list[Caption]:
    """A rectangle for each text, inside a picture of (height, width) pixels, none overlapping another.

    anchors: (column, row) of what each text names. In the given order each takes the free place nearest to its
    anchor, and rather one that covers no other anchor. Where they don't all fit, the font shrinks; texts that find
    no place even then are left out. The same input gives the same places. Raises InvalidInputError for a text that
    is no valid Unicode.
    """
    for text in texts:
        check_name(text)
    scale = max(LEGIBLE, min(size) / WIDTH_OF_FULL_SCALE)
    while True:
        captions = _placed(texts, anchors, size, scale)
        if len(captions) == len(texts) or scale <= SMALLEST:
            return captions
        scale = max(SMALLEST, scale * SHRINK)


def draw_captions(image: Tensor, captions: Sequence[Caption]) -> Tensor:
    """`image` [1,3,H,W] in [-1,1] with white, dark-rimmed texts, and lines and dots where they stand elsewhere."""
    canvas = to_uint8(image)[0].cpu().numpy()
    lines, texts = (np.zeros(canvas.shape[:2], np.uint8) for _ in range(2))
    for caption in captions:
        _draw_leader(lines, caption)
        _draw_text(texts, caption)
    for ink in (lines, texts):
        canvas = _stamped(canvas, ink)
    return torch.from_numpy(canvas).permute(2, 0, 1)[None].to(image) / 127.5 - 1


def _placed(
    texts: Sequence[str], anchors: Sequence[Place], size: tuple[int, int], scale: float
) -> list[Caption]:
    """As many captions in one size as find a place."""
    captions: list[Caption] = []
    for index, (text, anchor) in enumerate(zip(texts, anchors, strict=True)):
        height, width = _ink(text, scale).shape
        others = [other for i, other in enumerate(anchors) if i != index]
        corner = _free_corner(anchor, (height, width), size, captions, others)
        if corner is not None:
            captions.append(Caption(text, *corner, width, height, anchor, scale))
    return captions


def _free_corner(
    anchor: Place,
    extent: tuple[int, int],
    size: tuple[int, int],
    placed: Sequence[Caption],
    others: Sequence[Place],
) -> tuple[int, int] | None:
    """Left and top of the free place for a rectangle (height, width) whose middle is nearest to the anchor."""
    (height, width), (rows, columns) = extent, size
    if height > rows or width > columns:
        return None
    left = _stops(anchor[0] - width / 2, columns - width, max(1, height // 4))[None, :]
    top = _stops(anchor[1] - height / 2, rows - height, max(1, height // 4))[:, None]
    distance = np.hypot(left + width / 2 - anchor[0], top + height / 2 - anchor[1])
    for x, y in others:
        distance += width * ((left <= x) & (x < left + width) & (top <= y) & (y < top + height))
    for caption in placed:
        beside = (left >= caption.left + caption.width) | (left + width <= caption.left)
        distance[~(beside | (top >= caption.top + caption.height) | (top + height <= caption.top))] = np.inf
    best = np.unravel_index(int(distance.argmin()), distance.shape)
    return (int(left[0, best[1]]), int(top[best[0], 0])) if np.isfinite(distance[best]) else None


def _stops(wanted: float, last: int, step: int) -> NDArray[np.int64]:
    """Places 0 to `last`, both of them, in steps, with the one nearest to `wanted` among them."""
    own = min(max(round(wanted), 0), last)
    return np.unique(np.concatenate([np.arange(own % step, last + 1, step), [0, last]]))


def _ink(text: str, scale: float) -> Pixels:
    """The text alone, 0 to 255, with room for its rim. Drawn to be measured: OpenCV's own size leaves parts out."""
    import cv2

    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    room = height + below
    sheet = np.zeros((3 * room, width + 2 * room), np.uint8)
    cv2.putText(sheet, text, (room, 2 * room), font, scale, 255, 1, cv2.LINE_AA)
    rows, columns = np.flatnonzero(sheet.any(axis=1)), np.flatnonzero(sheet.any(axis=0))
    if not len(rows):
        return sheet[:1, :1]
    return np.pad(sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], PADDING)


def _draw_leader(ink: Pixels, caption: Caption) -> None:
    import cv2

    start, end = caption.nearest(), (round(caption.anchor[0]), round(caption.anchor[1]))
    if start != end:
        cv2.line(ink, start, end, 255, 1, cv2.LINE_AA)
        cv2.circle(ink, end, 2, 255, -1, cv2.LINE_AA)


def _draw_text(ink: Pixels, caption: Caption) -> None:
    place = (
        slice(caption.top, caption.top + caption.height),
        slice(caption.left, caption.left + caption.width),
    )
    ink[place] = _ink(caption.text, caption.scale)


def _stamped(canvas: Pixels, ink: Pixels) -> Pixels:
    """The canvas [H,W,3] with the ink [H,W] in white, on a black rim of one pixel around it."""
    import cv2

    outline = cv2.dilate(ink, np.ones((3, 3), np.uint8))
    lit, shaded = (layer[..., None] / 255 for layer in (ink, outline))
    return np.round(canvas * (1 - shaded) * (1 - lit) + 255 * lit).astype(np.uint8)
