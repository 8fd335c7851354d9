"""The command line from a photo and masks to pictures and figures, and its answers to bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from chunky_core.cli import results
from chunky_core.compositing import composite
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


@pytest.mark.parametrize("blend", [[], ["--no-poisson"]])
def test_only_what_is_edited_changes(studio: Path, blend: list[str]):
    assert edit(studio, "--no-global", "--edit", "mouth:smile=2", *blend) == 0
    out = studio / "out"
    photo, picture = (to_uint8(load_image(path))[0] for path in (studio / "photo.png", out / "composite.png"))
    changed = (photo != picture).any(-1)
    mouth = load_inversion(out / "inversion.safetensors").segments
    inside = next(segment.mask[0, 0] > 0 for segment in mouth if segment.name == "mouth")
    assert changed.any() and not changed[~inside].any()
    figures = json.loads((out / "figures.json").read_text())
    assert figures["changed_pixels"] == pytest.approx(changed.float().mean().item(), abs=1e-6)


def test_without_an_edit_the_composite_is_the_photo(studio: Path):
    assert edit(studio, "--no-global") == 0
    photo, picture = (load_image(path) for path in (studio / "photo.png", studio / "out" / "composite.png"))
    assert torch.equal(photo, picture)
    assert json.loads((studio / "out" / "figures.json").read_text())["changed_pixels"] == 0
    assert not torch.equal(photo, load_image(studio / "out" / "reconstruction.png"))


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], ("edited segments", "keep and move", "seam only", False)),
        (["--replace", "all", "--keep-detail", "off"], ("all segments", "off", "seam only", False)),
        (["--keep-detail", "keep", "--follow"], ("edited segments", "keep", "seam only", True)),
        (
            ["--no-poisson", "--keep-detail", "move"],
            ("edited segments", "keep and move", "soft blend", False),
        ),
        (["--seams", "needed", "--keep-detail", "off"], ("edited segments", "off", "as needed", False)),
    ],
)
def test_the_picture_is_what_composite_is_asked_for(studio: Path, monkeypatch, options, asked):
    pictures = []

    def spy(*records: object, **arguments: str) -> torch.Tensor:
        assert tuple(arguments[name] for name in ("replace", "keep_detail", "mode", "follow")) == asked
        pictures.append(composite(*records, **arguments))
        return pictures[0]

    monkeypatch.setattr(results, "composite", spy)
    assert edit(studio, "--no-global", "--edit", "mouth:smile=2", *options) == 0
    assert torch.equal(to_uint8(load_image(studio / "out" / "composite.png")), to_uint8(pictures[0]))


def test_the_last_edit_at_several_strengths(studio: Path, capsys):
    edits = ["--edit", "mouth:smile=2", "--edit", "skin:smile[2-]=1"]
    assert edit(studio, "--no-global", *edits, "--strengths=0..1/2") == 0
    strip, composite = (load_image(studio / "out" / f"{name}.png") for name in ("strengths", "composite"))
    assert strip.shape[-1] == 2 * 64
    first, second = strip[..., -64:, :64], strip[..., -64:, 64:]
    assert torch.equal(second, composite) and not torch.equal(first, composite)
    figures = json.loads((studio / "out" / "figures.json").read_text())
    assert figures["strengths"] == [0, 1]
    assert figures["edits"] == ["mouth:smile=2", "skin:smile[2,3,4,5,6,7,8,9]=1"]
    assert edit(studio, "--strengths=0..1/2") == 2
    assert "those of the last --edit; add one" in capsys.readouterr().err


def test_a_photo_of_another_size_names_both_sizes(studio: Path, capsys):
    photo = demo_photo(7, resolution=96)
    save_image(photo.image, studio / "photo.png")
    save_label_map(photo.labels, studio / "labels.png")
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
