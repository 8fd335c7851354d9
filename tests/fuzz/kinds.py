"""What is fuzzed: for each kind of file how a good one is made, damaged and opened."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from chunky_core.checkpoints.generators import load_generator
from chunky_core.editing import load_directions, save_directions
from chunky_core.editing.direction_files import read_channels
from chunky_core.encoders.encoder import load_encoder
from chunky_core.encoders.masked_encoder import MaskedEncoder, Whitening, save_masked_encoder
from chunky_core.encoders.masked_network import MaskedNetwork, MaskedSizes
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Calibration, Direction, LatentCode
from chunky_core.inversion.inversion_files import load_inversion, save_inversion
from chunky_core.inversion.latent_files import load_latent
from chunky_core.inversion.record import EarlierStep, Inversion

from ..checkpoint_writers import WRITERS
from ..inversion_tools import make_inversion
from .mutate import WEIGHT, mutated
from .onnx_files import load_onnx_case, write_onnx_seed
from .onnx_mutate import mutated_onnx
from .seeds import seed_generator, seed_of_inversions
from .settings import any_settings


@dataclass(frozen=True)
class Kind:
    """write: makes the good file; load: opens a case as a `result`, or raises a ChunkyError; name: of the file;
    damage: a bad copy of the good file's bytes.
    """

    write: Callable[[Path], object]
    load: Callable[[Path], object]
    result: type
    name: str = "case"
    damage: Callable[[bytes, Random], bytes] = mutated


def _checkpoint(kind: str) -> Kind:
    return Kind(lambda path: WRITERS[kind](seed_generator(kind), path), load_generator, Generator)


def _directions(write: Callable[[Path], object], suffix: str) -> Kind:
    return Kind(write, load_directions, dict, f"case.{suffix}")


def _array() -> np.ndarray:
    return np.full((4, 6), WEIGHT, np.float32)


def _tensors(prefix: str = "") -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": torch.from_numpy(_array()) for name in ("smile", "yaw")}


def _own_directions() -> list[Direction]:
    calibration = Calibration("age", WEIGHT, WEIGHT, 4, (-WEIGHT, WEIGHT))
    about = {"unit": "age", "source": "x", "fingerprint": "f", "layers": (1, 2), "calibration": calibration}
    return [Direction(name, "w+", torch.from_numpy(_array()), "d", **about) for name in ("smile", "yaw")]


def _ganspace() -> dict[str, np.ndarray]:
    """As GANSpace's cache has components of W."""
    components = np.full((4, 1, 6), WEIGHT, np.float32)
    return {"lat_comp": components, "lat_mean": components[0], "lat_stdev": components[:, 0, 0]}


def _ganspace_edit() -> dict[str, Any]:
    """As GANSpace's viewer exports an edit."""
    edit = {"lat_comp": _ganspace()["lat_comp"][0], "lat_stdev": WEIGHT, "edit_start": 1, "edit_end": 3}
    return edit | {"name": "smile", "latent_space": "W", "edit_type": "latent"}


def _written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "good.safetensors"
        write(path)
        return next(path.parent.iterdir()).read_bytes()  # NumPy adds an ending


@cache
def _files_of_tools() -> tuple[bytes, ...]:
    """Good files of the tools that find directions, and our own."""
    factor = {"ckpt": "x", "eigvec": torch.from_numpy(_array())}
    boundaries = {"boundaries": _array(), "values": np.ones(4), "layers": np.arange(3)}
    return (
        _written(lambda path: save_directions(_own_directions(), path)),
        _written(lambda path: np.savez(path, **_ganspace())),
        pickle.dumps(_ganspace_edit(), protocol=4),
        _written(partial(torch.save, factor)),
        _written(lambda path: np.savez(path, **boundaries)),
        _written(partial(torch.save, [torch.full((1, 8), WEIGHT)] * 5)),
    )


@cache
def _lists_of_channels() -> tuple[bytes, ...]:
    presets: dict[str, Any] = {f"p{index}": [index, index % 4, -2.5] for index in range(5)}
    presets |= {"old": [["b4.conv1", 3], [1, 2, 3]], "torgb": False}
    lines = "".join(f"smile {index}_{index % 4}\ngaze: ({index}, 3, -2.5),\n" for index in range(6))
    return json.dumps(presets).encode(), lines.encode()


def _load_channels(path: Path) -> dict[str, Direction]:
    stored = read_channels(path, ".json" if path.read_bytes()[:1] == b"{" else ".txt")
    generator = seed_of_inversions()
    return {one.name: one for entry in stored for one in entry.directions(generator, "auto", True)}


def _one_of(files: Callable[[], tuple[bytes, ...]]) -> Callable[[bytes, Random], bytes]:
    """Damages one of several good files in the place of the one that was written."""
    return lambda _, rng: mutated(rng.choice(files()), rng)


def _write_inversion(path: Path) -> None:
    inversion = make_inversion(seed_of_inversions())
    save_inversion(replace(inversion, earlier=EarlierStep(inversion, {"mode": "as needed", "band": 8})), path)


def _write_codes(path: Path) -> None:
    """As rosinality's projector saves codes."""
    generator = seed_of_inversions()
    noise = [torch.full((1, 1, size, size), WEIGHT) for _, size in generator.noise_layout]
    code = torch.full((generator.num_ws, generator.w_dim), WEIGHT)
    torch.save({f"{name}.png": {"latent": code, "noise": noise} for name in "ab"}, path)


def _write_encoder(path: Path) -> None:
    """The least masked encoder, all of its numbers alike."""
    generator = seed_of_inversions()
    network = MaskedNetwork(MaskedSizes(generator.num_ws, generator.w_dim, 4, (8, 8), 2))
    for parameter in network.requires_grad_(False).parameters():
        parameter.fill_(WEIGHT)
    square = torch.full((generator.w_dim, generator.w_dim), WEIGHT)
    whitening = Whitening(square[0].clone(), square, square[0].clone())
    encoder = MaskedEncoder(network, whitening, generator.fingerprint)
    save_masked_encoder(encoder, path, torch.float32)


def _load_codes(path: Path) -> LatentCode:
    return load_latent(seed_of_inversions(), path)


CHECKPOINTS = {kind: _checkpoint(kind) for kind in WRITERS}
OTHERS = {
    "settings": Kind(CHECKPOINTS["own"].write, load_generator, Generator, damage=any_settings),
    "npy": _directions(lambda path: np.save(path, _array()), "npy"),
    "npz": _directions(lambda path: np.savez(path, smile=_array(), yaw=_array()), "npz"),
    "directions": _directions(lambda path: save_file(_tensors("directions/"), str(path)), "safetensors"),
    "direction-tools": Kind(
        lambda path: path.write_bytes(_files_of_tools()[0]),
        load_directions,
        dict,
        "case.pt",
        _one_of(_files_of_tools),
    ),
    "channels": Kind(
        lambda path: path.write_bytes(_lists_of_channels()[0]),
        _load_channels,
        dict,
        "case.json",
        _one_of(_lists_of_channels),
    ),
    "tensors": _directions(partial(torch.save, _tensors()), "pt"),
    "codes": Kind(_write_codes, _load_codes, LatentCode, "case.pt"),
    "inversion": Kind(_write_inversion, load_inversion, Inversion, "case.safetensors"),
    "encoder": Kind(_write_encoder, load_encoder, MaskedEncoder, "case.safetensors"),
    "onnx": Kind(write_onnx_seed, load_onnx_case, torch.Tensor, "case.onnx", mutated_onnx),
}
KINDS = CHECKPOINTS | OTHERS
