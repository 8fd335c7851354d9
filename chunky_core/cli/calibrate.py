"""`calibrate`: a direction scaled so that strength 1 changes an attribute by one unit."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..editing import load_directions, save_directions
from ..editing.own_directions import SUFFIX
from ..editing.scorers import DEMO, load_scorer
from ..errors import InvalidInputError
from ..evaluation.calibration import UNITS, CalibrationConfig, calibrate
from ..images import save_image
from ..visualization.response import plot_response
from .generator_file import add_upsampling_option, open_generator
from .options import add_direction_options, seed
from .progress import progress_bar


def add_parser(commands: argparse._SubParsersAction) -> None:
    defaults = CalibrationConfig()
    parser = commands.add_parser(
        "calibrate",
        help="scale a direction so that strength 1 means the same everywhere",
        description="Edits random pictures by several strengths, scores them, and scales the direction by the line "
        "that fits what the edit adds.",
    )
    parser.add_argument("generator", metavar="GENERATOR", help="a StyleGAN file, or 'demo'")
    parser.add_argument("direction", metavar="DIRECTION", help="the direction's name in --directions")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.safetensors", help="where to write it"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="a picture of the measured curve, too")
    parser.add_argument(
        "--scorer",
        default=DEMO,
        help="what scores the pictures: an ONNX file, with config.json and preprocessor_config.json beside it if it "
        "has them, or 'demo'; default: %(default)s",
    )
    parser.add_argument(
        "--attribute", help="which of the scorer's attributes; default: the one called as the direction"
    )
    parser.add_argument(
        "--unit",
        choices=UNITS,
        default=defaults.unit,
        help="what strength 1 is to change: deviation = one standard deviation of the score over the generator's "
        "pictures; score = 1 in the scorer's unit; default: %(default)s",
    )
    parser.add_argument(
        "--samples", type=int, default=defaults.samples, help="pictures that are edited; default: %(default)s"
    )
    parser.add_argument(
        "--seed", type=seed, default=defaults.seed, help="of the pictures; default: %(default)s"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps; default: %(default)s")
    add_direction_options(parser)
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Raises a ChunkyError for what can't be read, written, or doesn't fit together."""
    if options.out.suffix.lower() != SUFFIX:
        raise InvalidInputError(f"--out is {options.out.name}; expected a name that ends in {SUFFIX}")
    for path in (options.out, options.plot):
        if path is not None and not path.parent.is_dir():
            raise InvalidInputError(f"the folder {path.parent} does not exist; make it first")
    config = CalibrationConfig(samples=options.samples, seed=options.seed, unit=options.unit)
    scorer = load_scorer(options.scorer, options.device)
    generator = open_generator(options.generator, options.upsampling, options.device)
    directions = load_directions(
        options.directions,
        generator=generator,
        unit=options.direction_unit,
        arrangement=options.direction_arrangement,
    )
    if options.direction not in directions:
        raise InvalidInputError(
            f"{options.directions} has no direction {options.direction!r:.80}; there are {', '.join(directions)}"
        )
    attribute = options.attribute or options.direction
    with progress_bar("pictures") as show:
        found = calibrate(
            generator, directions[options.direction], scorer, attribute, config=config, callback=show
        )
    save_directions([found.direction], options.out)
    if options.plot is not None:
        save_image(plot_response(found.curve, found.fit, f"{options.direction} on {attribute}"), options.plot)
    print(found)
