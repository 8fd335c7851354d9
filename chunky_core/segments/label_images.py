"""Label maps from images: every color, or every gray level, is a named area."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from ..deprecated import old_names
from ..errors import InvalidInputError
from ..images.mixtures import mixture_problem

MAX_COLORS = 64  # more come from a photo, from JPEG or from smoothed edges, and not from a label map
EDGE_WIDTH = 4  # pixels; how far a smoothed edge may lie from the plain colors that it mixes
OTHER_COLOR = -1


@dataclass(frozen=True, eq=False)
class Palette:
    """What the colors of a label image mean; label k is entry k.

    colors: uint8 [K,3], RGB, all different; names: K names, of which several may be equal; exact: no other
    color is attributed to the nearest entry (gray levels are numbers, their mixtures mean nothing).
    """

    colors: Tensor
    names: tuple[str, ...]
    exact: bool = False


def parse_palette(text: str) -> Palette:
    """A palette from lines such as "#ff0000 mouth" (or "#f00 mouth"), or "3 mouth" for gray level 3.

    An equals sign or a colon may stand before the name. Several lines may have one name. Raises
    InvalidInputError, naming the line, for other lines, colors given twice, mixed kinds and no line at all.
    """
    colors: dict[tuple[int, int, int], str] = {}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        color, name = _entry(line)
        if color in colors:
            raise InvalidInputError(f"the palette's line {line!r} repeats a colour; give every colour once")
        colors[color] = name
    levels = sum(not line.startswith("#") for line in lines)
    if levels not in (0, len(lines)) or not 1 <= len(lines) <= 256:
        raise InvalidInputError(
            f"the palette has {len(lines)} lines, {levels} of them with grey levels; expected 1 to 256 of one "
            "kind, such as '#ff0000 mouth' for each"
        )
    return Palette(torch.tensor(list(colors), dtype=torch.uint8), tuple(colors.values()), levels > 0)


def palette_of(pixels: Tensor) -> Palette:
    """Every exact color of label images, named "#rrggbb", or by its level if all of them are gray.

    pixels: uint8 [B,H,W,3], RGB. Raises InvalidInputError if there is only one and if there are more than 64.
    """
    colors = pixels.reshape(-1, 3).unique(dim=0)
    if len(colors) > MAX_COLORS:
        raise InvalidInputError(
            f"the label picture has {len(colors)} colours, expected at most {MAX_COLORS}; save it without "
            "smoothing or JPEG compression, or list its colours in the palette"
        )
    if len(colors) == 1:
        raise InvalidInputError(
            f"the label picture has one colour only, {_hex(colors[0].tolist())}; expected one for each area. This is "
            "what loaders of 8 bits make of labels in 16 bits: save them in 8"
        )
    triples = colors.tolist()
    if all(red == green == blue for red, green, blue in triples):
        return Palette(colors, tuple(str(level) for level, _, _ in triples), exact=True)
    return Palette(colors, tuple(_hex(triple) for triple in triples), exact=True)


def labels_from_colors(
    pixels: Tensor, palette: Palette, tolerance: int = 16, *, adjustable: bool = True
) -> Tensor:
    """The entry of the palette that each pixel shows.

    pixels: uint8 [B,H,W,3], RGB; tolerance: gray levels 0..255 by which each channel may differ from an
    entry (a PNG needs none; a JPEG 32 and more, and is better not used). Smoothed edges may differ by more: a
    pixel whose color lies between those of entries within 4 pixels of it gets the nearest of these.
    adjustable: whether whoever reads an error can change the tolerance.
    Returns uint8 [B,H,W]. Raises InvalidInputError, counting them, if pixels with other colors remain, and for an
    exact palette if colors were mixed where areas meet.
    """
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise InvalidInputError(
            f"a label picture is {pixels.dtype} {list(pixels.shape)}; expected uint8 [B,H,W,3]"
        )
    if palette.exact:
        _check_unmixed(pixels)
    colors = palette.colors.to(pixels.device).int()
    labels, distance = _nearest(pixels, colors, 0 if palette.exact else tolerance)
    if not palette.exact:
        sure = torch.where(_stray(labels, distance), OTHER_COLOR, labels)
        edges = _with_edges(pixels, sure, colors, tolerance)
        labels = torch.where(edges == OTHER_COLOR, labels, edges)
    _check_complete(pixels, labels, adjustable and not palette.exact)
    return labels.to(torch.uint8)


def _nearest(pixels: Tensor, colors: Tensor, tolerance: int) -> tuple[Tensor, Tensor]:
    """Nearest color by the largest difference of a channel, int16 [B,H,W], and that difference.

    The label is OTHER_COLOR beyond the tolerance.
    """
    best = torch.full(pixels.shape[:-1], tolerance + 1, dtype=torch.int32, device=pixels.device)
    labels = torch.full_like(best, OTHER_COLOR, dtype=torch.int16)
    for label, color in enumerate(colors):
        distance = (pixels.int() - color).abs().amax(dim=-1)
        labels[distance < best] = label
        best = torch.minimum(best, distance)
    return labels, best


def _stray(labels: Tensor, distance: Tensor) -> Tensor:
    """Where a color is near an entry's but not the same, and most of the 5x5 pixels around show others.

    Such a line is a smoothed edge as a rule that happens to pass by the color of a third area.
    """
    where = ((labels != OTHER_COLOR) & (distance > 0)).nonzero()
    own = labels[tuple(where.T)]
    alike = torch.stack([around == own for around in _labels_around(labels, where, 2)]).sum(dim=0)
    result = torch.zeros_like(labels, dtype=torch.bool)
    result[tuple(where.T)] = alike < 13
    return result


def _with_edges(pixels: Tensor, labels: Tensor, colors: Tensor, tolerance: int) -> Tensor:
    """Smoothed edges go to the nearest of the colors around them that they can be a mixture of.

    Not to the nearest of the whole palette: between red and blue that might be the purple of another area.
    """
    where = (labels == OTHER_COLOR).nonzero()
    if len(where) > labels.numel() // 2:
        return labels  # these are no edges, and looking at them would take long
    own = pixels[tuple(where.T)].int()  # [n,3]
    low, high = torch.full_like(own, 1000), torch.full_like(own, -1000)
    best, found = torch.full_like(own[:, 0], 1000), torch.full_like(labels[:1, 0, 0], -1).repeat(len(own))
    for around in _labels_around(labels, where, EDGE_WIDTH):
        known = around >= 0
        color = colors[around.clamp(min=0).long()]
        low = torch.where(known[:, None], torch.minimum(low, color), low)
        high = torch.where(known[:, None], torch.maximum(high, color), high)
        distance = (own - color).abs().amax(dim=-1)
        closer = known & (distance < best)
        best, found = torch.where(closer, distance, best), torch.where(closer, around, found)
    mixture = ((own >= low - tolerance) & (own <= high + tolerance)).all(dim=-1)
    result = labels.clone()
    result[tuple(where.T)] = torch.where(mixture, found, OTHER_COLOR).to(labels.dtype)
    return result


def _labels_around(labels: Tensor, where: Tensor, radius: int) -> list[Tensor]:
    """For every offset within reach the labels there, [n] each; OTHER_COLOR outside the image."""
    size = 2 * radius + 1
    padded = torch.nn.functional.pad(labels, (radius,) * 4, value=OTHER_COLOR)
    image, row, column = where.T
    return [padded[image, row + dy, column + dx] for dy in range(size) for dx in range(size)]


def _check_unmixed(pixels: Tensor) -> None:
    """Raise InvalidInputError for label images [B,H,W,3] whose colors were mixed at the borders of areas: then some
    channel was, as if it were a label map.
    """
    for image in pixels:
        is_gray = bool((image == image[..., :1]).all())
        for channel in image.unbind(dim=-1)[: 1 if is_gray else 3]:
            problem = mixture_problem(channel.long())
            if problem:
                raise InvalidInputError(
                    f"the label picture has colours that no area has: {problem}; make it without smoothing or loss "
                    "(PNG, resized by nearest-exact), or list its colours in the palette"
                )


def _check_complete(pixels: Tensor, labels: Tensor, adjustable: bool) -> None:
    other = pixels[labels == OTHER_COLOR]
    if not len(other):
        return
    colors, counts = other.unique(dim=0, return_counts=True)
    most = int(counts.argmax())
    raise InvalidInputError(
        f"{len(other)} pixels ({len(other) / labels.numel():.2%}) of the label picture have colours that are not "
        f"in the palette, most often {_hex(colors[most].tolist())} ({int(counts[most])} pixels); add these "
        f"colours, {'raise the tolerance (a JPEG may need 128), ' if adjustable else ''}or save the picture without "
        "JPEG compression and resize it by nearest-exact"
    )


def _entry(line: str) -> tuple[tuple[int, int, int], str]:
    parts = re.fullmatch(r"(#[0-9a-fA-F]{6}|#[0-9a-fA-F]{3}|[0-9]{1,3})(?:\s*[=:]\s*|\s+)(\S.*)", line)
    if parts is None or (line[0] != "#" and int(parts[1]) > 255):
        raise InvalidInputError(
            f"the palette's line {line!r} is not understood; write '#ff0000 mouth', or '3 mouth' for the grey "
            "level 3 of 0..255"
        )
    if line[0] != "#":
        return (int(parts[1]),) * 3, parts[2]
    digits = parts[1][1:] if len(parts[1]) == 7 else "".join(digit * 2 for digit in parts[1][1:])
    red, green, blue = bytes.fromhex(digits)
    return (red, green, blue), parts[2]


def _hex(color: list[int]) -> str:
    return "#" + bytes(color).hex()


__getattr__ = old_names(__name__)
