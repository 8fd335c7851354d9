"""Directions as files have them: arrays that say little of what they are, until a generator tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol, get_args

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction
from .direction_checks import code_size, misfit

Arrangement = Literal["auto", "one per layer", "components", "components in columns"]
ARRANGEMENTS: tuple[Arrangement, ...] = get_args(Arrangement)
WIDEST_W = 1024  # numbers; longer vectors are of W+ or S, and only a generator says which
MOST_LAYERS = 26  # vectors of W+, or styles; where no generator is given, more rows are components
MAX_ROWS = 1024
_PARALLEL = 1e-4  # largest |cosine| of components, which are orthogonal but for rounding
EXPECTED = "expected [w_dim], [num_ws, w_dim], or [components, w_dim]"


class NeedsGeneratorError(InvalidInputError):
    """What a file holds can't be told without the generator that it is for."""


class StoredDirection(Protocol):
    """One entry of a file, which holds one direction or a matrix of them. says_unit: whether the file says what its
    numbers are.
    """

    says_unit: ClassVar[bool]

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> str:
        """Its size as the file has it, for people."""

    def directions(
        self, generator: Generator | None, arrangement: Arrangement, raw: bool
    ) -> Iterator[Direction]:
        """What it holds. raw: as stored, also where the file says what a standard deviation is.

        generator: None = as far as can be told without. Raises NeedsGeneratorError where that is nothing,
        InvalidInputError where its numbers are none of the generator's sizes.
        """


@dataclass(frozen=True, eq=False)
class OwnDirection:
    """A direction of this project's files, which say everything."""

    says_unit: ClassVar[bool] = True

    direction: Direction

    @property
    def name(self) -> str:
        return self.direction.name

    @property
    def shape(self) -> str:
        return size_text(self.direction.tensor)

    def directions(
        self, generator: Generator | None, arrangement: Arrangement, raw: bool
    ) -> Iterator[Direction]:
        yield self.direction


@dataclass(frozen=True, eq=False)
class StoredArray:
    """A vector, or a matrix of several. deviations: [k], what one standard deviation is along each row; columns: that
    the file's tool stores components in columns; per_layer: that it stores one vector per layer; styles: that it
    stores channels of S; about: what the directions carry beside their numbers.
    """

    says_unit: ClassVar[bool] = False

    name: str
    numbers: Tensor
    about: Direction = field(default_factory=lambda: Direction("", "w", torch.zeros(1), unit="raw"))
    deviations: Tensor | None = None
    columns: bool = False
    per_layer: bool = False
    styles: bool = False
    component_names: str = "component"

    @property
    def shape(self) -> str:
        return size_text(self.numbers)

    def directions(
        self, generator: Generator | None, arrangement: Arrangement, raw: bool
    ) -> Iterator[Direction]:
        whole = self._squeezed()
        rows = self._rows(whole, generator, arrangement)
        if rows is None:
            if not whole.any():
                raise self._wrong("holds nothing but zeros; an edit along it would change nothing")
            yield self._direction(self.name, whole, generator, 0, raw)
            return
        for index, row in enumerate(rows):
            yield self._direction(f"{self.component_names}_{index}", row, generator, index, raw)

    def _squeezed(self) -> Tensor:
        """Without dimensions of 1, as tools put them around the batch or between."""
        numbers = self.numbers
        tensor = numbers.reshape([size for size in numbers.shape if size != 1] or [1] * (numbers.ndim > 0))
        if not 1 <= tensor.ndim <= 2 or tensor.shape[-1] < 2 or not len(tensor):
            raise self._wrong(f"is {tuple(numbers.shape)}; {EXPECTED}")
        return tensor

    def _rows(
        self, whole: Tensor, generator: Generator | None, arrangement: Arrangement
    ) -> list[Tensor] | None:
        """The vectors of a matrix of components; None where it is one direction."""
        if whole.ndim == 1:
            return None
        chosen = self._arrangement(whole, generator) if arrangement == "auto" else arrangement
        if chosen == "one per layer":
            return None
        rows = whole.T if chosen == "components in columns" else whole
        if len(rows) > MAX_ROWS:
            raise self._wrong(f"has {len(rows)} rows; expected at most {MAX_ROWS} components")
        return list(rows.contiguous())

    def _arrangement(self, whole: Tensor, generator: Generator | None) -> Arrangement:
        """What a matrix is, by its tool, the generator's sizes and whether its rows are orthogonal."""
        if self.columns:
            return "components in columns"
        if self.per_layer or bool((whole == whole[0]).all()):
            return "one per layer"
        orthogonal = _are_orthogonal(whole)
        if generator is None:
            if orthogonal:
                return "components"
            if _are_orthogonal(whole.T):
                return "components in columns"
            return "one per layer" if len(whole) <= MOST_LAYERS else "components"
        if tuple(whole.shape) == code_size(generator, "w+") and not orthogonal:
            return "one per layer"
        if _vector_space(generator, whole.shape[1]) is None and len(whole) == generator.w_dim:
            return "components in columns"
        return "components"

    def _direction(
        self, name: str, tensor: Tensor, generator: Generator | None, index: int, raw: bool
    ) -> Direction:
        unit = self.about.unit
        if self.deviations is not None and not raw:
            tensor, unit = tensor * self.deviations[index], "sigma"
        if not torch.isfinite(tensor).all():
            raise self._wrong("holds values that aren't finite numbers of float32; save it anew")
        space, tensor = self._placed(name, tensor, generator)
        return replace(self.about, name=name, space=space, tensor=tensor, unit=unit)

    def _placed(self, name: str, tensor: Tensor, generator: Generator | None) -> tuple[str, Tensor]:
        """The space of the numbers, and the numbers in its shape."""
        if generator is None:
            if tensor.ndim == 1 and (self.styles or len(tensor) > WIDEST_W):
                raise NeedsGeneratorError(
                    f"direction {self.name[:80]!r} has {len(tensor)} numbers; only with the generator it is known of "
                    "which space"
                )
            return ("w" if tensor.ndim == 1 else "w+"), tensor
        if tensor.ndim == 2:
            if tuple(tensor.shape) != code_size(generator, "w+"):
                raise misfit(generator, name, tuple(tensor.shape))
            return "w+", tensor
        space = _vector_space(generator, len(tensor))
        if space is None or (self.styles and space != "s"):
            raise misfit(generator, name, tuple(self.numbers.shape))
        if space == "s" and len(tensor) != code_size(generator, "s")[0]:
            tensor = with_zeros_for_torgb(generator, tensor)
        return space, tensor.reshape(code_size(generator, space))

    def _wrong(self, found: str) -> InvalidInputError:
        return InvalidInputError(f"direction {self.name[:80]!r} {found}")


def with_zeros_for_torgb(generator: Generator, tensor: Tensor) -> Tensor:
    """A vector over the channels of the convolutions as one of all styles."""
    parts, start = [], 0
    for layer, width in generator.style_layout:
        here = 0 if is_torgb(layer) else width
        parts.append(tensor[start : start + here] if here else tensor.new_zeros(width))
        start += here
    return torch.cat(parts)


def is_torgb(layer: str) -> bool:
    """Whether a layer of `Generator.style_layout` makes RGB."""
    return layer.endswith("torgb")


def convolution_channels(generator: Generator) -> int:
    """How many style channels a generator has without those of the toRGB layers."""
    return sum(width for layer, width in generator.style_layout if not is_torgb(layer))


def size_text(tensor: Tensor) -> str:
    """18 x 512."""
    return " x ".join(map(str, tensor.shape)) or "a number"


def _vector_space(generator: Generator, length: int) -> str | None:
    """The space that a vector of this length is of."""
    lengths = {
        generator.w_dim: "w",
        code_size(generator, "s")[0]: "s",
        convolution_channels(generator): "s",
        generator.num_ws * generator.w_dim: "w+",
    }
    return "w" if length == generator.w_dim else lengths.get(length)


def _are_orthogonal(rows: Tensor) -> bool:
    """Whether there are several rows, none zero, all at right angles, as components of PCA and SeFa are."""
    lengths = rows.norm(dim=1, keepdim=True)
    if not 2 <= len(rows) <= rows.shape[1] or not bool((lengths > 0).all()):
        return False
    unit = rows / lengths
    cosines = unit @ unit.T - torch.eye(len(rows))
    return float(cosines.abs().max()) < _PARALLEL
