"""Directions by the names that nodes list: the demo's, and those in the files of models/stylegan_directions."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import folder_paths

from ..chunky_core.editing import load_directions
from ..chunky_core.editing.direction_files import SUFFIXES
from ..chunky_core.editing.directions import fitting_names, stored_names
from ..chunky_core.editing.stored_directions import ARRANGEMENTS, Arrangement
from ..chunky_core.editing.units import Unit
from ..chunky_core.errors import ChunkyError, InvalidInputError
from ..chunky_core.generator.architecture import Architecture
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import Direction
from .model_files import file_in, files_in, left_out, stamp
from .sampling import statistics_folders

FOLDER = "stylegan_directions"
COMPONENTS = 20  # of a matrix that are listed; the others are found by their names
SHOWN = 8  # choices in an error


def register_folders() -> None:
    """Make models/stylegan_directions known to the host."""
    folder_paths.add_model_folder_path(FOLDER, str(models_folder()))


def models_folder() -> Path:
    return Path(folder_paths.models_dir) / FOLDER


def direction_names() -> list[str]:
    """The demo's directions, then 'file/name' for those of every file of the folder."""
    listed = [f"{file}/{name}" for file in direction_files() for name in names_in(str(file_in(FOLDER, file)))]
    return [*names_in("demo"), *listed]


def direction_files() -> list[str]:
    return files_in(FOLDER, SUFFIXES)


def names_in(source: str) -> list[str]:
    """Names of a file's directions without their aliases; none if it holds something else."""
    return _names_in(source, stamp(source))


@lru_cache(maxsize=1024)
def _names_in(source: str, _stamp: str) -> list[str]:
    try:
        return sorted(stored_names(source, COMPONENTS), key=_by_number)
    except ChunkyError as error:
        left_out(Path(source), error)
        return []


def open_directions(
    source: str,
    generator: Generator | None,
    unit: Unit = "auto",
    arrangement: Arrangement = "auto",
    only: str = "",
) -> dict[str, Direction]:
    """Those in a file, or "demo", or of them one. Raises InvalidInputError."""
    folders = statistics_folders()
    return load_directions(
        source, generator=generator, unit=unit, arrangement=arrangement, only=only, folders=folders
    )


def check_choice(choice: str) -> None:
    """Raise InvalidInputError where a list's entry leads to no direction, as far as can be told without a generator."""
    _find(choice)


def direction_by_name(choice: str, generator: Generator | None = None, unit: Unit = "auto") -> Direction:
    """The direction behind an entry of the list, for a generator or, without one, in the file's own numbers.

    Raises InvalidInputError where there is none, and where it doesn't fit the generator, with a list of those that do.
    """
    source, name = _find(choice)
    try:
        known = open_directions(source, generator, unit, only=name)
    except InvalidInputError as error:
        advice = "" if generator is None else f". {fitting_text(fitting_choices(generator.architecture))}"
        raise InvalidInputError(f"{error}{advice}") from error
    if name not in known:
        names = list(open_directions(source, generator, "raw"))
        raise InvalidInputError(
            f"there is no direction {name!r} in {Path(source).name} for this generator; there are {_some(names)}"
        )
    return known[name]


def fitting_text(fitting: list[str]) -> str:
    """What to choose instead, for people. fitting: the entries of a node's list that fit the generator."""
    if not fitting:
        return f"None in models/{FOLDER} fits it; put a file there that was made for it"
    return f"Those in the list that fit it: {_some(fitting)}"


def fitting_choices(architecture: Architecture) -> list[str]:
    """Those of `direction_names` that fit generators of an architecture."""
    own = [
        f"{file}/{name}"
        for file in direction_files()
        for name in _fitting(str(file_in(FOLDER, file)), architecture).names
    ]
    return [*_fitting("demo", architecture).names, *own]


def fits_wholly(source: str, architecture: Architecture) -> bool:
    """Whether all of a file's directions, or the demo's, fit such generators in some arrangement."""
    return _fitting(source, architecture).wholly


class _Fitting(NamedTuple):
    names: tuple[str, ...]
    wholly: bool


def _fitting(source: str, architecture: Architecture) -> _Fitting:
    return _fitting_of(source, stamp(source), architecture)


@lru_cache(maxsize=4096)
def _fitting_of(source: str, _stamp: str, architecture: Architecture) -> _Fitting:
    generator = _without_weights(architecture)
    wholly = any(_opens(source, generator, arrangement) for arrangement in ARRANGEMENTS)
    try:
        fitting = set(fitting_names(generator, source))
    except InvalidInputError:  # the log has it
        return _Fitting((), wholly)
    return _Fitting(tuple(name for name in names_in(source) if name in fitting), wholly)


def _opens(source: str, generator: Generator, arrangement: Arrangement) -> bool:
    try:
        return bool(open_directions(source, generator, "raw", arrangement))
    except InvalidInputError:
        return False


@lru_cache(maxsize=16)
def _without_weights(architecture: Architecture) -> Generator:
    return Generator(architecture.empty_module(), architecture=architecture)


def _find(choice: str) -> tuple[str, str]:
    """The file of an entry and the direction's name in it; both the file and the name may have a slash.

    Raises InvalidInputError.
    """
    files = [file for file in direction_files() if choice.startswith(f"{file}/")]
    sources = [("demo", choice), *((str(file_in(FOLDER, file)), choice[len(file) + 1 :]) for file in files)]
    for source, name in sources:
        if name in names_in(source) or _is_further_component(source, name) or _is_alias(source, name):
            return source, name
    if files:
        source, name = sources[-1]
        load_directions(source)  # says why it has none
        raise InvalidInputError(f"no direction '{name}' in {files[-1]}; it has {_some(names_in(source))}")
    raise InvalidInputError(
        f"there is no direction {choice!r}: the demo has {', '.join(names_in('demo'))}, others are 'file/name' of the "
        f"files in {' or '.join(folder_paths.get_folder_paths(FOLDER))}; put its file there, press R and choose it"
    )


def _by_number(name: str) -> list[tuple[int, str]]:
    """Puts component_10 behind component_9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,9})", name)]


def _is_further_component(source: str, name: str) -> bool:
    """Whether a component beyond those that are listed has this name."""
    if source == "demo" or len(names_in(source)) < COMPONENTS or not name.rpartition("_")[2].isdecimal():
        return False
    return name in stored_names(source, 1 << 20)


def _is_alias(source: str, name: str) -> bool:
    return source == "demo" and name in load_directions(source)


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
