from __future__ import annotations

import pytest
import torch

from chunky_core.editing import parse_edit
from chunky_core.errors import InvalidInputError
from chunky_core.generator.spaces import Direction
from chunky_core.segments.label_names import parse_renames, renamed_labels, renamed_masks, split_names
from chunky_core.segments.names import resolve_names

NAMES = {0: "background", 1: "hair", 2: "hat", 3: "l_eye"}


def test_rules_rename_and_merge() -> None:
    renames = parse_renames("hair + hat = hair, l_eye=left eye;\n")
    assert renames == {"hair": "hair", "hat": "hair", "l_eye": "left eye"}
    assert renamed_labels(NAMES, renames) == {0: "background", 1: "hair", 2: "hair", 3: "left eye"}
    assert renamed_labels(NAMES, {}) == NAMES


def test_rules_act_together_on_the_old_names() -> None:
    swapped = renamed_labels(NAMES, parse_renames("hair = hat\nhat = hair"))
    assert (swapped[1], swapped[2]) == ("hat", "hair")


def test_merged_masks_are_a_union_without_a_seam() -> None:
    rng = torch.Generator().manual_seed(0)
    soft = torch.rand(8, 8, generator=rng)
    hard, other = (torch.rand(2, 8, 8, generator=rng) > 0.5).float()
    renames = parse_renames("a + b = whole\nc + d = both")
    merged = renamed_masks({"a": soft, "c": hard, "b": 1 - soft, "d": other}, renames)
    assert list(merged) == ["whole", "both"]
    assert torch.equal(merged["whole"], torch.ones(8, 8))
    assert torch.equal(merged["both"], torch.maximum(hard, other))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hair", "'hair' is incomplete; write it as old = new"),
        ("hair =", "is incomplete"),
        ("hair + = x", "is incomplete"),
        ("hair = a, hair = b", "'hair' becomes both 'a' and 'b'"),
    ],
)
def test_bad_rules_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_renames(text)


def test_old_names_are_known_in_any_case() -> None:
    assert renamed_labels(NAMES, {"HAIR": "wig", "hat": "wig"})[1] == "wig"
    assert list(renamed_masks({"Hair": torch.ones(2, 2)}, {"hair": "wig"})) == ["wig"]
    with pytest.raises(InvalidInputError, match="'HAIR' could be 'hair' or 'Hair'"):
        renamed_labels({1: "hair", 2: "Hair"}, {"HAIR": "wig"})


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no area 'cap' to rename; there are background, hair, hat"):
        renamed_labels(NAMES, {"cap": "hat"})
    with pytest.raises(InvalidInputError, match="no area 'cap' to rename; there are hair"):
        renamed_masks({"hair": torch.ones(2, 2)}, {"cap": "hat"})
    with pytest.raises(InvalidInputError, match=r"become 'x' are 2x2 and 2x3; resize one"):
        renamed_masks({"a": torch.ones(2, 2), "b": torch.ones(3, 2)}, {"a": "x", "b": "x"})


def test_names_are_equal_however_their_accents_are_stored() -> None:
    nfc, nfd = "\u00e9t\u00e9 1", "E\u0301te\u0301_1"
    assert resolve_names([nfd], [nfc]) == (nfc,) and resolve_names([nfc], [nfd]) == (nfd,)
    assert resolve_names(["\u1fb3"], ["\u03b1\u03b9"]) == (
        "\u03b1\u03b9",
    )  # folding takes the iota from below
    assert split_names(f"{nfd}, x") == ["\u00c9t\u00e9_1", "x"]
    assert renamed_labels({1: nfd}, {nfc: "summer"}) == {1: "summer"}


def test_an_edit_knows_its_direction_however_accents_are_stored() -> None:
    direction = Direction("a\u0302ge", "w", torch.ones(4))
    assert parse_edit("all:\u00e2ge=1", {direction.name: direction}).direction is direction
