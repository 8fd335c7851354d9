"""The widgets of Pivotal Tuning."""

from __future__ import annotations

from comfy_api.latest import io

from ..chunky_core.inversion import TuningConfig
from .runs import CODES, START_AS
from .widgets import number, plateau, seed, steps, switch

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
        steps(DEFAULTS.num_steps, "Steps of the optimiser; 100 is good, 50 will do for one small segment."),
        seed(DEFAULTS.seed, "Seed of the delta's beginning and of the codes that locality looks at."),
        number(
            "learning_rate",
            "Highest step size of adam.",
            default=DEFAULTS.learning_rate,
            low=0.0001,
            high=0.1,
            step=0.0001,
        ),
        number(
            "size",
            "How large what is saved may be, in % of the generator's file: more = closer.",
            default=DEFAULTS.size * PERCENT,
            low=0.1,
            high=100.0,
            step=0.1,
            advanced=False,
        ),
        number(
            "locality",
            "How strongly the effect of edits is held: what other codes change inside the masks stays as it was; costs "
            "time; 0 = off.",
            default=DEFAULTS.locality,
            high=10.0,
            step=0.01,
        ),
        plateau(DEFAULTS.plateau),
        switch(
            "tune_codes",
            "On = the codes go on beside the weights: closer still, edited less cleanly.",
            default=DEFAULTS.tune_codes,
        ),
        io.Combo.Input(
            "start_as",
            options=list(START_AS),
            default=CODES,
            tooltip="codes = a new run, which sets out from the inversion as it comes. continue = go on with an "
            "interrupted tuning: with the one connected or else with what was saved of this same tuning.",
        ),
    ]
