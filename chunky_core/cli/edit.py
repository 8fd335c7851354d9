"""`python -m chunky_core edit PHOTO --masks … --edit mouth:smile=2 --out DIR`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..checkpoints.generators import read_checkpoint
from ..images import load_image, open_image
from ..inversion.validation import check_photo_size
from .job import run_job
from .masks import add_label_options, load_segments, mask_inputs
from .options import add_job_options, job_from_options, model_files
from .outputs import check_inputs_stay
from .photo_file import note_dropped, rgb_profile


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
    add_label_options(parser)
    parser.add_argument(
        "--static", default="", help="names of masks or labels that stay the photo, separated by commas"
    )
    add_job_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    check_inputs_stay(
        options.out, [options.photo, *mask_inputs(options.masks, options.label_names), *model_files(options)]
    )
    file = open_image(options.photo)
    with read_checkpoint(options.generator) as checkpoint:  # before large pictures and weights are read
        check_photo_size(file.size, checkpoint.architecture.img_size)
    photo = load_image(options.photo)
    note_dropped(file)
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
