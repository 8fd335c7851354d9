"""Inversions saved and reopened: the same pixels, with or without the photo in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from chunky_core.compositing.render import render
from chunky_core.errors import ChunkyError, InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Calibration, LatentCode
from chunky_core.images import to_uint8
from chunky_core.inversion import Edit, Inversion, check_generator, load_inversion, save_inversion
from tests.inversion_tools import TUNED, make_inversion, read_file, rewritten


@pytest.fixture(scope="module")
def inversion(generator: Generator) -> Inversion:
    return make_inversion(generator)


@pytest.fixture
def saved(inversion: Inversion, tmp_path: Path) -> Path:
    path = tmp_path / "saved.safetensors"
    save_inversion(inversion, path)
    return path


def test_reopened_renders_the_same_pixels(generator: Generator, inversion: Inversion, saved: Path) -> None:
    loaded = load_inversion(saved)
    for edited in (True, False):
        assert torch.equal(
            render(generator, loaded, edited=edited), render(generator, inversion, edited=edited)
        )


def test_everything_comes_back(inversion: Inversion, saved: Path) -> None:
    loaded = load_inversion(saved)
    for name in ("names", "settings", "losses", "stopped", "fingerprint", "alignment", "photo_digest"):
        assert getattr(loaded, name) == getattr(inversion, name)
    assert [(e.strength, e.segments, e.direction.name, e.direction.description) for e in loaded.edits] == [
        (-1.5, ("eyes",), "gaze_x", "looks aside"),
        (0.7, ("all",), "age", ""),
    ]
    assert torch.equal(loaded.photo, inversion.photo)
    assert [segment.code.space for segment in loaded.segments] == ["w", "s", "w+"]
    assert [list(segment.delta) for segment in loaded.segments] == [[TUNED], [], []]
    delta = loaded.segments[0].delta[TUNED]
    assert delta.dtype == torch.float16 and torch.equal(delta, inversion.segments[0].delta[TUNED])
    assert all(map(torch.equal, loaded.noise, inversion.noise))
    assert (loaded.state.step, loaded.state.numbers) == (2, {"rate": 0.1, "best": float("inf")})
    assert loaded.state.tensors["rng"].tolist() == [1, 2]
    assert torch.equal(loaded.state.tensors["moments/0"], torch.ones(2, 3))


def test_without_extras_it_is_as_plain_as_before(inversion: Inversion, tmp_path: Path) -> None:
    plain = replace(inversion, noise=(), alignment=None, state=None)
    save_inversion(plain, tmp_path / "x.safetensors")
    loaded = load_inversion(tmp_path / "x.safetensors")
    assert (loaded.noise, loaded.alignment, loaded.state) == ((), None, None)


def test_the_photo_can_stay_at_home(generator: Generator, inversion: Inversion, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_inversion(inversion, path, with_photo=False)
    assert "photo" not in read_file(path)[1]
    loaded = load_inversion(path)
    assert loaded.photo is None and loaded.photo_digest == inversion.photo_digest
    back = loaded.with_photo(inversion.photo)
    assert torch.equal(render(generator, back), render(generator, inversion))
    other = inversion.photo.clone()
    other[0, 0, 0, 0] = other[0, 0, 0, 0].neg() + 1 / 255
    with pytest.raises(InvalidInputError, match="is not the one that was inverted"):
        loaded.with_photo(other)
    with pytest.raises(InvalidInputError, match="the photo is 32x32, its masks are 64x64"):
        loaded.with_photo(other[..., :32, :32])
    save_inversion(loaded, path)  # and once more without
    assert load_inversion(path).photo_digest == inversion.photo_digest


def test_the_digest_is_that_of_the_8_bit_photo(inversion: Inversion) -> None:
    nearly = inversion.photo + 1e-4
    assert torch.equal(to_uint8(nearly), to_uint8(inversion.photo))
    assert replace(inversion, photo=nearly).photo_digest == inversion.photo_digest
    turned = inversion.photo.transpose(2, 3)
    assert replace(inversion, photo=turned).photo_digest != inversion.photo_digest


def test_a_photo_is_stored_in_8_bits_only_if_nothing_is_lost(inversion: Inversion, tmp_path: Path) -> None:
    finer = replace(inversion, photo=inversion.photo * 0.999)
    for record, dtype in ((inversion, torch.uint8), (finer, torch.float32)):
        path = tmp_path / f"{dtype}.safetensors"
        save_inversion(record, path)
        assert read_file(path)[1]["photo"].dtype == dtype
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
    check_generator(generator, inversion)


def test_files_of_version_1_0_are_read(generator: Generator, inversion: Inversion, saved: Path) -> None:
    added = ("photo_digest", "deltas", "noise", "alignment", "state")
    old = load_inversion(rewritten_as_1_0(saved, added))
    plain = replace(
        inversion,
        segments=tuple(replace(segment, delta={}) for segment in inversion.segments),
        noise=(),
        alignment=None,
        state=None,
    )
    assert torch.equal(render(generator, old), render(generator, plain))


def rewritten_as_1_0(path: Path, added: tuple[str, ...]) -> Path:
    """Version 1.0 had always a photo and no entry that says so."""
    photo = read_file(path)[1]["photo"]
    return rewritten(path, {}, {"photo": photo}, "1.0", without=(*added, "photo"))


def test_later_additions_are_ignored_and_later_majors_refused(saved: Path) -> None:
    assert load_inversion(rewritten(saved, {"future": 1}, {"extra": torch.zeros(1)}, "1.7")).names
    with pytest.raises(InvalidInputError, match=r"version is 2.0.*up to 1.x"):
        load_inversion(rewritten(saved, {}, version="2.0"))


def test_a_failed_save_keeps_the_old_file(
    inversion: Inversion, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(tensors: object, path: str, metadata: object) -> None:
        Path(path).write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(InvalidInputError, match="can't be written.*No space left"):
        save_inversion(inversion, saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_what_was_loaded_does_not_depend_on_the_file(inversion: Inversion, saved: Path) -> None:
    loaded = load_inversion(saved)
    size = saved.stat().st_size
    with saved.open("r+b") as file:
        file.write(bytes(size))
    assert torch.equal(loaded.photo, inversion.photo)
    assert all(map(torch.equal, loaded.noise, inversion.noise))


def test_loaded_in_inference_mode_it_can_be_differentiated_through(saved: Path) -> None:
    with torch.inference_mode():
        loaded = load_inversion(saved)
    code = loaded.segments[0].code.tensor.requires_grad_()
    assert (code * loaded.segments[0].code.tensor).sum().requires_grad


def test_settings_that_are_no_plain_values_are_refused(inversion: Inversion, saved: Path) -> None:
    with pytest.raises(InvalidInputError, match="no plain values"):
        save_inversion(replace(inversion, settings={"device": torch.device("cpu")}), saved)


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


@pytest.mark.parametrize("broken", ["code", "strength", "direction"])
def test_what_could_not_be_opened_is_not_saved_over_a_good_file(
    generator: Generator, tmp_path: Path, broken: str
) -> None:
    good, path = make_inversion(generator), tmp_path / "one.safetensors"
    save_inversion(good, path)
    content, edit, segment = path.read_bytes(), good.edits[0], good.segments[0]
    if broken == "code":
        code = LatentCode(segment.code.space, segment.code.tensor * torch.nan)
        bad = replace(good, segments=(replace(segment, code=code), *good.segments[1:]))
    elif broken == "strength":
        bad = good.with_edits(replace(edit, strength=float("nan")))
    else:
        direction = replace(edit.direction, tensor=edit.direction.tensor * torch.inf)
        bad = good.with_edits(replace(edit, direction=direction))
    with pytest.raises(InvalidInputError, match="NaN|nan"):
        save_inversion(bad, path)
    assert path.read_bytes() == content


def test_all_that_an_edit_and_its_direction_say_comes_back(inversion: Inversion, tmp_path: Path) -> None:
    direction = replace(
        inversion.edits[0].direction,
        layers=(1, 3),
        unit="smile",
        source="two groups of pictures",
        license="CC0",
        fingerprint="ab" * 32,
        calibration=Calibration("smile", 0.7, 0.96, 24, (-2.0, 3.0)),
    )
    edit = Edit(direction, 0.5, ("eyes",), layers=(1,), enabled=False)
    path = tmp_path / "edits.safetensors"
    inversion.with_edits(edit).save(path)
    loaded = load_inversion(path).edits[-1]
    for name in ("strength", "segments", "layers", "enabled"):
        assert getattr(loaded, name) == getattr(edit, name)
    for name in ("name", "layers", "unit", "source", "license", "fingerprint", "calibration"):
        assert getattr(loaded.direction, name) == getattr(direction, name)
