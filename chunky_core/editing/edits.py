"""Edits: X_i + strength x direction on the codes of chosen segments (P2 = Subrtova et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from unicodedata import normalize

import torch
from torch import Tensor

from ..checks import check_type, checked_names, is_number
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, Direction, LatentCode, convert
from ..inversion.record import Edit, Inversion
from ..inversion.segment_codes import SegmentCodes
from ..segments.segment_masks import SegmentMasks
from .direction_checks import check_direction, check_layers, layer_count
from .directions import directions_of
from .harmonies import edits_in_force
from .layer_ranges import MOST_LAYERS, parse_layers

STRONGEST = 100.0  # pictures break up above 3 standard deviations; raw numbers of files may need more


def edited_code(generator: Generator, code: LatentCode, edits: Iterable[Edit]) -> LatentCode:
    """`code` moved by the edits, all of which are taken to apply to it; those without effect are left out.

    A direction of W moves a W+ code in every layer and an S code by what the affine layers make of it; a Z
    code is mapped to W first, and in general a code moves to the direction's space if that comes later.
    Without an effective edit the very same code comes back. Raises InvalidInputError where a direction
    doesn't fit the generator.
    """
    effective = [edit for edit in edits if edit.has_effect]
    if not effective:
        return code
    space = max("w", code.space, *map(_needed_space, effective), key=SPACES.index)
    moved = convert(generator, code, space)
    tensor = moved.tensor
    for edit in effective:
        offset = _offset(generator, edit, space).to(tensor)
        tensor = tensor + edit.strength * offset
    return LatentCode(space, tensor)


def edit(
    inversion: Inversion,
    direction: Direction | str,
    strength: float,
    segments: str | Sequence[str] = "all",
    *,
    directions: Mapping[str, Direction] | None = None,
) -> Inversion:
    """The inversion with one more edit: strength x direction is added to the codes of some segments.

    direction: a `Direction`, or the name of one of `directions`; None = those that come with the inversion's generator,
    which today the demo generator has alone. strength: in standard deviations of the direction, up to 100. segments:
    names, a plural such as "eyes", or "all", as `SegmentMasks.resolve` takes them.
    The edit can be changed, moved and removed later (`Inversion.without_edit`). Raises InvalidInputError for what is
    unknown or out of range. Whether the direction fits the generator is checked where both meet (`check_direction`).
    """
    check_type(inversion, "the inversion", Inversion, "it comes first; load_inversion reads one")
    check_type(direction, "the direction", Direction | str)
    if isinstance(direction, str):
        known = directions_of(inversion.fingerprint) if directions is None else directions
        direction = _named(direction, known, "")
    checked_strength(strength)
    names = checked_names(segments, "the segments of the edit")
    if not names:
        raise InvalidInputError('the edit names no segment; expected names, or "all"')
    return inversion.with_edits(Edit(direction, strength, names))


def applicable_edits(segments: SegmentMasks | SegmentCodes, name: str, edits: Sequence[Edit]) -> list[Edit]:
    """The edits in force (`edits_in_force`), in order, whose segments include `name`."""
    return [edit for edit in edits_in_force(segments, edits) if name in segments.resolve(edit.segments)]


def parse_edit(text: str, directions: Mapping[str, Direction], *, drawn_by: Generator | None = None) -> Edit:
    """Read "SEGMENTS:DIRECTION[LAYERS]=STRENGTH", e.g. "mouth:smile=2", "left_eye+right_eye:gaze=-1.5" or
    "mouth:smile[4-7]=2"; "age=1" means all segments, and no layers all that the direction has.

    drawn_by: the generator, needed where the text doesn't say which layer is the last, as in "8-" (see `parse_layers`).
    Raises InvalidInputError that shows the form or lists the known directions. Segment names are checked
    where the edit meets an inversion, numbers of layers, without a generator, where it is drawn.
    """
    check_type(text, "the edit", str, "write one such as mouth:smile=2")
    check_type(directions, "the directions", Mapping, "load_directions reads some by their names")
    target, colon, assignment = text.rpartition(":")
    name, equals, number = (part.strip() for part in assignment.rpartition("="))
    segments = tuple(part.strip() for part in target.split("+")) if colon else ("all",)
    if not equals or not name or not all(segments):
        raise InvalidInputError(
            f"edit {text!r} can't be read; write SEGMENT+SEGMENT:DIRECTION=STRENGTH, as mouth:smile=2, or with layers "
            "as mouth:smile[4-7]=2"
        )
    name, layers = _without_layers(name, directions)
    direction = _named(name, directions, f" of edit {text!r}")
    numbers = _layers(layers, direction, drawn_by, text) if layers else ()
    return Edit(direction, parse_strength(number, f"of edit {text!r}"), segments, numbers)


def parse_strength(text: str, where: str) -> float:
    """A strength as people write it. where: "of ...", for errors. Raises InvalidInputError for any other text."""
    check_type(text, f"the strength {where}", str)
    try:
        strength = float(text)
    except ValueError:
        strength = math.nan
    if not abs(strength) <= STRONGEST:  # NaN fails, too
        raise InvalidInputError(
            f"strength {text[:40]!r} {where} is no number from -{STRONGEST:g} to {STRONGEST:g}; write one such as 1.5 "
            "or -2"
        )
    return strength


def checked_strength(strength: float) -> float:
    """`strength`. Raises InvalidInputError for one beyond -100 to 100."""
    if not is_number(strength) or not abs(strength) <= STRONGEST:  # NaN fails, too
        raise InvalidInputError(
            f"the strength is {strength!r:.60}; expected a number from -{STRONGEST:g} to {STRONGEST:g}"
        )
    return strength


def _without_layers(name: str, directions: Mapping[str, Direction]) -> tuple[str, str]:
    """A direction's name and the layers in brackets after it, "" where there are none or they belong to the name."""
    bare, bracket, layers = name.removesuffix("]").rpartition("[")
    if name in directions or not bracket or not name.endswith("]"):
        return name, ""
    return bare.strip(), layers


def _layers(text: str, direction: Direction, generator: Generator | None, edit: str) -> tuple[int, ...]:
    whose = f"the layers of edit {edit!r}"
    if generator is not None:
        return parse_layers(text, layer_count(generator, direction.space), whose)
    layers = parse_layers(text, MOST_LAYERS, whose)
    if MOST_LAYERS - 1 in layers:
        raise InvalidInputError(f"{whose} have no end; write both numbers, as in 8-13, or give the generator")
    return layers


def _named(name: str, directions: Mapping[str, Direction], where: str) -> Direction:
    """The direction of a name in any Unicode form."""
    forms = {normalize("NFC", known): known for known in directions}
    name = name if name in directions else forms.get(normalize("NFC", name), name)
    if name not in directions:
        raise InvalidInputError(
            f"direction {name!r}{where} is unknown; there are {', '.join(sorted(directions))}"
        )
    return directions[name]


def _needed_space(edit: Edit) -> str:
    """The earliest space in which an edit can be written down."""
    space = edit.direction.space
    return "w+" if space == "w" and (edit.layers or edit.direction.layers) else space


def _offset(generator: Generator, edit: Edit, space: str) -> Tensor:
    """What strength 1 adds to a code of `space`, ready to broadcast over the batch."""
    direction = edit.direction
    check_direction(generator, direction)
    check_layers(generator, direction.space, edit.layers, f"the edit with {direction.name!r}")
    tensor = direction.tensor.to(generator.device)
    if edit.layers or direction.layers:
        tensor = _restricted(generator, edit, tensor)
    own_space = _needed_space(edit)
    if own_space == space or (own_space, space) == ("w", "w+"):
        return tensor[None]
    # The affine layers: A(w + d) - A(w) = A(d) - A(0) for every w.
    there, origin = (
        convert(generator, LatentCode(own_space, t[None]), space).tensor for t in (tensor, 0 * tensor)
    )
    return there - origin


def _restricted(generator: Generator, edit: Edit, tensor: Tensor) -> Tensor:
    """The direction in the layers that take part, [num_ws,w_dim] or [sum of all style channels], 0 elsewhere."""
    of_styles = edit.direction.space == "s"
    count = layer_count(generator, edit.direction.space)
    chosen = set(edit.layers or range(count)) & set(edit.direction.layers or range(count))
    kept = torch.tensor([layer in chosen for layer in range(count)], device=tensor.device)
    if of_styles:
        widths = torch.tensor([width for _, width in generator.style_layout], device=tensor.device)
        return tensor * kept.repeat_interleave(widths)
    return tensor.expand(count, -1) * kept[:, None]
