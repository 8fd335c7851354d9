"""Inversions on disk: one .safetensors file, tensors plus a JSON document in its metadata. Nothing in it is
executed.

Tensors: `photo` (uint8 [1,H,W,3] if the photo is exactly 8-bit, else floating [1,3,H,W]; absent if left out),
`masks` [N,1,H,W], `static_mask` [1,1,H,W], `codes/0` ..., `edits/0` ... (the direction of each edit, so that a
file needs no direction file beside it), `deltas/0/NAME` ..., `noise/0` ..., `mask_code` (X^S), `state/NAME` ...; of
the steps that led to it the same ones under `steps/0/` ...
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.checkpoint import fields
from ..checkpoints.containers.content import Content, open_content
from ..checkpoints.containers.mapped_file import mapped, naming
from ..checkpoints.containers.safetensors_files import is_safetensors, read_safetensors
from ..checks import as_path
from ..errors import ChunkyError, InvalidInputError, UnsupportedCheckpointError
from ..saving import save_tensors
from .document import check_finite, rebuild, to_json, to_tensors
from .plain_values import parse
from .record import Inversion
from .steps_document import STEPS, after_steps, steps_to_json, steps_to_tensors

FORMAT = "chunkygan-inversion"
VERSION = (1, 1)  # a reader takes every file of its own major version and ignores entries it doesn't know
EXPECTED = (
    "expected an inversion that this program has saved (.safetensors); latent codes of other tools, such as "
    "projected_w.npz, are opened by load_latent and the node Load Latent"
)
DTYPES = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.uint8, torch.int32, torch.int64, torch.bool),
}
MAX_BYTES = 8 << 30  # of a file: 13 segments with a delta of all weights each are far smaller


def save_inversion(inversion: Inversion, path: str | Path, *, with_photo: bool = True) -> None:
    """Write the whole record to one .safetensors file, from which `load_inversion` renders the same pixels.

    with_photo: False leaves the photo itself out and keeps its digest; `Inversion.with_photo` puts it back.
    An existing file is replaced only once the new one is complete.
    Raises InvalidInputError for another ending, a folder that doesn't exist, settings that JSON can't hold, and
    codes, edits or maps that aren't finite; SaveError where the file can't be written.
    """
    path = as_path(path, "the inversion's file")
    if path.suffix != ".safetensors" or not path.parent.is_dir():
        raise InvalidInputError(
            f"can't save an inversion as {path}; give a .safetensors file in an existing folder"
        )
    for step in inversion.steps:
        check_finite(step)
    kept = inversion if with_photo or inversion.photo is None else inversion.without_photo()
    metadata = {"format": FORMAT, "version": ".".join(map(str, VERSION)), "inversion": to_json(kept)}
    tensors = to_tensors(kept)
    if kept.earlier is not None:
        metadata[STEPS] = steps_to_json(kept)
        tensors |= steps_to_tensors(kept)
    save_tensors(tensors, path, metadata)


def load_inversion(path: str | Path) -> Inversion:
    """Read a file written by `save_inversion`; tensors come back on the CPU, fit for autograd even if this is
    called in inference mode.

    Raises InvalidInputError if the file is absent, damaged, no inversion, or of a newer major version.
    """
    path = as_path(path, "the inversion's file")
    _check_size(path)
    try:
        with torch.inference_mode(False), open_content(path) as content:
            _check_kind(content)
            read = _reader(content, path.stat().st_size)
            opened = rebuild(parse(content.metadata["inversion"]), read)
            return after_steps(opened, content.metadata.get(STEPS), read)
    except UnsupportedCheckpointError as error:
        found = str(error).removeprefix(f"{path.name}: ").partition(";")[0]
        raise InvalidInputError(f"{path} is no saved inversion: {found}; {EXPECTED}") from error
    except ChunkyError as error:
        raise InvalidInputError(f"{path} is no saved inversion that can be opened: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"{path} is a damaged inversion file ({error!r:.200}); save the inversion again"
        ) from error


def is_saved_inversion(path: str | Path) -> bool:
    """Whether a file says that it is an inversion of this package. Raises MissingWeightsError where there is none,
    UnsupportedCheckpointError where it is a damaged .safetensors file.
    """
    with mapped(path) as data, naming(Path(path)):
        start = bytes(data[:16])
        return is_safetensors(start) and read_safetensors(data)[1].get("format") == FORMAT


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise InvalidInputError(f"{path} can't be read ({error.strerror}); check the path") from error
    if size is None:
        raise InvalidInputError(f"there is no inversion file {path}; check the path")
    if size > MAX_BYTES:
        raise InvalidInputError(
            f"{path} has {size / 2**30:.1f} GiB; expected at most {MAX_BYTES >> 30} of an inversion"
        )


def _check_kind(content: Content) -> None:
    if content.container != "safetensors":
        held = fields(content.value)
        found = ", ".join(str(name)[:40] for name in list(held)[:3]) or "a tensor"
        raise InvalidInputError(
            f"it is a file of torch.save or pickle ({found}), perhaps the latent code of another tool; {EXPECTED}"
        )
    kind = content.metadata.get("format")
    if kind != FORMAT:
        raise InvalidInputError(f"its format is {kind!r:.60}, expected {FORMAT!r}")
    _check_version(content.metadata.get("version", ""))


def _check_version(version: str) -> None:
    if not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise InvalidInputError(f"its version is {version!r:.40}; expected two numbers such as 1.0")
    if int(version.partition(".")[0]) > VERSION[0]:
        raise InvalidInputError(
            f"it was saved by a newer program: its version is {version}, this one reads up to {VERSION[0]}.x; "
            "update the program"
        )


def _reader(content: Content, size: int) -> Callable[[str], Tensor]:
    """Gives copies: the file itself may change, or become shorter, while the inversion is in use."""
    room = [size]  # tensors of a damaged file may share their bytes

    def read(name: str) -> Tensor:
        if name not in content.value:
            raise InvalidInputError(f"the tensor {name!r:.100} is missing")
        tensor = content.value[name]
        if tensor.dtype not in DTYPES:
            raise InvalidInputError(f"the tensor {name!r:.100} holds {tensor.dtype}, which no inversion does")
        room[0] -= tensor.numel * tensor.dtype.itemsize
        if room[0] < 0:
            raise InvalidInputError("its tensors need more bytes than the file has")
        return tensor.tensor().clone()

    return read
