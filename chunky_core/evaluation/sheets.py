"""Pictures for the eye: sheets of several pictures, colour overlays of segments, heat maps of change."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..segments import Segments

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


def segment_overlay(photo: Tensor, segments: Segments, opacity: float = 0.55, names: bool = True) -> Tensor:
    """The photo [1,3,H,W] tinted by its segments; static pixels keep their colour. names: write each at its centre."""
    colours = segment_colours(len(segments.names)).to(photo)
    tint = (segments.masks.to(photo) * colours[:, :, None, None]).sum(0, keepdim=True)
    covered = 1 - segments.static.to(photo)
    picture = photo * (1 - opacity * covered) + opacity * tint
    if not names:
        return picture
    return _write(
        picture,
        [(name, *_centre(mask[0])) for name, mask in zip(segments.names, segments.masks, strict=True)],
    )


def heat_map(before: Tensor, after: Tensor, full_scale: float = 0.25) -> Tensor:
    """Mean absolute difference of two pictures [1,3,H,W] in [-1,1], black = none, white = `full_scale` of the range."""
    import cv2

    change = (after - before).abs().mean(1)[0] / 2 / full_scale
    grey = (change.clamp(0, 1) * 255).round().byte().cpu().numpy()
    colour = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(colour).permute(2, 0, 1)[None].float() / 127.5 - 1


def contact_sheet(panels: Sequence[tuple[str, Tensor]], columns: int = 3) -> Tensor:
    """Titled pictures of one size, [1,3,H,W] each, on one sheet."""
    framed = []
    for title, image in panels:
        band = torch.ones(1, 3, TITLE_HEIGHT, image.shape[3])
        framed.append(
            torch.cat(
                [_write(band, [(title, TITLE_HEIGHT / 2, image.shape[3] / 2)], dark=True), image.cpu()], 2
            )
        )
    return tile(torch.cat(framed), columns)


def _centre(mask: Tensor) -> tuple[float, float]:
    """(row, column) of the pixel deepest inside the mask: the centre of mass may lie outside a ring."""
    import cv2

    depth = cv2.distanceTransform((mask > 0.5).byte().cpu().numpy(), cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(row), float(column)


def _write(image: Tensor, texts: Sequence[tuple[str, float, float]], dark: bool = False) -> Tensor:
    """`image` [1,3,H,W] with each text centred at (row, column)."""
    import cv2

    canvas = ((image[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy().copy()
    scale = max(0.34, canvas.shape[1] / 760)
    for text, row, column in texts:
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        x = int(min(max(column - width / 2, 1), max(canvas.shape[1] - width - 1, 1)))
        place = (x, int(min(max(row + height / 2, height + 2), canvas.shape[0] - 4)))
        if not dark:
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                shifted = (place[0] + dx, place[1] + dy)
                cv2.putText(canvas, text, shifted, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
        colour = (30, 30, 30) if dark else (255, 255, 255)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
    return torch.from_numpy(canvas).permute(2, 0, 1)[None].to(image) / 127.5 - 1
