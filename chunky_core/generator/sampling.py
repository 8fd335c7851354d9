"""Random pictures of a generator: each belongs to its seed alone, whatever else is made in the same batch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..callbacks import Callback
from ..deprecated import old_names
from ..errors import InvalidInputError
from .generator import Generator
from .spaces import LatentCode

SEEDS = 1 << 32  # how many seeds there are: 0 ... SEEDS - 1
NOISE_MODES = ("const", "none", "random")
_CHUNK_PIXELS = 1 << 18  # output pixels at a time, which bounds memory and the wait for an interruption

__getattr__ = old_names(__name__)


def sample(
    generator: Generator,
    seed: int,
    count: int = 1,
    truncation_psi: float = 0.7,
    class_label: int | None = None,
    noise_mode: str = "const",
    callback: Callback | None = None,
) -> tuple[Tensor, LatentCode]:
    """`count` random images [count,3,H,W], nominally in [-1,1], and their codes in w [count,w_dim], on the CPU.

    Picture i is that of seed + i, with the z that NVlabs' own scripts draw for this seed. class_label: the
    class of all; None draws one for each where the generator has classes. callback(done, count, images) is
    called after every few pictures with those just made.
    Raises InvalidInputError for a count below 1, a seed out of range, a truncation that is no finite number, an unknown
    noise mode or a wrong class.
    """
    _check(generator, seed, count, class_label, noise_mode)
    if not isinstance(truncation_psi, int | float) or not math.isfinite(truncation_psi):
        raise InvalidInputError(
            f"truncation_psi is {truncation_psi!r:.40}; expected a finite number, 0 to 1 is usual"
        )
    seeds = [(seed + index) % SEEDS for index in range(count)]
    # random noise comes from one source per call, so each picture needs a call of its own
    at_once = 1 if noise_mode == "random" else max(1, _CHUNK_PIXELS // generator.img_size.area)
    images: list[Tensor] = []
    codes: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, count, at_once):
            chunk = seeds[start : start + at_once]
            w = sample_codes(generator, chunk, truncation_psi, class_label)
            rng = torch.Generator().manual_seed(chunk[0])
            made = generator.synthesis(w, noise_mode=noise_mode, rng=rng).float().cpu()
            images.append(made)
            codes.append(w.cpu())
            if callback is not None:
                callback(start + len(chunk), count, made)
    return torch.cat(images), LatentCode("w", torch.cat(codes))


def sample_codes(
    generator: Generator, seeds: list[int], truncation_psi: float = 1.0, class_label: int | None = None
) -> Tensor:
    """One w for each seed: [len(seeds),w_dim] on the generator's device. Classes as in `sample`; beyond the last
    seed the first ones follow.
    """
    drawn = [_draw(generator, seed % SEEDS, class_label) for seed in seeds]
    z = torch.from_numpy(np.stack([z for z, _ in drawn])).float().to(generator.device)
    classes = torch.tensor([label for _, label in drawn]) if generator.c_dim else None
    return generator.mapping(z, classes, truncation_psi)[:, 0]


def _draw(generator: Generator, seed: int, class_label: int | None) -> tuple[np.ndarray, int]:
    """z: [z_dim] and a class; the class is drawn last, so that z is the same whatever was asked for."""
    rng = np.random.RandomState(seed)
    z = rng.randn(generator.z_dim)
    return z, rng.randint(max(generator.c_dim, 1)) if class_label is None else class_label


def _check(generator: Generator, seed: int, count: int, class_label: int | None, noise_mode: str) -> None:
    if count < 1:
        raise InvalidInputError(f"{count} pictures were asked for; expected at least 1")
    if not 0 <= seed < SEEDS:
        raise InvalidInputError(f"the seed is {seed}; expected 0 to {SEEDS - 1}")
    if noise_mode not in NOISE_MODES:
        raise InvalidInputError(f"the noise mode is {noise_mode!r}; expected one of {NOISE_MODES}")
    if class_label is None:
        return
    if not generator.c_dim:
        raise InvalidInputError(f"class {class_label} was given; this generator has no classes, give none")
    if not 0 <= class_label < generator.c_dim:
        raise InvalidInputError(f"class {class_label} was given; expected 0 to {generator.c_dim - 1}")
