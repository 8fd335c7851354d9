"""The command line: invert and edit a photo by segments without a host (`python -m chunky_core --help`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import ChunkyError
from . import convert, demo, edit, inspect_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 bad input (one line on stderr says what to do)."""
    parser = argparse.ArgumentParser(
        prog="python -m chunky_core", description="Edit photos by segments with StyleGAN."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (edit, demo, inspect_file, convert):
        command.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except ChunkyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0
