"""Layers as people write them, and back."""

from __future__ import annotations

import pytest

from chunky_core.editing.layer_ranges import layers_text, parse_layers
from chunky_core.errors import InvalidInputError

READ = {
    "": (),
    " All ": (),
    "3": (3,),
    "0-2": (0, 1, 2),
    "10, 0-2,1": (0, 1, 2, 10),
    "15-": (15, 16, 17),
    "coarse": (0, 1, 2, 3),
    "Medium, 17": (4, 5, 6, 7, 17),
    "fine": tuple(range(8, 18)),
}


@pytest.mark.parametrize("text", READ)
def test_both_ends_of_a_range_count(text: str) -> None:
    assert parse_layers(text, 18) == READ[text]


@pytest.mark.parametrize("text", [text for text in READ if text])
def test_what_is_written_is_read_again(text: str) -> None:
    assert parse_layers(layers_text(READ[text]), 18) == READ[text]


@pytest.mark.parametrize("text", ["18", "0-18", "7-3", "-3", "1,,2", "0:7", "middle", "1.5", "18-"])
def test_anything_else_is_named(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"0 to 17|numbers and ranges") as caught:
        parse_layers(text, 18, "the layers of the edit")
    assert "the layers of the edit" in str(caught.value)
