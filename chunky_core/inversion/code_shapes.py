"""Plain arrays of numbers as latent codes of a generator: which space they are in, told by their size."""

from __future__ import annotations

from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode


def as_code(generator: Generator, numbers: Tensor, space: str | None = None) -> LatentCode:
    """One code or a batch from `numbers`: [n], [layers,n], [B,n] or [B,layers,n], also with dimensions of 1 around.

    space: what they are; None: [w_dim] is a w, [num_ws,w_dim] a w+, or a w where all rows of all codes are equal, and
    [sum of all style channels] an s. Raises InvalidInputError where they don't fit the generator, naming both sizes,
    and where they aren't finite.
    """
    found = list(numbers.shape)
    numbers = _without_ones(numbers).float()
    code = _told(generator, numbers) if space is None else _stated(generator, numbers, space)
    if code is None:
        raise InvalidInputError(f"its code is {found}; {_expected(generator, numbers, space)}")
    if not bool(code.tensor.isfinite().all()):
        raise InvalidInputError("its code holds NaN or infinite values; expected numbers")
    return code


def _told(generator: Generator, numbers: Tensor) -> LatentCode | None:
    width, last = generator.w_dim, numbers.shape[-1]
    if last == width and numbers.ndim > 1 and numbers.shape[-2] == generator.num_ws:
        codes = numbers.reshape(-1, generator.num_ws, width)
        return (
            LatentCode("w", codes[:, 0]) if bool((codes == codes[:, :1]).all()) else LatentCode("w+", codes)
        )
    if last == width and (numbers.ndim == 1 or numbers.ndim == 3 and numbers.shape[1] == 1):
        return LatentCode("w", numbers.reshape(-1, width))
    if last == _style_channels(generator) and numbers.ndim < 3:
        return LatentCode("s", numbers.reshape(-1, last))
    return None


def _stated(generator: Generator, numbers: Tensor, space: str) -> LatentCode | None:
    layers = generator.num_ws
    width = {"z": generator.z_dim, "s": _style_channels(generator)}.get(space, generator.w_dim)
    if numbers.shape[-1] != width:
        return None
    if space == "w+":
        if numbers.ndim > 1 and numbers.shape[-2] == layers:
            return LatentCode(space, numbers.reshape(-1, layers, width))
        return (
            LatentCode(space, numbers.reshape(-1, 1, width).repeat(1, layers, 1))
            if numbers.ndim == 1
            else None
        )
    if numbers.ndim == 3:  # the same for all layers, or one only
        if not bool((numbers == numbers[:, :1]).all()) or numbers.shape[1] not in (1, layers):
            return None
        numbers = numbers[:, 0]
    return LatentCode(space, numbers.reshape(-1, width))


def _without_ones(numbers: Tensor) -> Tensor:
    """Without the dimensions of 1 beyond three, and before two."""
    while numbers.ndim > 3 and 1 in numbers.shape[:-2]:
        numbers = numbers.squeeze(numbers.shape.index(1))
    while numbers.ndim == 2 and numbers.shape[0] == 1:
        numbers = numbers[0]
    return numbers


def _style_channels(generator: Generator) -> int:
    return sum(channels for _, channels in generator.style_layout)


def _expected(generator: Generator, numbers: Tensor, space: str | None) -> str:
    sizes = {
        "z": [generator.z_dim],
        "w": [generator.w_dim],
        "w+": [generator.num_ws, generator.w_dim],
        "s": [_style_channels(generator)],
    }
    if space is not None:
        return f"this generator takes {sizes[space]} in {space}, or a batch of them"
    several = numbers.ndim == 2 and numbers.shape[1] == generator.w_dim
    hint = f"; where these are {len(numbers)} codes in w, give the space w" if several else ""
    known = ", ".join(f"{sizes[one]} in {one}" for one in ("w+", "w", "s"))
    return f"this generator takes {known}, or batches of w+{hint}; it may belong to another generator"
