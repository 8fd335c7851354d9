"""Examples that a direction is found from: pictures or codes in files, and tables of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..editing.discovery import codes_of_inversions, codes_of_pictures
from ..errors import ChunkyError, InvalidInputError
from ..generator.generator import Generator
from ..generator.sampling import SEEDS
from ..generator.spaces import LatentCode
from ..generator.statistics import GeneratorStatistics
from ..images import load_image
from ..images.formats import SUFFIXES as PICTURES
from ..inversion import load_inversion, load_latent
from ..inversion.inversion_files import is_saved_inversion
from .progress import progress_bar


def codes_of_groups(
    generator: Generator,
    paths: Sequence[Path],
    known: GeneratorStatistics,
    samples: int,
    seed: int,
    space: str | None = None,
) -> list[LatentCode]:
    """The codes of each path: of the pictures or inversions in a folder, or those in one file, a picture, an inversion
    or codes of any tool.

    samples, seed: as in `codes_of_pictures`. space: of codes of other tools, None = told by their size.
    Raises a ChunkyError for what can't be opened, and for folders without pictures.
    """
    files = [_files(path) for path in paths]
    pictures = [_pictures(group) if _is_picture(group[0]) else None for group in files]
    given = [group for group in pictures if group is not None]
    read: list[LatentCode] = []
    if given:
        with progress_bar("reading pictures") as show:
            read = list(codes_of_pictures(generator, given, known, samples=samples, seed=seed, callback=show))
    return [
        stored_codes(generator, group, space) if drawn is None else read.pop(0)
        for group, drawn in zip(files, pictures, strict=True)
    ]


def read_scores(path: Path) -> tuple[list[int], list[float]]:
    """Seeds and scores of a table, a line each: "SEED,SCORE", or SCORE alone, then there are no seeds.

    A first line of words, and empty ones, are passed over. Raises InvalidInputError, naming the line, for others.
    """
    seeds, scores = [], []
    for number, line in enumerate(_lines(path), 1):
        cells = [cell.strip() for cell in line.replace(";", ",").split(",")]
        if number == 1 and not _is_number(cells[-1]) or not line.strip():
            continue
        fits = len(cells) in (1, 2) and all(map(_is_number, cells))
        if not fits or len(cells) == 2 and not (cells[0].isdecimal() and int(cells[0]) < SEEDS):
            raise InvalidInputError(f"{path}, line {number}: {line[:60]!r}; expected SEED,SCORE or SCORE")
        seeds += [int(cells[0])] if len(cells) == 2 else []
        scores.append(float(cells[-1]))
    if not scores or len(seeds) not in (0, len(scores)):
        raise InvalidInputError(
            f"{path} has {len(scores)} scores and {len(seeds)} seeds; expected one for each, or none"
        )
    return seeds, scores


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is no text; expected a table of SEED,SCORE lines") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
    pictures = [one for one in files if _is_picture(one)]
    found = pictures or [one for one in files if one.suffix.lower() == ".safetensors"]
    if not found:
        raise InvalidInputError(f"{path} has no pictures and no saved inversions; give a folder that has")
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES


def _pictures(files: Sequence[Path]) -> Tensor:
    """Raises InvalidInputError where they are of several sizes."""
    found = [load_image(file) for file in files]
    for file, one in zip(files, found, strict=True):
        if one.shape != found[0].shape:
            sizes = (f"{image.shape[-1]}x{image.shape[-2]}" for image in (one, found[0]))
            raise InvalidInputError(
                f"{file} is {next(sizes)}, {files[0].name} {next(sizes)}; make them alike"
            )
    return torch.cat(found)


def stored_codes(generator: Generator, files: Sequence[Path], space: str | None) -> LatentCode:
    """The codes in one file of any tool, or one code for each saved inversion. Raises a ChunkyError."""
    if len(files) == 1 and not is_saved_inversion(files[0]):
        return load_latent(generator, files[0], space)
    try:
        return codes_of_inversions(generator, [load_inversion(file) for file in files])
    except ChunkyError as error:
        raise type(error)(f"{files[0].parent}: {error}") from error
