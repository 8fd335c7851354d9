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


def stopping_at(step: int):
    """A progress bar under which Ctrl-C is pressed after a step, 0 = before the first one."""

    class Stopping:
        def __enter__(self):
            def stop(done, _total, _image):
                if done == step:
                    raise Stopped(2)

            if not step:
                raise Stopped(2)
            return stop

        def __exit__(self, *_args):
            return None

    return lambda _label: Stopping()


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

    monkeypatch.setattr(train_encoder, "progress_bar", stopping_at(3))
    assert train(folder, "--steps", "5") == 130
    assert "the encoder after 3 steps" in capsys.readouterr().err
    assert load_masked_encoder(folder / "encoder.safetensors").space == "w+"
    monkeypatch.setattr(train_encoder, "progress_bar", original)
    assert train(folder, "--steps", "5", "--resume") == 0
    ours, whole = (load_file(folder / f"{name}.safetensors") for name in ("encoder", "whole"))
    assert all(torch.equal(ours[name], whole[name]) for name in whole)


def test_stopped_before_the_first_step_nothing_is_written_over(folder: Path, monkeypatch, capsys):
    (folder / "encoder.safetensors").write_bytes(b"an older one")
    monkeypatch.setattr(train_encoder, "progress_bar", stopping_at(0))
    assert train(folder, "--steps", "5") == 130
    assert "no step was done" in capsys.readouterr().err
    draw = train_encoder.train_masked_encoder

    def within_the_first(*given, **more):
        def draws(*_given):
            raise Stopped(2)

        monkeypatch.setattr("chunky_core.encoders.training.batches.Batches.draw", draws)
        return draw(*given, **more)

    monkeypatch.undo()
    monkeypatch.setattr(train_encoder, "train_masked_encoder", within_the_first)
    assert train(folder, "--steps", "5") == 130
    assert "no step was done" in capsys.readouterr().err
    assert (folder / "encoder.safetensors").read_bytes() == b"an older one"
    assert not (folder / "encoder.training.safetensors").exists()
    assert train(folder, "--steps", "5", "--resume") == 2  # as after a kill before the first save
    assert "nothing was saved yet" in (said := capsys.readouterr().err) and "without --resume" in said


def test_it_goes_on_with_the_same_photos_and_network_alone(folder: Path, capsys):
    photos = ("--photos", str(folder / "photos"))
    assert train(folder, "--steps", "1", *photos) == 0
    before = (folder / "encoder.safetensors").read_bytes()
    (folder / "other").mkdir()
    save_image(picture(7, 48, 48).float(), folder / "other" / "0.png")
    for more, said in (
        ((), "begun with photos, it was to go on without photos"),
        (("--photos", str(folder / "other")), "begun with photos, it was to go on with others"),
        ((*photos, "--perceptual", "demo"), "begun without a perceptual network, it was to go on with"),
        ((*photos, "--seed", "1"), "begun with seed 0, 1 is asked for"),
        ((*photos, "--steps", "0"), "steps is 0"),
    ):
        assert train(folder, "--steps", "2", "--resume", *more) == 2
        assert said in capsys.readouterr().err
    assert (folder / "encoder.safetensors").read_bytes() == before
    assert train(folder, "--steps", "3", "--resume", *photos) == 0
    assert train(folder, "--steps", "2", "--resume", *photos) == 2
    assert "3 steps are done already, and steps is 2" in capsys.readouterr().err
    (folder / "photos").rename(folder / "moved")
    assert train(folder, "--steps", "3", "--resume", "--photos", str(folder / "moved")) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--photos", "absent"), "absent does not exist"),
        (("--photos", "tiny.safetensors"), "tiny.safetensors is a file; give a folder"),
        (("--photos", "wide"), "wide.png is 64x48; expected photos aligned"),
        (("--photos", "damaged"), "damaged"),
        (("--size", "33"), "size is 33; expected a multiple of 32"),
        (("--size", "0"), "size is 0; expected a whole number of at least 1"),
        (("--batch", "0"), "batch is 0"),
        (("--out", "absent/encoder.safetensors"), "does not exist; make it first"),
        (("--out", "folder.safetensors"), "folder.safetensors is a folder"),
        (("--out", "tiny.safetensors"), "would overwrite a file that is read"),
        pytest.param(
            ("--out", "/proc/encoder.safetensors"),
            "can't be written",
            marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux"),
        ),
        (("--perceptual", "absent.safetensors"), "there is no perceptual network absent.safetensors"),
    ],
)
def test_what_can_not_work_is_told_before_work(folder: Path, capsys, monkeypatch, more, said):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(train_encoder, "train_masked_encoder", lambda *_, **__: pytest.fail("it was begun"))
    for name in ("folder.safetensors", "wide", "damaged"):
        (folder / name).mkdir()
    save_image(picture(1, 48, 64).float(), folder / "wide" / "wide.png")
    (folder / "damaged" / "0.png").write_bytes(b"no picture")
    assert train(folder, *more) == 2
    assert said in (found := capsys.readouterr().err) and "MaskedSizes" not in found


@pytest.mark.parametrize("seed", ["-1", "1.5", "x", "", str(1 << 32)])
def test_seeds_out_of_range(folder: Path, capsys, seed):
    with pytest.raises(SystemExit):
        train(folder, "--seed", seed)
    assert "expected 0 to 4294967295" in capsys.readouterr().err


def test_what_does_not_fit_is_said(folder: Path, capsys):
    assert train(folder, out="encoder.pt") == 2
    assert "ends in .safetensors" in capsys.readouterr().err
    (folder / "empty").mkdir()
    assert train(folder, "--photos", str(folder / "empty")) == 2
    assert "there are no photos in" in capsys.readouterr().err
    assert train(folder, "--resume") == 2
    assert not torch.is_inference_mode_enabled() and not (folder / "encoder.safetensors").exists()
