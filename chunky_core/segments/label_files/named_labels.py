"""Label maps whose every label has a name: from pixels or files, with a table of names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import InvalidInputError
from ...images import Color, open_image, read_label_colors, read_label_map
from ...images.image_files import ImageFile
from ..label_images import Palette, labels_from_colors
from ..label_names import check_addressable
from .tables import LabelTable

TOLERANCE = 16  # gray levels of a channel, see `labels_from_colors`
_INDEXED = ("P", "PA")  # Pillow's modes
_COLORED = ("RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")


@dataclass(frozen=True, eq=False)
class NamedLabels:
    """labels: whole numbers [H,W] or [B,H,W]; names: what each means, labels without one are gaps. notes: what was
    taken for what, a sentence each.
    """

    labels: Tensor
    names: Mapping[int, str]
    notes: tuple[str, ...] = ()


def labels_of_file(path: Path, table: LabelTable) -> NamedLabels:
    """The labels [H,W] of a picture file by a table: its stored numbers, or its colors.

    A picture of numbers whose colors are those that the table's labels are shown in (such as PASCAL VOC's) is read by
    them. Errors: see `read_label_map` and `labels_of_pixels`.
    """
    file = open_image(path)
    if table.colors:
        made = _by_color(read_label_colors(path)[None], table, str(path), lossy=file.lossy)
        return NamedLabels(made.labels[0], made.names, made.notes)
    image = file.decoded()
    shown = _shown_labels(file, image.mode, table)
    if shown is None:
        labels = read_label_map(path, legal={*table.numbers, *table.void})
        return _numbered(labels, table, str(path))
    notes: tuple[str, ...] = ()
    if image.mode == "P" and not torch.equal(shown, torch.from_numpy(np.array(image)).long()):
        notes = (
            f"{path}: the colours of its palette are those of other labels than their places; they are taken",
        )
    return _numbered(shown, table, str(path), notes)


def labels_of_pixels(
    pixels: Tensor,
    table: LabelTable,
    what: str = "the label picture",
    tolerance: int = TOLERANCE,
    *,
    adjustable: bool = True,
) -> NamedLabels:
    """The labels [B,H,W] of pictures uint8 [B,H,W,3], RGB, as a loader shows them: levels, or colors of the table.

    tolerance and adjustable: as for `labels_from_colors`. Raises InvalidInputError for labels without a name, other
    colors, and where labels were mixed with one another.
    """
    if table.colors:
        return _by_color(pixels, table, what, tolerance, adjustable=adjustable)
    levels = pixels[..., 0].unique().tolist() if bool((pixels == pixels[..., :1]).all()) else []
    shown = {red for red, green, blue in table.shown if red == green == blue}
    if levels and (set(levels) <= {*table.numbers, *table.void} or not set(levels) <= shown):
        grays = torch.tensor(levels, dtype=torch.uint8)[:, None].expand(-1, 3)
        labels_from_colors(pixels, Palette(grays, tuple(map(str, levels)), exact=True))  # refuses mixtures
        return _numbered(pixels[..., 0].long(), table, what)
    if not table.shown:
        raise InvalidInputError(
            f"{what} is in colour, {table.origin} has numbers only; expected names of colours, or the numbers: "
            "those of an indexed picture are lost once it is loaded as an image, so read its file as a label map"
        )
    labels = _labels_shown(pixels, table, what, tolerance, adjustable=adjustable)
    return _numbered(labels, table, what)


def _shown_labels(file: ImageFile, mode: str, table: LabelTable) -> Tensor | None:
    """Labels [H,W] by the colors that the table's labels are shown in; None where the numbers are what counts."""
    if not table.shown or mode not in (*_INDEXED, *_COLORED):
        return None
    pixels = read_label_colors(file.path)
    if bool((pixels == pixels[..., :1]).all()):
        return None
    colors = {(red, green, blue) for red, green, blue in pixels.reshape(-1, 3).unique(dim=0).tolist()}
    if mode in _INDEXED and not colors <= set(table.shown):
        return None
    return _labels_shown(pixels[None], table, str(file.path), lossy=file.lossy)[0]


def _labels_shown(
    pixels: Tensor,
    table: LabelTable,
    what: str,
    tolerance: int = TOLERANCE,
    *,
    adjustable: bool = False,
    lossy: bool = False,
) -> Tensor:
    entries = _entries(pixels, table.shown, table, what, tolerance, adjustable, lossy)
    return torch.tensor(list(table.shown.values()))[entries]


def _by_color(
    pixels: Tensor,
    table: LabelTable,
    what: str,
    tolerance: int = TOLERANCE,
    *,
    adjustable: bool = False,
    lossy: bool = False,
) -> NamedLabels:
    """Labels [B,H,W] that count the table's colors; the color of void comes last."""
    names = dict(enumerate(table.colors.values()))
    void = {} if table.void_color is None else {table.void_color: ""}
    labels = _entries(pixels, {**table.colors, **void}, table, what, tolerance, adjustable, lossy)
    return _checked(labels, names, {len(names)} if void else set(), table, what)


def _entries(
    pixels: Tensor,
    colors: Mapping[Color, object],
    table: LabelTable,
    what: str,
    tolerance: int,
    adjustable: bool,
    lossy: bool,
) -> Tensor:
    """Which of the colors each pixel shows, with smoothed edges; int64 [B,H,W]."""
    palette = Palette(torch.tensor(list(colors), dtype=torch.uint8), tuple(map(str, colors.values())))
    if not lossy and not adjustable:
        for picture in pixels:
            _check_no_areas_beside(picture, palette.colors, what, table)
    try:
        return labels_from_colors(pixels, palette, tolerance, adjustable=adjustable).long()
    except InvalidInputError as error:
        raise InvalidInputError(f"{what}, by the colours of {table.origin}: {error}") from error


def _check_no_areas_beside(pixels: Tensor, colors: Tensor, what: str, table: LabelTable) -> None:
    """Raise InvalidInputError where other colors than these were drawn, which fill 3x3 pixels somewhere.

    pixels: uint8 [H,W,3]; colors: uint8 [K,3]; what, table: the label map and its names, for the error.
    """
    packing = torch.tensor([65536, 256, 1], dtype=torch.int32)
    packed = (pixels.int() * packing).sum(dim=2, dtype=torch.int32)
    known = (colors.int() * packing).sum(dim=1, dtype=torch.int32)
    if min(packed.shape) < 3:
        return
    height, width = packed.shape[0] - 2, packed.shape[1] - 2
    middle = packed[1:-1, 1:-1]
    plain = ~torch.isin(middle, known)
    for row, column in product(range(3), range(3)):
        plain &= packed[row : row + height, column : column + width] == middle
    if not plain.any():
        return
    found, counts = middle[plain].unique(return_counts=True)
    largest = int(found[counts.argmax()])
    more = f", and areas of {len(found) - 1} more such colours" if len(found) > 1 else ""
    raise InvalidInputError(
        f"{what} has an area of the colour #{largest:06x} ({int((packed == largest).sum())} pixels){more}, but "
        f"{table.origin} no name for it; {table.add.format(f'#{largest:06x}')} (where no such colour was drawn, save "
        "the picture without smoothing or compression)"
    )


def _numbered(labels: Tensor, table: LabelTable, what: str, notes: tuple[str, ...] = ()) -> NamedLabels:
    return _checked(labels, table.numbers, table.void, table, what, notes)


def _checked(
    labels: Tensor,
    names: Mapping[int, str],
    void: Collection[int],
    table: LabelTable,
    what: str,
    notes: tuple[str, ...] = (),
) -> NamedLabels:
    """Raises InvalidInputError for labels that are neither named nor void, and for names that no option could tell."""
    found, counts = labels.unique(return_counts=True)
    pixels = dict(zip(found.tolist(), counts.tolist(), strict=True))
    nameless = [label for label in pixels if label not in names and label not in void]
    if nameless:
        first = nameless[0]
        others = f", nor for {len(nameless) - 1} more of its labels" if len(nameless) > 1 else ""
        raise InvalidInputError(
            f"{what} has the label {first} in {pixels[first]} pixels, but {table.origin} no name for it{others}; "
            f"{table.add.format(first)}"
        )
    for label in pixels.keys() & names.keys():
        check_addressable(names[label], f"in {table.origin}")
    if nothing := sum(pixels.get(label, 0) for label in void):
        share = f"{nothing / labels.numel():.1%} of the pixels are void and belong to no area"
        notes = (*notes, f"{what}: {share}")
    return NamedLabels(labels, names, (*table.notes, *notes))
