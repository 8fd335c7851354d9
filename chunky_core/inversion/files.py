"""Inversions on disk: one .safetensors file, tensors plus a JSON document in its metadata. Nothing in it is
executed.

Tensors: `photo` (uint8 [1,H,W,3] if the photo is exactly 8-bit, else floating [1,3,H,W]; absent if left out),
`masks` [N,1,H,W], `static_mask` [1,1,H,W], `codes/0` ..., `edits/0` ... (the direction of each edit, so that a
file needs no direction file beside it), `deltas/0/NAME` ..., `noise/0` ..., `state/NAME` ...
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ChunkyError, InvalidInputError
from ..replacing import replacing
from .document import check_finite, parse, rebuild, to_json, to_tensors
from .inversion import Inversion

FORMAT = "chunkygan-inversion"
VERSION = (1, 1)  # a reader takes every file of its own major version and ignores entries it doesn't know
MAX_BYTES = 8 << 30  # of a file: 13 segments with a delta of all weights each are far smaller
DTYPES = {"F16", "BF16", "F32", "F64", "U8", "I32", "I64", "BOOL"}


def save_inversion(inversion: Inversion, path: str | Path, *, with_photo: bool = True) -> None:
    """Write the whole record to one .safetensors file, from which `load_inversion` renders the same pixels.

    with_photo: False leaves the photo itself out and keeps its digest; `Inversion.with_photo` puts it back.
    An existing file is replaced only once the new one is complete.
    Raises InvalidInputError for another ending, a folder that doesn't exist, settings that JSON can't hold,
    codes, edits or maps that aren't finite, and where the file can't be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors" or not path.parent.is_dir():
        raise InvalidInputError(
            f"can't save an inversion as {path}; give a .safetensors file in an existing folder"
        )
    check_finite(inversion)
    kept = inversion if with_photo or inversion.photo is None else inversion.without_photo()
    metadata = {"format": FORMAT, "version": ".".join(map(str, VERSION)), "inversion": to_json(kept)}
    try:
        with replacing(path) as new:
            save_file(to_tensors(kept), str(new), metadata=metadata)
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(
            f"{path} can't be written ({error}); free some space or choose another folder"
        ) from error


def load_inversion(path: str | Path) -> Inversion:
    """Read a file written by `save_inversion`; tensors come back on the CPU, fit for autograd even if this is
    called in inference mode.

    Raises InvalidInputError if the file is absent, damaged, no inversion, or of a newer major version.
    """
    path = Path(path)
    _check_size(path)
    try:
        with torch.inference_mode(False), safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InvalidInputError(f"format is {metadata.get('format')!r}, not {FORMAT!r}")
            _check_version(metadata.get("version", ""))
            names = set(file.keys())
            return rebuild(parse(metadata["inversion"]), lambda name: _tensor(file, names, name))
    except ChunkyError as error:
        raise InvalidInputError(f"{path} is no saved inversion that can be opened: {error}") from error
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(f"{path} can't be read as a .safetensors file ({error})") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"{path} is a damaged inversion file ({error!r:.200}); save the inversion again"
        ) from error


def _check_size(path: Path) -> None:
    if not path.is_file():
        raise InvalidInputError(f"there is no inversion file {path}; check the path")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InvalidInputError(
            f"{path} has {size / 2**30:.1f} GiB; expected at most {MAX_BYTES >> 30} of an inversion"
        )


def _check_version(version: str) -> None:
    if not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise InvalidInputError(f"its version is {version!r:.40}; expected two numbers such as 1.0")
    if int(version.partition(".")[0]) > VERSION[0]:
        raise InvalidInputError(
            f"it was saved by a newer program: its version is {version}, this one reads up to {VERSION[0]}.x; "
            "update the program"
        )


def _tensor(file: Any, names: set[str], name: str) -> Tensor:
    """A copy: the original is mapped to the file and would change, or crash, where another program changes it."""
    if name not in names:
        raise InvalidInputError(f"the tensor {name!r:.100} is missing")
    dtype = file.get_slice(name).get_dtype()
    if dtype not in DTYPES:
        raise InvalidInputError(
            f"tensor {name!r:.100} is {dtype}; expected one of {', '.join(sorted(DTYPES))}"
        )
    return file.get_tensor(name).clone()
