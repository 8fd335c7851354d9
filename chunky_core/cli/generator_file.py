"""The generator that a command is given, and the options that say where it computes and which of two networks it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from ..checkpoints.formats.basicsr import OF_TWINS, is_of_twins
from ..checkpoints.generators import load_generator
from ..generator.generator import Generator
from ..generator.settings import UPSAMPLINGS


def add_upsampling_option(parser: argparse.ArgumentParser) -> None:
    """Which of two networks a file of BasicSR's names holds."""
    parser.add_argument(
        "--upsampling",
        choices=UPSAMPLINGS,
        help="for a generator with BasicSR's names, of two that nothing in the file tells apart: fir = BasicSR's own, "
        "bilinear = GFPGAN's; default: as the file says, else fir",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Where the generator computes: on a GPU if there is one."""
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N; default: %(default)s",
    )


def open_generator(path: str | Path, upsampling: str | None, device: torch.device | str = "cpu") -> Generator:
    """The generator in a file; says so where it was taken for one of two. Raises a ChunkyError."""
    generator = load_generator(path, device=device, upsampling=upsampling)
    if is_of_twins(generator.metadata):
        print(f"{path}: {OF_TWINS} (--upsampling bilinear)", file=sys.stderr)
    return generator
