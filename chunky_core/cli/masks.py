"""Segments as the command line takes them: a folder of masks, or a label map with its names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path
from unicodedata import normalize

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..images import is_image_file, open_image, read_label_colors, read_label_map, read_mask
from ..images.image_files import ImageFile
from ..segments import SegmentMasks, segments_from_label_map, segments_from_masks
from ..segments.fitting import fit_labels, fit_mask
from ..segments.label_images import Palette, labels_from_colors
from ..segments.label_names import check_addressable, split_names
from ..segments.odd_levels import odd_levels
from ..wording import in_pixels
from .label_tables import LabelTable, label_table

_NAMED = 8  # files that a note names


def files_of_masks(path: Path) -> list[Path]:
    """Everything that `load_segments` may read: the folder and what is in it, or the label map and its table."""
    return [path, *path.iterdir()] if path.is_dir() else [path, path.with_suffix(".json")]


def load_segments(path: Path, photo: ImageFile, static: str, grow: int, feather: float) -> SegmentMasks:
    """Segments from a folder of masks or from a label map.

    path: a folder with one picture per segment, named after it (see `read_mask`), or a label map (see
    `read_label_map`) with a table of its labels beside it (see `label_table`). photo: what they are for; masks of its
    aspect are brought to its size. static: names, separated by commas.
    Says on stderr what was left aside, resized, or turned otherwise than the photo. Raises InvalidInputError for what
    can't be read, two masks of one name, labels without a name, another aspect, a static name that isn't there, and
    names that no option could tell.
    """
    names = split_names(static)
    if not path.is_dir():
        labels, table = _labels(path)
        labels = _fitted(fit_labels, labels, photo, f"the label map {path}")
        _tell_unturned(photo, [path])
        return segments_from_label_map(labels, table, static=names, grow=grow, feather=feather, gaps="static")
    files, aside = _mask_files(path)
    read = {name: read_mask(file) for name, file in files.items()}
    _tell_odd_levels(files, read)
    masks = {name: _fitted(fit_mask, mask, photo, f"the mask {files[name]}") for name, mask in read.items()}
    _tell_unturned(photo, files.values())
    if aside:
        _tell(f"left aside in {path}, as they are no pictures: {_listed(aside)}")
    return segments_from_masks(masks, static=names, grow=grow, feather=feather, gaps="static")


def _mask_files(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Name -> picture, and the names of everything else in the folder."""
    files: dict[str, Path] = {}
    aside: list[str] = []
    known: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.is_dir() or file.name.startswith(".") or not is_image_file(file):
            aside.append(file.name + "/" * file.is_dir())
            continue
        name = normalize("NFC", file.stem).strip()
        check_addressable(name, f"in the folder {folder}")
        twin = known.setdefault(name.casefold(), file)
        if twin != file:
            raise InvalidInputError(
                f"{twin.name} and {file.name} in {folder} name one segment; remove or rename one"
            )
        files[name] = file
    if not files:
        found = f", only {_listed(aside)}" if aside else ""
        raise InvalidInputError(
            f"{folder} holds no picture{found}; expected one mask per segment, named after it"
        )
    return files, aside


def _labels(path: Path) -> tuple[Tensor, dict[int, str]]:
    """Labels [H,W] and the name of every one of them."""
    file = open_image(path)  # what is no picture needs no names
    table = label_table(path)
    if table.colours:
        labels, names = _labels_by_colour(file, table)
    else:
        labels, names = read_label_map(path, legal=table.numbers), dict(table.numbers)
        _check_named(path, labels, table)
    for label in labels.unique().tolist():
        check_addressable(names[label], f"in {table.path}")
    return labels, names


def _labels_by_colour(file: ImageFile, table: LabelTable) -> tuple[Tensor, dict[int, str]]:
    """Colours with a tolerance, as the node reads them, unless that would swallow an area of a colour of its own."""
    pixels = read_label_colors(file.path)
    palette = Palette(torch.tensor(list(table.colours), dtype=torch.uint8), tuple(table.colours.values()))
    if not file.lossy:
        _check_no_areas_beside(pixels, palette.colors, file.path, table.path)
    try:
        labels = labels_from_colors(pixels[None], palette, adjustable=False)[0]
    except InvalidInputError as error:
        raise InvalidInputError(f"{file.path}, by the colours of {table.path}: {error}") from error
    return labels.long(), dict(enumerate(palette.names))


def _check_no_areas_beside(pixels: Tensor, colours: Tensor, path: Path, table: Path) -> None:
    """Raise InvalidInputError where other colours than these were drawn, which fill 3x3 pixels somewhere.

    pixels: uint8 [H,W,3]; colours: uint8 [K,3]; path, table: of the label map and its colours, for the error.
    """
    packing = torch.tensor([65536, 256, 1], dtype=torch.int32)
    packed = (pixels.int() * packing).sum(dim=2, dtype=torch.int32)
    known = (colours.int() * packing).sum(dim=1, dtype=torch.int32)
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
        f"{path} has an area of the colour #{largest:06x} ({int((packed == largest).sum())} pixels){more}, but {table} "
        f'no name for it; add "#{largest:06x}": "rest" there, and rest to --static if it is to stay the photo (where '
        "no such colour was drawn, save the picture without smoothing or compression)"
    )


def _check_named(path: Path, labels: Tensor, table: LabelTable) -> None:
    found, counts = labels.unique(return_counts=True)
    pixels = dict(zip(found.tolist(), counts.tolist(), strict=True))
    nameless = [label for label in pixels if label not in table.numbers]
    if nameless:
        first = nameless[0]
        others = f", nor for {len(nameless) - 1} more of its labels" if len(nameless) > 1 else ""
        raise InvalidInputError(
            f"{path} has the label {first} in {pixels[first]} pixels, but {table.path} no name for it{others}; add "
            f'"{first}": "rest" there, and rest to --static if it is to stay the photo'
        )


def _fitted(
    fit: Callable[[Tensor, tuple[int, int], str], Tensor], picture: Tensor, photo: ImageFile, what: str
) -> Tensor:
    """A mask or label map in the photo's size; says so where that changes it."""
    if picture.shape[-2:] == photo.size:
        return picture
    height, width = photo.size
    try:
        fitted = fit(picture, photo.size, what)
    except InvalidInputError as error:
        if _fits(fit, picture.mT, photo):
            raise InvalidInputError(
                f"{what} is {in_pixels(picture)}, the photo is {width}x{height}: one of them is turned, as when a "
                "program drops a camera's EXIF orientation; save both upright"
            ) from error
        raise
    _tell(f"{what} is {in_pixels(picture)} and was resized to the photo's {width}x{height}")
    return fitted


def _fits(fit: Callable[[Tensor, tuple[int, int], str], Tensor], picture: Tensor, photo: ImageFile) -> bool:
    try:
        fit(picture, photo.size, "")
    except InvalidInputError:
        return False
    return True


def _tell_odd_levels(files: Mapping[str, Path], masks: Mapping[str, Tensor]) -> None:
    """Say of which masks white isn't 1 or black isn't 0, in one line."""
    odd = odd_levels(masks)
    notes = []
    if odd.faint:
        listed = _listed([files[name].name for name in odd.faint])
        notes.append(f"{listed}: nothing is above {odd.highest:.2g} of 1, so that the photo shows through")
    if odd.gray:
        listed = _listed([files[name].name for name in odd.gray])
        notes.append(f"{listed}: nothing is below {odd.lowest:.2g} of 1, so that all of the photo may change")
    if notes:
        _tell(f"{'; '.join(notes)}; save white as 255 and black as 0 if that isn't meant")


def _tell_unturned(photo: ImageFile, files: Iterable[Path]) -> None:
    """Whoever made a mask from a photo that is turned may have seen it upright or as it is stored."""
    other = [file.name for file in files if open_image(file).orientation != photo.orientation]
    if other and photo.orientation != 1:
        _tell(
            f"{photo.path} is turned by its EXIF orientation, {_listed(other)} not in the same way: masks are taken as "
            "they are seen, on the upright photo"
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _tell(note: str) -> None:
    print(note, file=sys.stderr)
