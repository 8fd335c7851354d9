"""Find Directions: what a generator can change, found in it without any file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.editing.discovery import METHODS
from ..chunky_core.editing.layer_ranges import MOST_LAYERS, layers_text, parse_layers
from ..chunky_core.editing.scorers import DEMO, attribute_index, load_scorer
from ..chunky_core.errors import ChunkyError, InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.sampling import sample_codes
from ..chunky_core.generator.spaces import Direction, LatentCode
from ..chunky_core.generator.statistics import statistics
from ..chunky_core.visualization.direction_sheet import STRENGTHS, direction_sheet
from .calibration import scorer_inputs, scorer_source
from .direction_search import AUTO_LAYER, GROUPS, SCORES, Examples, Search, scores_of_text
from .host import HostedGenerator, loaded, output_is_used, step_reporter, to_host
from .model_files import stamp
from .notices import show_on_node
from .sampling import statistics_folders
from .types import CodeIO, DirectionIO, GeneratorIO, InversionBatch, InversionIO
from .widgets import check_limits
from .widgets import seed as seed_input

SHEET = 1  # index of the output that is drawn only if it is used
TRUNCATION = 0.7  # of the sample that is shown
MOST = 64  # components
ALL_METHODS = (*METHODS, GROUPS, SCORES)


class FindDirections(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_FindDirections",
            display_name="Find Directions",
            category="ChunkyGAN/editing",
            description="Finds directions of editing in a generator itself, or from pictures with and without "
            "something. Nothing is downloaded; the sheet shows what each does.",
            search_aliases=[
                "sefa",
                "ganspace",
                "pca",
                "discover directions",
                "unsupervised directions",
                "latent direction",
                "semantic direction",
                "interfacegan",
                "principal components",
                "with and without",
            ],
            inputs=[
                *component_inputs(),
                *scorer_inputs(),
                *more_inputs(),
                *example_inputs(),
            ],
            outputs=[
                DirectionIO.Output(
                    display_name="direction",
                    tooltip="The chosen one, for loaded_direction of Latent Edit, Calibrate Edit and Save Direction. "
                    "Strength 1 is one standard deviation.",
                ),
                io.Image.Output(
                    display_name="sheet",
                    tooltip="A row for each component, a column for each strength. Drawn only if it is connected.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        method: str | None = None,
        layers: str | None = None,
        components: int | None = None,
        component: int | None = None,
        scorer: str | None = None,
        attribute: str | None = None,
        scores: str | None = None,
    ) -> bool | str:
        """What can be told without the generator; in place of the host's check of scorer, so that a file that is gone
        is explained. None = linked.
        """
        try:
            if method is not None and method not in ALL_METHODS:
                raise InvalidInputError(f"method is {method!r}; expected one of {', '.join(ALL_METHODS)}")
            check_limits("components", components, 1, MOST)
            check_limits("component", component, 0, MOST - 1)
            parse_layers(layers or "", MOST_LAYERS)
            if method in METHODS and component is not None and components is not None:
                check_component(component, components)
            scorer_source(scorer or DEMO)
            if method == SCORES and scores is not None:
                check_scores(scores, scorer, attribute)
        except ChunkyError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, scorer: str | None = None, **_inputs: Any) -> str:
        """A sheet that wasn't drawn is no result for a node that is linked to it later."""
        try:
            judge = stamp(scorer_source(scorer or DEMO))
        except ChunkyError as error:
            judge = str(error)  # execute says it
        return f"{output_is_used(SHEET)} {judge}"

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        method: str,
        component: int,
        name: str,
        reach: float,
        examples_with: Examples | None = None,
        examples_without: Examples | None = None,
        scored: Examples | None = None,
        shown_on: InversionBatch = (),
        **widgets: Any,
    ) -> io.NodeOutput:
        """widgets: the other fields of `Search`."""
        wanted = Search(
            examples_with=examples_with, examples_without=examples_without, scored=scored, **widgets
        )
        chosen = component if method in METHODS else 0
        check_component(chosen, wanted.components)
        with loaded(generator) as network:
            known = statistics(network, statistics_folders())
            found = wanted.found(method, network, known, step_reporter(0, 2, previews=False))
            direction = replace(found[chosen], name=name.strip() or found[chosen].name)
            show_on_node(described(direction) + unheard(method, component))
            if not output_is_used(SHEET):
                return io.NodeOutput(direction, None)
            example = shown_on[0] if shown_on else sampled(network, wanted.seed)
            labels = [str(index) for index in range(len(found))] if len(found) > 1 else [direction.name]
            return io.NodeOutput(direction, sheet(network, found, example, labels, reach))


def check_component(component: int, components: int) -> None:
    """Raise InvalidInputError for a component that isn't looked for."""
    if component >= components:
        raise InvalidInputError(
            f"component is {component}, and {components} are found, counted from 0; raise components, or choose one "
            "of them"
        )


def check_scores(scores: str, scorer: str | None, attribute: str | None) -> None:
    """Raise InvalidInputError for numbers that can't be read; where there are none, for an attribute that the demo's
    scorer doesn't know. None = not known yet.
    """
    if scores.strip():
        scores_of_text(scores)
    elif scorer == DEMO and attribute is not None:
        attribute_index(load_scorer(DEMO), attribute.strip())


def unheard(method: str, component: int) -> str:
    """A line for the node where a component was chosen though there is one direction alone."""
    if method in METHODS or not component:
        return ""
    return f"\ncomponent {component} doesn't count: {method} gives one direction"


def sampled(generator: Generator, seed: int) -> LatentCode:
    """What directions are shown on where no inversion is connected."""
    with torch.no_grad():
        return LatentCode("w", sample_codes(generator, [seed], TRUNCATION))


def sheet(
    generator: Generator, found: Sequence[Direction], example: Any, labels: Sequence[str], reach: float
) -> Tensor:
    strengths = [reach * strength / max(STRENGTHS) for strength in STRENGTHS]
    report = step_reporter(1, 2, previews=False)
    return to_host(direction_sheet(generator, found, example, strengths, labels=labels, callback=report))


def described(direction: Direction) -> str:
    moved = layers_text(direction.layers)
    return f"{direction.name}: {direction.source}\n{direction.space.upper()}, layers {moved}, strength 1 = 1 sigma"


def component_inputs() -> list[io.Input]:
    return [
        GeneratorIO.Input("generator", tooltip="The generator that is looked into."),
        io.Combo.Input(
            "method",
            options=list(ALL_METHODS),
            default=METHODS[0],
            tooltip="SeFa = what changes the styles most, at once; whitened = per standard deviation of the codes. "
            "GANSpace = where codes (W) or a layer's features vary most. two groups = from pictures with and without "
            "something. scores = from numbers for pictures.",
        ),
        io.String.Input(
            "layers",
            default="all",
            tooltip="Layers that the directions move, counted from 0 (coarse: pose, shape) to the last (fine: colour): "
            "'4-7', '0-3, 8', '8-', 'coarse', 'medium', 'fine', 'all'. SeFa looks at these alone.",
        ),
        io.Int.Input(
            "components",
            default=8,
            min=1,
            max=MOST,
            tooltip="How many are found and shown, the strongest first; for SeFa and GANSpace.",
        ),
        io.Int.Input(
            "component",
            default=0,
            min=0,
            max=MOST - 1,
            tooltip="Which of them is given out: the number of its row, from 0. Two groups and scores give one "
            "direction: there it doesn't count.",
        ),
        io.Int.Input(
            "samples",
            default=800,
            min=2,
            max=20_000,
            tooltip="Random pictures that are drawn for GANSpace features, for reading the codes of pictures, and for "
            "scorer. More = steadier, slower.",
        ),
        seed_input(
            0, "Of these pictures, and of the one that the sheet shows; another number shows another."
        ),
    ]


def more_inputs() -> list[io.Input]:
    """Those after the scorer's."""
    return [
        io.String.Input(
            "scores",
            default="",
            multiline=True,
            tooltip="For the method scores: a number for each of scored, or 1 and 0 for yes and no: '1 0 0 1'. "
            "Empty = scorer judges random pictures.",
        ),
        io.String.Input(
            "name", default="", tooltip="Of the direction; empty = after the method or attribute."
        ),
        io.Float.Input(
            "reach",
            default=3.0,
            min=0.1,
            max=20.0,
            step=0.1,
            tooltip="Strength of the sheet's last column, in standard deviations; the first is as far the other way.",
        ),
        io.Int.Input(
            "feature_layer",
            default=AUTO_LAYER,
            min=AUTO_LAYER,
            max=63,
            tooltip="For GANSpace features: the convolution that is looked at, from 0; -1 = a third of the way up.",
            advanced=True,
        ),
    ]


def example_inputs() -> list[io.Input]:
    what = "pictures, aligned as the generator's, whose codes are read at a glance; codes; or inversions."
    return [
        examples("examples_with", f"For two groups, those with what is looked for: {what}"),
        examples("examples_without", f"For two groups, those without it: {what}"),
        examples("scored", f"For the method scores, what the numbers in scores are of: {what}"),
        InversionIO.Input(
            "shown_on",
            optional=True,
            tooltip="The inversion that the sheet shows, all its segments moved; without one, a random picture.",
        ),
    ]


def examples(name: str, tooltip: str) -> io.Input:
    return io.MultiType.Input(name, types=[io.Image, CodeIO, InversionIO], optional=True, tooltip=tooltip)


NODES = [FindDirections]
