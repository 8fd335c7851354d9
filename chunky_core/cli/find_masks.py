"""`masks`: the parts of a photo as a label map, by a mask generator, with nothing painted."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ..checkpoints.generators import read_checkpoint
from ..devices import usable_device
from ..errors import InvalidInputError
from ..images import load_image, open_image, save_image, save_label_map
from ..inversion import LossConfig
from ..inversion.automatic_masks import QUICK, STEPS, PhotoMasks, masks_of_photo
from ..inversion.validation import check_photo_size
from ..losses import load_networks
from ..saving import save_bytes
from ..segments.mask_generator import load_mask_generator
from ..visualization.sheets import segment_overlay
from .generator_file import add_device_option, add_upsampling_option, open_generator
from .outputs import check_file
from .photo_file import note_dropped
from .progress import progress_bar

SUFFIX = ".png"


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "masks",
        help="find the parts of a photo of what the generator draws, with nothing painted",
        description="Fits one code to the whole photo, and reads its parts off what the generator computes. The label "
        "map and its names are what --masks of `edit` takes.",
    )
    parser.add_argument("photo", type=Path, help="picture of the generator's size, aligned as its pictures")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.png",
        help="where to write the label map; its names go to FILE.json beside it",
    )
    parser.add_argument("--overlay", type=Path, metavar="FILE.png", help="the photo with its parts in colour")
    parser.add_argument(
        "--uncertainty", type=Path, metavar="FILE.png", help="where the masks are doubtful: white = most"
    )
    parser.add_argument("--generator", default="demo", help="any StyleGAN file, see `inspect`, or 'demo'")
    parser.add_argument(
        "--mask-generator",
        default="demo",
        metavar="FILE",
        help="of `train-mask-generator`, for this generator, or 'demo'; default: %(default)s",
    )
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="of the fit to the photo; default: %(default)s"
    )
    parser.add_argument(
        "--perceptual",
        metavar="NETWORK",
        help="vgg, alex, squeeze or a file of a perceptual network, by which the photo is compared, too: masks lie "
        "closer; or 'demo', which is for demo portraits; default: colours alone",
    )
    add_device_option(parser)
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Raises a ChunkyError for what can't be read, written, or doesn't fit together."""
    _check(options)
    file = open_image(options.photo)
    with read_checkpoint(options.generator) as checkpoint:  # before weights are read
        check_photo_size(file.size, checkpoint.architecture.img_size)
    loss = LossConfig() if options.perceptual is None else LossConfig(lpips=1.0, lpips_net=options.perceptual)
    load_networks(loss)  # what is wrong with it is said before the generator is read
    photo = load_image(options.photo)
    note_dropped(file)
    generator = open_generator(
        options.generator, options.upsampling, usable_device(options.device, "--device")
    )
    finder = load_mask_generator(options.mask_generator, generator=generator)
    with progress_bar("fitting the photo") as show:
        found = masks_of_photo(
            generator,
            finder,
            photo.to(generator.device),
            config=replace(QUICK, seed=0, loss=loss),
            steps=options.steps,
            callback=show,
        )
    save_label_map(found.labels[0], options.out)
    names = {str(label): name for label, name in enumerate(finder.names)}
    save_bytes(json.dumps(names, indent=1).encode(), options.out.with_suffix(".json"))
    if options.overlay is not None:
        save_image(segment_overlay(photo, found.masks, 0.5), options.overlay)
    if options.uncertainty is not None:
        save_image(found.uncertainty.cpu().expand(-1, 3, -1, -1) * 2 - 1, options.uncertainty)
    print(_line(found, options.out))


def _check(options: argparse.Namespace) -> None:
    if options.steps < 1:
        raise InvalidInputError(f"--steps is {options.steps}; expected at least 1")
    given = {"--out": options.out, "--overlay": options.overlay, "--uncertainty": options.uncertainty}
    written = {name: path for name, path in given.items() if path is not None}
    for name, path in written.items():
        check_file(path, SUFFIX, option=name)
        if path.resolve() == options.photo.resolve():
            raise InvalidInputError(f"{name} is the photo itself; give another name")
    if len({path.resolve() for path in written.values()}) < len(written):
        raise InvalidInputError(f"{' and '.join(written)} are to be different files")


def _line(found: PhotoMasks, path: Path) -> str:
    shares = {
        name: float(mask.mean()) for name, mask in zip(found.masks.names, found.masks.masks, strict=True)
    }
    parts = ", ".join(
        f"{name} {share:.0%}" for name, share in sorted(shares.items(), key=lambda one: -one[1])
    )
    return f"{path}: {parts}"
