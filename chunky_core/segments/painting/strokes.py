"""Segments from strokes: what was painted over a photo, in colors that have names."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ..label_images import EDGE_WIDTH, Palette, labels_from_colors
from .color_unmixing import NOISE, ColorLayers, fit_one_layer, is_flat, unmix_colors

_ALIKE = 13  # of the 25 pixels around one: fewer make a line as of a smoothed edge
_THIN = 8  # fewer make a line of a single pixel
_TELLING_OPACITY = 0.1  # a layer of less may be of any color
_VISIBLE_OPACITY = 1 / 512  # a layer of less is not seen in 8 bits


def painted_masks(
    original: Tensor, painted: Tensor, palette: Palette, tolerance: int = 16
) -> dict[str, Tensor]:
    """What each color of the palette covers.

    original, painted: uint8 [H,W,3], RGB, the same photo without and with strokes; tolerance: gray levels by
    which a channel of a stroke may differ from its color. Since the photo below is known, the edge of a smooth
    or soft stroke gives its exact opacity p = o + a (c - o); where two soft strokes overlap, the shares of both that
    show, p = o + a (c - o) + b (d - o). A stroke without full opacity is found where no full one is near.
    Returns name -> [H,W] in [0,1], without the colors that don't occur; together they are at most 1 but for rounding.
    Raises InvalidInputError for other shapes, a palette of gray levels, no stroke at all, and strokes in other
    colors, which it counts and names.
    """
    _check(original, painted, palette)
    changed = (painted.int() - original.int()).abs().amax(dim=-1) > NOISE
    if not changed.any():
        raise InvalidInputError(
            "the painted picture equals the original, so there are no strokes; paint on it, or connect the "
            "original that lies below the paint"
        )
    full = _cores(painted, palette, changed, tolerance)
    distances = torch.stack([distance_to(core) for core in full])
    flat = distance_to(changed & is_flat(painted))
    open_ = changed & (torch.minimum(distances.amin(dim=0), flat) > EDGE_WIDTH)
    translucent_cores = _translucent_cores(original, painted, palette, open_)
    distances = torch.minimum(distances, torch.stack([distance_to(core) for core in translucent_cores]))
    edges = changed & ~torch.stack(full).any(dim=0)
    layers = unmix_colors(original, painted, palette.colors, edges, distances, tolerance)
    labels = _labels(painted, palette, changed, layers, tolerance)
    return _by_name(palette, _without_strays(painted, palette, labels, distances), layers)


def _cores(painted: Tensor, palette: Palette, changed: Tensor, tolerance: int) -> list[Tensor]:
    """Per color the pixels of its full strokes, bool [H,W]. Lines are left out, thin ones even if they have the
    very color: the edge of another stroke may pass by it.
    """
    result = []
    for color in palette.colors.int():
        error = (painted.int() - color).abs().amax(dim=-1)
        near = changed & (error <= tolerance)
        around = torch.nn.functional.avg_pool2d(near[None].float(), 5, 1, 2)[0] * 25
        result.append(near & (around > torch.where(error == 0, _THIN, _ALIKE) - 0.5))
    return result


def _translucent_cores(original: Tensor, painted: Tensor, palette: Palette, where: Tensor) -> list[Tensor]:
    """Per color the pixels `where` that it alone explains exactly, as a layer of less than full opacity, bool [H,W];
    without lines and specks. Where the image is flat this says little: it may be a full stroke of another color.
    """
    below, above = original[where].double(), painted[where].double()
    fits = []
    for color in palette.colors.double():
        opacity, error = fit_one_layer(below, above, color)
        fits.append((error <= NOISE) & (opacity >= _TELLING_OPACITY))
    alone = torch.stack(fits).sum(dim=0) == 1
    planes = [torch.zeros_like(where).masked_scatter(where, fit & alone) for fit in fits]
    around = [torch.nn.functional.avg_pool2d(plane[None].float(), 5, 1, 2)[0] * 25 for plane in planes]
    return [plane & (near > _ALIKE - 0.5) for plane, near in zip(planes, around, strict=True)]


def distance_to(core: Tensor) -> Tensor:
    """Pixels to the nearest of `core` [H,W], infinite if there is none."""
    from scipy.ndimage import distance_transform_edt

    if not core.any():
        return torch.full(core.shape, torch.inf)
    return torch.from_numpy(distance_transform_edt(~core.numpy())).float()


def _labels(
    painted: Tensor, palette: Palette, changed: Tensor, layers: ColorLayers, tolerance: int
) -> Tensor:
    """The palette's number of every pixel, [H,W], by reading the strokes as a label image on a plain ground.

    So strokes that end on each other, and other colors, are judged as in label images.
    """
    known = layers.first >= 0
    ground = _far_color(torch.cat([palette.colors, painted[changed & ~known]]))
    first = layers.opacity >= layers.second_opacity
    strongest = torch.where(first, layers.first, layers.second).clamp(min=0)
    covered = (layers.opacity + layers.second_opacity)[..., None] >= 0.5
    pure = torch.where(covered, palette.colors[strongest], ground)
    plain = torch.where(known[..., None], pure, torch.where(changed[..., None], painted, ground))
    extended = Palette(torch.cat([palette.colors, ground[None]]), (*palette.names, ""))
    try:
        labels: Tensor = labels_from_colors(plain[None], extended, tolerance)[0].long()
    except InvalidInputError as error:
        found = str(error).partition(";")[0].replace("the label picture", "the strokes")
        raise InvalidInputError(
            f"{found}; add these colours, raise the tolerance, and take care that painted is this very photo with "
            "strokes, in its size and saved without JPEG compression"
        ) from error
    return labels


def _far_color(colors: Tensor) -> Tensor:
    """A color, uint8 [3], that differs much from all of `colors` [n,3]."""
    levels = torch.tensor([0, 64, 128, 191, 255])
    lattice = torch.cartesian_prod(levels, levels, levels)
    used = colors.unique(dim=0).int()
    distance = torch.stack([(one - used).abs().amax(dim=-1).amin() for one in lattice])
    return lattice[distance.argmax()].to(torch.uint8)


def _without_strays(painted: Tensor, palette: Palette, labels: Tensor, distances: Tensor) -> Tensor:
    """Pixels far from the full strokes of their own color go to the one of strokes near by that is most alike,
    if there is any.
    """
    own = torch.cat([distances, torch.zeros_like(distances[:1])]).gather(0, labels[None])[0]
    stray = own > EDGE_WIDTH
    error = (painted[stray].int() - palette.colors[:, None].int()).abs().amax(dim=-1)
    far = distances[:, stray] > EDGE_WIDTH
    alike = torch.where(far, 1000, error).argmin(dim=0)
    return labels.masked_scatter(stray, torch.where(far.all(dim=0), labels[stray], alike))


def _by_name(palette: Palette, labels: Tensor, layers: ColorLayers) -> dict[str, Tensor]:
    masks: dict[str, Tensor] = {}
    for number, name in enumerate(palette.names):
        full = ((labels == number) & (layers.first < 0)).double()
        first = torch.where(layers.first == number, layers.opacity, full)
        mask = torch.where(layers.second == number, layers.second_opacity, first).float()
        if mask.amax() >= _VISIBLE_OPACITY:
            masks[name] = (masks[name] + mask).clamp(max=1) if name in masks else mask
    return masks


def _check(original: Tensor, painted: Tensor, palette: Palette) -> None:
    if original.shape != painted.shape:
        found, wanted = (f"{one.shape[1]}x{one.shape[0]}" for one in (painted, original))
        raise InvalidInputError(
            f"the painted picture is {found}, the original {wanted}; paint on the original in its own size"
        )
    if palette.exact:
        raise InvalidInputError("the palette has grey levels; strokes need colours, such as '#ff0000 mouth'")
