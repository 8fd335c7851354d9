"""`chunkygan train-mask-generator` and `chunkygan masks`."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from chunky_core.checkpoints import load_generator
from chunky_core.cli import main, train_mask_generator
from chunky_core.cli.signals import SIGNALS
from chunky_core.generator.generator import Generator
from chunky_core.generator.sampling import sample
from chunky_core.images import load_image, read_label_map, save_image, save_label_map
from chunky_core.inversion import load_inversion
from chunky_core.inversion.automatic_masks import masks_of_photo
from chunky_core.segments.mask_generator import load_mask_generator
from tests.cli_tools import edit, furnish

pytestmark = pytest.mark.cpu("the command line names its device itself")
NAMES = {"0": "dark", "5": "bright"}


@pytest.fixture
def folder(tmp_path: Path, generator: Generator) -> Path:
    """With a generator and three label maps of what it draws: of two seeds, and of a code beside the map."""
    furnish(tmp_path, generator)
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    images, codes = sample(generator, 3, 3)
    for stem, image in zip(("seed0003", "seed4", "third"), images, strict=True):
        gray = image.mean(dim=0)
        save_label_map((gray > gray.median()).long() * 5, pairs / f"{stem}.png")
        (pairs / f"{stem}.json").write_text(json.dumps(NAMES))
    np.save(pairs / "third.npy", codes.tensor[2].numpy())
    save_image(images[:1], tmp_path / "photo.png")
    return tmp_path


def train(folder: Path, *more: str, out: str = "masks.safetensors", pairs: str = "pairs") -> int:
    arguments = ["train-mask-generator", str(folder / "tiny.safetensors"), "--out", str(folder / out)]
    return main([*arguments, "--pairs", str(folder / pairs), "--members", "1", "--device", "cpu", *more])


def find(folder: Path, *more: str, out: str = "found.png") -> int:
    arguments = ["masks", str(folder / "photo.png"), "--out", str(folder / out), "--device", "cpu"]
    arguments += ["--generator", str(folder / "tiny.safetensors"), "--steps", "20"]
    return main([*arguments, "--mask-generator", str(folder / "masks.safetensors"), *more])


def test_what_was_trained_finds_the_masks_of_a_photo_for_edit(folder: Path, capsys):
    assert train(folder, "--steps", "60") == 0
    assert "2 classes from 3 pictures: dark, bright" in capsys.readouterr().out
    truth = read_label_map(folder / "pairs" / "seed0003.png") > 0
    learnt = load_mask_generator(folder / "masks.safetensors")
    generator = load_generator(folder / "tiny.safetensors")
    labels = learnt.labels(generator, sample(generator, 3)[1])[0]
    assert (labels.bool() == truth).float().mean() > 0.85
    pictures = ("--overlay", str(folder / "overlay.png"), "--uncertainty", str(folder / "unsure.png"))
    assert find(folder, *pictures) == 0
    said = capsys.readouterr().out
    assert "found.png: " in said and "bright" in said and "%" in said
    found = read_label_map(folder / "found.png")
    assert json.loads((folder / "found.json").read_text()) == {"0": "dark", "1": "bright"}
    by_hand = masks_of_photo(generator, learnt, load_image(folder / "photo.png"), 20)
    assert torch.equal(found, by_hand.labels[0])
    assert load_image(folder / "overlay.png").shape == (1, 3, *truth.shape)
    assert load_image(folder / "unsure.png").max() == -1  # a single network never disagrees
    assert find(folder, "--perceptual", "demo") == 0
    assert not torch.equal(read_label_map(folder / "found.png"), found)
    assert find(folder) == 0
    assert edit(folder, "--no-global", "--static", "dark", masks="found.png") == 0
    assert (folder / "out" / "composite.png").is_file()


def test_edit_fits_the_masks_with_the_codes(folder: Path, capsys):
    assert train(folder, "--steps", "30") == 0 and find(folder) == 0
    one = ("--no-global", "--static", "", "--mask-generator", str(folder / "masks.safetensors"))
    given = (*one, "--edit", "bright:smile=3", "--follow")
    assert edit(folder, *given, masks="found.png") == 0
    before = load_inversion(folder / "out" / "inversion.safetensors")
    assert before.mask_code is not None and before.settings["mode"] == "joint"
    assert edit(folder, *given, "--steps", "5", "--resume", masks="found.png") == 0
    after = load_inversion(folder / "out" / "inversion.safetensors")
    assert after.state.step == 5 and not torch.equal(after.mask_code.tensor, before.mask_code.tensor)
    capsys.readouterr()
    for more, said in (
        (("--preset", "draft"), "leave it or --mask-generator out"),
        (("--mask-generator", "demo"), "trained for generator"),
        (("--mask-generator", str(folder / "gone.safetensors")), "no mask generator can be opened"),
    ):
        assert edit(folder, *one, *more, masks="found.png") == 2
        assert said in capsys.readouterr().err
    assert edit(folder, *one, "--static", "background") == 2
    assert "the mask generator has no class" in capsys.readouterr().err
    still = ("--no-global", "--static", "", "--resume", "--steps", "6")
    assert edit(folder, *still, masks="found.png") == 2
    assert "moved its masks by a mask generator" in capsys.readouterr().err


def test_a_single_pair_is_carried_to_others(folder: Path, capsys):
    (folder / "one").mkdir()
    for ending in ("png", "json"):
        shutil.copy(folder / "pairs" / f"seed4.{ending}", folder / "one")
    assert train(folder, "--steps", "5", "--samples", "2", pairs="one") == 0
    said = capsys.readouterr()
    assert "to 2 other pictures" in said.err and "from 3 pictures" in said.out
    assert train(folder, "--steps", "5", "--samples", "0", pairs="one", out="alone.safetensors") == 0
    assert "from 1 picture:" in capsys.readouterr().out


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """In a job of the background a shell has SIGINT ignored, which a test is about."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_a_stopped_training_keeps_what_is_there_and_goes_on_to_the_same_file(
    folder: Path, monkeypatch, capsys
):
    assert train(folder, "--steps", "12", out="whole.safetensors") == 0
    original = train_mask_generator.progress_bar

    class Stopping:
        """A user who presses Ctrl-C in step 5."""

        def __enter__(self):
            def stop(step, _total, _image):
                if step == 5:
                    signal.raise_signal(signal.SIGINT)

            return stop

        def __exit__(self, *_args):
            return None

    assert SIGNALS
    monkeypatch.setattr(train_mask_generator, "progress_bar", lambda _label: Stopping())
    assert train(folder, "--steps", "12") == 130
    assert "--resume goes on" in capsys.readouterr().err
    assert load_mask_generator(folder / "masks.safetensors").training.step == 5
    monkeypatch.setattr(train_mask_generator, "progress_bar", original)
    assert train(folder, "--steps", "12") == 2
    assert "add --resume" in capsys.readouterr().err
    assert train(folder, "--steps", "12", "--resume") == 0
    ours, whole = (load_file(folder / f"{name}.safetensors") for name in ("masks", "whole"))
    assert ours.keys() == whole.keys() and all(torch.equal(ours[name], whole[name]) for name in whole)
    assert train(folder, "--steps", "12", "--resume") == 2
    assert "12 steps already" in capsys.readouterr().err


def test_what_does_not_fit_is_said_before_the_training(folder: Path, capsys):
    def says(words: str, code: int) -> None:
        assert code == 2
        assert words in capsys.readouterr().err

    says("ends in .safetensors", train(folder, out="masks.pt"))
    says("is no folder", train(folder, pairs="photo.png"))
    says("check the path", train(folder, "--resume"))
    (folder / "empty").mkdir()
    says("no label maps", train(folder, pairs="empty"))
    (folder / "pairs" / "third.npy").rename(folder / "pairs" / "fourth.npy")
    says("no code of the picture that", train(folder))
    np.save(folder / "pairs" / "third.npy", np.zeros((3, 7), np.float32))
    says("the code of", train(folder))
    (folder / "pairs" / "third.pt").write_bytes(b"")
    says("third.npy and third.pt both", train(folder))
    assert not (folder / "masks.safetensors").exists()


def test_masks_says_what_does_not_fit(folder: Path, capsys):
    def says(words: str, code: int) -> None:
        assert code == 2
        assert words in capsys.readouterr().err

    says("ends in .png", find(folder, out="found.jpg"))
    says("the photo itself", find(folder, out="photo.png"))
    says("different files", find(folder, "--overlay", str(folder / "found.png")))
    says("no mask generator can be opened", find(folder))
    says("trained for generator", find(folder, "--mask-generator", "demo"))
    says("expected at least 1", find(folder, "--steps", "0"))
    save_image(torch.zeros(1, 3, 20, 20), folder / "photo.png")
    says("the photo is 20x20", find(folder))
    assert not (folder / "found.png").exists()
