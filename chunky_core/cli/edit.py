"""`python -m chunky_core edit PHOTO --masks … --edit mouth:smile=2 --out DIR`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from ..editing import load_directions, parse_edit
from ..errors import InvalidInputError
from ..generator.files import load_generator
from ..generator.spaces import SPACES
from ..images import colour_profile, load_image, profile_space
from ..inversion import ProjectionConfig
from ..segments import Segments
from .job import Job, run_job
from .masks import load_segments
from .outputs import check_inputs_stay


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("edit", help="project a photo by segments, edit it, composite it")
    parser.add_argument(
        "photo", type=Path, help="picture of the generator's resolution; its colour profile is kept"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        required=True,
        help="folder with one mask per segment (NAME.png, white = inside), or a label map NAME.png with NAME.json "
        'beside it: {"0": "background", "1": "hair", …}',
    )
    parser.add_argument(
        "--static", default="", help="names of masks or labels that stay the photo, separated by commas"
    )
    add_job_options(parser)
    parser.set_defaults(run=run)


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """The options that `edit` and `demo` share."""
    defaults = ProjectionConfig()
    parser.add_argument(
        "--edit",
        action="append",
        default=[],
        metavar="SEGMENT:DIRECTION=STRENGTH",
        help="for example mouth:smile=2 or eyes:gaze=-1.5; may be given several times",
    )
    parser.add_argument(
        "--out",
        type=Path,
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
        "--steps", type=int, default=defaults.steps, help="of the projection; default: %(default)s"
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
    parser.add_argument("--no-poisson", action="store_true", help="blend only, without seam removal")


def seed(text: str) -> int:
    """A seed as torch takes it. Raises what argparse shows."""
    number = int(text)
    if not 0 <= number < 2**64:
        raise argparse.ArgumentTypeError(f"{number} is out of range; expected 0 to 2^64 - 1")
    return number


def run_with(
    options: argparse.Namespace, photo: Tensor, segments: Segments, profile: bytes | None = None
) -> dict:
    """Run the job that the options describe on an open photo; returns the figures."""
    directions = load_directions(options.directions)
    job = Job(
        generator=load_generator(options.generator, device=usable_device(options.device)),
        photo=photo,
        segments=segments,
        edits=tuple(parse_edit(text, directions) for text in options.edit),
        config=ProjectionConfig(space=options.space, steps=options.steps, seed=options.seed),
        compare_global=not options.no_global,
        poisson=not options.no_poisson,
        resume=options.resume,
        profile=profile,
    )
    return run_job(job, options.out)


def usable_device(name: str) -> torch.device:
    """The device of that name. Raises InvalidInputError where torch knows none, or can't compute on it here."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError, AttributeError) as error:  # each backend has its own
        reason = str(error).splitlines()[0].rstrip(".")
        raise InvalidInputError(
            f"--device {name} can't be used here ({reason:.100}); give {' or '.join(_devices())}"
        ) from error
    return device


def _devices() -> list[str]:
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def rgb_profile(photo: Path) -> bytes | None:
    """The photo's ICC profile, if it is one of RGB; says so where it is dropped, as the pixels were converted."""
    profile = colour_profile(photo)
    if profile and profile_space(profile) != "RGB":
        space = profile_space(profile)
        print(
            f"the colour profile of {photo} is for {space}, the pictures are RGB without one", file=sys.stderr
        )
        return None
    return profile


def run(options: argparse.Namespace) -> None:
    check_inputs_stay(options.out, (options.photo, options.masks))
    photo = load_image(options.photo)
    segments = load_segments(options.masks, options.static, options.grow, options.feather)
    print(json.dumps(run_with(options, photo, segments, rgb_profile(options.photo)), indent=1))
