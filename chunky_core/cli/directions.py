"""`directions`: those found in a generator, or from examples, into a file and onto a contact sheet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..devices import usable_device
from ..editing import save_directions
from ..editing.direction_checks import layer_count
from ..editing.discovery import (
    METHODS,
    direction_from_groups,
    direction_from_scores,
    find_components,
    scored_samples,
    space_of_direction,
)
from ..editing.layer_ranges import parse_layers
from ..editing.own_directions import SUFFIX
from ..editing.scorers import load_scorer
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.sampling import sample_codes
from ..generator.spaces import SPACES, Direction, LatentCode
from ..generator.statistics import GeneratorStatistics, cache_folder, statistics
from ..images import save_image
from ..inversion import load_inversion
from ..visualization.direction_sheet import STRENGTHS, direction_sheet
from .examples import codes_of_groups, read_scores
from .generator_file import add_device_option, add_upsampling_option, open_generator
from .progress import progress_bar

GROUPS, SCORES = "groups", "scores"
COMPONENTS = {method.lower().replace(" ", "-"): method for method in METHODS}
TRUNCATION = 0.7  # of the sample on the sheet


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "directions",
        help="find directions in a generator, or from pictures with and without something",
        description="Strength 1 along what is found is one standard deviation of the generator's codes.",
    )
    parser.add_argument("generator", metavar="GENERATOR", help="any StyleGAN file, see `inspect`, or 'demo'")
    parser.add_argument(
        "--method",
        choices=[*COMPONENTS, GROUPS, SCORES],
        default="sefa",
        help="sefa: what changes the styles most, sefa-whitened: per standard deviation of the codes; ganspace-w, "
        "ganspace-features: where codes, or a layer's features, vary most; groups: from --with and --without; scores: "
        "from --scores or --scorer; default: %(default)s",
    )
    parser.add_argument(
        "--layers", default="all", help="that are moved: 4-7, '0-3, 8', coarse, medium, fine, all"
    )
    parser.add_argument("--components", type=int, default=10, help="how many; default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--sheet", type=Path, help="the picture to write; default: as --out, ending in .png")
    add_example_options(parser)
    parser.add_argument(
        "--shown-on", type=Path, metavar="FILE", help="a saved inversion for the sheet; else a sample"
    )
    parser.add_argument(
        "--samples", type=int, default=800, help="random pictures looked at; default: %(default)s"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of these and of the sample; default: %(default)s"
    )
    parser.add_argument(
        "--feature-layer", type=int, help="for ganspace-features; default: a third of the way up"
    )
    add_device_option(parser)
    add_upsampling_option(parser)
    parser.set_defaults(run=run)


def add_example_options(parser: argparse.ArgumentParser) -> None:
    what = "a folder of aligned pictures or saved inversions, or a file of codes"
    parser.add_argument("--with", dest="with_it", type=Path, metavar="PATH", help=f"for groups: {what}")
    parser.add_argument("--without", dest="without_it", type=Path, metavar="PATH", help="those without it")
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="for scores: a table of SEED,SCORE lines for pictures of these seeds, or of SCORE lines for --codes",
    )
    parser.add_argument("--codes", type=Path, metavar="PATH", help=f"that --scores belongs to: {what}")
    parser.add_argument(
        "--space", choices=SPACES, help="of codes in files of other tools; default: told by their size"
    )
    parser.add_argument(
        "--scorer", default="demo", help="else: 'demo', or an ONNX file that scores random pictures"
    )
    parser.add_argument("--attribute", default="smile", help="of the scorer; default: %(default)s")
    parser.add_argument("--name", default="", help="of the direction; default: after the method or attribute")


def run(options: argparse.Namespace) -> None:
    """Find, write, draw, list. Raises a ChunkyError."""
    out, sheet = options.out, options.sheet or options.out.with_suffix(".png")
    if out.suffix.lower() != SUFFIX:
        raise InvalidInputError(f"--out is {out.name}; expected a name that ends in {SUFFIX}")
    for path in (out, sheet):
        if not path.parent.is_dir():
            raise InvalidInputError(f"the folder {path.parent} does not exist; make it first")
    for path in (options.with_it, options.without_it, options.scores, options.codes, options.shown_on):
        if path is not None and not path.exists():
            raise InvalidInputError(f"{path} does not exist")
    if options.seed < 0:
        raise InvalidInputError(f"--seed is {options.seed}; expected 0 or more")
    generator = open_generator(
        options.generator, options.upsampling, usable_device(options.device, "--device")
    )
    example = (
        LatentCode("w", sample_codes(generator, [options.seed], TRUNCATION))
        if options.shown_on is None
        else load_inversion(options.shown_on)
    )
    found = find(generator, options, statistics(generator, [cache_folder()]))
    save_directions(found, out)
    with progress_bar("drawing the sheet") as show:
        save_image(direction_sheet(generator, found, example, STRENGTHS, callback=show), sheet)
    for direction in found:
        print(f"{direction.name}: {direction.source}")
    print(f"{out}\n{sheet}")


def find(
    generator: Generator, options: argparse.Namespace, known: GeneratorStatistics
) -> tuple[Direction, ...]:
    if options.method == GROUPS:
        return (_of_groups(generator, options, known),)
    if options.method == SCORES:
        return (_of_scores(generator, options, known),)
    with progress_bar("looking at features") as show:
        return find_components(
            generator,
            COMPONENTS[options.method],
            parse_layers(options.layers, generator.num_ws),
            options.components,
            known,
            feature_layer=options.feature_layer,
            samples=options.samples,
            seed=options.seed,
            callback=show,
        )


def _of_groups(generator: Generator, options: argparse.Namespace, known: GeneratorStatistics) -> Direction:
    if options.with_it is None or options.without_it is None:
        raise InvalidInputError("--method groups needs --with and --without, a folder of pictures each")
    codes = _codes(generator, [options.with_it, options.without_it], options, known)
    layers = _layers(generator, options.layers, codes)
    with_it, without_it = codes
    return direction_from_groups(generator, with_it, without_it, options.name or GROUPS, layers, known)


def _of_scores(generator: Generator, options: argparse.Namespace, known: GeneratorStatistics) -> Direction:
    name = options.name or options.attribute
    if options.scores is None:
        scorer = load_scorer(options.scorer, generator.device)
        with progress_bar("scoring samples") as show:
            found = scored_samples(generator, scorer, options.attribute, options.samples, options.seed, show)
        layers = _layers(generator, options.layers, [found.codes])
        return direction_from_scores(generator, found.codes, found.scores, name, layers, known)
    seeds, scores = read_scores(options.scores)
    if bool(seeds) == (options.codes is not None):
        raise InvalidInputError(
            f"{options.scores} has {len(seeds)} seeds; give seeds in it, or --codes, not both"
        )
    if seeds:
        codes = LatentCode("w", sample_codes(generator, seeds))
    else:
        (codes,) = _codes(generator, [options.codes], options, known)
    layers = _layers(generator, options.layers, [codes])
    return direction_from_scores(generator, codes, scores, options.name or SCORES, layers, known)


def _codes(
    generator: Generator, paths: Sequence[Path], options: argparse.Namespace, known: GeneratorStatistics
) -> list[LatentCode]:
    return codes_of_groups(generator, paths, known, options.samples, options.seed, options.space)


def _layers(generator: Generator, text: str, codes: Sequence[LatentCode]) -> tuple[int, ...]:
    return parse_layers(text, layer_count(generator, space_of_direction(codes)))
