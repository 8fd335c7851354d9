"""`convert`: any StyleGAN checkpoint to one .safetensors file of ours."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch

from ..checkpoints.generators import DEMO, save_generator
from ..errors import InvalidInputError
from .generator_file import add_upsampling_option, open_generator

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("convert", help="any StyleGAN checkpoint to .safetensors")
    parser.add_argument(
        "input", type=Path, metavar="IN", help="a .pkl, .pt, .pth or .safetensors of any tool, or 'demo'"
    )
    parser.add_argument("output", type=Path, metavar="OUT", help="the .safetensors file to write")
    parser.add_argument(
        "--dtype", choices=DTYPES, default="fp32", help="fp16 halves the file and rounds weights"
    )
    parser.add_argument(
        "--licence", metavar="TEXT", help="kept in the file's header; the authors' licence stays"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT where it exists already")
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read, write, say so. Raises a ChunkyError for a file that is no generator or a bad target."""
    source, target = DEMO if options.input == Path("demo") else options.input, options.output
    if target.suffix != ".safetensors":
        raise InvalidInputError(f"the output is {target.name}; expected a name that ends in .safetensors")
    if target.exists() and source.exists() and target.samefile(source):
        raise InvalidInputError(f"{target} is the input itself; give another name for the output")
    if target.is_dir():
        raise InvalidInputError(f"{target} is a folder; give the name of a file in it")
    if target.exists() and not options.overwrite:
        raise InvalidInputError(
            f"{target} exists already; give another name for the output, or --overwrite to replace it"
        )
    if not target.parent.is_dir():
        raise InvalidInputError(f"the folder {target.parent} does not exist; make it first")
    generator = open_generator(source, options.upsampling)
    header = {"source": source.name, "source_sha256": sha256(source)}
    if options.licence:
        header["licence"] = options.licence.encode(
            "utf-8", "replace"
        ).decode()  # what the shell couldn't decode
    save_generator(generator, target, DTYPES[options.dtype], header)
    size = target.stat().st_size / 1e6
    print(f"{target}: {generator.metadata['format']}, {generator.img_size} pixels, {size:.1f} MB")


def sha256(path: Path) -> str:
    """The hash of a file's bytes, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
