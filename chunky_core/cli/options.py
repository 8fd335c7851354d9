"""The options that `edit` and `demo` share, and the job that they describe."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..compositing import CompositeMode, KeepDetail, Replace
from ..devices import usable_device
from ..editing import load_directions, parse_edit, parse_strengths
from ..editing.directions import UNITS
from ..editing.stored_directions import ARRANGEMENTS
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode
from ..generator.statistics import cache_folder
from ..inversion import Edit, Inversion, ProjectionConfig, TuningConfig, load_inversion, load_latent
from ..inversion.inversion_files import is_saved_inversion
from ..inversion.presets import PRESETS
from ..segments import SegmentMasks
from ..segments.label_names import split_names
from ..segments.mask_generator import load_mask_generator
from .generator_file import add_device_option, add_upsampling_option, open_generator
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
    parser.add_argument(
        "--edit",
        action="append",
        default=[],
        metavar="SEGMENT:DIRECTION=STRENGTH",
        help="for example mouth:smile=2, eyes:gaze=-1.5 or, of the layers 4 to 7 alone, mouth:smile[4-7]=2; may be "
        "given several times; without one composite.png is the photo",
    )
    parser.add_argument(
        "--strengths",
        default="",
        metavar="LIST",
        help="draw the last edit at several strengths, too, side by side in strengths.png: --strengths=-2,-1,0,1,2 or "
        "--strengths=-2..2/5, which means the same",
    )
    parser.add_argument(
        "--harmonize",
        action="store_true",
        help="after strong edits: move the edited codes a little, so that neighbouring segments agree where they meet; "
        "kept in harmonized.safetensors",
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
        "the same photo, masks, generator, preset or space, and seed, other edits as you like, more steps as well; "
        "while a projection or tuning runs, inversion.safetensors or tuned.safetensors is written about every 30 s and "
        "when it is stopped",
    )
    parser.add_argument("--generator", default="demo", help="any StyleGAN file, see `inspect`, or 'demo'")
    add_upsampling_option(parser)
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="codes that the projection sets out from: a saved inversion, or one code of another tool "
        "(projected_w.npz, a .pt of e4e, Pivotal Tuning or rosinality's projector, .npy); with --resume what was left "
        "in --out counts instead",
    )
    add_direction_options(parser)
    add_projection_options(parser)
    add_tuning_options(parser)
    parser.add_argument(
        "--seed",
        type=seed,
        default=ProjectionConfig().seed,
        help="0 to 2^64 - 1; of the starting point in z; default: %(default)s",
    )
    parser.add_argument(
        "--grow", type=int, default=4, help="pixels by which small segments grow over large ones"
    )
    parser.add_argument("--feather", type=float, default=1.5, help="softness of the boundaries in pixels")
    add_device_option(parser)
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
    parser.add_argument(
        "--follow",
        action="store_true",
        help="masks follow what the edits move, and what they uncover is drawn, as for a turned head or other hair; "
        "neighbours may change then, static parts don't",
    )


def add_direction_options(parser: argparse.ArgumentParser) -> None:
    """Where directions come from, and what their numbers mean."""
    parser.add_argument(
        "--directions", default="demo", help="a directions file of any tool, see `inspect`, or 'demo'"
    )
    parser.add_argument(
        "--direction-unit",
        choices=UNITS,
        default="auto",
        help="what strength 1 means: auto = what the file says, and where it doesn't, one standard deviation of the "
        "generator's own codes; sigma = that in any case; raw = the file's numbers",
    )
    parser.add_argument(
        "--direction-arrangement",
        choices=ARRANGEMENTS,
        default="auto",
        help="what a matrix in the file is: one per layer = one direction; components = one in each row, component_0 "
        "...; default: by the tool that wrote it, the generator's sizes, and whether its rows are at right angles",
    )


def add_projection_options(parser: argparse.ArgumentParser) -> None:
    """How the photo is projected: a preset, or space and steps."""
    defaults = ProjectionConfig()
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="",
        help="a recipe by measurement, each closer and slower than the one before, in the place of --space and --steps",
    )
    parser.add_argument("--space", choices=SPACES, help=f"default: {defaults.space}")
    parser.add_argument("--steps", type=int, help=f"of the projection; default: {defaults.num_steps}")
    parser.add_argument(
        "--mask-generator",
        metavar="FILE",
        help="of `train-mask-generator`, or 'demo': masks, whose names are its classes, are fitted together with the "
        "codes, and --follow goes by it",
    )


def add_tuning_options(parser: argparse.ArgumentParser) -> None:
    """Whether and how the generator's weights are tuned after the projection."""
    defaults = TuningConfig()
    parser.add_argument(
        "--tune",
        metavar="SEGMENTS",
        help="after the projection change the generator's weights a little, so that these segments (names separated by "
        "commas, or all) show what no code draws; --resume goes on with it as with the projection",
    )
    parser.add_argument("--tune-steps", type=int, help=f"of the tuning; default: {defaults.num_steps}")
    parser.add_argument(
        "--tune-size",
        type=float,
        metavar="PERCENT",
        help=f"how large what is added may be, in %% of the generator's bytes; default: {100 * defaults.size:g}",
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
    """The files that --generator, --directions, --mask-generator and --start name; "demo" is none."""
    given = (options.generator, options.directions, options.mask_generator or "demo")
    named = [Path(name) for name in given if name != "demo"]
    return named + ([] if options.start is None else [options.start])


def job_from_options(
    options: argparse.Namespace, photo: Tensor, segments: SegmentMasks, profile: bytes | None = None
) -> Job:
    """The job that the options describe on an open photo. Raises a ChunkyError for what can't be opened or done."""
    device = usable_device(options.device, "--device")
    generator = open_generator(options.generator, options.upsampling, device)
    edits: tuple[Edit, ...] = ()
    if options.edit or options.directions != "demo":  # the demo's directions fit the demo generator alone
        directions = load_directions(
            options.directions,
            generator=generator,
            unit=options.direction_unit,
            arrangement=options.direction_arrangement,
            folders=[cache_folder()],
        )
        edits = tuple(parse_edit(text, directions, drawn_by=generator) for text in options.edit)
    finder = options.mask_generator
    return Job(
        generator=generator,
        photo=photo,
        segments=segments,
        edits=edits,
        strengths=_strengths(options),
        config=_config(options),
        preset=options.preset,
        tuning=_tuning(options),
        compare_global=not options.no_global,
        harmonize=options.harmonize,
        replace=REPLACE[options.replace],
        keep_detail=KEEP_DETAIL[options.keep_detail],
        mode=SEAMS[options.seams],
        follow=options.follow,
        resume=options.resume,
        start=None if options.start is None else opened_start(generator, options.start),
        profile=profile,
        mask_generator=None if finder is None else load_mask_generator(finder, generator=generator),
    )


def _strengths(options: argparse.Namespace) -> tuple[float, ...]:
    """Of the strip; () for none."""
    if not options.strengths:
        return ()
    if not options.edit:
        raise InvalidInputError(
            "--strengths are those of the last --edit; add one, as in --edit mouth:smile=1"
        )
    return parse_strengths(options.strengths)


def opened_start(generator: Generator, path: Path) -> Inversion | LatentCode:
    """The codes in a file: a saved inversion of ours, or a code of another tool. Raises a ChunkyError."""
    return load_inversion(path) if is_saved_inversion(path) else load_latent(generator, path)


def _config(options: argparse.Namespace) -> ProjectionConfig:
    """Of the projections; with a preset of the one for comparison, and its seed is the preset's."""
    if options.preset and options.mask_generator is not None:
        raise InvalidInputError(
            f"--preset {options.preset} leaves masks as they are; leave it or --mask-generator out"
        )
    if options.preset and (options.space, options.steps) != (None, None):
        raise InvalidInputError(
            f"--preset {options.preset} chooses space and steps itself; leave out --space and --steps, or --preset"
        )
    defaults = ProjectionConfig()
    steps = defaults.num_steps if options.steps is None else options.steps
    if steps < 1:
        raise InvalidInputError(f"--steps is {steps}; expected at least 1")
    return ProjectionConfig(space=options.space or defaults.space, num_steps=steps, seed=options.seed)


def _tuning(options: argparse.Namespace) -> TuningConfig | None:
    """None where the weights stay as they are."""
    if options.tune is None:
        if (options.tune_steps, options.tune_size) != (None, None):
            raise InvalidInputError("--tune-steps and --tune-size say how to tune; add --tune")
        return None
    defaults = TuningConfig(segments=tuple(split_names(options.tune)) or ("all",), seed=options.seed)
    steps = defaults.num_steps if options.tune_steps is None else options.tune_steps
    if steps < 1:
        raise InvalidInputError(f"--tune-steps is {steps}; expected at least 1")
    size = defaults.size if options.tune_size is None else options.tune_size / 100
    if not 0 < size <= 1:
        raise InvalidInputError(f"--tune-size is {options.tune_size}; expected more than 0, at most 100")
    return replace(defaults, num_steps=steps, size=size)
