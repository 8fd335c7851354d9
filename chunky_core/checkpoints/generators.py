"""Generators on disk: reads every format that StyleGAN's tools write, writes one .safetensors format. Nothing in
a file is executed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

from ..checks import FLOATS, as_path
from ..devices import usable_device
from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from ..generator.architecture import architecture_from, build_module
from ..generator.generator import Generator, weights_fingerprint
from ..generator.module import shapes_of
from ..generator.settings import UPSAMPLINGS
from ..saving import save_tensors
from .checkpoint import Checkpoint, PartialCheckpoint
from .completion import complete, draw_noise, estimate_w_avg
from .containers.content import Content, open_content
from .containers.mapped_file import one_line
from .detect import find_generator
from .formats import native
from .formats.basicsr import choose_upsampling
from .formats.native import FORMAT, VERSION
from .supported import check_supported

DEMO = Path(__file__).parent.parent / "demo" / "assets" / "generator.safetensors"
MARGIN = 64 << 20  # bytes that a small file's tensors may need beyond twice its size


def load_generator(
    path: str | os.PathLike[str],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    upsampling: str | None = None,
) -> Generator:
    """Reads a generator of any supported format, told apart by content; "demo" is the one of this package.

    Its metadata has "format", "source" (the file's name unless the file says more) and "notes". May be called
    in inference mode; the result can be differentiated through outside of it. Warns, naming the tensors, where
    weights are not finite.

    upsampling: "fir" or "bilinear" says which of two networks a file of BasicSR's names holds, its own or GFPGAN's
    bilinear one, which nothing in the file tells; None takes its own and says so in the notes.
    Raises MissingWeightsError for a missing file, UnsupportedCheckpointError where it is something else,
    InvalidInputError for what is no path, a device that can't be used here, another dtype than float16, bfloat16,
    float32, float64, and an unknown upsampling.
    """
    device = usable_device(device)
    if dtype not in FLOATS:
        raise InvalidInputError(f"dtype is {dtype!r}; expected one of {', '.join(map(str, FLOATS))}")
    with torch.inference_mode(False), read_checkpoint(path, upsampling=upsampling) as checkpoint:
        _warn_if_not_finite(_file(path), checkpoint.state)
        module = build_module(checkpoint.architecture, checkpoint.state, device, dtype)
        exact = dtype in (torch.float32, torch.float64)  # else the module's weights are rounded
        fingerprint = None if exact else weights_fingerprint(checkpoint.state, checkpoint.architecture)
        return Generator(module, checkpoint.metadata, fingerprint)


@contextmanager
def read_checkpoint(path: str | os.PathLike[str], *, upsampling: str | None = None) -> Iterator[Checkpoint]:
    """What a weights file holds, without copying it; the state's tensors are valid inside the `with`.

    upsampling: see `load_generator`.
    Raises MissingWeightsError for a missing file, UnsupportedCheckpointError where it holds no supported
    generator, or one that doubles in another way than `upsampling`; InvalidInputError for an unknown upsampling.
    """
    if upsampling is not None and str(upsampling) not in UPSAMPLINGS:
        raise InvalidInputError(
            f"upsampling is {upsampling!r}; expected one of {', '.join(UPSAMPLINGS)} or None"
        )
    file = _file(path)
    with suppress(OSError):  # `open_content` names what else is wrong with a path
        if not file.exists() and not file.is_symlink():
            raise MissingWeightsError(
                f"there is no generator file {file}; check the path or reinstall the package"
            )
    with open_content(file, unknown=True) as content:
        try:
            checkpoint = _interpreted(file, content, upsampling)
        except UnsupportedCheckpointError as error:
            raise UnsupportedCheckpointError(f"{file.name}: {one_line(error)}") from error
        yield checkpoint


def save_generator(
    generator: Generator,
    path: str | os.PathLike[str],
    dtype: torch.dtype = torch.float32,
    extra_metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a generator's weights in float32 or float16.

    extra_metadata: e.g. "licence", "source", "source_sha256"; it overrides the generator's own metadata, but
    not the format and the dimensions. An existing file is replaced only once the new one is complete.
    Raises InvalidInputError for another dtype and where weights do not fit float16, SaveError where the file
    can't be written.
    """
    if dtype not in (torch.float32, torch.float16):
        raise InvalidInputError(f"dtype is {dtype}; expected torch.float32 or torch.float16")
    state = {name: _storable(name, tensor, dtype) for name, tensor in generator.module.state_dict().items()}
    header = {**generator.metadata, **(extra_metadata or {}), **generator.architecture.as_metadata()}
    if header.get("format", FORMAT) != FORMAT:
        header["source_format"] = header["format"]
    save_tensors(
        state, as_path(path, "the generator's file"), {**header, "format": FORMAT, "version": str(VERSION)}
    )


def _file(path: str | os.PathLike[str]) -> Path:
    return DEMO if isinstance(path, str) and path == "demo" else as_path(path, "the generator's file")


def _interpreted(file: Path, content: Content, upsampling: str | None) -> Checkpoint:
    partial = find_generator(content, 2 * file.stat().st_size + MARGIN)
    choose_upsampling(partial, upsampling)
    is_native = native.is_native(content.metadata)
    check_supported(partial, size_of_z_is_known=is_native)
    estimate = not is_native and complete(partial)
    architecture = architecture_from(shapes_of(partial.state), partial.config_hints)
    if architecture.img_channels != 3:
        raise UnsupportedCheckpointError(
            f"it makes images of {architecture.img_channels} channels; expected 3"
        )
    if is_native:
        native.check_header(content.metadata, architecture)
    draw_noise(partial.state)
    if estimate:
        partial.state["mapping.w_avg"] = estimate_w_avg(architecture, partial.state)
    metadata = dict(content.metadata) if is_native else _metadata(file, partial, architecture.as_metadata())
    return Checkpoint(
        partial.format, architecture, partial.state, tuple(partial.ignored), tuple(partial.notes), metadata
    )


def _metadata(file: Path, partial: PartialCheckpoint, dimensions: Mapping[str, str]) -> dict[str, str]:
    notes = {"notes": "; ".join(partial.notes)} if partial.notes else {}
    return {**dimensions, "format": partial.format, "source": file.name, **notes}


def _warn_if_not_finite(file: Path, state: Mapping[str, Tensor]) -> None:
    """A sum is finite only where all its terms are, and costs far less than looking at each."""
    spoilt = [
        name
        for name, tensor in state.items()
        if not bool(tensor.sum(dtype=torch.float32).isfinite()) and not bool(tensor.isfinite().all())
    ]
    if spoilt:
        named = ", ".join(spoilt[:8]) + (f" and {len(spoilt) - 8} more" if len(spoilt) > 8 else "")
        message = f"{file.name}: the tensor {named} holds NaN or infinity, so images will be spoilt"
        warnings.warn(message, stacklevel=3)


def _storable(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    stored = tensor.detach().to("cpu", dtype).contiguous()
    if bool(stored.isinf().any()) and not bool(tensor.isinf().any()):
        raise InvalidInputError(f"the tensor {name} exceeds the range of float16; save it as torch.float32")
    return stored
