"""The names of a label map: from a file beside it, from a file that is given, or from a preset."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import Any

from ...checks import as_path
from ...errors import InvalidInputError, UnsupportedCheckpointError
from ...images.image_files import regular_content
from ..label_images import parse_palette
from ..parsing.settings import label_names
from .name_lists import is_labelmap, labelmap_table, name_list, named_numbers
from .presets import LABEL_PRESETS, label_preset
from .tables import MOST_BYTES, LabelTable, json_table

AUTO = "auto"
LABELMAP, LABELME, LABELME_VOC, CONFIG = "labelmap.txt", "label_names.txt", "class_names.txt", "config.json"
BESIDE = (LABELMAP, LABELME, LABELME_VOC, CONFIG)
ABOVE = (LABELMAP, LABELME_VOC)  # of a data set, whose pictures lie in a folder of their own
_INSTANCES = "segmentationobject"  # where PASCAL VOC and the tools that follow it have pictures of instances
_ANNOTATION = "shapes"  # of LabelMe's JSON files, which hold outlines
_LISTS = (LABELME, LABELME_VOC)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def label_table(label_map: Path, names: str | os.PathLike[str] = AUTO) -> LabelTable:
    """The names of a label map's labels.

    names: a preset of `LABEL_PRESETS`, a file as `read_names` takes it, or "auto": the JSON file of the map's name;
    else the one of labelmap.txt, label_names.txt, class_names.txt and config.json (with id2label) beside it; else
    labelmap.txt or class_names.txt in the folder above, where CVAT's and LabelMe's exports have it.
    Raises InvalidInputError if there is none, if there are several in one folder, and for damaged files.
    """
    if str(names) != AUTO:
        return given_table(names)
    if label_map.absolute().parent.name.lower().startswith(_INSTANCES):
        raise InvalidInputError(
            f"{label_map} shows instances, as its folder says, each in a number or colour of its own; expected "
            "classes: choose the picture of that name in SegmentationClass, or give the names"
        )
    found = [path for path in names_beside(label_map) if _may_name(path)]
    if not found:
        raise _no_names(label_map)
    first, folder = found[0], found[0].parent
    rivals = [path.name for path in found if path.parent == folder]
    if len(rivals) > 1 and first != label_map.with_suffix(".json"):
        raise InvalidInputError(
            f"{' and '.join(rivals)} lie in {folder}, and {label_map} can have the names of one only; choose "
            "one of them"
        )
    return read_names(first)


def names_beside(label_map: Path) -> list[Path]:
    """The files that may name a label map without being asked for, those that go first in front; see `label_table`."""
    folder, own = label_map.absolute().parent, label_map.with_suffix(".json")
    return [own] * own.exists() + _called(folder, BESIDE) + _called(folder.parent, ABOVE)


def _no_names(label_map: Path) -> InvalidInputError:
    return InvalidInputError(
        f"the label map {label_map} has no names; put {label_map.with_suffix('.json')} beside it, expected "
        '{"0": "background", "1": "hair"}, or colours: {"#ff0000": "mouth"}; or one of '
        f"{', '.join(BESIDE)}; or choose a preset ({', '.join(LABEL_PRESETS)}), as numbers alone don't tell which it is"
    )


def given_table(names: str | os.PathLike[str]) -> LabelTable:
    """The table of a preset's name or of a file. Raises InvalidInputError."""
    names = str(as_path(names, "what the names are from"))
    preset = label_preset(names)
    if preset is not None:
        return preset
    if (Path(names) / CONFIG).is_file():  # the folder of a network
        return read_names(Path(names) / CONFIG)
    if not Path(names).exists():
        raise InvalidInputError(
            f"there is no preset of names and no file {names!r}; expected one of {', '.join(LABEL_PRESETS)}, or "
            f"a file such as {', '.join(BESIDE)}"
        )
    return read_names(Path(names))


def read_names(path: str | os.PathLike[str]) -> LabelTable:
    """The table of a file: JSON of numbers or colors, or with id2label; labelmap.txt; a palette of lines such as
    "#ff0000 mouth"; or a list of names. Told apart by what is in it, LabelMe's lists and labelmap.txt by their names.

    UTF-8 with or without a byte order mark, UTF-16; any ends of lines. Raises InvalidInputError.
    """
    path = as_path(path, "the file of names")
    text = _text(path)
    if text.lstrip().startswith(("{", "[")) or path.suffix.lower() == ".json":
        return _config_table(path) if _has_labels(path) else json_table(path)
    name = path.name.lower()
    if name == LABELMAP or (name not in _LISTS and is_labelmap(text)):
        return labelmap_table(text, str(path))
    if name not in _LISTS and (palette := _palette(text, str(path))):
        return palette
    return name_list(text, str(path))


def table_of_text(text: str, origin: str) -> LabelTable | None:
    """The table of lines as labelmap.txt has them; None for other text."""
    return labelmap_table(text, origin) if is_labelmap(text) else None


def _palette(text: str, origin: str) -> LabelTable | None:
    try:
        palette = parse_palette(text)
    except InvalidInputError:
        return None
    colors = [(red, green, blue) for red, green, blue in palette.colors.tolist()]
    named = dict(zip(colors, palette.names, strict=True))
    add = "add a line such as '#ff0000 rest' there"
    if palette.exact:
        return LabelTable(origin, numbers={level: name for (level, _, _), name in named.items()}, add=add)
    return LabelTable(origin, colors=named, add=add)


def _config_table(path: Path) -> LabelTable:
    try:
        names = label_names(json.loads(regular_content(path, MOST_BYTES)))
    except UnsupportedCheckpointError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    return named_numbers(names, str(path))


def _may_name(path: Path) -> bool:
    """Not so a config.json without labels, and not what LabelMe keeps of a photo under its name."""
    if path.name.lower() == CONFIG and not _has_labels(path):
        return False
    content = _json_object(path) if path.suffix == ".json" else {}
    return not isinstance(content.get(_ANNOTATION), list)


def _has_labels(path: Path) -> bool:
    """Whether a JSON file is an object with id2label, as transformers writes config.json."""
    return isinstance(_json_object(path).get("id2label"), dict)


def _json_object(path: Path) -> dict[str, Any]:
    """{} for what is none."""
    try:
        content = json.loads(regular_content(path, MOST_BYTES))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _called(folder: Path, wanted: tuple[str, ...]) -> list[Path]:
    """The files of a folder with one of the names, in any case, in the order of the names."""
    try:
        files = [path for path in folder.iterdir() if path.name.lower() in wanted and path.is_file()]
    except OSError:
        return []
    return sorted(files, key=lambda path: wanted.index(path.name.lower()))


def _text(path: Path) -> str:
    content = regular_content(path, MOST_BYTES)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{path} is no text in UTF-8 (byte {error.start}), as names that an older program wrote in its system's "
            "own encoding; save it anew as UTF-8"
        ) from error
