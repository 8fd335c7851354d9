"""The options that `edit` and `demo` share, and the job that they describe."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.generators import load_generator
from ..compositing import CompositeMode, KeepDetail, Replace
from ..devices import usable_device
from ..editing import load_directions, parse_edit
from ..errors import InvalidInputError
from ..generator.spaces import SPACES
from ..inversion import ProjectionConfig
from ..segments import SegmentMasks
from .job import Job

REPLACE: dict[str, Replace] = {"edited": "edited segments", "all": "all segments"}
KEEP_DETAIL: dict[str, KeepDetail] = {"off": "off", "keep": "keep", "move": "keep and move"}

SEAMS: dict[str, CompositeMode] = {
    "full": "full",
    "band": "seam only",
    "colour": "colour shift only",
    "needed": "as needed",
    "off": "soft blend",
}


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """The options that `edit` and `demo` share."""
    defaults = ProjectionConfig()
    parser.add_argument(
        "--edit",
        action="append",
        default=[],
        metavar="SEGMENT:DIRECTION=STRENGTH",
        help="for example mouth:smile=2 or eyes:gaze=-1.5; may be given several times; without one composite.png is "
        "the photo",
    )
    parser.add_argument(
        "--out",
        type=named_folder,
        required=True,
        help="folder for composite.png, reconstruction.png, contact_sheet.png, figures.json and the inversions",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the projection that an earlier run left in --out, or only draw from it if it is finished: "
        "the same photo, masks, generator, space and seed, other edits as you like, more steps as well; while a "
        "projection runs, inversion.safetensors is written about every 30 s and when it is stopped",
    )
    parser.add_argument("--generator", default="demo", help="any StyleGAN file, see `inspect`, or 'demo'")
    parser.add_argument("--directions", default="demo", help="a directions file, or 'demo'")
    parser.add_argument("--space", choices=SPACES, default=defaults.space, help="default: %(default)s")
    parser.add_argument(
        "--steps", type=int, default=defaults.num_steps, help="of the projection; default: %(default)s"
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=defaults.seed,
        help="0 to 2^64 - 1; of the starting point in z; default: %(default)s",
    )
    parser.add_argument(
        "--grow", type=int, default=4, help="pixels by which small segments grow over large ones"
    )
    parser.add_argument("--feather", type=float, default=1.5, help="softness of the boundaries in pixels")
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N; default: %(default)s",
    )
    parser.add_argument(
        "--no-global",
        action="store_true",
        help="skip the projection by one code, which is for comparison only",
    )
    seams = parser.add_mutually_exclusive_group()
    seams.add_argument(
        "--seams",
        choices=SEAMS,
        default="band",
        help="how composite.png joins the photo: by Poisson's equation in full or in a band along the seam, by a shift "
        "of colours, as little as needed, or by the soft masks alone (off); default: %(default)s",
    )
    seams.add_argument(
        "--no-poisson", action="store_const", const="off", dest="seams", help="the same as --seams off"
    )
    parser.add_argument(
        "--replace",
        choices=REPLACE,
        default="edited",
        help="what composite.png takes from the generator: edited segments, all else is the photo to the bit; or all "
        "segments; default: %(default)s",
    )
    parser.add_argument(
        "--keep-detail",
        choices=KEEP_DETAIL,
        default="move",
        help="what becomes of the photo's detail that the generator can't draw: off, kept in place, or moved along "
        "with the edit; default: %(default)s",
    )


def seed(text: str) -> int:
    """A seed as torch takes it. Raises what argparse shows."""
    number = int(text)
    if not 0 <= number < 2**64:
        raise argparse.ArgumentTypeError(f"{number} is out of range; expected 0 to 2^64 - 1")
    return number


def named_folder(text: str) -> Path:
    """Not the current folder, which an unset variable of a shell would mean."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the folder's name is empty; write '.' for the current one")
    return Path(text)


def model_files(options: argparse.Namespace) -> list[Path]:
    """The files that --generator and --directions name; "demo" is none."""
    return [Path(name) for name in (options.generator, options.directions) if name != "demo"]


def job_from_options(
    options: argparse.Namespace, photo: Tensor, segments: SegmentMasks, profile: bytes | None = None
) -> Job:
    """The job that the options describe on an open photo. Raises a ChunkyError for what can't be opened or done."""
    directions = load_directions(options.directions)
    return Job(
        generator=load_generator(options.generator, device=usable_device(options.device, "--device")),
        photo=photo,
        segments=segments,
        edits=tuple(parse_edit(text, directions) for text in options.edit),
        config=_config(options),
        compare_global=not options.no_global,
        replace=REPLACE[options.replace],
        keep_detail=KEEP_DETAIL[options.keep_detail],
        mode=SEAMS[options.seams],
        resume=options.resume,
        profile=profile,
    )


def _config(options: argparse.Namespace) -> ProjectionConfig:
    if options.steps < 1:
        raise InvalidInputError(f"--steps is {options.steps}; expected at least 1")
    return ProjectionConfig(space=options.space, num_steps=options.steps, seed=options.seed)
