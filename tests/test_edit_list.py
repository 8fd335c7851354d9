"""The list of edits as text, changes of it line by line, and series of strengths."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from chunky_core.editing import (
    change_edits,
    describe_edits,
    parse_edit,
    parse_strengths,
    strength_series,
)
from chunky_core.editing.edit_list import EditChange, parse_changes
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import Edit, Inversion, SegmentCode
from chunky_core.segments import segments_from_masks


def direction(generator: Generator, name: str, space: str = "w") -> Direction:
    count = sum(channels for _, channels in generator.style_layout)
    shape = {"w": (generator.w_dim,), "w+": (generator.num_ws, generator.w_dim), "s": (count,)}[space]
    return Direction(name, space, torch.ones(shape))


@pytest.fixture
def inversion(generator: Generator) -> Inversion:
    """Three segments, with an edit of all, one of the eyes and one of the mouth's styles."""
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in ("left_eye", "right_eye", "mouth")}
    masks["left_eye"][4:8, 3:8] = masks["right_eye"][4:8, 18:24] = masks["mouth"][20:30, 4:20] = 1
    parts = segments_from_masks(masks, gaps="static")
    code = LatentCode("w", torch.zeros(1, generator.w_dim))
    segments = [
        SegmentCode(name, mask[None], code) for name, mask in zip(parts.names, parts.masks, strict=True)
    ]
    edits = (
        Edit(direction(generator, "age"), 1.0),
        Edit(direction(generator, "gaze_x", "w+"), -2.0, ("eyes",), layers=(4, 5, 7), enabled=False),
        Edit(direction(generator, "tint", "s"), 0.5, ("mouth", "left_eye")),
    )
    photo = torch.zeros(1, 3, size, size)
    return Inversion(photo, segments, parts.static, generator.fingerprint, edits)  # type: ignore[arg-type]


def test_the_list_in_words(inversion: Inversion) -> None:
    assert describe_edits(inversion).splitlines() == [
        "1: all: age = 1",
        "2: eyes: gaze_x = -2, layers 4-5, 7, off",
        "3: mouth, left_eye: tint = 0.5",
    ]
    assert describe_edits(inversion.with_all_edits(())) == "no edits"


def test_each_change_changes_that_alone(generator: Generator, inversion: Inversion) -> None:
    first, second, third = inversion.edits
    last = len(generator.style_layout) - 1
    for text, expected in {
        "1: off": (replace(first, enabled=False), second, third),
        "2: on": (first, replace(second, enabled=True), third),
        "2: Unmute": (first, replace(second, enabled=True), third),
        "2: remove": (first, third),
        "3: strength -1.5": (first, second, replace(third, strength=-1.5)),
        "2-3: strength *0.5": (first, replace(second, strength=-1.0), replace(third, strength=0.25)),
        "2: layers all": (first, replace(second, layers=()), third),
        "3: layers 4, 9-": (first, second, replace(third, layers=(4, *range(9, last + 1)))),
        "1: segments mouth, left eye": (replace(first, segments=("mouth", "left eye")), second, third),
        "3: move 1": (third, first, second),
        "1: move to 3": (second, third, first),
        "order 3, 1": (third, first, second),
        "order 2 3 1": (second, third, first),
        "": (first, second, third),
    }.items():
        changed = change_edits(generator, inversion, text)
        assert [described(edit) for edit in changed.edits] == [described(edit) for edit in expected], text
        assert changed.segments == inversion.segments and changed.photo is inversion.photo
    assert inversion.edits == (first, second, third)  # as they were


def described(edit: Edit) -> tuple[object, ...]:
    return edit.direction, edit.strength, edit.segments, edit.layers, edit.enabled


def test_numbers_stay_those_of_the_list_as_it_was(generator: Generator, inversion: Inversion) -> None:
    text = "order 3 2 1  # turned round\n\n2: remove\n# the first is the last by now\n1: strength 2\n3: off\n1: move 1"
    edits = change_edits(generator, inversion, text).edits
    assert [(edit.direction.name, edit.strength, edit.enabled) for edit in edits] == [
        ("age", 2.0, True),
        ("tint", 0.5, False),
    ]
    assert change_edits(generator, inversion, "all: remove").edits == ()
    again = change_edits(generator, change_edits(generator, inversion, "all: off"), "all: on")
    assert [edit.enabled for edit in again.edits] == [True] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n2: of", "line 2, '2: of', can't be read; write NUMBER: and one of on, off"),
        ("2 off", "line 1, '2 off', can't be read"),
        ("2: off now", "can't be read"),
        ("2: strength", "can't be read"),
        ("two: off", "line 1 names the edits 'two'; write them as in 1, 3-5"),
        ("4: off", "line 1: edit 4 isn't there; there are 3"),
        ("0: off", "edit 0 isn't there"),
        ("2: remove\n1-2: off", "line 2: edit 2 was removed by an earlier line"),
        ("1: strength much", "strength 'much' of line 1 is no number from -100 to 100"),
        ("1: strength nan", "'nan' of line 1 is no number"),
        ("3: strength *300", "strength '300' of line 1"),
        ("2: strength *99", "strength is -198.0; expected a number from -100"),
        ("1: layers 3-99", "line 1: the layers are '3-99'; there are 0 to"),
        (
            "1: segments nose",
            "line 1: there is no segment 'nose'; expected one of left_eye, right_eye, mouth",
        ),
        ("1: move 4", "line 1 moves to place '4'; expected 1 to 3"),
        ("order", "can't be read"),
        ("order 1, 5", "line 1: edit 5 isn't there"),
        ("order 2, 2", "line 1 names edit 2 twice"),
        ("order 1-3, 2", "line 1 names edit 2 twice"),
    ],
)
def test_what_cannot_be_is_said_with_its_line(
    generator: Generator, inversion: Inversion, text: str, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message.replace("*", r"\*")):
        change_edits(generator, inversion, text)


def test_lines_as_they_are_read() -> None:
    assert parse_changes("all: mute\n 1, 4-6: segments eyes, mouth") == [
        EditChange(1, (), "off"),
        EditChange(2, (1, 4, 5, 6), "segments", "eyes, mouth"),
    ]
    assert parse_changes(" # nothing\n\n") == []


def test_strengths() -> None:
    assert parse_strengths("-2, -1; 0\n1.5") == (-2, -1, 0, 1.5)
    assert parse_strengths("-2..2 / 5") == parse_strengths("-2,-1,0,1,2") == (-2, -1, 0, 1, 2)
    assert parse_strengths("0 .. 1/3, 4") == (0, 0.5, 1, 4)
    assert parse_strengths("1..0", 4) == (1, 0.666667, 0.333333, 0)
    assert parse_strengths("3..5/1") == (3,)
    for text, message in {
        "": "has 0 strengths, expected 1 to 256",
        "1, two": "strength 'two' of the strengths '1, two'",
        "0..1": "doesn't say how many, 1 to 256",
        "0..1/0": "doesn't say how many",
        "0..1/200, 0..1/200": "has 400 strengths",
        "0..200/3": "'200' of the strengths",
        "0../3": "strength '/3'",
    }.items():
        with pytest.raises(InvalidInputError, match=message):
            parse_strengths(text)


def test_a_series_differs_in_one_strength(inversion: Inversion) -> None:
    series = strength_series(inversion, (-1, 0, 3))
    assert [one.edits[2].strength for one in series] == [-1, 0, 3]
    assert all(one.edits[:2] == inversion.edits[:2] for one in series)
    assert all(one.segments is inversion.segments for one in series)
    muted = strength_series(inversion, (1.0,), 1)[0].edits[1]
    assert muted.enabled and muted.layers == (4, 5, 7)
    with pytest.raises(InvalidInputError, match="there is no edit 3; the inversion has 3"):
        strength_series(inversion, (1,), 3)
    with pytest.raises(InvalidInputError, match="no edit whose strength could change"):
        strength_series(inversion.with_all_edits(()), (1,))
    with pytest.raises(InvalidInputError, match="strength is 101; expected"):
        strength_series(inversion, (101,))


def test_layers_in_an_edit_as_text(generator: Generator) -> None:
    known = {name: direction(generator, name) for name in ("smile", "age[0]")} | {
        "tint": direction(generator, "tint", "s")
    }
    assert parse_edit("mouth:smile[4-6, 9]=2", known).layers == (4, 5, 6, 9)
    assert parse_edit("smile [coarse] = 2", known).layers == (0, 1, 2, 3)
    assert parse_edit("age[0]=1", known).layers == () and parse_edit("age[0][2]=1", known).layers == (2,)
    assert parse_edit("tint[8-]=1", known, drawn_by=generator).layers == tuple(
        range(8, len(generator.style_layout))
    )
    edit = parse_edit("left_eye+mouth:smile[4-6]=-1.5", known)
    assert described(parse_edit(str(edit), known)) == described(edit)
    assert repr(replace(edit, enabled=False)) == "Edit('left_eye+mouth:smile[4,5,6]=-1.5', off)"
    for text, message in {
        "smile[8-]=2": "have no end; write both numbers",
        "smile[a]=2": "the layers of edit .* are 'a'; write numbers",
        "frown[4]=2": "direction 'frown' of edit",
    }.items():
        with pytest.raises(InvalidInputError, match=message):
            parse_edit(text, known)
    with pytest.raises(InvalidInputError, match="there are 0 to"):
        parse_edit("smile[4-99]=2", known, drawn_by=generator)


def test_other_edits_are_checked_and_nothing_else_is(inversion: Inversion) -> None:
    wrong = replace(inversion.edits[0], segments=("nose",))
    with pytest.raises(InvalidInputError, match="there is no segment 'nose'"):
        inversion.with_all_edits([wrong])
    assert inversion.with_all_edits(inversion.edits[1:]).static_mask is inversion.static_mask


def test_ranges_and_segments_that_say_nothing_are_refused(generator: Generator, inversion: Inversion) -> None:
    """An empty range once meant every edit."""
    for text in ("3-1: remove", "3-2: strength 9", "5-1: off", "order 3-1"):
        with pytest.raises(InvalidInputError, match="write the lower number first"):
            change_edits(generator, inversion, text)
    with pytest.raises(InvalidInputError, match="line 1 names no segment"):
        change_edits(generator, inversion, "1: segments ,")


def test_layers_that_a_direction_lacks_are_refused(generator: Generator, inversion: Inversion) -> None:
    coarse = replace(direction(generator, "age"), layers=(0, 1))
    edited = inversion.with_all_edits([Edit(coarse, 1.0)])
    with pytest.raises(InvalidInputError, match="of which it moves none; it moves 0, 1"):
        change_edits(generator, edited, "1: layers 3")
    with pytest.raises(InvalidInputError, match="of which it moves none"):
        Edit(coarse, 1.0, layers=(3,))
    with pytest.raises(InvalidInputError, match="expected True or False"):
        Edit(coarse, 1.0, enabled="no")  # type: ignore[arg-type]
