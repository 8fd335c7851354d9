"""What a projection is asked for, against what the generator, the photo and the masks can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..boxes import AnySize, as_size
from ..checks import check_image, check_type
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode
from ..segments.segment_masks import SegmentMasks
from ..wording import in_pixels, pictures
from .config import ProjectionConfig
from .hooks import TOGETHER, resolution_schedule
from .initialization import check_finite
from .latents import GLOBAL_CODE, MASK_CODE, MOMENTS
from .record import Inversion, ProjectionState, check_same_generator

_LARGEST_STEP = 1 << 31  # the projection itself takes at most some thousands
_BRIGHTEST = 20.0  # generators leave [-1, 1] by a few units; what is brighter was never scaled from 0 ... 255


def check_setup(
    generator: Generator, masks: SegmentMasks, spaces: Sequence[str], config: ProjectionConfig
) -> None:
    """Raise InvalidInputError for what this generator or these segments can't do."""
    if config.refine_every:
        masks.resolve(config.refine)
    if generator.c_dim and "z" in spaces:
        raise InvalidInputError("this generator draws classes, which z knows nothing of; choose w, w+ or s")
    schedule = resolution_schedule(config.coarse, config.num_steps, generator.img_resolution)
    missing = {size for _, size in schedule} - {*generator.out_resolutions}
    if missing:
        raise InvalidInputError(
            f"this generator makes {generator.img_resolution} pixels only; set coarse to 0"
        )
    if config.mode == "joint" and TOGETHER in masks.names:
        raise InvalidInputError(f"a segment is named {TOGETHER!r}, as the common curve is; rename it")


def check_moving_masks(
    mask_generator: object, mask_code: object, config: ProjectionConfig, earlier: Inversion | None
) -> None:
    """Raise InvalidInputError for a config that can't move masks, and for a run that went on with them or without.

    earlier: that the run goes on from, if it does.
    """
    if earlier is not None and earlier.state is not None:
        moved = "mask_code" in earlier.state.numbers
        if moved != (mask_generator is not None):
            raise InvalidInputError(
                f"the earlier projection moved its masks {'by' if moved else 'without'} a mask generator; go on "
                f"{'with it' if moved else 'without one'}, or start from its codes only"
            )
    if mask_generator is None:
        if mask_code is not None:
            raise InvalidInputError(
                "a code of the masks was given without the mask generator that draws them"
            )
        return
    for what, found, wanted in (
        ("mode", config.mode, "joint"),
        ("optimizer", config.optimizer, "adam"),
        ("refine_every", config.refine_every, 0),
    ):
        if found != wanted:
            raise InvalidInputError(
                f"masks move with the codes only where {what} is {wanted!r}; it is {found!r}. Change it, or leave the "
                "mask generator out"
            )


def segment_spaces(masks: SegmentMasks, config: ProjectionConfig) -> tuple[str, ...]:
    """The space of each segment. Raises InvalidInputError for a name that isn't among them."""
    chosen = dict.fromkeys(masks.names, config.space)
    for entry, space in config.spaces.items():
        chosen.update(dict.fromkeys(masks.resolve((entry,)), space))
    return tuple(chosen.values())


def check_types(
    generator: object, masks: object, config: object, start: object, callbacks: Sequence[object]
) -> None:
    """Raise InvalidInputError for things of another kind than `project` takes."""
    check_type(generator, "the generator", Generator, "load_generator reads one")
    check_type(masks, "masks", SegmentMasks, "segments_from_masks makes them of single masks")
    check_type(config, "config", ProjectionConfig)
    if start is not None and not isinstance(start, LatentCode):
        check_type(start, "start", Inversion, "load_inversion reads one, load_latent a code")
    for callback in callbacks:
        if callback is not None and not callable(callback):
            raise InvalidInputError(f"a callback is of type {type(callback).__name__}; expected a function")


def check_start(generator: Generator, start: Inversion) -> None:
    """Raise WrongGeneratorError for an inversion of another generator, InvalidInputError for one that holds NaN or
    infinite values where a run would go on with them.
    """
    check_same_generator(generator, start)
    held = {f"the code of segment {segment.name!r}": segment.code.tensor for segment in start.segments}
    held |= {f"noise map {index}": noise for index, noise in enumerate(start.noise)}
    if start.state is not None:
        held |= {f"the state's tensor {name!r}": tensor for name, tensor in start.state.tensors.items()}
    check_finite(held, "the earlier inversion", "start from another one, or anew from the mean code")


def check_photo_size(size: tuple[int, int], wanted: AnySize) -> None:
    """Raise InvalidInputError for a photo of another (height, width) than the pictures of a generator."""
    made = as_size(wanted)
    if size == made:
        return
    advice = f"cut the face out in that size (Align Face) or resize the photo to {made}"
    if made.height != made.width:
        advice = f"crop the photo to that shape (width x height) around its subject, resize it to {made}"
    raise InvalidInputError(
        f"the photo is {size[1]}x{size[0]}, the generator makes {made}; {advice}, and make the masks anew"
    )


def check_photo(generator: Generator, photo: Tensor, masks: SegmentMasks) -> None:
    """Raise InvalidInputError for a photo that `project` doesn't take, or one of another size than the masks."""
    if not isinstance(photo, Tensor):
        raise InvalidInputError(
            f"the photo is a {type(photo).__name__}; expected a tensor of floats [1,3,H,W]"
        )
    if photo.ndim != 4 or photo.shape[:2] != (1, 3):
        raise InvalidInputError(
            f"the photo is {pictures(photo)}; expected one RGB image [1, 3, height, width], so project the images of a "
            "batch one by one"
        )
    check_photo_size((photo.shape[-2], photo.shape[-1]), generator.img_size)
    if photo.shape[-2:] != masks.static.shape[-2:]:
        height, width = masks.static.shape[-2:]
        raise InvalidInputError(
            f"the photo is {in_pixels(photo)}, the masks are {width}x{height}; make the masks of this very photo "
            "(after Align Face, if that cut it out)"
        )
    check_image(photo, "the photo", batch=1)
    if photo.abs().max() > _BRIGHTEST:
        raise InvalidInputError(
            f"the photo has values from {photo.min():.4g} to {photo.max():.4g}; expected [-1, 1]; scale it"
        )


def check_resumable(
    generator: Generator,
    start: Inversion | None,
    photo: Tensor,
    segments: SegmentMasks,
    spaces: tuple[str, ...],
    config: ProjectionConfig,
) -> tuple[Inversion, ProjectionState]:
    """The earlier inversion and its state, if `config` can go on with it.

    Raises WrongGeneratorError for another generator, InvalidInputError where there is no state, or one of
    another photo, of other segments, spaces or masks, or of another way of judging.
    """
    if start is None or start.state is None:
        raise InvalidInputError(
            "there is no projection to go on with; give an inversion that holds its state, or start anew"
        )
    check_same_generator(generator, start)
    if start.state.is_tuning:
        raise InvalidInputError(
            "the inversion holds the state of a tuning, which `tune` goes on with; start from its codes only"
        )
    check_is_of(start, photo)
    earlier_spaces = tuple(segment.code.space for segment in start.segments)
    for what, found, wanted in (
        ("the segments", ", ".join(start.names), ", ".join(segments.names)),
        ("the spaces", ", ".join(earlier_spaces), ", ".join(spaces)),
        ("the mode", start.settings.get("mode"), config.mode),
        ("noise maps:", bool(start.noise), config.optimize_noise),
    ):
        if found != wanted:
            raise InvalidInputError(
                f"the earlier projection had {what} {found}, now {wanted}; go on with the same ones, or start "
                "from its codes only"
            )
    moving = bool(start.state.numbers.get("mask_code"))
    if not config.refine_every and not moving and not is_same_masks(start.masks, segments):
        raise InvalidInputError(
            "the earlier projection had other masks; go on with the same ones, or start from its codes only"
        )
    steps = start.settings.get("steps", 0)
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise InvalidInputError(
            f"the earlier projection's settings are damaged: its steps are {steps!r:.40}; start from its codes only"
        )
    check_state(start.state, len(segments.names), generator.img_resolution)
    return start, start.state


def check_is_of(start: Inversion, photo: Tensor) -> None:
    """Raise InvalidInputError, with the reason, unless an earlier inversion is of this photo [1,3,H,W]."""
    if not start.is_of(photo):
        raise InvalidInputError(
            f"the earlier projection was of another photo: {start.reason_against(photo)}; or start from its codes only"
        )


def is_same_masks(one: SegmentMasks, other: SegmentMasks) -> bool:
    pairs = ((one.masks, other.masks), (one.static, other.static))
    return all(a.shape == b.shape and torch.allclose(a.cpu(), b.cpu(), atol=1e-6) for a, b in pairs)


def check_state(state: ProjectionState, parts: int, resolution: int) -> None:
    """Raise InvalidInputError where a state isn't one of a projection.

    parts: segments, for which it may hold one code each, or one for all while it is in its warm-up; resolution: of the
    generator in pixels, at which, at half or at a quarter of which the state was judged last.
    """
    if not _is_count(state.step):
        raise _damaged("its step", state.step, "a whole number")
    numbers = state.numbers
    last = numbers.get("resolution", 0)
    if not _is_count(last) or last not in (0, resolution, resolution // 2, resolution // 4):
        raise _damaged("its resolution", last, f"{resolution}, a half or a quarter of it")
    if numbers.get("starting_errors"):
        _list(numbers, "starting_errors", lambda error: _is_loss(error) and error >= 0, "errors", parts)
    if not isinstance(numbers.get("shared", False), bool):
        raise _damaged("its 'shared'", numbers["shared"], "true or false")
    _check_fit(numbers, state.tensors, (1,) if numbers.get("shared") else (1, parts))
    if "companion" in numbers:
        own = numbers["companion"]
        if not isinstance(own, Mapping):
            raise _damaged("its shared code", own, "named numbers")
        prefix = len(GLOBAL_CODE)
        tensors = {
            name[prefix:]: tensor for name, tensor in state.tensors.items() if name.startswith(GLOBAL_CODE)
        }
        _check_fit(own, tensors, (1,))
    if "mask_code" in numbers:
        _check_mask_code(numbers["mask_code"], state.tensors)
    if "rng" not in state.tensors:
        raise _lacking("rng")


def _check_mask_code(own: object, tensors: Mapping[str, Tensor]) -> None:
    if not isinstance(own, Mapping):
        raise _damaged("its masks' code", own, "named numbers")
    held = {name.removeprefix(MASK_CODE): one for name, one in tensors.items() if name.startswith(MASK_CODE)}
    _check_fit(own, held, (1,))
    if "planned" not in held:
        raise _lacking(f"{MASK_CODE}planned")
    if held["planned"].shape != held["values/0"].shape:
        raise _damaged("the planned code of its masks", list(held["planned"].shape), "the shape of the code")
    if own.get("planned_at") is not None and not _is_count(own["planned_at"]):
        raise _damaged("the step of its masks' plan", own["planned_at"], "a whole number or null")


def _check_fit(numbers: Mapping[str, Any], tensors: Mapping[str, Tensor], counts: Sequence[int]) -> None:
    spaces = _list(numbers, "spaces", lambda space: isinstance(space, str) and space in SPACES, "spaces")
    count = len(spaces)
    if count not in counts:
        raise _damaged("its spaces", spaces, f"{' or '.join(map(str, counts))} of them")
    _list(numbers, "active", lambda one: isinstance(one, bool), "true or false", count)
    for name in ("best_losses", "references", "limits"):
        _list(numbers, name, lambda loss: loss is None or _is_loss(loss), "numbers or null", count)
    _list(numbers, "improved_at", _is_count, "steps", count)
    steps = _list(numbers, "adam_steps", _is_count, "whole numbers")
    if len(steps) < count:
        raise _damaged("its adam_steps", steps, f"at least {count} of them")
    for index, done in enumerate(steps):
        best = f"best/{index}" if index < count else f"best_maps/{index - count}"
        moments = [f"{moment}/{index}" for moment in MOMENTS] if done else []
        _check_alike(tensors, [f"values/{index}", best, *moments])


def _check_alike(tensors: Mapping[str, Tensor], names: Sequence[str]) -> None:
    """All of them there, of floats, and of one shape."""
    for name in names:
        if name not in tensors:
            raise _lacking(name)
        found, wanted = tensors[name], tensors[names[0]]
        if not found.is_floating_point() or found.shape != wanted.shape:
            raise _damaged(
                f"its {name!r}", f"{found.dtype} {list(found.shape)}", f"floats {list(wanted.shape)}"
            )


def _list(numbers: Mapping[str, Any], name: str, fits: Any, what: str, count: int | None = None) -> list[Any]:
    found = numbers.get(name)
    if not isinstance(found, list | tuple) or not all(map(fits, found)) or count not in (None, len(found)):
        raise _damaged(f"its {name}", found, what if count is None else f"{count} {what}")
    return list(found)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_STEP


def _is_loss(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e308 < value < 1e308


def _lacking(name: str) -> InvalidInputError:
    return InvalidInputError(
        f"the earlier projection's state is damaged: it lacks {name!r}; start from its codes only"
    )


def _damaged(what: str, found: object, expected: str) -> InvalidInputError:
    return InvalidInputError(
        f"the earlier projection's state is damaged: {what} is {str(found):.80}, expected {expected}; start from its "
        "codes only"
    )
