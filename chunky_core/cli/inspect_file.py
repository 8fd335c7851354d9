"""`inspect`: what a StyleGAN checkpoint or files of directions hold, without running anything in them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.generators import read_checkpoint
from ..editing.direction_files import SUFFIXES
from ..errors import ChunkyError, InvalidInputError, UnsupportedCheckpointError
from ..generator.description import dimensions
from ..generator.generator import Generator, weights_fingerprint
from .direction_table import direction_table
from .generator_file import add_upsampling_option, open_generator

GENERATORS = (".pkl", ".pt", ".pth", ".pdparams", ".safetensors")


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("inspect", help="what a StyleGAN checkpoint or a file of directions holds")
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a checkpoint or directions of any tool, a folder with files of directions, or 'demo' for the generator",
    )
    parser.add_argument(
        "--for",
        dest="generator",
        metavar="GENERATOR",
        help="a StyleGAN file, or 'demo': list directions as they are for this generator, and say which don't fit it",
    )
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print one line per property or direction. Raises a ChunkyError for a file that holds neither."""
    path = Path(options.file)
    if options.file != "demo" and path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
        if not files:
            raise InvalidInputError(
                f"{path} has no file of directions; expected one of {', '.join(SUFFIXES)}"
            )
        print_directions(files, options)
    elif options.file != "demo" and path.suffix.lower() in set(SUFFIXES) - set(GENERATORS):
        print_directions([path], options)
    else:
        try:
            print_generator(options)
        except UnsupportedCheckpointError:
            if not holds_directions(path):
                raise
            print_directions([path], options)


def print_generator(options: argparse.Namespace) -> None:
    with read_checkpoint(options.file, upsampling=options.upsampling) as checkpoint:
        for label, text in properties(checkpoint):
            print(f"{label + ':':14}{text}")


def print_directions(files: list[Path], options: argparse.Namespace) -> None:
    """A table; a file that holds something else is named in it, and refused where it is the only one."""
    generator: Generator | None = None
    if options.generator is not None:
        generator = open_generator(options.generator, options.upsampling)
    for line in direction_table(generator, files):
        print(line)


def holds_directions(path: Path) -> bool:
    """Whether a file that is no generator can be listed as directions."""
    try:
        return path.suffix.lower() in SUFFIXES and bool(list(direction_table(None, [path])))
    except ChunkyError:
        return False


def properties(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    """Label and text of everything worth knowing."""
    yield "format", checkpoint.format
    yield from dimensions(checkpoint.architecture, checkpoint.state)
    yield "fingerprint", weights_fingerprint(checkpoint.state, checkpoint.architecture)
    yield "licence", checkpoint.metadata.get("licence", "not stated in the file")
    if "source" in checkpoint.metadata:
        yield "source", checkpoint.metadata["source"]
    yield from (("ignored", name) for name in checkpoint.ignored)
    yield from (("note", note) for note in checkpoint.notes)
