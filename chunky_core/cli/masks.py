"""Segments as the command line takes them: a folder of masks, or a label map with its names."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import InvalidInputError
from ..images import read_label_map, read_mask
from ..segments import Segments, segments_from_label_map, segments_from_masks
from ..segments.label_names import split_names

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def load_segments(path: Path, static: str, grow: int, feather: float) -> Segments:
    """Segments from a folder of masks or from a label map. static: names, separated by commas.

    Raises InvalidInputError for what can't be read, two masks of one name, and a static name that isn't there.
    """
    names = split_names(static)
    if not path.is_dir():
        labels, table = read_label_map(path), _label_names(path.with_suffix(".json"))
        return segments_from_label_map(labels, table, static=names, grow=grow, feather=feather, gaps="static")
    masks = {name: read_mask(file) for name, file in _mask_files(path).items()}
    return segments_from_masks(masks, static=names, grow=grow, feather=feather, gaps="static")


def _mask_files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            if file.stem in files:
                raise InvalidInputError(
                    f"{files[file.stem].name} and {file.name} in {folder} name one segment; remove or rename one"
                )
            files[file.stem] = file
    if not files:
        raise InvalidInputError(
            f"{folder} holds no picture ({', '.join(SUFFIXES)}); expected one mask per segment, named after it"
        )
    return files


def _label_names(sidecar: Path) -> dict[int, str]:
    expected = 'expected {"0": "background", "1": "hair"}'
    try:
        table = json.loads(sidecar.read_bytes())  # bytes: JSON finds out UTF-8, UTF-16 and byte order marks
        names = {int(number): name for number, name in table.items()}
    except FileNotFoundError as error:
        raise InvalidInputError(f"the label map has no names; put {sidecar} beside it, {expected}") from error
    except OSError as error:
        raise InvalidInputError(f"{sidecar} can't be read ({error.strerror}); {expected}") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise InvalidInputError(f"{sidecar} is no table of label names ({error}); {expected}") from error
    wrong = [name for name in names.values() if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise InvalidInputError(f"{sidecar} has the name {wrong[0]!r:.40}; {expected}")
    return {number: name.strip() for number, name in names.items()}
