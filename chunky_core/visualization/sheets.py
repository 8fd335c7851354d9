"""Pictures for the eye: sheets of several pictures, colour overlays of segments, heat maps of change."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..images import to_uint8
from ..segments import SegmentMasks
from ..segments.names import check_name
from .captions import draw_labels, place_labels

TITLE_HEIGHT = 22  # pixels above every picture of a contact sheet


def tile(images: Tensor, columns: int) -> Tensor:
    """[B,3,H,W] in [-1,1] -> one sheet [1,3,rows·H,columns·W]; missing places are white."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    sheet = torch.ones(rows * columns, channels, height, width)
    sheet[:count] = images.cpu()
    grid = sheet.view(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    return grid.reshape(1, channels, rows * height, columns * width)


def segment_colours(count: int) -> Tensor:
    """[count,3] in [-1,1]: well separated hues, alternating in brightness."""
    colours = [colorsys.hsv_to_rgb((0.61803 * i) % 1, 0.75, 0.95 - 0.25 * (i % 2)) for i in range(count)]
    return torch.tensor(colours) * 2 - 1


def segment_overlay(
    photo: Tensor, segments: SegmentMasks, opacity: float = 0.55, names: bool = True
) -> Tensor:
    """The photo [1,3,H,W] tinted by its segments; static pixels keep their colour.

    names: write each at its centre, or where there is room, with a line to the centre. Raises InvalidInputError for
    a photo of another size than the segments.
    """
    segments.check_photo(photo)
    colours = segment_colours(len(segments.names)).to(photo)
    tint = (segments.masks.to(photo) * colours[:, :, None, None]).sum(0, keepdim=True)
    covered = 1 - segments.static.to(photo)
    picture = photo * (1 - opacity * covered) + opacity * tint
    if not names:
        return picture
    return draw_labels(picture, place_labels(*segment_anchors(segments), segments.size))


def segment_anchors(segments: SegmentMasks) -> tuple[list[str], list[tuple[float, float]]]:
    """Names and centres (column, row), small segments first: these have no other place for their name."""
    by_size = sorted(range(len(segments.names)), key=lambda i: segments.masks[i].sum().item())
    return [segments.names[i] for i in by_size], [_centre(segments.masks[i, 0]) for i in by_size]


def heat_map(before: Tensor, after: Tensor, full_scale: float = 0.25) -> Tensor:
    """Mean absolute difference of two pictures [1,3,H,W] in [-1,1], black = none, white = `full_scale` of the range."""
    import cv2

    change = (after - before).abs().mean(1)[0] / 2 / full_scale
    grey = (change.clamp(0, 1) * 255).round().byte().cpu().numpy()
    colour = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(colour).permute(2, 0, 1)[None].float() / 127.5 - 1


def contact_sheet(panels: Sequence[tuple[str, Tensor]], columns: int = 3) -> Tensor:
    """Titled pictures of one size, [1,3,H,W] each, on one sheet.

    Raises InvalidInputError for a title that is no valid Unicode.
    """
    framed = []
    for title, image in panels:
        check_name(title)
        band = torch.ones(1, 3, TITLE_HEIGHT, image.shape[3])
        framed.append(torch.cat([_with_title(band, title), image.cpu()], 2))
    return tile(torch.cat(framed), columns)


def _centre(mask: Tensor) -> tuple[float, float]:
    """(column, row) of the pixel deepest inside the mask: the centre of mass may lie outside a ring."""
    import cv2

    solid = mask > 0.5 if bool((mask > 0.5).any()) else mask >= mask.max()
    framed = np.pad(solid.byte().cpu().numpy(), 1)  # the picture's border is an edge, too
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(column), float(row)


def _with_title(band: Tensor, title: str) -> Tensor:
    """`band` [1,3,h,W] with a dark text in its middle."""
    import cv2

    canvas = to_uint8(band)[0].numpy().copy()
    rows, columns = canvas.shape[:2]
    scale = max(0.34, columns / 760)
    (width, height), _ = cv2.getTextSize(title, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = int(min(max(columns / 2 - width / 2, 1), max(columns - width - 1, 1)))
    place = (x, int(min(max(rows / 2 + height / 2, height + 2), rows - 4)))
    cv2.putText(canvas, title, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 30), 1, cv2.LINE_AA)
    return torch.from_numpy(canvas).permute(2, 0, 1)[None].to(band) / 127.5 - 1
