"""Directions in latent space, read from files of this project and of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import get_args

from safetensors import safe_open

from ..checks import as_path
from ..errors import ChunkyError, InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction
from ..generator.statistics import GeneratorStatistics, statistics
from .direction_checks import check_direction
from .direction_files import SUFFIXES, read_directions
from .stored_directions import ARRANGEMENTS, Arrangement, NeedsGeneratorError, StoredDirection
from .units import Unit, in_sigma

DEMO_DIRECTIONS = Path(__file__).parent.parent / "demo" / "assets" / "directions.safetensors"
ALIASES = {"gaze": "gaze_x"}  # short names, added where the long one is present
UNITS: tuple[Unit, ...] = get_args(Unit)


def load_directions(
    source: str | Path,
    *,
    generator: Generator | None = None,
    unit: Unit = "auto",
    arrangement: Arrangement = "auto",
    only: str = "",
    folders: Sequence[Path] = (),
) -> dict[str, Direction]:
    """Directions by name, from "demo" or a file of any tool (docs/directions.md). Nothing in a file is executed.

    generator: which they are for. It tells a vector per layer from a matrix of components and S from W+, and is needed
    for directions of S and for sigma; None = as far as sizes tell, in the file's own numbers.
    unit: "auto" = what the file says strength 1 means; where it doesn't, one standard deviation of the generator's own
    codes (`in_sigma`), or without a generator its numbers. "sigma" = in any case; "raw" = the file's numbers.
    arrangement: what a matrix is: "one per layer" = one direction [num_ws, w_dim]; "components" = a direction in each
    row, named component_0 ..., or NAME_0 ... where the file has several; "components in columns"; "auto" = by the tool
    that wrote it, the generator's sizes, and whether its rows are at right angles.
    only: the name of the one that is wanted, where others needn't fit; "" = all.
    folders: where the generator's statistics are looked for and kept, see `generator.statistics.statistics`.
    Raises InvalidInputError for a file that is absent, damaged or of another kind, and for directions that don't fit
    the generator, with both sizes.
    """
    _check_choices(unit, arrangement)
    path, stored = _opened(source)
    scale = _Scale(generator, unit, folders)
    directions: dict[str, Direction] = {}
    only = ALIASES.get(only, only)
    wanted = [entry for entry in stored if entry.name == only] or stored
    try:
        for entry in wanted:
            for direction in entry.directions(generator, arrangement, unit == "raw"):
                if only and direction.name != only:
                    continue
                if direction.name in directions:
                    raise InvalidInputError(f"two of its directions are called {direction.name[:80]!r}")
                if generator is not None:
                    check_direction(generator, direction)
                directions[direction.name] = scale.apply(direction, entry.says_unit)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path.name}: {error}") from error
    known = {short: directions[name] for short, name in ALIASES.items() if name in directions}
    return known | directions


def stored_directions(source: str | Path) -> list[StoredDirection]:
    """The entries of a file as it has them, without deciding what they are. Raises InvalidInputError."""
    return _opened(source)[1]


def stored_names(source: str | Path, most: int) -> list[str]:
    """Names of a file's directions as far as they can be told without a generator; of a matrix of components the first
    `most`. Raises InvalidInputError for a file that holds something else.
    """
    names: list[str] = []
    for entry in stored_directions(source):
        try:
            found = list(entry.directions(None, "auto", True))
        except NeedsGeneratorError:
            names.append(entry.name)
        else:
            names += [direction.name for direction in found[:most]]
    return names


def fitting_names(generator: Generator, source: str | Path) -> list[str]:
    """Names of a file's directions that `load_directions` opens for a generator by `only`. Its weights don't count: one
    on the "meta" device will do. Raises InvalidInputError for a file that holds something else.
    """
    found = [(entry.name, _names_for(generator, entry)) for entry in stored_directions(source)]
    all_fit = all(names for _, names in found)
    return [name for stored, names in found for name in names if all_fit or name == stored]


def directions_of(fingerprint: str) -> dict[str, Direction]:
    """The directions that come with a generator, by its fingerprint. Raises InvalidInputError where none do."""
    with safe_open(DEMO_DIRECTIONS, "pt") as file:
        made_for = file.metadata()["generator"]
    if made_for != fingerprint:
        raise InvalidInputError(
            f"no directions come with generator {fingerprint[:12]}; read them with load_directions from a file that "
            "was made for it"
        )
    return load_directions("demo")


class _Scale:
    """Brings directions to the unit that is wished for; statistics are measured once, and only if needed."""

    def __init__(self, generator: Generator | None, unit: Unit, folders: Sequence[Path]) -> None:
        self.generator, self.unit, self.folders = generator, unit, folders

    @cached_property
    def statistics(self) -> GeneratorStatistics:
        assert self.generator is not None
        return statistics(self.generator, self.folders)

    def apply(self, direction: Direction, said: bool) -> Direction:
        """said: whether the file says what the direction's numbers are."""
        known = said or direction.unit == "sigma" or self.generator is None
        if self.unit == "raw" or (self.unit == "auto" and known) or direction.unit == "sigma":
            return direction
        if self.generator is None:
            raise InvalidInputError(
                f"direction {direction.name[:80]!r} is in the file's own numbers; what a standard deviation is "
                "only the generator tells"
            )
        return in_sigma(self.generator, direction, self.statistics)


def _opened(source: str | Path) -> tuple[Path, list[StoredDirection]]:
    is_demo = isinstance(source, str) and source == "demo"
    path = DEMO_DIRECTIONS if is_demo else as_path(source, "the file of directions")
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"{path} is no direction file; expected one of {', '.join(SUFFIXES)}")
    try:
        found = read_directions(path)
        if not all(entry.name for entry in found):
            raise InvalidInputError("one of its directions has no name; give it one")
        return path, found
    except ChunkyError as error:
        reason = str(error).removeprefix(f"{path.name}: ")
        raise InvalidInputError(f"no directions from {path}: {reason}") from error


def _names_for(generator: Generator, entry: StoredDirection) -> list[str]:
    """Those of an entry's directions; none where one doesn't fit the generator."""
    try:
        found = list(entry.directions(generator, "auto", True))
        for direction in found:
            check_direction(generator, direction)
    except InvalidInputError:
        return []
    return [direction.name for direction in found]


def _check_choices(unit: str, arrangement: str) -> None:
    for name, found, known in (("unit", unit, UNITS), ("arrangement", arrangement, ARRANGEMENTS)):
        if found not in known:
            raise InvalidInputError(f"the {name} is {found!r}; expected one of {', '.join(known)}")
