"""The directions in files as a table for people: name, shape in the file, space, length, unit, layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..editing.direction_checks import check_direction
from ..editing.direction_files import TEXTS
from ..editing.directions import stored_directions
from ..editing.layer_ranges import layers_text
from ..editing.stored_directions import NeedsGeneratorError, StoredDirection
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction

SHOWN = 10  # components of a matrix
NEEDS_GENERATOR = "with --for GENERATOR"


class Row(NamedTuple):
    """A line. shape: as the file has it; norm: of the numbers as the file has them."""

    file: str
    name: str
    shape: str
    space: str
    norm: str
    unit: str
    layers: str


HEAD = Row("file", "direction", "shape", "space", "norm", "unit", "layers")


def direction_table(generator: Generator | None, files: Sequence[Path]) -> Iterator[str]:
    """Lines of the table, with a line for each direction. Of matrices of components the first are listed.

    A direction that can't be told, or doesn't fit the generator, says why in its line, and so does, among several, a
    file without any, unless it is a text. Raises InvalidInputError for a single file that has none, and for several
    texts where none has any. Characters that don't print are escaped.
    """
    rows = [HEAD]
    for path in files:
        try:
            entries = stored_directions(path)
        except InvalidInputError as error:
            if len(files) == 1:
                raise
            if path.suffix.lower() not in TEXTS:  # any text may lie beside directions
                rows.append(Row(path.name, str(error).partition(f"{path}: ")[2], *[""] * 5))
            continue
        rows += [row for entry in entries for row in _rows(path, entry, generator)]
    if len(rows) == 1:
        raise InvalidInputError(f"none of the {len(files)} files holds directions; give a file that does")
    rows = [Row(*map(_printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows if row.shape) for column in range(len(HEAD))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in cells).rstrip()


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _rows(path: Path, entry: StoredDirection, generator: Generator | None) -> Iterator[Row]:
    try:
        found = list(entry.directions(generator, "auto", raw=True))
        if generator is not None:
            for direction in found:
                check_direction(generator, direction)
    except NeedsGeneratorError:
        yield Row(path.name, entry.name, entry.shape, "?", "", "", NEEDS_GENERATOR)
        return
    except InvalidInputError as error:
        yield Row(path.name, entry.name, entry.shape, "?", "", "", str(error))
        return
    for direction in found[:SHOWN]:
        yield _row(path, entry.shape, direction)
    if len(found) > SHOWN:
        yield Row(path.name, f"... {found[-1].name}", entry.shape, found[-1].space, "", "", "")


def _row(path: Path, shape: str, direction: Direction) -> Row:
    norm = f"{float(direction.tensor.norm()):.4g}"
    return Row(
        path.name, direction.name, shape, direction.space, norm, direction.unit, layers_text(direction.layers)
    )
