"""Folders of masks: which pictures belong to which photo and name, in a folder of one's own or as tools write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ...images import is_image_file, read_mask
from ...wording import counted, in_pixels
from ..label_names import addressable, check_addressable
from .label_studio import has_address, stroke, without_address
from .presets import CELEBAMASK_NAMES

Files = Mapping[str, tuple[Path, ...]]  # name of a segment -> its pictures

_PART = re.compile(rf"(?P<photo>.+)_(?P<part>{'|'.join(CELEBAMASK_NAMES[1:])})", re.I)
_NUMBERED = re.compile(r"[0-9]{5}_(?P<part>.+)")  # as CelebAMask-HQ numbers its photos
_PER_FOLDER = 2000  # photos of CelebAMask-HQ
_SHOWN = 8  # names in an error or note


@dataclass(frozen=True)
class MaskFolder:
    """photos: photo -> its masks; the photo of a folder of one's own is "". parts: whether the masks are those of
    CelebAMask-HQ, of which later ones cover earlier. aside: what else is in the folder, without addresses.
    """

    path: Path
    photos: Mapping[str, Files]
    parts: bool = False
    aside: tuple[str, ...] = ()

    def of_photo(self, wanted: str = "", stem: str = "") -> tuple[Files, tuple[str, ...]]:
        """The masks of one photo, and notes on what was taken and what was left aside.

        wanted: its number or name, "" = the one that `stem`, the name of the photo's file without its ending, says, or
        the only one. "7" is 00007, and a task of Label Studio with one annotation. Raises InvalidInputError, listing
        the photos.
        """
        photo = self._photo(wanted, stem)
        notes = []
        if self.parts and stem.isdecimal() and not wanted and not _is_meant(stem, photo):
            notes.append(f"{self.path} has the masks of photo {photo} only; they are taken")
        if self.aside:
            notes.append(f"left aside in {self.path}, as they are no pictures: {listed(self.aside)}")
        return self.photos[photo], tuple(notes)

    def _photo(self, wanted: str, stem: str) -> str:
        said = wanted or (stem if self.parts else "")  # Label Studio's numbers have nothing to do with files
        meant = [photo for photo in self.photos if _is_meant(said, photo)]
        if len(meant) == 1:
            return meant[0]
        if len(self.photos) == 1 and not wanted:
            return next(iter(self.photos))
        if "" in self.photos:
            raise InvalidInputError(
                f"{self.path} has masks of one photo, named after their segments, and none of {wanted!r}; leave the "
                "photo's number out, or choose the folder with several"
            )
        asked = f", of which {len(meant) or 'none'} can be {wanted!r}" if wanted else ""
        raise InvalidInputError(
            f"{self.path} has the masks of {counted(len(self.photos), 'photo')}, {listed(self.photos)}{asked}; "
            "choose one by its number"
        )


def list_masks(folder: Path, wanted: str = "", stem: str = "") -> MaskFolder:
    """What is in a folder of masks.

    One picture per segment, named after it; or CelebAMask-HQ's parts, "00012_l_eye.png"; or a brush export of Label
    Studio. Names come in Unicode's form NFC. wanted, stem: the photo's number, name, or file: CelebAMask-HQ has 2000
    photos in each of several folders, of which the right one is taken, and parts may be of a photo `wanted` by name.
    Raises InvalidInputError for a folder without a picture, two masks of one name, names that no option could tell or
    that hold an e-mail address, and for other pictures among those of a tool.
    """
    folder = _subfolder(folder, wanted or stem)
    files, aside = [], []
    for file in sorted(folder.iterdir()):
        if file.is_dir() or file.name.startswith(".") or not is_image_file(file):
            aside.append(without_address(file.name) + "/" * file.is_dir())
        else:
            files.append(file)
    if not files:
        found = f", only {listed(aside)}" if aside else ""
        number = any(re.fullmatch("[0-9]+/", name) for name in aside)
        advice = ", or the number of a photo in CelebAMask-HQ's numbered folders" * number
        raise InvalidInputError(
            f"{folder} holds no picture{found}; expected one mask per segment, named after it{advice}"
        )
    if any(stroke(file.stem) for file in files):
        return MaskFolder(folder, _strokes(files), aside=tuple(aside))
    parts = [part for file in files if (part := _PART.fullmatch(file.stem))]
    if any(part["photo"] == wanted or re.fullmatch("[0-9]{5}", part["photo"]) for part in parts):
        return MaskFolder(folder, _parts(files), parts=True, aside=tuple(aside))
    return MaskFolder(folder, {"": _own(folder, files)}, aside=tuple(aside))


def read_masks(files: Files) -> dict[str, Tensor]:
    """The masks [H,W] in 0..1 of each name, see `read_mask`; several pictures of a name are joined. No error holds an
    e-mail address that is in a file's name.
    """
    return {name: _joined(name, [_read(path) for path in paths]) for name, paths in files.items()}


def stacked_parts(files: Files) -> tuple[Tensor, dict[int, str]]:
    """CelebAMask-HQ's parts as its label map, int64 [H,W], and the names of labels: later parts cover earlier ones, so
    that hair covers skin. Raises InvalidInputError.
    """
    return _stacked([(CELEBAMASK_NAMES.index(name), mask) for name, mask in read_masks(files).items()]), dict(
        enumerate(CELEBAMASK_NAMES)
    )


def stacked_masks(masks: Mapping[str, Tensor]) -> tuple[Tensor, dict[int, str]]:
    """Masks as a label map, int64 [H,W], and the names of labels: smaller ones cover larger, 0 is what none covers."""
    by_area = sorted(masks, key=lambda name: -float(masks[name].sum()))
    layers = [(label, masks[name]) for label, name in enumerate(by_area, start=1)]
    return _stacked(layers), {label: name for label, name in enumerate(by_area, start=1)}


def listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _stacked(layers: list[tuple[int, Tensor]]) -> Tensor:
    labels = torch.zeros_like(layers[0][1], dtype=torch.int64)
    for label, mask in sorted(layers, key=lambda layer: layer[0]):
        if mask.shape != labels.shape:
            raise InvalidInputError(
                f"masks of one photo are {in_pixels(labels)} and {in_pixels(mask)}; expected one size, so resize them"
            )
        labels[mask >= 0.5] = label
    return labels


def _is_meant(name: str, photo: str) -> bool:
    if name.casefold() == photo.casefold() or (name and photo.startswith(f"{name}-")):
        return True
    return name.isdecimal() and photo.isdecimal() and int(name) == int(photo)


def _subfolder(folder: Path, photo: str) -> Path:
    """The one of CelebAMask-HQ's folders 0 to 14 that has a photo; the folder itself where it is no such set."""
    inside = folder / str(int(photo) // _PER_FOLDER) if re.fullmatch("[0-9]{1,9}", photo) else folder
    if inside.is_dir() and not any(map(is_image_file, folder.iterdir())):
        return inside
    return folder


def _own(folder: Path, files: Iterable[Path]) -> Files:
    masks: dict[str, tuple[Path, ...]] = {}
    known: dict[str, Path] = {}
    for file in files:
        name = normalize("NFC", file.stem).strip()
        if has_address(name):
            raise InvalidInputError(
                f"in the folder {folder} a picture has an e-mail address in its name ({without_address(name)}), which "
                "would become a segment's and be stored with it; rename it"
            )
        check_addressable(name, f"in the folder {folder}")
        twin = known.setdefault(name.casefold(), file)
        if twin != file:
            raise InvalidInputError(
                f"{twin.name} and {file.name} in {folder} name one segment; remove or rename one"
            )
        masks[name] = (file,)
    return masks


def _parts(files: Iterable[Path]) -> Mapping[str, Files]:
    def part(file: Path) -> tuple[str, str]:
        found = _PART.fullmatch(file.stem)
        if found is None:
            wrong = _NUMBERED.fullmatch(file.stem)
            raise InvalidInputError(
                f"{without_address(str(file))} is {'no part' if wrong else 'no picture'} of CelebAMask-HQ, as others "
                f"there are; expected one of {', '.join(CELEBAMASK_NAMES[1:])}, so rename it or put it elsewhere"
            )
        return found["photo"], found["part"].lower()

    return _grouped(files, part)


def _strokes(files: Iterable[Path]) -> Mapping[str, Files]:
    def label(file: Path) -> tuple[str, str]:
        found = stroke(file.stem)
        name = addressable(found.label) if found else ""
        if found is None or not name or has_address(name):
            raise InvalidInputError(
                f"{without_address(str(file))} is not named as the others in its folder, which are Label Studio's "
                "(task-1-annotation-2-by-...-tag-hair-0.png); put it elsewhere, or rename it"
            )
        return found.photo, normalize("NFC", name)

    return _grouped(files, label)


def _grouped(files: Iterable[Path], told: Callable[[Path], tuple[str, str]]) -> Mapping[str, Files]:
    photos: dict[str, dict[str, tuple[Path, ...]]] = {}
    for file in files:
        photo, name = told(file)
        masks = photos.setdefault(photo, {})
        masks[name] = (*masks.get(name, ()), file)
    return photos


def _read(path: Path) -> Tensor:
    try:
        return read_mask(path)
    except InvalidInputError as error:
        if without_address(str(error)) == str(error):
            raise
        raise InvalidInputError(without_address(str(error))) from None


def _joined(name: str, masks: list[Tensor]) -> Tensor:
    sizes = {in_pixels(mask) for mask in masks}
    if len(sizes) > 1:
        raise InvalidInputError(
            f"the pictures of {name!r} are {' and '.join(sorted(sizes))}; expected one size, so resize them"
        )
    return torch.stack(masks).amax(dim=0) if len(masks) > 1 else masks[0]
