"""Segments as the command line takes them: a folder of masks, or a label map with its names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from torch import Tensor

from ..errors import InvalidInputError
from ..images import open_image
from ..images.image_files import ImageFile
from ..segments import SegmentMasks, segments_from_label_map, segments_from_masks
from ..segments.fitting import fit_labels, fit_mask
from ..segments.label_files.finding import AUTO, names_beside
from ..segments.label_files.label_studio import without_address
from ..segments.label_files.mask_folders import Files, list_masks, listed, read_masks
from ..segments.label_files.reading import labelme_map, read_named_labels, unneeded_names
from ..segments.label_names import split_names
from ..segments.odd_levels import odd_levels
from ..wording import in_pixels


def add_label_options(parser: argparse.ArgumentParser) -> None:
    """What masks and label maps mean where their own files don't say it, beside `--masks`."""
    parser.add_argument(
        "--label-names",
        default=AUTO,
        metavar="PRESET|FILE",
        help="what the label map's numbers or colours mean: celebamask, bisenet, segformer, voc, or a file; default: "
        "the file beside it",
    )
    parser.add_argument(
        "--masks-of",
        default="",
        metavar="PHOTO",
        help="number or name of the photo in a folder with masks of several; default: as the photo's file is called",
    )


def mask_inputs(path: Path, names: str = AUTO) -> list[Path]:
    """Everything that `load_segments` may read: the folder and what is in it, or the label map and its names."""
    inputs = [path, *path.iterdir()] if path.is_dir() else [path, *names_beside(path)]
    return [*inputs, Path(names)] if Path(names).is_file() else inputs


def load_segments(
    path: Path,
    photo: ImageFile,
    static: str,
    grow: int,
    feather: float,
    *,
    names: str = AUTO,
    masks_of: str = "",
) -> SegmentMasks:
    """Segments from a folder of masks or from a label map.

    path, names: see `read_named_labels`; masks of a folder of one's own and of Label Studio keep their soft edges.
    photo: what they are for; masks of its aspect are brought to its size. static: names, separated by commas. masks_of:
    number or name of the photo in a folder of several, "" = as the photo's file is called.
    Says on stderr what was taken for what, left aside, resized, or turned otherwise than the photo. Raises
    InvalidInputError for what can't be read, two masks of one name, labels without a name, another aspect, a static
    name that isn't there, and names that no option could tell.
    """
    kept = split_names(static)
    if path.is_dir() and labelme_map(path) is None:
        folder = list_masks(path, masks_of, photo.path.stem)
        if not folder.parts:
            files, notes = folder.of_photo(masks_of, photo.path.stem)
            masks = _masks(files, photo)
            for note in (*notes, *unneeded_names(path, names)):
                _note(note)
            return segments_from_masks(masks, static=kept, grow=grow, feather=feather, gaps="static")
    named = read_named_labels(path, names, photo=masks_of, photo_file=photo.path)
    for note in named.notes:
        _note(note)
    labels = _fitted(fit_labels, named.labels, photo, f"the label map {path}")
    if not path.is_dir():
        _note_orientations(photo, [path])
    return segments_from_label_map(
        labels, named.names, static=kept, grow=grow, feather=feather, gaps="static"
    )


def _masks(files: Files, photo: ImageFile) -> dict[str, Tensor]:
    """The masks by name in the photo's size, with notes about what is odd."""
    read = read_masks(files)
    shown = {name: without_address(str(paths[0])) for name, paths in files.items()}
    _note_odd_levels({name: Path(path).name for name, path in shown.items()}, read)
    masks = {name: _fitted(fit_mask, mask, photo, f"the mask {shown[name]}") for name, mask in read.items()}
    _note_orientations(photo, [path for paths in files.values() for path in paths])
    return masks


def _fitted(
    fit: Callable[[Tensor, tuple[int, int], str], Tensor], image: Tensor, photo: ImageFile, what: str
) -> Tensor:
    """A mask or label map in the photo's size; says so where that changes it."""
    if image.shape[-2:] == photo.size:
        return image
    height, width = photo.size
    try:
        fitted = fit(image, photo.size, what)
    except InvalidInputError as error:
        if _fits(fit, image.mT, photo):
            raise InvalidInputError(
                f"{what} is {in_pixels(image)}, the photo is {width}x{height}: one of them is turned, as when a "
                "program drops a camera's EXIF orientation; save both upright"
            ) from error
        raise
    _note(f"{what} is {in_pixels(image)} and was resized to the photo's {width}x{height}")
    return fitted


def _fits(fit: Callable[[Tensor, tuple[int, int], str], Tensor], image: Tensor, photo: ImageFile) -> bool:
    try:
        fit(image, photo.size, "")
    except InvalidInputError:
        return False
    return True


def _note_odd_levels(files: Mapping[str, str], masks: Mapping[str, Tensor]) -> None:
    """Say of which masks white isn't 1 or black isn't 0, in one line."""
    odd = odd_levels(masks)
    notes = []
    if odd.faint:
        faint = listed(files[name] for name in odd.faint)
        notes.append(f"{faint}: nothing is above {odd.highest:.2g} of 1, so that the photo shows through")
    if odd.gray:
        gray = listed(files[name] for name in odd.gray)
        notes.append(f"{gray}: nothing is below {odd.lowest:.2g} of 1, so that all of the photo may change")
    if notes:
        _note(f"{'; '.join(notes)}; save white as 255 and black as 0 if that isn't meant")


def _note_orientations(photo: ImageFile, files: Iterable[Path]) -> None:
    """Whoever made a mask from a photo that is turned may have seen it upright or as it is stored."""
    other = [
        without_address(file.name) for file in files if open_image(file).orientation != photo.orientation
    ]
    if other and photo.orientation != 1:
        _note(
            f"{photo.path} is turned by its EXIF orientation, {listed(other)} not in the same way: masks are taken as "
            "they are seen, on the upright photo"
        )


def _note(note: str) -> None:
    print(note, file=sys.stderr)
