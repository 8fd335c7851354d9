"""The records at a prompt: short and telling; an inversion's segments by position and by name."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chunky_core.editing import edit
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import Edit, ProjectionState, SegmentCode, SegmentCodes, load_inversion
from tests.inversion_tools import make_inversion

pytestmark = pytest.mark.cpu("what is printed names the device")
SMILE = Direction("smile", "w", torch.ones(32))


@pytest.fixture
def inversion(generator):
    return make_inversion(generator)


def test_representations_are_short_and_tell_what_it_is(generator, inversion):
    assert repr(generator) == "Generator(stylegan2-skip, 64px, z 32, w 10 x 32, cpu, torch.float32)"
    assert repr(SMILE) == "Direction('smile', w)"
    assert repr(Edit(SMILE, -1.5, ("mouth", "eyes"))) == "Edit('mouth+eyes:smile=-1.5')"
    assert repr(LatentCode("w+", torch.zeros(1, 10, 32))) == "LatentCode(w+, [1, 10, 32])"
    assert repr(ProjectionState(12, tensors={"a": torch.zeros(3)})) == "ProjectionState(step 12, 1 tensor)"
    mask = torch.zeros(1, 1, 4, 8)
    mask[..., 2:] = 1
    segment = SegmentCode("mouth", mask, LatentCode("s", torch.zeros(1, 7)), redrawn=True)
    assert repr(segment) == "SegmentCode('mouth', s, 75.0% of 8x4, redrawn)"


def test_an_inversion_says_how_much_of_what_it_holds(inversion):
    plain = replace(inversion, edits=())
    assert repr(plain) == "Inversion(3 segments, w/s/w+, 64px, 0 edits, tuned)"
    assert repr(plain.with_edits(Edit(SMILE, 1.0))) == "Inversion(3 segments, w/s/w+, 64px, 1 edit, tuned)"
    state = ProjectionState(1)
    unfinished = replace(plain, state=state, stopped="interrupted after step 1 of 2")
    assert repr(unfinished).endswith("0 edits, tuned, unfinished)")


def test_segments_are_a_tuple_that_answers_by_name(inversion):
    segments = inversion.segments
    assert isinstance(segments, tuple) and list(segments) == [segments[i] for i in range(3)]
    assert [name for name, _ in segments.items()] == list(inversion.names) == list(segments.names)
    for index, name in enumerate(inversion.names):
        assert segments[name] is segments[index] is segments[name.upper()]
    assert segments[1:] == tuple(segments)[1:]
    with pytest.raises(InvalidInputError, match="nose.*" + inversion.names[0]):
        segments["nose"]


def test_any_sequence_of_segments_makes_an_inversion(inversion):
    changed = replace(inversion, segments=list(inversion.segments), edits=())
    assert isinstance(changed.segments, SegmentCodes) and changed.segments == inversion.segments
    twin = copy.deepcopy(changed)
    assert isinstance(twin.segments, SegmentCodes) and twin.segments[twin.names[0]] is twin.segments[0]


def test_an_inversion_saves_itself(inversion, tmp_path: Path):
    inversion.save(tmp_path / "kept.safetensors", with_photo=False)
    reopened = load_inversion(tmp_path / "kept.safetensors")
    assert reopened.photo is None and reopened.photo_digest == inversion.photo_digest
    assert [repr(one) for one in reopened.edits] == [repr(one) for one in inversion.edits]


def test_an_edit_takes_one_name_as_text_and_is_checked_at_once(generator: Generator) -> None:
    direction = Direction("any", "w", torch.ones(generator.w_dim))
    assert Edit(direction, 1.0, "mouth").segments == ("mouth",)  # type: ignore[arg-type]
    for wrong in ((3, 1.0), ("smile", 1.0), (direction, "a")):
        with pytest.raises(InvalidInputError, match="an edit"):
            Edit(*wrong)  # type: ignore[arg-type]


def test_segments_know_their_names_and_themselves(generator: Generator) -> None:
    segments = make_inversion(generator).segments
    first = segments[0]
    assert first in segments and first.name in segments and "nobody" not in segments
    assert dict(segments) == dict(segments.items()) and tuple(segments.keys()) == segments.names


def test_an_edit_of_nothing_is_refused(inversion):
    with pytest.raises(InvalidInputError, match="names no segment"):
        edit(inversion, SMILE, 1.0, segments=[])
