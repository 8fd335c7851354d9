"""`train-encoder`: a masked encoder for any generator, trained with pictures that it draws itself."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

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
from ..encoders.training.pictures import to_bytes
from ..errors import InvalidInputError
from ..images import load_image
from ..losses.perceptual import load_perceptual_network
from ..losses.resize import resize
from .generator_file import add_upsampling_option, open_generator
from .options import seed
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
        "--seed", type=seed, default=defaults.seed, help="of all that is drawn; default: %(default)s"
    )
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N; default: %(default)s",
    )
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Raises a ChunkyError for what can't be read, written, or doesn't fit together."""
    _check_out(options.out)
    state_file = options.out.with_suffix(STATE_SUFFIX)
    if state_file.exists() and not options.resume:
        raise InvalidInputError(
            f"{state_file} is a training under way; add --resume, or choose another --out"
        )
    config = EncoderTrainingConfig(
        options.space, options.steps, options.batch, size=options.size, seed=options.seed
    )
    device = usable_device(options.device, "--device")
    resume = load_training(state_file) if options.resume else None
    examples = None if options.photos is None else read_photos(options.photos, options.size)
    generator = open_generator(options.generator, options.upsampling, device)
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
        if kept:
            save_masked_encoder(encoder_of(kept[0]), options.out)
            done = f"{options.out} is the encoder after {kept[0].step} steps"
            stop.advice = f"{done}; the same command with --resume goes on"
        raise
    save_masked_encoder(encoder, options.out)
    print(_line(encoder, options.out))


def read_photos(folder: Path, size: int) -> PhotoExamples:
    """Every picture in a folder, brought to size x size. Raises InvalidInputError where there is none."""
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in PHOTO_ENDINGS)
    if not files:
        raise InvalidInputError(
            f"there are no photos in {folder}; expected files that end in {', '.join(PHOTO_ENDINGS)}"
        )
    return PhotoExamples(torch.cat([to_bytes(resize(load_image(file), (size, size))) for file in files]))


def _check_out(path: Path) -> None:
    if path.suffix.lower() != SUFFIX or path.name.endswith(STATE_SUFFIX):
        raise InvalidInputError(f"--out is {path.name}; expected a name that ends in {SUFFIX}")
    if not path.parent.is_dir():
        raise InvalidInputError(f"the folder {path.parent} does not exist; make it first")


def _line(encoder: MaskedEncoder, path: Path) -> str:
    weights = sum(parameter.numel() for parameter in encoder.network.parameters())
    return f"{path}: an encoder to {encoder.space} of {weights:,} weights"
