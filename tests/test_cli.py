"""The command line from a photo and masks to pictures and figures, and its answers to bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES, RECIPES, load_shipped_photo
from chunky_core.images import load_image, save_image, save_label_map, to_uint8
from chunky_core.inversion import load_inversion
from chunky_core.segments import segments_from_label_map
from tests.cli_tools import edit


@pytest.mark.parametrize("masks", ["labels.png", "masks"])
def test_edit_writes_pictures_and_figures(studio: Path, masks: str):
    assert edit(studio, "--edit", "mouth:smile=2", masks=masks) == 0
    out = studio / "out"
    figures = json.loads((out / "figures.json").read_text())
    assert figures["segmented_w_plus"]["l2"] > 0 and figures["global_w_plus"]["l2"] > 0
    assert figures["static_pixels_changed"] == 0 and figures["seconds"] > 0
    photo, picture = load_image(studio / "photo.png"), load_image(out / "composite.png")
    inversion = load_inversion(out / "inversion.safetensors")
    static = inversion.static_mask[0, 0] == 1
    assert static.any() and torch.equal(to_uint8(photo)[0][static], to_uint8(picture)[0][static])
    assert [edit.direction.name for edit in inversion.edits] == ["smile"]
    assert load_image(out / "contact_sheet.png").shape[-1] == 3 * 64
    assert not torch.equal(picture, load_image(out / "reconstruction.png"))


def test_a_photo_of_another_size_names_both_sizes(studio: Path, capsys):
    photo = demo_photo(7, resolution=96)
    save_image(studio / "photo.png", photo.image)
    save_label_map(studio / "labels.png", photo.labels)
    assert edit(studio) == 2
    error = capsys.readouterr().err
    assert "96x96" in error and "64x64" in error


@pytest.mark.parametrize("number", range(1, len(RECIPES) + 1))
def test_shipped_photos_are_their_recipes_and_have_segments(number: int):
    shipped = load_shipped_photo(number)
    seed, extras = RECIPES[number - 1]
    painted = demo_photo(seed, extras=extras)
    # Another processor may round a grey level the other way; the picture stays the same.
    assert (shipped.image - painted.image).abs().mean() < 0.2 / 127.5
    assert (shipped.labels == painted.labels).float().mean() > 0.999
    segments = segments_from_label_map(
        shipped.labels, LABEL_NAMES, static=("background",), grow=4, feather=1.5
    )
    assert {"mouth", "hair", "skin"} <= set(segments.names)
