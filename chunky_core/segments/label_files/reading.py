"""Label maps with names, from whatever a labelling tool or data set wrote: a picture, or a folder of masks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from ...checks import as_path, check_type
from ...errors import InvalidInputError
from ...images import open_image
from .finding import AUTO, LABELME, label_table
from .mask_folders import list_masks, listed, read_masks, stacked_masks, stacked_parts
from .named_labels import NamedLabels, labels_of_file
from .tables import HIGHEST, LabelTable

_LABELME_MAP = "label.png"


def read_named_labels(
    path: str | os.PathLike[str],
    names: str | os.PathLike[str] = AUTO,
    *,
    photo: str = "",
    photo_file: str | os.PathLike[str] = "",
) -> NamedLabels:
    """A label map with its names: labels int64 [H,W], names, and notes on what was taken for what.

    path: a picture of numbers or colors; a folder with LabelMe's label.png and label_names.txt; a folder of masks, as
    CelebAMask-HQ has them (later parts cover earlier), as Label Studio exports them, or named after their segments
    (smaller ones cover larger). names: of a picture's labels: a preset of `LABEL_PRESETS` ("CelebAMask-HQ", "BiSeNet",
    "SegFormer face parsing", "PASCAL VOC"), a file, or "auto", see `label_table`. photo: number or name of the photo in
    a folder that has masks of several; photo_file: the photo, whose name may say it.
    Labels without a name belong to no area (255 in LabelMe and PASCAL VOC). Raises InvalidInputError.
    """
    path, stem = as_path(path, "the label map"), as_path(photo_file, "the photo's file").stem
    names = as_path(names, "what the names are from")
    check_type(photo, "photo, the number or name of one,", str)
    picture = labelme_map(path) if path.is_dir() else path
    if picture is not None:
        made = _picture(picture, names)
        alone = (f"{picture} is the label map of one photo; {photo!r} wasn't needed",) if photo else ()
        return NamedLabels(made.labels, made.names, (*made.notes, *alone))
    folder = list_masks(path, photo, stem)
    files, notes = folder.of_photo(photo, stem)
    labels, found = stacked_parts(files) if folder.parts else stacked_masks(read_masks(files))
    present = set(labels.unique().tolist())
    if hidden := [name for label, name in found.items() if name in files and label not in present]:
        notes = (*notes, f"{path}: {listed(hidden)} left no pixel: empty, or wholly covered by others")
    return NamedLabels(labels, found, (*notes, *unneeded_names(path, names)))


def unneeded_names(folder: Path, names: str | os.PathLike[str]) -> tuple[str, ...]:
    """A note where names were given for a folder of masks, which their files name."""
    if str(names) == AUTO:
        return ()
    return (f"{folder} has masks, which are named by their files; {names} wasn't needed",)


def labelme_map(folder: Path) -> Path | None:
    """The label map of a folder that LabelMe exported, beside its photo and names; None if it is none."""
    there = (folder / _LABELME_MAP).is_file() and (folder / LABELME).is_file()
    return folder / _LABELME_MAP if there else None


def _picture(path: Path, names: str | os.PathLike[str]) -> NamedLabels:
    open_image(path)  # what is no picture needs no names
    table = label_table(path, names)
    made = labels_of_file(path, table)
    if table.origin == str(path.with_suffix(".json")):
        return made
    made = NamedLabels(made.labels, made.names, (*made.notes, *_contradicted(path, made, table)))
    present = set(made.labels.unique().tolist())
    named = [f"{label} {name}" for label, name in made.names.items() if label in present]
    note = f"{path} has the names of {table.origin}: {listed(named)}"
    return NamedLabels(made.labels, made.names, (note, *made.notes))


def _contradicted(path: Path, made: NamedLabels, chosen: LabelTable) -> tuple[str, ...]:
    """A note where the names beside a label map are others than those that were chosen."""
    try:
        beside = label_table(path)
        if beside.origin == chosen.origin:
            return ()
        # labels that it doesn't name are no matter here
        unnamed = frozenset(range(HIGHEST + 1)) - beside.numbers.keys() if beside.numbers else beside.void
        other = labels_of_file(path, replace(beside, void=unnamed))
    except InvalidInputError:  # nothing beside it, or nothing that fits
        return ()
    pairs = torch.stack([made.labels.flatten(), other.labels.flatten()]).unique(dim=1).T.tolist()
    names = [(other.names.get(its), made.names.get(label)) for label, its in pairs]
    differing = [f"{its}, not {ours or 'without a name'}" for its, ours in names if its and its != ours]
    if not differing:
        return ()
    return (
        f"{beside.origin} says otherwise ({listed(dict.fromkeys(differing))}); {chosen.origin} was chosen and is taken",
    )
