"""`inspect`: what a StyleGAN checkpoint holds, without running anything in it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.generators import read_checkpoint
from ..generator.description import dimensions
from ..generator.generator import weights_fingerprint
from .generator_file import add_upsampling_option


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("inspect", help="what a StyleGAN checkpoint holds")
    parser.add_argument("file", metavar="FILE", help="a file of any tool, or 'demo'")
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print one line per property. Raises a ChunkyError for a file that holds no generator."""
    with read_checkpoint(options.file, upsampling=options.upsampling) as checkpoint:
        for label, text in properties(checkpoint):
            print(f"{label + ':':14}{text}")


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
