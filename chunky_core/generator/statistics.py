"""How the codes of a generator are spread in W and in style space, measured once and kept in a file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..devices import float64_device
from ..errors import SaveError, UnsupportedCheckpointError
from ..saving import save_tensors
from .generator import Generator

FORMAT = "chunkygan-statistics"
VERSION = "1"
SAMPLES = 10_000
MAX_DIGITS = 18
_CHUNK = 1000  # codes at a time
_TENSORS = ("w_mean", "w_covariance", "style_mean", "style_std")


@dataclass(frozen=True, eq=False)
class GeneratorStatistics:
    """Moments of the codes of `samples` random z (of random classes, where there are any), in float32 on the CPU.

    w_mean: [w_dim]; w_covariance: [w_dim,w_dim]; style_mean, style_std: [S], of the styles of all layers one
    after the other, in the order of synthesis. Deviations are those of the sample, divided by its size.
    """

    w_mean: Tensor
    w_covariance: Tensor
    style_mean: Tensor
    style_std: Tensor
    samples: int = SAMPLES
    seed: int = 0

    @property
    def w_std(self) -> Tensor:
        """Deviation of each component of w: [w_dim]."""
        return self.w_covariance.diagonal().sqrt()

    @property
    def w_spread(self) -> float:
        """sqrt(E ||w - w_mean||^2)."""
        return float(self.w_covariance.trace().sqrt())


def cache_folder() -> Path:
    """The user's folder for statistics files; it may not exist yet."""
    local = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(local) if local else Path.home() / ".cache") / "chunkygan" / "statistics"


def statistics(generator: Generator, folders: Sequence[Path] = ()) -> GeneratorStatistics:
    """A generator's statistics, from `<fingerprint>.safetensors` in one of `folders`, or measured.

    What was measured is written into the first of `folders` that lets itself be written to, if any does. Warns
    of a file that is damaged or another generator's, and measures anew.
    """
    name = f"{generator.fingerprint}.safetensors"
    for folder in folders:
        if (folder / name).is_file():
            try:
                return _read(folder / name, generator)
            except (UnsupportedCheckpointError, SafetensorError, OSError) as error:
                warnings.warn(f"{folder / name} is not used, it is measured anew: {error}", stacklevel=2)
    measured = measure_statistics(generator)
    for folder in folders:
        if _written(folder / name, measured, generator.fingerprint):
            break
    return measured


def measure_statistics(generator: Generator, samples: int = SAMPLES, seed: int = 0) -> GeneratorStatistics:
    """The statistics of `samples` seeded codes, summed up in float64; takes seconds."""
    _, w = draw_codes(generator, samples, seed)
    w_mean, w_covariance = _mean_and_covariance(w.cpu().double())
    total: Tensor | float = 0.0
    squares: Tensor | float = 0.0
    with torch.no_grad():
        # measured from the mean, so that the squares don't cancel
        place = float64_device(w.device)
        origin = torch.cat(generator.styles(w_mean[None].to(w)), dim=1).to(place, torch.float64)
        for chunk in w.split(_CHUNK):
            styles = torch.cat(generator.styles(chunk), dim=1).to(place, torch.float64) - origin
            total, squares = total + styles.sum(dim=0), squares + styles.square().sum(dim=0)
    offset = torch.as_tensor(total) / samples
    variance = (torch.as_tensor(squares) / samples - offset.square()).clamp(min=0.0)
    style_mean = (origin[0] + offset).float().cpu()
    style_std = variance.sqrt().float().cpu()
    return GeneratorStatistics(w_mean.float(), w_covariance.float(), style_mean, style_std, samples, seed)


def draw_codes(generator: Generator, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Seeded random codes z: [samples,z_dim] and their w: [samples,w_dim] on the generator's device.

    A conditional generator's classes are drawn too, each as likely as any other.
    """
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, generator.z_dim, generator=rng).to(generator.device)
    if not generator.c_dim:
        chunks = [(part, None) for part in z.split(_CHUNK)]
    else:
        classes = torch.randint(generator.c_dim, (samples,), generator=rng).to(generator.device)
        chunks = list(zip(z.split(_CHUNK), classes.split(_CHUNK), strict=True))
    with torch.no_grad():
        return z, torch.cat([generator.mapping(part, c)[:, 0].float() for part, c in chunks])


def _mean_and_covariance(w: Tensor) -> tuple[Tensor, Tensor]:
    mean = w.mean(dim=0)
    centered = w - mean
    return mean, centered.t() @ centered / len(w)


def _read(file: Path, generator: Generator) -> GeneratorStatistics:
    styles = sum(channels for _, channels in generator.style_layout)
    shapes = ([generator.w_dim], [generator.w_dim, generator.w_dim], [styles], [styles])
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata() or {}
        _check_header(metadata, generator.fingerprint)
        for name, shape in zip(_TENSORS, shapes, strict=True):
            if content.get_slice(name).get_shape() != shape:  # before it takes memory
                raise UnsupportedCheckpointError(f"its {name} is of another shape; expected {shape}")
        tensors = {name: content.get_tensor(name) for name in _TENSORS}
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or not bool(tensor.isfinite().all()):
            raise UnsupportedCheckpointError(f"its {name} is spoilt; expected finite float32 numbers")
    for name, variances in (
        ("w_covariance", tensors["w_covariance"].diagonal()),
        ("style_std", tensors["style_std"]),
    ):
        if bool((variances < 0).any()):
            raise UnsupportedCheckpointError(f"its {name} is negative, which no variance or deviation can be")
    return GeneratorStatistics(**tensors, samples=int(metadata["samples"]), seed=int(metadata["seed"]))


def _check_header(metadata: Mapping[str, str], fingerprint: str) -> None:
    expected = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint}
    for key, value in expected.items():
        if metadata.get(key) != value:
            found = str(metadata.get(key))[:80]
            raise UnsupportedCheckpointError(f"its {key} is {found!r}; expected {value!r}")
    counts = [metadata.get(key, "")[:80] for key in ("samples", "seed")]
    if not all(count.isdecimal() and len(count) <= MAX_DIGITS for count in counts):
        raise UnsupportedCheckpointError(f"its samples and seed are {counts}; expected two numbers")


def _written(file: Path, measured: GeneratorStatistics, fingerprint: str) -> bool:
    """Whether the file could be written; it appears only once it is complete."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": fingerprint,
        "samples": str(measured.samples),
        "seed": str(measured.seed),
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_tensors({name: getattr(measured, name) for name in _TENSORS}, file, header)
    except (OSError, SaveError):
        return False
    return True
