"""Damaged and hostile files of encoders: one clear error each, whatever is in them."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import chunky_core as cg
from chunky_core.encoders.masked_encoder import (
    DEMO_FILE,
    MaskedEncoder,
    measure_whitening,
    save_masked_encoder,
)
from chunky_core.encoders.masked_network import MaskedNetwork, MaskedSizes
from chunky_core.errors import UnsupportedCheckpointError, WrongGeneratorError
from chunky_core.saving import save_tensors
from tests.test_style_encoders import write
from tests.toy_networks import picture

Header = dict[str, str]
Tensors = dict[str, torch.Tensor]


def refused(path: Path, reason: str | None = None) -> None:
    """By both openers, each with one line that names the file."""
    for opener in (cg.load_encoder, cg.load_masked_encoder):
        with pytest.raises(UnsupportedCheckpointError, match=reason) as caught:
            opener(path)
        message = str(caught.value)
        assert path.name in message and "\n" not in message and len(message) < 700


@pytest.fixture
def saved(generator: cg.Generator, tmp_path: Path) -> Path:
    network = MaskedNetwork(MaskedSizes(generator.num_ws, generator.w_dim, 16, (8, 8), 8))
    path = tmp_path / "encoder.safetensors"
    save_masked_encoder(MaskedEncoder(network, measure_whitening(generator), generator.fingerprint), path)
    return path


def rewritten(path: Path, change: Callable[[Header, Tensors], object]) -> None:
    with safe_open(path, "pt") as stored:
        names = list(stored.keys())
        header, tensors = dict(stored.metadata()), {name: stored.get_tensor(name) for name in names}
    change(header, tensors)
    save_tensors(tensors, path, header)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "2"),
        ("space", "z"),
        ("fingerprint", ""),
        ("fingerprint", "g" * 64),
        ("layers", "-1"),
        ("layers", "0"),
        ("w_dim", "9" * 30),
        ("w_dim", "9999"),
        ("size", "12.5"),
        ("size", "١٦"),
        ("size", "18"),
        ("hidden", "99999"),
        ("channels", ""),
        ("channels", "8"),
        ("channels", "8,9"),
        ("channels", ",".join(["8"] * 500)),
        ("channels", "4096,4096,4096,4096"),
    ],
)
def test_a_damaged_header_is_one_error(saved: Path, name: str, value: str) -> None:
    rewritten(saved, lambda header, _: header.update({name: value}))
    refused(saved)


@pytest.mark.parametrize(
    "name", ["format", "version", "space", "fingerprint", "layers", "w_dim", "size", "hidden", "channels"]
)
def test_a_header_that_lacks_something_is_one_error(saved: Path, name: str) -> None:
    rewritten(saved, lambda header, _: header.pop(name))
    refused(saved)


@pytest.mark.parametrize("name", ["mean", "axes", "deviations", "network.out.bias", "network.stem.weight"])
@pytest.mark.parametrize("damage", ["nan", "shape", "missing", "whole numbers"])
def test_a_damaged_tensor_is_named(saved: Path, name: str, damage: str) -> None:
    def change(_: Header, tensors: Tensors) -> None:
        if damage == "nan":
            tensors[name].flatten()[0] = float("inf")
        elif damage == "shape":
            tensors[name] = torch.zeros(3, 3, 3)
        elif damage == "missing":
            del tensors[name]
        else:
            tensors[name] = torch.zeros(tensors[name].shape, dtype=torch.int64)
            tensors["network.more"] = torch.zeros(1)

    rewritten(saved, change)
    refused(saved, "more" if damage == "whole numbers" else name)


@pytest.mark.parametrize("kept", [0, 1, 8, 100, 5000])
def test_a_truncated_encoder_is_one_error(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    refused(saved)


def test_a_header_that_promises_too_much_is_one_error(saved: Path) -> None:
    data = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    for length in (len(data), 2**40):
        saved.write_bytes(length.to_bytes(8, "little") + data)
        refused(saved)


@pytest.mark.parametrize("kept", [1, 200, 0.3, 0.9])
def test_a_truncated_checkpoint_is_one_error(generator: cg.Generator, tmp_path: Path, kept: float) -> None:
    write(tmp_path / "e.pt", generator)
    data = (tmp_path / "e.pt").read_bytes()
    (tmp_path / "e.pt").write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    refused(tmp_path / "e.pt")


class _Calls:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_what_a_checkpoint_would_execute_is_not_executed(generator: cg.Generator, tmp_path: Path) -> None:
    made = tmp_path / "made"
    write(tmp_path / "e.pt", generator, hook=_Calls(made))
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"state_dict": _Calls(made)}))
    for name in ("e.pt", "plain.pt"):
        try:
            cg.load_encoder(tmp_path / name)
        except UnsupportedCheckpointError as error:
            assert name in str(error)
        assert not made.exists()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("body.3.shortcut_layer.0.weight", torch.zeros(4, 4, 3, 3), "shortcut_layer"),
        ("input_layer.0.weight", torch.zeros(4, 5, 3, 3), "5 channels"),
        ("styles.0.convs.0.weight", torch.zeros(2, 0, 3, 3), "convs.0"),
        ("styles.1.linear.weight", torch.zeros(3, 3), "styles.1"),
        ("latlayer1.bias", torch.full((4,), float("-inf")), "not finite"),
        ("body.23.res_layer.1.weight", None, "24 blocks"),
        ("unexpected.weight", torch.zeros(1), "unexpected.weight"),
    ],
)
def test_a_damaged_layer_of_a_checkpoint_is_named(
    generator: cg.Generator, tmp_path: Path, name: str, value: torch.Tensor | None, reason: str
) -> None:
    write(tmp_path / "e.pt", generator)
    content = torch.load(tmp_path / "e.pt")
    if value is None:
        del content["state_dict"][f"encoder.{name}"]
    else:
        content["state_dict"][f"encoder.{name}"] = value
    torch.save(content, tmp_path / "e.pt")
    refused_by_the_opener(tmp_path / "e.pt", reason)


def refused_by_the_opener(path: Path, reason: str) -> None:
    with pytest.raises(UnsupportedCheckpointError, match=reason) as caught:
        cg.load_encoder(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message and len(message) < 700


def test_a_decoder_that_can_not_be_read_is_said(generator: cg.Generator, tmp_path: Path) -> None:
    write(tmp_path / "e.pt", generator)
    content = torch.load(tmp_path / "e.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cg.load_encoder(tmp_path / "e.pt").fingerprint is None  # there is none to be read
    content["state_dict"]["decoder.convs.0.conv.weight"] = torch.zeros(2)
    torch.save(content, tmp_path / "e.pt")
    with pytest.warns(UserWarning, match="beside the encoder can't be read .*can't be checked"):
        encoder = cg.load_encoder(tmp_path / "e.pt", generator=generator)
    assert encoder.fingerprint is None


def test_the_demos_encoder_is_refused_for_another_generator(generator: cg.Generator) -> None:
    demo = cg.load_encoder("demo").fingerprint
    assert demo is not None
    both = f"{demo[:12]}.*{generator.fingerprint[:12]}"
    for load in (cg.load_encoder, cg.load_masked_encoder):
        for path in ("demo", DEMO_FILE):
            with pytest.raises(WrongGeneratorError, match=both):
                load(path, generator=generator)
    photo = picture(0, generator.img_resolution, generator.img_resolution).float()
    with pytest.raises(WrongGeneratorError, match=both):
        cg.inversion_from_encoder(generator, cg.load_encoder("demo"), photo)
