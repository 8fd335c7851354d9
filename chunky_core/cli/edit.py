"""`python -m chunky_core edit PHOTO --masks … --edit mouth:smile=2 --out DIR`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from ..editing import load_directions, parse_edit
from ..errors import InvalidInputError
from ..generator.files import load_generator
from ..generator.spaces import SPACES
from ..images import load_image, read_label_map, read_mask
from ..inversion import ProjectionConfig
from ..segments import Segments, segments_from_label_map, segments_from_masks
from .job import Job, run_job


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("edit", help="project a photo by segments, edit it, composite it")
    parser.add_argument("photo", type=Path, help="square picture of the generator's resolution")
    parser.add_argument(
        "--masks",
        type=Path,
        required=True,
        help="folder with one mask per segment (NAME.png, white = inside), or a label map NAME.png with NAME.json "
        'beside it: {"0": "background", "1": "hair", …}',
    )
    parser.add_argument(
        "--static", default="", help="names of segments that stay the photo, separated by commas"
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
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures and figures.json")
    parser.add_argument("--generator", default="demo", help="any StyleGAN file, see `inspect`, or 'demo'")
    parser.add_argument("--directions", default="demo", help="a directions file, or 'demo'")
    parser.add_argument("--space", choices=SPACES, default=defaults.space)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument(
        "--grow", type=int, default=4, help="pixels by which small segments grow over large ones"
    )
    parser.add_argument("--feather", type=float, default=1.5, help="softness of the boundaries in pixels")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--no-global", action="store_true", help="skip the global W+ projection, for comparison only"
    )
    parser.add_argument("--no-poisson", action="store_true", help="blend only, without seam removal")


def load_segments(path: Path, static: str, grow: int, feather: float) -> Segments:
    """Segments from a folder of masks or from a label map with its names."""
    names = tuple(name for name in static.split(",") if name)
    if path.is_dir():
        masks = {file.stem: read_mask(file) for file in sorted(path.glob("*.png"))}
        if not masks:
            raise InvalidInputError(
                f"{path} holds no .png; expected one mask per segment, named after the segment"
            )
        missing = [name for name in names if name not in masks]
        if missing:
            raise InvalidInputError(f"no mask named {missing[0]!r} in {path}; found {', '.join(masks)}")
        kept = {name: mask for name, mask in masks.items() if name not in names}
        return segments_from_masks(kept, grow=grow, feather=feather, gaps="static")
    return segments_from_label_map(
        read_label_map(path), _label_names(path), static=names, grow=grow, feather=feather, gaps="static"
    )


def _label_names(path: Path) -> dict[int, str]:
    sidecar = path.with_suffix(".json")
    if not sidecar.exists():
        raise InvalidInputError(
            f'{path} is a label map without names; put {sidecar.name} beside it: {{"0": "background", …}}'
        )
    try:
        return {int(number): str(name) for number, name in json.loads(sidecar.read_text()).items()}
    except (ValueError, AttributeError) as error:
        raise InvalidInputError(
            f'{sidecar} is no table of label names ({error}); expected {{"0": "background", …}}'
        ) from error


def run_with(options: argparse.Namespace, photo: Tensor, segments: Segments) -> dict:
    """Run the job that the options describe on an open photo; returns the figures."""
    directions = load_directions(options.directions)
    job = Job(
        generator=load_generator(options.generator, device=options.device),
        photo=photo,
        segments=segments,
        edits=tuple(parse_edit(text, directions) for text in options.edit),
        config=ProjectionConfig(space=options.space, steps=options.steps, seed=options.seed),
        compare_global=not options.no_global,
        poisson=not options.no_poisson,
    )
    return run_job(job, options.out)


def run(options: argparse.Namespace) -> None:
    photo = load_image(options.photo)
    segments = load_segments(options.masks, options.static, options.grow, options.feather)
    print(json.dumps(run_with(options, photo, segments), indent=1))
