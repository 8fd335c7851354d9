"""`train-mask-generator`: what finds the masks of everything that a generator draws, from a few labelled pictures."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import torch
from torch import Tensor

from ..devices import usable_device
from ..errors import ChunkyError, InvalidInputError
from ..generator.generator import Generator
from ..generator.sampling import SEEDS, sample_codes
from ..generator.spaces import LatentCode, convert
from ..images.formats import SUFFIXES as PICTURES
from ..segments.fitting import fit_labels
from ..segments.label_files.finding import AUTO
from ..segments.label_files.reading import read_named_labels
from ..segments.mask_generator import (
    MaskGenerator,
    MaskTrainingConfig,
    StopTraining,
    load_mask_generator,
    save_mask_generator,
    train_mask_generator,
)
from ..segments.mask_generator.examples import continued_config, labels_by_place, with_carried_labels
from ..wording import counted
from .examples import stored_codes
from .generator_file import add_device_option, add_upsampling_option, open_generator
from .options import seed
from .outputs import check_file
from .progress import progress_bar
from .signals import Stopped, delay_signals

SUFFIX = ".safetensors"
CODES = (".npz", ".npy", ".pt", ".pth", ".pkl", SUFFIX)  # endings of files that hold the code of a picture
SEED = re.compile(r"seed0*([0-9]+)")  # the names that NVIDIA's generate.py gives
EXAMPLE = "seed0085.png"


def add_parser(commands: argparse._SubParsersAction) -> None:
    defaults = MaskTrainingConfig()
    parser = commands.add_parser(
        "train-mask-generator",
        help="train what finds the masks of everything that a generator draws",
        description="Learns the classes of pixels from a few pictures of the generator with label maps, or from a "
        "single one. What was learnt is kept when it is stopped; --resume goes on to the same weights.",
    )
    parser.add_argument("generator", metavar="GENERATOR", help="a StyleGAN file, or 'demo'")
    parser.add_argument(
        "--pairs",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="label maps NAME.png with their names (NAME.json, as `edit` takes them), and beside each the code of its "
        f"picture, NAME with one of {', '.join(CODES)}: of another tool, or a saved inversion; a label map called as "
        f"{EXAMPLE} needs none: it is of what that seed draws",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.safetensors",
        help="where to write the mask generator",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the training in --out; more --steps are welcome, else the same options",
    )
    parser.add_argument(
        "--label-names",
        default=AUTO,
        metavar="PRESET|FILE",
        help="what the label maps' numbers or colours mean: celebamask, bisenet, segformer, voc, or a file; default: "
        "the files beside them",
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=20,
        help="with a single pair: random pictures that its labels are carried to, 0 = none; default: %(default)s",
    )
    parser.add_argument(
        "--truncation",
        type=float,
        default=0.7,
        help="that the pictures of seeds were drawn with; default: %(default)s",
    )
    parser.add_argument("--steps", type=int, default=defaults.num_steps, help="in all; default: %(default)s")
    parser.add_argument(
        "--members",
        type=int,
        default=defaults.members,
        help="networks that vote; as many as were begun with --resume; default: %(default)s",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=defaults.seed,
        help="of weights, pixels and --samples; default: %(default)s",
    )
    add_device_option(parser)
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Raises a ChunkyError for what can't be read, written, or doesn't fit together."""
    _check(options)
    device = usable_device(options.device, "--device")
    earlier = load_mask_generator(options.out) if options.resume else None
    config = continued_config(earlier, options.steps, options.members, options.seed)
    files = _label_maps(options.pairs)
    generator = open_generator(options.generator, options.upsampling, device)
    if earlier is not None:
        earlier.check_generator(generator)
    code, maps, names = read_pairs(generator, files, options, None if earlier is None else earlier.names)
    if options.samples and len(maps) == 1:
        print(f"carrying the labels of {files[0]} to {options.samples} other pictures", file=sys.stderr)
        code, maps = with_carried_labels(generator, code, maps, options.samples, options.seed)
    try:
        with progress_bar("steps") as show, delay_signals() as received:

            def report(step: int, total: int, image: Tensor | None) -> None:
                show(step, total, image)
                if received:
                    raise StopTraining

            found = train_mask_generator(
                generator, code, maps, names, config, callback=report, resume=earlier
            )
            save_mask_generator(found, options.out)
    except Stopped as stop:
        stop.advice = f"{options.out} is what was learnt so far; the same command with --resume goes on"
        raise
    print(_line(found, len(maps), options.out))


def read_pairs(
    generator: Generator, files: list[Path], options: argparse.Namespace, known: tuple[str, ...] | None
) -> tuple[LatentCode, Tensor, tuple[str, ...]]:
    """The codes of the pictures in w+, their label maps [N,H,W] and the names of the classes.

    Raises a ChunkyError, which names the file, for what can't be read or isn't there.
    """
    codes, maps = [], []
    for file in files:
        read = read_named_labels(file, options.label_names)
        for note in read.notes:
            print(note, file=sys.stderr)
        fitted = fit_labels(read.labels, generator.img_size, f"the label map {file}")
        maps.append((fitted, read.names))
        codes.append(code_of_map(generator, file, options.truncation))
    placed, names = labels_by_place(maps, known)
    return LatentCode("w+", torch.cat(codes)), torch.stack(placed), names


def code_of_map(generator: Generator, file: Path, truncation: float) -> Tensor:
    """The code [1,num_ws,w_dim] of the picture that a label map is of. Raises a ChunkyError, which names the file."""
    beside = [path for path in (file.with_suffix(ending) for ending in CODES) if path.is_file()]
    if len(beside) > 1:
        raise InvalidInputError(
            f"{beside[0].name} and {beside[1].name} both are the code of {file}; keep one of them"
        )
    named = SEED.fullmatch(file.stem)
    if not beside and (named is None or int(named[1]) >= SEEDS):
        raise InvalidInputError(
            f"there is no code of the picture that {file} is of; put it beside, called {file.stem} with one of "
            f"{', '.join(CODES)}, or call the label map by its seed, as {EXAMPLE}"
        )
    try:
        if beside:
            code = stored_codes(generator, beside, None)
        else:
            assert named is not None
            code = LatentCode("w", sample_codes(generator, [int(named[1])], truncation))
        if len(code.tensor) != 1:
            raise InvalidInputError(f"it holds {len(code.tensor)} codes; expected one")
        moved = LatentCode(code.space, code.tensor.to(generator.device))
        return convert(generator, moved, "w+").tensor
    except ChunkyError as error:
        raise type(error)(f"the code of {file}: {error}") from error


def _label_maps(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InvalidInputError(f"--pairs {folder} is no folder; give one with label maps and codes")
    files = sorted(
        one for one in folder.iterdir() if one.suffix.lower() in PICTURES and not one.name.startswith(".")
    )
    if not files:
        raise InvalidInputError(f"there are no label maps in {folder}; expected NAME.png with NAME.json")
    stems = [one.stem for one in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise InvalidInputError(f"{folder} has two label maps called {twice}; keep one of them")
    return files


def _check(options: argparse.Namespace) -> None:
    path = options.out
    check_file(path, SUFFIX, [options.generator])
    if path.exists() and not options.resume:
        raise InvalidInputError(
            f"{path} is there already; add --resume to go on with it, or give another --out"
        )
    if options.samples < 0:
        raise InvalidInputError(f"--samples is {options.samples}; expected 0 or more")


def _line(found: MaskGenerator, count: int, path: Path) -> str:
    return f"{path}: {len(found.names)} classes from {counted(count, 'picture')}: {', '.join(found.names)}"
