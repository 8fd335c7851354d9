"""Label pictures as host images: their stored pixels, what names them, and the label maps that come out."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.images import to_uint8
from ..chunky_core.images.levels import whole_levels
from ..chunky_core.segments.label_files.finding import table_of_text
from ..chunky_core.segments.label_files.named_labels import labels_of_pixels
from ..chunky_core.segments.label_files.tables import LabelTable
from .host import GRID_TOLERANCE, check_image, to_core
from .label_choices import chosen_table
from .notices import show_notice
from .types import LabelMap, LabelMapIO

AUTO = "auto"
AS_PALETTE = "as the palette says"


def is_auto(palette: str) -> bool:
    return palette.strip().lower() == AUTO


def table_of(palette: str, names: str) -> LabelTable | None:
    """The names that a table gives: that of the choice, or lines as labelmap.txt has them. None = the palette's.

    Raises InvalidInputError for a choice beside a palette.
    """
    if names == AS_PALETTE:
        return table_of_text(palette, "the palette")
    if not is_auto(palette):
        raise InvalidInputError(
            f"names is {names!r} and palette has lines as well; expected one of them, so write 'auto' as palette, or "
            f"choose {AS_PALETTE!r}"
        )
    return chosen_table(names)


def by_table(image: Tensor, table: LabelTable, tolerance: int) -> io.NodeOutput:
    """The label map of a host IMAGE by a table of names; says what it leaves out. Raises InvalidInputError."""
    pixels = stored_pixels(image)
    if pixels is None and not (table.colors or table.shown):
        raise between_levels(image)
    pixels = to_uint8(to_core(image)) if pixels is None else pixels
    made = labels_of_pixels(pixels, table, tolerance=tolerance)
    for note in made.notes:
        show_notice(note)
    return label_output(LabelMap(made.labels.to(torch.uint8), dict(made.names)))


def stored_pixels(image: Tensor) -> Tensor | None:
    """The pixels [B,H,W,3] of the file that a host IMAGE was loaded from, uint8; None where it was changed since, or
    its file has more than 8 bits.
    """
    check_image(image)
    levels = whole_levels(image[..., :3])
    return None if levels is None else levels.clamp(0, 255).to(torch.uint8)


def between_levels(image: Tensor) -> InvalidInputError:
    levels = image[..., :3].detach().float() * 255
    between = (levels - levels.round()).abs() > GRID_TOLERANCE
    return InvalidInputError(
        f"{between.any(dim=-1).float().mean():.1%} of the label picture lies between the levels of 8 bits, such as "
        f"{levels[between][0]:.3g} of 255, so it was resized with interpolation or has 16 bits; resize by "
        "nearest-exact, save it with 8 bits, or list colours in the palette"
    )


def label_outputs() -> list[io.Output]:
    return [
        LabelMapIO.Output(
            display_name="label_map", tooltip="Which area each pixel shows; for Segment Masks."
        ),
        io.String.Output(
            display_name="names", tooltip="The names of the areas that occur, separated by commas."
        ),
    ]


def label_output(label_map: LabelMap) -> io.NodeOutput:
    present = label_map.labels.unique().tolist()
    names = dict.fromkeys(label_map.names[label] for label in present if label in label_map.names)
    return io.NodeOutput(label_map, ", ".join(names))
