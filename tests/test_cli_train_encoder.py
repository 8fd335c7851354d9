"""`chunkygan train-encoder`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from chunky_core.checkpoints import load_generator
from chunky_core.cli import main, train_encoder
from chunky_core.cli.signals import Stopped
from chunky_core.encoders.masked_encoder import load_masked_encoder
from chunky_core.encoders.training import load_training
from chunky_core.generator.generator import Generator
from chunky_core.images import save_image
from tests.cli_tools import furnish
from tests.toy_networks import picture

pytestmark = pytest.mark.cpu("the command line names its device itself")


@pytest.fixture
def folder(tmp_path: Path, generator: Generator) -> Path:
    """With a generator and two photos."""
    furnish(tmp_path, generator)
    (tmp_path / "photos").mkdir()
    for index in range(2):
        save_image(picture(index, 48, 48).float(), tmp_path / "photos" / f"{index}.png")
    return tmp_path


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    """Pools of 8 pictures, every 4 steps another."""
    whole = train_encoder.EncoderTrainingConfig

    def small(*args, **more):
        return whole(*args, **{**more, "pool": 8, "pool_steps": 4})

    monkeypatch.setattr(train_encoder, "EncoderTrainingConfig", small)


def train(folder: Path, *more: str, out: str = "encoder.safetensors") -> int:
    arguments = ["train-encoder", str(folder / "tiny.safetensors"), "--out", str(folder / out)]
    return main([*arguments, "--batch", "4", "--size", "32", "--device", "cpu", *more])


def test_an_encoder_is_written_and_more_steps_go_on(folder: Path, capsys):
    generator = load_generator(folder / "tiny.safetensors")
    photos = ("--photos", str(folder / "photos"))
    assert train(folder, "--steps", "2", *photos) == 0
    assert "an encoder to w+ of" in capsys.readouterr().out
    code = load_masked_encoder(folder / "encoder.safetensors", generator=generator).encode(
        generator, picture(0, 48, 48).float()
    )
    assert code.tensor.shape == (1, generator.num_ws, generator.w_dim)
    assert train(folder, "--steps", "3", *photos) == 2
    assert "add --resume" in capsys.readouterr().err
    assert train(folder, "--steps", "3", "--resume", *photos) == 0
    assert load_training(folder / "encoder.training.safetensors").step == 3


def test_a_stopped_training_keeps_what_is_there_and_goes_on_to_the_same_file(
    folder: Path, monkeypatch, capsys
):
    assert train(folder, "--steps", "5", out="whole.safetensors") == 0
    original = train_encoder.progress_bar

    class Stopping:
        def __enter__(self):
            def stop(step, _total, _image):
                if step == 3:
                    raise Stopped(2)

            return stop

        def __exit__(self, *_args):
            return None

    monkeypatch.setattr(train_encoder, "progress_bar", lambda _label: Stopping())
    assert train(folder, "--steps", "5") == 130
    assert "the encoder after 3 steps" in capsys.readouterr().err
    assert load_masked_encoder(folder / "encoder.safetensors").space == "w+"
    monkeypatch.setattr(train_encoder, "progress_bar", original)
    assert train(folder, "--steps", "5", "--resume") == 0
    ours, whole = (load_file(folder / f"{name}.safetensors") for name in ("encoder", "whole"))
    assert all(torch.equal(ours[name], whole[name]) for name in whole)


def test_what_does_not_fit_is_said(folder: Path, capsys):
    assert train(folder, out="encoder.pt") == 2
    assert "ends in .safetensors" in capsys.readouterr().err
    (folder / "empty").mkdir()
    assert train(folder, "--photos", str(folder / "empty")) == 2
    assert "there are no photos in" in capsys.readouterr().err
    assert train(folder, "--resume") == 2
    assert not torch.is_inference_mode_enabled() and not (folder / "encoder.safetensors").exists()
