"""The command line: invert and edit a photo by segments without a host (`chunkygan --help`)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import ChunkyError
from . import (
    calibrate,
    convert,
    demo,
    directions,
    edit,
    find_masks,
    inspect_file,
    photo,
    train_encoder,
    train_mask_generator,
)
from .signals import Stopped, stop_on_signals

COMMANDS = (
    edit,
    photo,
    demo,
    find_masks,
    directions,
    inspect_file,
    calibrate,
    convert,
    train_encoder,
    train_mask_generator,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: done; 2: bad input, a file that can't be read or written, or not enough memory (one line on stderr says what
    to do); 128 + N: stopped by signal N (130 Ctrl-C, 143 kill); 141: nobody reads the output. Wrong options end in
    argparse's usage and SystemExit(2).
    """
    parser = argparse.ArgumentParser(prog=_program(), description="Edit photos by segments with StyleGAN.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        with stop_on_signals():
            options.run(options)
            sys.stdout.flush()
    except ChunkyError as error:
        return _failed(str(error))
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}; check the path, free space and permissions")
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        reason = str(error).partition(". ")[0] or "of the machine"
        return _failed(f"not enough memory ({reason:.100}); close other programs, or use --device cpu")
    except Stopped as stop:
        print("; ".join(filter(None, ("stopped", stop.advice))), file=sys.stderr)
        return 128 + stop.number
    return 0


def _program() -> str:
    """How the user called us: the installed script `chunkygan`, or the package."""
    script = Path(sys.argv[0]).stem
    return script if script == "chunkygan" else "python -m chunky_core"


def _failed(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def _drop_output() -> None:
    """Nobody reads our output (`… | head -1`): what is still to be written must not raise again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
