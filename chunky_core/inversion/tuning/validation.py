"""What a tuning is asked for, against what the inversion has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...checks import check_type
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ..record import TUNING, Inversion, ProjectionState
from ..validation import check_photo, check_start
from .config import TuningConfig
from .run import CURVE, Tuning

_OTHERS = "go on with the same ones, or tune anew"


def check_inputs(
    generator: object, inversion: object, config: object, callbacks: Sequence[object]
) -> tuple[Generator, Inversion]:
    """Raise InvalidInputError for things of another kind than `tune` takes, NaN in codes, and an inversion without its
    photo; WrongGeneratorError for another generator.
    """
    check_type(generator, "the generator", Generator, "load_generator reads one")
    check_type(
        inversion, "the inversion", Inversion, "it comes after the generator; load_inversion reads one"
    )
    check_type(config, "config", TuningConfig)
    for callback in callbacks:
        if callback is not None and not callable(callback):
            raise InvalidInputError(f"a callback is of type {type(callback).__name__}; expected a function")
    assert isinstance(generator, Generator) and isinstance(inversion, Inversion)
    check_start(generator, inversion)
    if inversion.photo is None:
        raise InvalidInputError(
            "this inversion was saved without its photo, which its weights are to be tuned to; give it the photo "
            "(Inversion.with_photo)"
        )
    check_photo(generator, inversion.photo, inversion.masks)
    for name in inversion.names:
        if CURVE.format(name) in inversion.names:
            raise InvalidInputError(f"a segment is named {CURVE.format(name)!r}, as a curve is; rename it")
    return generator, inversion


def check_resumable(run: Tuning, start: Inversion) -> ProjectionState:
    """The state of an earlier tuning, if `run` can go on with it. Raises InvalidInputError otherwise."""
    if start.state is None:
        raise InvalidInputError(
            "there is no tuning to go on with; give an inversion that holds its state, or tune anew"
        )
    if not start.state.is_tuning:
        raise InvalidInputError(
            "the inversion holds the state of a projection, which `project` goes on with; tune it without resume"
        )
    numbers, earlier = start.state.numbers[TUNING], start.settings.get(TUNING)
    if (
        not isinstance(numbers, Mapping)
        or not isinstance(earlier, Mapping)
        or not _is_count(earlier.get("num_steps"))
    ):
        raise InvalidInputError("the state of the earlier tuning is damaged; tune anew")
    config = run.config.plain()
    for name, what in (
        ("shared", "shared"),
        ("tune_codes", "tune_codes"),
        ("size", "size"),
        ("rank", "rank"),
        ("loss", "the loss"),
    ):
        if earlier.get(name) != config[name]:
            raise InvalidInputError(
                f"the earlier tuning had {what} {earlier.get(name)}, now {config[name]}; {_OTHERS}"
            )
    segments = [list(part.segments) for part in run.parts]
    if numbers.get("segments") != segments:
        raise InvalidInputError(
            f"the earlier tuning was of other segments, or their codes are others now; {_OTHERS}"
        )
    return start.state


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
