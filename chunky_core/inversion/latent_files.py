"""Latent codes in other tools' files: what projectors and encoders leave behind. Read as data, nothing is executed.

NVlabs' projected_w.npz, e4e's and Pivotal Tuning's tensors, rosinality's projector files (a dict by picture, with noise
maps), dicts of codes by picture, and plain arrays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.checkpoint import MAX_NAME, as_tensor, is_weight
from ..checkpoints.containers.archive import Archive
from ..checkpoints.containers.content import open_content
from ..checkpoints.containers.mapped_file import mapped, naming
from ..checkpoints.containers.numpy_files import is_npy, is_npz, read_npy, read_npz
from ..checkpoints.contents_summary import describe, names_in, native_file
from ..checks import as_path
from ..errors import InvalidInputError, UnsupportedCheckpointError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode
from .code_shapes import as_code

# Names that tools give to codes, in the order in which they count where there are several
NAMES = (
    "w", "ws", "w_plus", "wplus", "projected_w", "w_pivot", "latent", "latents", "latent_code", "latent_codes",
    "dlatent", "dlatents", "code", "codes", "z", "s", "styles",
)  # fmt: skip
_SPACES = {"z": "z", "s": "s", "styles": "s"}
MAX_NUMBERS = 1 << 28  # of all codes
EXPECTED = "expected latent codes: projected_w.npz, or a .pt or .npy of [num_ws,w_dim] or [w_dim] numbers, or several"
NOT_ITS_NOISE = "the noise maps in the file aren't of this generator's sizes and are left out"


@dataclass(frozen=True, eq=False)
class StoredCodes:
    """The codes in a file.

    code: all of them, [B,...]; names: what the file calls each, where it does, else (); noise: of each its noise maps
    [r,r], one per entry of `Generator.noise_layout`, where the file has any, else (); notes: what was left out.
    """

    code: LatentCode
    names: tuple[str, ...] = ()
    noise: tuple[tuple[Tensor, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def one(self, index: int) -> StoredCodes:
        """A single one of them. Raises InvalidInputError where there is none of this number."""
        count = len(self.code.tensor)
        if not 0 <= index < count:
            raise InvalidInputError(f"code {index} was asked for; the file holds {count}, counted from 0")
        chosen = slice(index, index + 1)
        code = LatentCode(self.code.space, self.code.tensor[chosen])
        return StoredCodes(code, self.names[chosen], self.noise[chosen], self.notes)


@dataclass(frozen=True, eq=False)
class _Entry:
    """Numbers found under a name, with what the name says of their space and the noise maps beside them."""

    numbers: Tensor
    name: str = ""
    space: str | None = None
    noise: tuple[Tensor, ...] = field(default_factory=tuple)


def load_latent(generator: Generator, path: str | os.PathLike[str], space: str | None = None) -> LatentCode:
    """The latent codes in a file of another tool, [B,...] in float32 on the CPU, for this generator.

    space: "z", "w", "w+" or "s" says what the numbers are; None takes it from names and sizes: [w_dim] is a w,
    [num_ws,w_dim] a w+, or a w where all its rows are equal, [sum of all style channels] an s.
    Raises MissingWeightsError for a missing file, UnsupportedCheckpointError for a damaged one and one that wants
    anything executed, InvalidInputError where it holds no codes or ones of another size than the generator's.
    """
    return read_codes(generator, path, space).code


def read_codes(generator: Generator, path: str | os.PathLike[str], space: str | None = None) -> StoredCodes:
    """As `load_latent`, with the names and noise maps that some files hold beside the codes."""
    if space not in (None, *SPACES):
        raise InvalidInputError(f"the space is {space!r}; expected one of {SPACES} or None")
    file = as_path(path, "the file of codes")
    try:
        with torch.inference_mode(False), _opened(file) as value:
            return _stored_codes(list(_entries(value, generator)), generator, space)
    except InvalidInputError as error:
        raise InvalidInputError(f"{file.name}: {error}") from error


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """What a file holds, by its content: an array, named arrays, or what torch.save or pickle wrote."""
    with mapped(file) as data:
        if is_npy(data):
            yield read_npy(file)
            return
        if bytes(data[:2]) == b"PK" and _is_npz(file, data):
            yield read_npz(file)
            return
    with open_content(file) as content:
        known = native_file(content.metadata.get("format", ""))
        if known:
            raise InvalidInputError(f"{known}; {EXPECTED}")
        yield content.value


def _is_npz(file: Path, data: memoryview) -> bool:
    with naming(file):
        return is_npz(Archive(data))


def _entries(value: Any, generator: Generator) -> Iterator[_Entry]:
    """The codes in a file's contents. Raises InvalidInputError where there are none."""
    if is_weight(value):
        yield _Entry(_numbers(value))
        return
    if isinstance(value, Mapping):
        own = _named(value, "", generator)
        if own is not None:
            yield own
            return
        found = [_of_picture(str(name)[:MAX_NAME], one, generator) for name, one in value.items()]
    else:
        listed = value if isinstance(value, list | tuple) else ()
        if _are_styles(listed, generator):
            yield _Entry(_joined(listed), space="s")
            return
        found = [_of_picture("", one, generator) for one in listed]
    entries = [entry for entry in found if entry is not None]
    if not entries or len(entries) < len(found):
        raise InvalidInputError(f"it holds {describe(value, names_in(value))}; {EXPECTED}")
    yield from entries


def _named(value: Mapping[Any, Any], picture: str, generator: Generator) -> _Entry | None:
    """The code in a dict that has one under a tool's name for it, with the noise maps beside it."""
    for name in NAMES:
        found = value.get(name)
        if is_weight(found):
            return _Entry(_numbers(found), picture, _SPACES.get(name), _maps(value.get("noise")))
        if name in ("s", "styles") and _are_styles(found, generator):
            return _Entry(_joined(found), picture, "s")
    return None


def _of_picture(name: str, value: Any, generator: Generator) -> _Entry | None:
    if is_weight(value):
        return _Entry(_numbers(value), name)
    return _named(value, name, generator) if isinstance(value, Mapping) else None


def _are_styles(value: Any, generator: Generator) -> bool:
    """Whether a list holds the styles of all layers of one code, [C] or [1,C] each."""
    layout = generator.style_layout
    if not isinstance(value, list | tuple) or len(value) != len(layout) or not all(map(is_weight, value)):
        return False
    sizes = [_numbers(one).numel() for one in value]
    return sizes == [channels for _, channels in layout]


def _joined(styles: Any) -> Tensor:
    return torch.cat([_numbers(one).reshape(-1) for one in styles])


def _maps(value: Any) -> tuple[Tensor, ...]:
    if not isinstance(value, list | tuple) or not all(map(is_weight, value)):
        return ()
    return tuple(_numbers(one) for one in value)


def _numbers(value: Any) -> Tensor:
    """A tensor of the file, copied so that it outlives it. Raises InvalidInputError where it holds no floats."""
    try:
        found = as_tensor("of a code", value)
    except UnsupportedCheckpointError as error:
        raise InvalidInputError(str(error)) from error
    if not 0 < found.numel() <= MAX_NUMBERS or found.ndim == 0:
        raise InvalidInputError(
            f"it holds an array of shape {list(found.shape)}; expected 1 to {MAX_NUMBERS} numbers"
        )
    return found.detach().float().clone()


def _stored_codes(entries: list[_Entry], generator: Generator, space: str | None) -> StoredCodes:
    codes = [as_code(generator, entry.numbers, space or entry.space) for entry in entries]
    spaces = {code.space for code in codes}
    if spaces == {"w", "w+"}:  # of several pictures, some with equal rows
        codes = [as_code(generator, entry.numbers, "w+") for entry in entries]
    elif len(spaces) > 1:
        raise InvalidInputError(
            f"its codes are of different spaces, {', '.join(sorted(spaces))}; expected one"
        )
    code = LatentCode(codes[0].space, torch.cat([one.tensor for one in codes]))
    names = tuple(entry.name for entry in entries)
    noise = tuple(_fitting(entry.noise, generator) for entry in entries)
    lost = any(entry.noise and not maps for entry, maps in zip(entries, noise, strict=True))
    each = len(code.tensor) == len(entries)
    return StoredCodes(
        code,
        names if each and any(names) else (),
        noise if each and any(noise) else (),
        (NOT_ITS_NOISE,) if lost else (),
    )


def _fitting(maps: tuple[Tensor, ...], generator: Generator) -> tuple[Tensor, ...]:
    """Noise maps as [r,r], () where they aren't the generator's."""
    sizes = [generator.size_at(resolution) for _, resolution in generator.noise_layout]
    if [one.numel() for one in maps] != [size.area for size in sizes]:
        return ()
    return tuple(one.reshape(size) for one, size in zip(maps, sizes, strict=True))
