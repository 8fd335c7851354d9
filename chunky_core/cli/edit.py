"""`python -m chunky_core edit PHOTO --masks … --edit mouth:smile=2 --out DIR`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..checkpoints.generators import read_checkpoint
from ..images import color_profile, load_image, open_image, profile_space
from ..inversion.validation import check_photo_size
from ..segments.label_files.finding import AUTO
from .job import run_job
from .masks import load_segments, mask_inputs
from .options import add_job_options, job_from_options, model_files
from .outputs import check_inputs_stay


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("edit", help="project a photo by segments, edit it, composite it")
    parser.add_argument(
        "photo", type=Path, help="picture of the generator's size; its colour profile is kept"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        required=True,
        help="folder with one mask per segment (NAME.png, white = inside), CelebAMask-HQ's part folder, Label Studio's "
        "brush export, or a label map NAME.png with its names: NAME.json beside it, "
        '{"0": "background", "1": "hair"}, or {"#ff0000": "mouth"} for colours; or labelmap.txt, label_names.txt, '
        "class_names.txt or config.json; see --label-names",
    )
    parser.add_argument(
        "--label-names",
        default=AUTO,
        metavar="PRESET|FILE",
        help="what the label map's numbers or colours mean: celebamask, bisenet, segformer, voc, or a file; default: "
        "the file beside it",
    )
    parser.add_argument(
        "--masks-of",
        default="",
        metavar="PHOTO",
        help="number or name of the photo in a folder with masks of several; default: as the photo's file is called",
    )
    parser.add_argument(
        "--static", default="", help="names of masks or labels that stay the photo, separated by commas"
    )
    add_job_options(parser)
    parser.set_defaults(run=run)


def rgb_profile(photo: Path) -> bytes | None:
    """The photo's ICC profile, if it is one of RGB; says so where it is dropped, as the pixels were converted."""
    profile = color_profile(photo)
    if profile and profile_space(profile) != "RGB":
        space = profile_space(profile)
        print(
            f"the colour profile of {photo} is for {space}, the pictures are RGB without one", file=sys.stderr
        )
        return None
    return profile


def run(options: argparse.Namespace) -> None:
    check_inputs_stay(
        options.out, [options.photo, *mask_inputs(options.masks, options.label_names), *model_files(options)]
    )
    file = open_image(options.photo)
    with read_checkpoint(options.generator) as checkpoint:  # before large pictures and weights are read
        check_photo_size(file.size, checkpoint.architecture.img_size)
    photo = load_image(options.photo)
    segments = load_segments(
        options.masks,
        file,
        options.static,
        options.grow,
        options.feather,
        names=options.label_names,
        masks_of=options.masks_of,
    )
    job = job_from_options(options, photo, segments, rgb_profile(options.photo))
    print(json.dumps(run_job(job, options.out), indent=1))
