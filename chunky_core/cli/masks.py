"""Segments as the command line takes them: a folder of masks, or a label map with its names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from unicodedata import normalize

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..images import is_picture, open_picture, read_label_colours, read_label_map, read_mask
from ..images.files import PictureFile
from ..segments import Segments, segments_from_label_map, segments_from_masks
from ..segments.fitting import fit_labels, fit_mask
from ..segments.label_images import MOST_COLOURS, Palette, labels_of_colours
from ..segments.label_names import split_names
from ..wording import in_pixels
from .label_tables import LabelTable, label_table

_NAMED = 8  # files that a note names


def load_segments(path: Path, photo: PictureFile, static: str, grow: int, feather: float) -> Segments:
    """Segments from a folder of masks or from a label map.

    path: a folder with one picture per segment, named after it (see `read_mask`), or a label map (see
    `read_label_map`) with a table of its labels beside it (see `label_table`). photo: what they are for; masks of its
    aspect are brought to its size. static: names, separated by commas.
    Says on stderr what was left aside, resized, or turned otherwise than the photo. Raises InvalidInputError for what
    can't be read, two masks of one name, labels without a name, another aspect, and a static name that isn't there.
    """
    names = split_names(static)
    if not path.is_dir():
        labels, table = _labels(path)
        labels = _fitted(fit_labels, labels, photo, f"the label map {path}")
        _tell_unturned(photo, [path])
        return segments_from_label_map(labels, table, static=names, grow=grow, feather=feather, gaps="static")
    files, aside = _mask_files(path)
    masks = {
        name: _fitted(fit_mask, read_mask(file), photo, f"the mask {file}") for name, file in files.items()
    }
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
        if file.is_dir() or file.name.startswith(".") or not is_picture(file):
            aside.append(file.name + "/" * file.is_dir())
            continue
        name = normalize("NFC", file.stem).strip()
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
    file = open_picture(path)  # what is no picture needs no names
    table = label_table(path)
    if table.colours:
        return _labels_by_colour(file, table)
    labels = read_label_map(path, legal=table.numbers)
    _check_named(path, labels, table)
    return labels, dict(table.numbers)


def _labels_by_colour(file: PictureFile, table: LabelTable) -> tuple[Tensor, dict[int, str]]:
    """Colours with a tolerance, as the node reads them, unless that would swallow an area of a colour of its own."""
    pixels = read_label_colours(file.path)
    colours = torch.tensor(list(table.colours), dtype=torch.uint8)
    exact = not file.lossy and _has_areas_beside(pixels, colours)
    palette = Palette(colours, tuple(table.colours.values()), exact)
    try:
        labels = labels_of_colours(pixels[None], palette)[0]
    except InvalidInputError as error:
        raise InvalidInputError(f"{file.path}, by the colours of {table.path}: {error}") from error
    return labels.long(), dict(enumerate(palette.names))


def _has_areas_beside(pixels: Tensor, colours: Tensor) -> bool:
    """Whether other colours than these were drawn: they fill 3x3 pixels somewhere, and are too few for a photo."""
    packing = torch.tensor([65536, 256, 1])
    packed = pixels.long() @ packing
    known, found = colours.long() @ packing, packed.unique()
    if len(found) > MOST_COLOURS or min(packed.shape) < 3:
        return False
    around = packed.unfold(0, 3, 1).unfold(1, 3, 1).flatten(2)
    alike = (around == around[..., :1]).all(dim=2)
    return bool((alike & ~torch.isin(around[..., 0], known)).any())


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
    fit: Callable[[Tensor, tuple[int, int], str], Tensor], picture: Tensor, photo: PictureFile, what: str
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


def _fits(fit: Callable[[Tensor, tuple[int, int], str], Tensor], picture: Tensor, photo: PictureFile) -> bool:
    try:
        fit(picture, photo.size, "")
    except InvalidInputError:
        return False
    return True


def _tell_unturned(photo: PictureFile, files: Iterable[Path]) -> None:
    """Whoever made a mask from a photo that is turned may have seen it upright or as it is stored."""
    other = [file.name for file in files if open_picture(file).orientation != photo.orientation]
    if other and photo.orientation != 1:
        _tell(
            f"{photo.path} is turned by its EXIF orientation, {_listed(other)} not in the same way: masks are taken as "
            "they are seen, on the upright photo"
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _tell(note: str) -> None:
    print(note, file=sys.stderr)
