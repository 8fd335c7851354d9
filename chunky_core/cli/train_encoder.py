"""`train-encoder`: a masked encoder for any generator, trained with pictures that it draws itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from ..boxes import Size
from ..devices import usable_device
from ..encoders.masked_encoder import SPACES, MaskedEncoder, save_masked_encoder
from ..encoders.training import (
    EncoderTrainingConfig,
    PhotoExamples,
    TrainingState,
    encoder_of,
    load_training,
    save_training,
    train_masked_encoder,
)
from ..encoders.training.config import MOST_SEED
from ..encoders.training.pictures import to_bytes
from ..errors import InvalidInputError
from ..images import load_image
from ..losses.perceptual import load_perceptual_network
from ..losses.resize import resize
from .generator_file import add_device_option, add_upsampling_option, open_generator
from .outputs import check_file
from .progress import progress_bar
from .signals import Stopped, delay_signals

SUFFIX, STATE_SUFFIX = ".safetensors", ".training.safetensors"
PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def add_parser(commands: argparse._SubParsersAction) -> None:
    defaults = EncoderTrainingConfig()
    parser = commands.add_parser(
        "train-encoder",
        help="train a network that finds the code of a photo's segment in one pass",
        description="Draws random pictures of the generator, masks and disturbs them, and trains a small network to "
        "find their codes. What is there is kept when it is stopped; --resume goes on to the same weights.",
    )
    parser.add_argument("generator", metavar="GENERATOR", help="a StyleGAN file, or 'demo'")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.safetensors",
        help=f"where to write the encoder; beside it, with the ending {STATE_SUFFIX}, where the training stands",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the training beside --out; more --steps are welcome, else the same options",
    )
    parser.add_argument("--steps", type=int, default=defaults.steps, help="default: %(default)s")
    parser.add_argument(
        "--batch", type=int, default=defaults.batch, help="pictures of a step; default: %(default)s"
    )
    parser.add_argument(
        "--space", choices=SPACES, default=defaults.space, help="of the codes; default: %(default)s"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=defaults.size,
        help="pixels of a side of what the network sees, a multiple of 32; default: %(default)s",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="aligned photos of the generator's domain, to train with, too",
    )
    parser.add_argument(
        "--perceptual",
        metavar="NETWORK",
        help="vgg, alex, squeeze or a file of a perceptual network, for the pictures' loss, or 'demo', which is for "
        "demo portraits; default: L2 alone",
    )
    parser.add_argument(
        "--seed", type=_seed, default=defaults.seed, help="of all that is drawn; default: %(default)s"
    )
    add_device_option(parser)
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Raises a ChunkyError for what can't be read, written, or doesn't fit together."""
    state_file = options.out.with_suffix(STATE_SUFFIX)
    _check_out(options.out, state_file, (options.generator, options.perceptual))
    files = None if options.photos is None else photo_files(options.photos)
    if options.resume and not state_file.exists():
        raise InvalidInputError(
            f"nothing was saved yet: there is no {state_file}; start without --resume, or check --out"
        )
    if state_file.exists() and not options.resume:
        raise InvalidInputError(
            f"{state_file} is a training under way; add --resume, or choose another --out"
        )
    config = EncoderTrainingConfig(
        options.space, options.steps, options.batch, size=options.size, seed=options.seed
    )
    device = usable_device(options.device, "--device")
    resume = load_training(state_file) if options.resume else None
    generator = open_generator(options.generator, options.upsampling, device)
    examples = None if files is None else read_photos(files, options.size, generator.img_size)
    perceptual = (
        None if options.perceptual is None else load_perceptual_network(options.perceptual, device=device)
    )
    kept: list[TrainingState] = []

    def autosave(state: TrainingState) -> None:
        with delay_signals():
            save_training(state, state_file)
        kept[:] = [state]

    try:
        with progress_bar("steps") as show:
            encoder = train_masked_encoder(
                generator,
                config,
                examples=examples,
                perceptual=perceptual,
                callback=show,
                resume=resume,
                autosave=autosave,
            )
    except Stopped as stop:
        stop.advice = f"no step was done, and nothing was written to {options.out}"
        if kept:
            save_masked_encoder(encoder_of(kept[0]), options.out)
            done = f"{options.out} is the encoder after {kept[0].step} steps"
            stop.advice = f"{done}; the same command with --resume goes on"
        raise
    save_masked_encoder(encoder, options.out)
    print(_line(encoder, options.out))


def photo_files(folder: Path) -> list[Path]:
    """Every picture in a folder. Raises InvalidInputError where there is none."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InvalidInputError(f"--photos {folder} {what}; give a folder of photos")
    files = sorted(
        file for file in folder.glob("*") if file.suffix.lower() in PHOTO_ENDINGS and file.is_file()
    )
    if not files:
        raise InvalidInputError(
            f"there are no photos in {folder}; expected files that end in {', '.join(PHOTO_ENDINGS)}"
        )
    return files


def read_photos(files: Sequence[Path], size: int, pictures: Size) -> PhotoExamples:
    """Photos, brought to size x size. Raises InvalidInputError for one of other proportions than the pictures."""
    photos = []
    for file in files:
        photo = load_image(file)
        height, width = photo.shape[-2:]
        if abs(height * pictures.width - width * pictures.height) > max(height, width):
            raise InvalidInputError(
                f"{file} is {width}x{height}; expected photos aligned as the generator's pictures, in the proportions "
                f"of {pictures}"
            )
        photos.append(to_bytes(resize(photo, (size, size))))
    return PhotoExamples(torch.cat(photos))


def _check_out(path: Path, state_file: Path, inputs: Sequence[str | None]) -> None:
    if path.name.endswith(STATE_SUFFIX):
        raise InvalidInputError(f"--out is {path.name}; expected a name that ends in {SUFFIX}")
    for file in (path, state_file):
        check_file(file, SUFFIX, inputs)


def _seed(text: str) -> int:
    if not text.strip().isdecimal() or int(text) > MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is out of range; expected 0 to {MOST_SEED}")
    return int(text)


def _line(encoder: MaskedEncoder, path: Path) -> str:
    weights = sum(parameter.numel() for parameter in encoder.network.parameters())
    return f"{path}: an encoder to {encoder.space} of {weights:,} weights"
