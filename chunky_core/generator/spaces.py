"""Latent codes, the spaces they live in and the way from one space to the next: z -> w -> w+ -> s.

z: what is drawn at random; w: the mapping network's output; w+: one w per layer (Abdal et al. 2019);
s: the channel-wise styles, outputs of all affine layers in a row (Wu et al. 2021).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..checks import check_tensor, check_type
from ..errors import InvalidInputError

if TYPE_CHECKING:
    from .generator import Generator

SPACES = ("z", "w", "w+", "s")


@dataclass(frozen=True, eq=False)
class LatentCode:
    """A code of a generator. tensor: z [B,z_dim], w [B,w_dim], w+ [B,num_ws,w_dim], s [B, sum of all style
    channels].

    Raises InvalidInputError for an unknown space or a wrong number of dimensions.
    """

    space: str
    tensor: Tensor

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise InvalidInputError(f"the space is {self.space!r:.60}; expected one of {SPACES}")
        expected = 3 if self.space == "w+" else 2
        check_tensor(self.tensor, f"a code in {self.space}", f"of {expected} dimensions, batch first")
        if self.tensor.ndim != expected:
            shape = tuple(self.tensor.shape)
            raise InvalidInputError(
                f"a code in {self.space} is {shape}; expected {expected} dimensions, batch first"
            )

    def __repr__(self) -> str:
        return f"LatentCode({self.space}, {list(self.tensor.shape)})"


@dataclass(frozen=True)
class Calibration:
    """What strength 1 of a direction does, measured over a set of pictures (P2 §4.2): one unit of `attribute`.

    response: the slope of the linear fit before the direction was scaled, in units of the attribute per strength;
    r2: of that fit, 0 ... 1; samples: how many codes were measured; span: the strengths between which the fit holds,
    in the scaled direction's own units.
    """

    attribute: str
    response: float
    r2: float
    samples: int
    span: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction of editing; strength 1.0 adds `tensor` to a code.

    tensor: w [w_dim], w+ [num_ws,w_dim] or s [sum of all style channels].
    layers: those that it moves, of w and w+ by their number from 0 (coarsest), of s by that in
    `Generator.style_layout`; () = all.
    unit: what strength 1 means: "sigma", one standard deviation of the generator's own distribution along it; "raw",
    what the file says; or a unit of `calibration`. source, license: where it comes from, for people. fingerprint: of
    the generator that it was made for, "" = not known.
    Raises InvalidInputError for an unknown space or a wrong number of dimensions.
    """

    name: str
    space: str
    tensor: Tensor
    description: str = ""
    layers: tuple[int, ...] = ()
    unit: str = "sigma"
    source: str = ""
    license: str = ""
    fingerprint: str = ""
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if self.space not in SPACES[1:]:
            raise InvalidInputError(
                f"direction {self.name} is in {self.space!r}; expected one of {SPACES[1:]}"
            )
        expected = 2 if self.space == "w+" else 1
        if self.tensor.ndim != expected:
            shape = tuple(self.tensor.shape)
            raise InvalidInputError(
                f"direction {self.name} is {shape}; expected {expected} dimensions, no batch"
            )
        object.__setattr__(self, "layers", checked_layers(self.layers, f"direction {self.name}"))

    def __repr__(self) -> str:
        return f"Direction({self.name!r}, {self.space})"


def checked_layers(layers: Iterable[int], whose: str) -> tuple[int, ...]:
    """Numbers of layers in ascending order, each once. Raises InvalidInputError for anything else."""
    numbers = tuple(layers)
    if not all(isinstance(layer, int) and not isinstance(layer, bool) and layer >= 0 for layer in numbers):
        raise InvalidInputError(f"the layers of {whose} are {numbers!r:.60}; expected whole numbers from 0")
    return tuple(sorted(set(numbers)))


def check_codes(codes: object, what: str, hint: str = "") -> None:
    """Raise InvalidInputError unless `codes` is a LatentCode of one or more codes of finite floats.

    what: its name in the error; hint: where one comes from.
    """
    check_type(codes, what, LatentCode, hint)
    tensor = codes.tensor  # type: ignore[attr-defined]
    if not tensor.is_floating_point() or not tensor.numel():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise InvalidInputError(f"{what} is {kind} {list(tensor.shape)}; expected one or more, of floats")
    if not bool(tensor.isfinite().all()):
        raise InvalidInputError(f"{what} holds NaN or infinite values; give another one")


def convert(generator: Generator, code: LatentCode, space: str) -> LatentCode:
    """`code` in `space`, which must be the same or come later in z, w, w+, s; differentiable.

    Raises InvalidInputError for the way back, which does not exist, and for codes that do not fit the
    generator.
    """
    if space not in SPACES or SPACES.index(space) < SPACES.index(code.space):
        message = f"a code in {code.space} cannot become one in {space!r}; the way is {' -> '.join(SPACES)}"
        raise InvalidInputError(message)
    _check(generator, code)
    while code.space != space:
        code = _next(generator, code)
    return code


def synthesis_input(generator: Generator, code: LatentCode) -> Tensor | list[Tensor]:
    """What `Generator.synthesis` takes for `code`: ws [B,num_ws,w_dim], or for a code in s the list of
    styles.
    """
    if code.space == "s":
        _check(generator, code)
        return list(code.tensor.split([channels for _, channels in generator.style_layout], dim=1))
    return convert(generator, code, "w+").tensor


def _next(generator: Generator, code: LatentCode) -> LatentCode:
    """A code one space further on."""
    if code.space == "z":
        return LatentCode("w", generator.mapping(code.tensor)[:, 0])
    if code.space == "w":
        return LatentCode("w+", code.tensor.unsqueeze(1).expand(-1, generator.num_ws, -1))
    return LatentCode("s", torch.cat(generator.styles(code.tensor), dim=1))


def _check(generator: Generator, code: LatentCode) -> None:
    shapes = {
        "z": (generator.z_dim,),
        "w": (generator.w_dim,),
        "w+": (generator.num_ws, generator.w_dim),
        "s": (sum(channels for _, channels in generator.style_layout),),
    }
    if tuple(code.tensor.shape[1:]) != shapes[code.space]:
        found, expected = tuple(code.tensor.shape), ("B", *shapes[code.space])
        message = f"a code in {code.space} is {found}; expected {expected}; it belongs to another generator"
        raise InvalidInputError(message)
