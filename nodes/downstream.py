"""Segments and directions that later nodes of the prompt ask for, checked before the work that leads there begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from ..chunky_core.compositing.fill import fill_name
from ..chunky_core.editing.discovery import METHODS
from ..chunky_core.editing.edit_list import parse_changes, segments_of
from ..chunky_core.editing.layer_ranges import parse_layers
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import Direction
from ..chunky_core.segments import SegmentMasks
from ..chunky_core.segments.label_names import split_names
from .direction_sources import direction_by_name
from .directions import read_direction
from .editing import edit_along
from .host import RunningNode, running_node

Node = Mapping[str, Any]  # of a prompt in the API format
LIST = "ChunkyGAN_EditList"
EDIT, REFINE, FILL = "ChunkyGAN_LatentEdit", "ChunkyGAN_RefineBoundaries", "ChunkyGAN_FillRegion"
LOAD = "ChunkyGAN_LoadDirection"
CHANNELS = "ChunkyGAN_SegmentChannels"
HARMONIZE, CALIBRATE = "ChunkyGAN_HarmonizeSegments", "ChunkyGAN_CalibrateEdit"
FIND = "ChunkyGAN_FindDirections"


def check_later_nodes(names: Sequence[str], generator: Generator) -> None:
    """Raise InvalidInputError, naming the node, if one that takes the running node's inversion, its first output,
    directly or through others, names a segment that won't be there, or a direction or layers that don't fit the
    generator. `names`: the segments of that inversion.

    Only constants are judged, and only of nodes that will run. Names that Fill Region adds count from there on.
    """
    node = running_node()
    if node is None:
        return
    due = _due(node)
    waiting = [(node.id, tuple(names))]
    while waiting:
        source, known = waiting.pop()
        for id, other in node.prompt.items():
            if id in due and [source, 0] in other["inputs"].values():
                waiting += [(id, after) for after in _names_after(id, node.prompt, known, generator)]


def _due(node: RunningNode) -> set[str]:
    """The nodes that the prompt's outputs need, directly or through others."""
    needed: set[str] = set()
    waiting = [*node.wanted]
    while waiting:
        id = waiting.pop()
        if id not in needed:
            needed.add(id)
            waiting += [given[0] for given in node.prompt[id]["inputs"].values() if _is_link(given)]
    return needed


def _names_after(
    id: str, prompt: Mapping[str, Node], known: tuple[str, ...], generator: Generator
) -> Iterator[tuple[str, ...]]:
    """The segments of the inversion that a node passes on; nothing where it passes on none, or unknown ones.

    Raises InvalidInputError for a segment that it won't find, and a direction of other generators.
    """
    node = prompt[id]
    kind, inputs = node["class_type"], node["inputs"]
    try:
        if kind == EDIT:
            if inputs.get("enabled") is True:
                _check(inputs.get("segments"), known)
                _check_direction(inputs, prompt, generator)
            yield known
        elif kind == LIST:
            _check_changes(inputs.get("changes"), known, generator)
            yield known
        elif kind == REFINE:
            _check(inputs.get("names"), known)
            yield known
        elif kind == CHANNELS:
            _check(inputs.get("segment"), known)
            yield known
        elif kind == HARMONIZE:
            if inputs.get("segments"):
                _check(inputs["segments"], known)
            yield known
        elif kind == CALIBRATE:
            _check(inputs.get("segments"), known)
        elif kind == FIND:
            _check_found(inputs, generator)
        elif kind == FILL and isinstance(inputs.get("segment"), str):
            yield (*known, fill_name(inputs["segment"].strip(), known))
    except InvalidInputError as error:
        title = node.get("_meta", {}).get("title", kind)
        raise InvalidInputError(f"{title} (node {id}) would fail: {error}") from error


def _check_direction(inputs: Mapping[str, Any], prompt: Mapping[str, Node], generator: Generator) -> None:
    """Raise InvalidInputError for a direction, and layers, that don't fit the generator."""
    direction = _direction(inputs, prompt, generator)
    layers = inputs.get("layers", "")
    if direction is not None:
        edit_along(generator, direction, 0.0, "", layers if isinstance(layers, str) else "")


def _direction(
    inputs: Mapping[str, Any], prompt: Mapping[str, Node], generator: Generator
) -> Direction | None:
    """What a Latent Edit moves along, in the file's numbers; None where that isn't known yet."""
    link: Any = inputs.get("loaded_direction")
    if not _is_link(link):
        choice = inputs.get("direction")
        return direction_by_name(choice, generator, "raw") if isinstance(choice, str) else None
    origin = prompt[link[0]]
    if origin["class_type"] == FIND:
        _check_found(origin["inputs"], generator)
    given = {name: value for name, value in origin["inputs"].items() if name != "generator"}
    if origin["class_type"] != LOAD or any(map(_is_link, given.values())):
        return None
    return read_direction(generator, **given | {"unit": "raw"})[0]


def _check(given: Any, known: Sequence[str]) -> None:
    """Raise InvalidInputError for a name that isn't known; a link's value isn't known yet and so not judged."""
    if isinstance(given, str):
        count = len(known)  # nothing but the names of these segments is of interest: one pixel each
        segments = SegmentMasks(
            tuple(known), torch.eye(count).reshape(count, 1, 1, count), torch.zeros(1, 1, 1, count)
        )
        segments.resolve(split_names(given))


def _check_changes(given: Any, known: Sequence[str], generator: Generator) -> None:
    """Raise InvalidInputError for lines of Edit List with segments or layers that won't be there."""
    if not isinstance(given, str):
        return
    for change in parse_changes(given):
        if change.action == "segments":
            _check(", ".join(segments_of(change)), known)
        elif change.action == "layers":
            parse_layers(change.value, _most_layers(generator), f"line {change.line}: the layers")


def _check_found(inputs: Mapping[str, Any], generator: Generator) -> None:
    """Raise InvalidInputError for layers of Find Directions that the generator doesn't have."""
    layers = inputs.get("layers")
    if isinstance(layers, str):
        of_codes = inputs.get("method") in METHODS
        parse_layers(layers, generator.num_ws if of_codes else _most_layers(generator))


def _most_layers(generator: Generator) -> int:
    """Of the space that has most: where it isn't known yet which one the layers are of."""
    return max(generator.num_ws, len(generator.style_layout))


def _is_link(given: Any) -> bool:
    """As the host tells a node's id and an output's number from a widget's own list, such as two names of files."""
    return (
        isinstance(given, list)
        and len(given) == 2
        and isinstance(given[0], str)
        and isinstance(given[1], int | float)
    )
