"""The widgets of Pivotal Tuning."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..chunky_core.inversion import TuningConfig
from .runs import CODES, START_AS

DEFAULTS = TuningConfig()
SHARED, APART = DELTAS = ("shared", "apart")
PERCENT = 100.0


def tuning_inputs() -> list[io.Input]:
    """The widgets, in the order of the page; saved workflows depend on it."""
    return [
        io.String.Input(
            "segments",
            default="all",
            tooltip="Which segments, separated by commas: their names, a pair such as 'eyes', or 'all' (also if "
            "blank). Nothing outside their masks changes.",
        ),
        io.Combo.Input(
            "delta",
            options=list(DELTAS),
            default=SHARED if DEFAULTS.shared else APART,
            tooltip="What is added to the weights. shared = one delta for all these segments, which must agree. "
            "apart = one for each, tuned by itself.",
        ),
        io.Int.Input(
            "steps",
            default=DEFAULTS.num_steps,
            min=1,
            max=2000,
            tooltip="Steps of the optimiser; 100 is good, 50 will do for one small segment.",
        ),
        io.Int.Input(
            "seed",
            default=DEFAULTS.seed,
            min=0,
            max=0xFFFFFFFF,
            control_after_generate=io.ControlAfterGenerate.fixed,
            tooltip="Seed of the delta's beginning and of the codes that locality looks at.",
        ),
        number("learning_rate", DEFAULTS.learning_rate, 0.0001, 0.1, 0.0001, "Highest step size of adam."),
        number(
            "size",
            DEFAULTS.size * PERCENT,
            0.1,
            100.0,
            0.1,
            "How large what is saved may be, in % of the generator's file: more = closer.",
            advanced=False,
        ),
        number(
            "locality",
            DEFAULTS.locality,
            0.0,
            10.0,
            0.01,
            "How strongly the effect of edits is held: what other codes change inside the masks stays as it was; costs "
            "time; 0 = off.",
        ),
        io.Int.Input(
            "plateau",
            default=DEFAULTS.plateau,
            min=0,
            max=500,
            tooltip="Steps without an improvement by 1 % after which a segment stops; 0 = never.",
            advanced=True,
        ),
        io.Boolean.Input(
            "tune_codes",
            default=DEFAULTS.tune_codes,
            tooltip="On = the codes go on beside the weights: closer still, edited less cleanly.",
            advanced=True,
        ),
        io.Combo.Input(
            "start_as",
            options=list(START_AS),
            default=CODES,
            tooltip="codes = a new run, which sets out from the inversion as it comes. continue = go on with an "
            "interrupted tuning: with the one connected or else with what was saved of this same tuning.",
        ),
    ]


def number(
    name: str, default: float, low: float, high: float, step: float, tooltip: str, *, advanced: bool = True
) -> io.Input:
    widget: dict[str, Any] = {"min": low, "max": high, "step": step, "round": False}
    return io.Float.Input(name, default=default, **widget, tooltip=tooltip, advanced=advanced)
