"""Inversions saved and reopened: the same pixels, and clear errors for everything else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from chunky_core.compositing.render import render
from chunky_core.errors import ChunkyError, InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode, convert
from chunky_core.images import from_uint8
from chunky_core.inversion import Edit, Inversion, Segment, check_generator, load_inversion, save_inversion
from chunky_core.segments import segments_from_masks

RNG = torch.Generator().manual_seed(8)


@pytest.fixture
def inversion(generator: Generator) -> Inversion:
    """Three segments with random codes of three spaces, a static row, an 8-bit photo and two edits."""
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in ("left_eye", "right_eye", "skin", "keep")}
    masks["left_eye"][5:9, 4:9] = 1
    masks["right_eye"][5:9, 14:19] = 1
    masks["skin"][:-2] = 1
    masks["keep"][-2:] = 1
    parts = segments_from_masks(masks, static=("keep",), feather=0.8)
    z = LatentCode("z", torch.randn(1, generator.z_dim, generator=RNG))
    codes = [convert(generator, z, space) for space in ("w", "s", "w+")]
    directions = [
        Direction("gaze_x", "w", torch.randn(generator.w_dim, generator=RNG), "looks aside"),
        Direction("age", "w+", torch.randn(generator.num_ws, generator.w_dim, generator=RNG)),
    ]
    return Inversion(
        photo=from_uint8(torch.randint(0, 256, (1, size, size, 3), generator=RNG, dtype=torch.uint8)),
        segments=tuple(
            Segment(name, mask[None], LatentCode(code.space, code.tensor.contiguous()))
            for name, mask, code in zip(parts.names, parts.masks, codes, strict=True)
        ),
        static_mask=parts.static,
        fingerprint=generator.fingerprint,
        edits=(Edit(directions[0], -1.5, ("eyes",)), Edit(directions[1], 0.7)),
        settings={"space": "w+", "steps": 3},
        losses={name: [1.0, 0.1, 1 / 3] for name in parts.names},
        stopped="diverged",
    )


def test_reopened_renders_the_same_pixels(generator: Generator, inversion: Inversion, tmp_path: Path) -> None:
    save_inversion(inversion, tmp_path / "one.safetensors")
    loaded = load_inversion(tmp_path / "one.safetensors")
    for edited in (True, False):
        assert torch.equal(
            render(generator, loaded, edited=edited), render(generator, inversion, edited=edited)
        )
    assert torch.equal(loaded.photo, inversion.photo)
    for name in ("names", "settings", "losses", "stopped", "fingerprint"):
        assert getattr(loaded, name) == getattr(inversion, name)
    assert [(e.strength, e.segments, e.direction.name, e.direction.description) for e in loaded.edits] == [
        (-1.5, ("eyes",), "gaze_x", "looks aside"),
        (0.7, ("all",), "age", ""),
    ]


def test_a_photo_is_stored_in_8_bits_only_if_nothing_is_lost(inversion: Inversion, tmp_path: Path) -> None:
    finer = replace(inversion, photo=inversion.photo * 0.999)
    for record, dtype in ((inversion, torch.uint8), (finer, torch.float32)):
        path = tmp_path / f"{dtype}.safetensors"
        save_inversion(record, path)
        with safe_open(str(path), framework="pt") as file:
            assert file.get_tensor("photo").dtype == dtype
        assert torch.equal(load_inversion(path).photo, record.photo)


def test_edits_that_share_a_direction_can_be_saved(inversion: Inversion, tmp_path: Path) -> None:
    doubled = inversion.with_edits(*inversion.edits)
    save_inversion(doubled, tmp_path / "x.safetensors")
    assert len(load_inversion(tmp_path / "x.safetensors").edits) == 4


def test_another_generator_is_refused_with_both_fingerprints(
    generator: Generator, inversion: Inversion, tmp_path: Path
) -> None:
    save_inversion(replace(inversion, fingerprint="f" * 64), tmp_path / "x.safetensors")
    loaded = load_inversion(tmp_path / "x.safetensors")
    with pytest.raises(WrongGeneratorError, match=f"ffffffffffff.*{generator.fingerprint[:12]}"):
        render(generator, loaded)
    check_generator(inversion, generator)


def rewritten(
    path: Path, change: dict[str, object], tensors: dict[str, Tensor] | None = None, version: str = "1.0"
) -> Path:
    """A saved file with parts of its document and tensors replaced."""
    with safe_open(str(path), framework="pt") as file:
        document = json.loads(file.metadata()["inversion"]) | change
        kept = {name: file.get_tensor(name) for name in list(file.keys())} | (tensors or {})
    metadata = {"format": "chunkygan-inversion", "version": version, "inversion": json.dumps(document)}
    save_file(kept, str(path), metadata=metadata)
    return path


@pytest.fixture
def saved(inversion: Inversion, tmp_path: Path) -> Path:
    path = tmp_path / "saved.safetensors"
    save_inversion(inversion, path)
    return path


def test_later_additions_are_ignored_and_later_majors_refused(saved: Path) -> None:
    assert load_inversion(rewritten(saved, {"future": 1}, {"extra": torch.zeros(1)}, "1.7")).names
    with pytest.raises(InvalidInputError, match=r"version is 2.0.*up to 1.x"):
        load_inversion(rewritten(saved, {}, version="2.0"))


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["left_eye", "left_eye", "skin"]},
        {"names": ["one"]},
        {"names": None},
        {"spaces": ["w", "w", "w"]},
        {"spaces": ["q", "s", "w+"]},
        {"edits": [{"name": "x"}]},
        {"edits": [{"name": "x", "space": "w", "strength": float("nan"), "segments": ["all"]}]},
        {"edits": [{"name": "x", "space": "w", "strength": 1, "segments": ["hat"]}]},
        {"losses": [1, 2]},
        {"settings": 3},
    ],
)
def test_a_damaged_document_is_an_input_error(saved: Path, change: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="saved.safetensors"):
        load_inversion(rewritten(saved, change))


def test_damaged_tensors_are_input_errors(saved: Path, inversion: Inversion) -> None:
    for tensors in (
        {"masks": inversion.masks().masks * 0.5},
        {"masks": inversion.masks().masks[..., :-1].contiguous()},
        {"codes/0": torch.full((1, 4), float("nan"))},
        {"photo": torch.zeros(1, 3, 4, 4)},
    ):
        with pytest.raises(InvalidInputError, match="saved.safetensors"):
            load_inversion(rewritten(saved, {}, tensors))


def test_other_files_are_named(tmp_path: Path, inversion: Inversion) -> None:
    with pytest.raises(ChunkyError, match="no inversion file"):
        load_inversion(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(ChunkyError, match="text.safetensors"):
        load_inversion(tmp_path / "text.safetensors")
    save_file({"x": torch.zeros(1)}, str(tmp_path / "weights.safetensors"))
    with pytest.raises(ChunkyError, match="no saved inversion"):
        load_inversion(tmp_path / "weights.safetensors")
    for bad in (tmp_path / "x.pt", tmp_path / "absent" / "x.safetensors"):
        with pytest.raises(ChunkyError, match="existing folder"):
            save_inversion(inversion, bad)
