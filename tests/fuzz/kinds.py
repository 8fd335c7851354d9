"""What is fuzzed: for each kind of file how a good one is made, damaged and opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors.torch import save_file

from chunky_core.checkpoints.generators import load_generator
from chunky_core.editing import load_directions
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
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


def _write_inversion(path: Path) -> None:
    inversion = make_inversion(seed_of_inversions())
    save_inversion(replace(inversion, earlier=EarlierStep(inversion, {"mode": "as needed", "band": 8})), path)


def _write_codes(path: Path) -> None:
    """As rosinality's projector saves codes."""
    generator = seed_of_inversions()
    noise = [torch.full((1, 1, size, size), WEIGHT) for _, size in generator.noise_layout]
    code = torch.full((generator.num_ws, generator.w_dim), WEIGHT)
    torch.save({f"{name}.png": {"latent": code, "noise": noise} for name in "ab"}, path)


def _load_codes(path: Path) -> LatentCode:
    return load_latent(seed_of_inversions(), path)


CHECKPOINTS = {kind: _checkpoint(kind) for kind in WRITERS}
OTHERS = {
    "settings": Kind(CHECKPOINTS["own"].write, load_generator, Generator, damage=any_settings),
    "npy": _directions(lambda path: np.save(path, _array()), "npy"),
    "npz": _directions(lambda path: np.savez(path, smile=_array(), yaw=_array()), "npz"),
    "directions": _directions(lambda path: save_file(_tensors("directions/"), str(path)), "safetensors"),
    "tensors": _directions(partial(torch.save, _tensors()), "pt"),
    "codes": Kind(_write_codes, _load_codes, LatentCode, "case.pt"),
    "inversion": Kind(_write_inversion, load_inversion, Inversion, "case.safetensors"),
    "onnx": Kind(write_onnx_seed, load_onnx_case, torch.Tensor, "case.onnx", mutated_onnx),
}
KINDS = CHECKPOINTS | OTHERS
