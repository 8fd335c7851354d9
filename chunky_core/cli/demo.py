"""`python -m chunky_core demo --out DIR`: the whole way on a shipped demo photo."""

from __future__ import annotations

import argparse
import json

from ..demo.shipped import LABEL_NAMES, load_shipped_photo
from ..segments import segments_from_label_map
from .job import run_job
from .options import add_job_options, job_from_options, model_files
from .outputs import SHEET, check_inputs_stay

STATIC = ("background",)
EDITS = ["mouth:smile=2", "eyes:gaze=-1.5"]


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "demo",
        help="the whole way on a demo photo",
        description=f"Edits, if none are given: {', '.join(EDITS)}.",
    )
    parser.add_argument(
        "--photo", type=int, default=1, help="number of the shipped demo photo, 1 to 6; default: %(default)s"
    )
    add_job_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    check_inputs_stay(options.out, model_files(options))
    photo = load_shipped_photo(options.photo)
    options.edit = options.edit or EDITS
    segments = segments_from_label_map(
        photo.labels, LABEL_NAMES, static=STATIC, grow=options.grow, feather=options.feather
    )
    job = job_from_options(options, photo.image, segments)
    print(json.dumps(run_job(job, options.out), indent=1))
    print(f"pictures: {options.out / SHEET}")
