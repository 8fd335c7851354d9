"""Puts a tuning together: which segments share a delta, what each delta is judged by, where an earlier run stopped."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import LatentCode
from ...generator.weight_deltas import with_weight_deltas
from ...losses import LossNetworks, load_networks
from ...segments.segment_masks import SegmentMasks
from ..config import ProjectionConfig
from ..loss_regions import PyramidLevel
from ..record import Inversion
from .config import TuningConfig
from .delta_optimizer import DeltaOptimizer, delta_shapes
from .layout import Layout, layout_of, tunable_parameters
from .locality import Locality
from .objective import TuningObjective
from .run import CURVE, TunedPart, Tuning, restore
from .validation import check_resumable

LEFT_BEHIND = (
    "these segments were tuned before, with deltas of another size or for other segments; they are left behind, and "
    "codes may have moved beside them: project again, or tune with the same size and segments as before"
)
CODE_RATE = 10.0  # learning rate of the codes that move, as a multiple of that of the weights


def begin(
    generator: Generator,
    inversion: Inversion,
    config: TuningConfig,
    *,
    resume: bool = False,
    folders: Sequence[Path] = (),
) -> Tuning:
    """A tuning before its first step, or where an earlier one stopped. What autograd has to save is copied, because it
    may have been made in inference mode.
    """
    generator = generator.to()
    shares = _shares(inversion, config)
    layout = layout_of(generator, config.size, config.rank, len(shares))
    if not resume and leaves_deltas_behind(generator, inversion, config):
        warnings.warn(LEFT_BEHIND, stacklevel=3)
    networks = load_networks(config.loss, generator.device, folders=folders)
    rng = torch.Generator().manual_seed(config.seed)  # on the CPU: the same on every device
    parts = [_part(generator, inversion, some, layout, config, networks, rng) for some in shares]
    noise = tuple(one.detach().clone().to(generator.device) for one in inversion.noise)
    run = Tuning(generator, inversion, config, tuple(parts), rng, noise=noise)
    tuned = [inversion.names[index] for part in parts for index in part.segments]
    run.curves = {CURVE.format(name): [] for name in tuned}
    if resume:
        _go_on(run, inversion)
    return run


def _go_on(run: Tuning, start: Inversion) -> None:
    """Stand where the earlier run stood. Raises InvalidInputError where it wasn't the same, or is damaged."""
    state = check_resumable(run, start)
    try:
        restore(run, state)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(
            f"the state of the earlier tuning is damaged ({error!r:.200}); tune anew"
        ) from error
    run.curves = {name: list(start.losses.get(name, ())) for name in run.curves}
    earlier = start.settings["tuning"]["num_steps"]
    for part in run.parts if run.config.num_steps > earlier else ():
        part.optimizer.history.resting, part.optimizer.history.improved_at = False, run.step
    if not run.moving():
        run.stopped = start.stopped or ""


def _part(
    generator: Generator,
    inversion: Inversion,
    segments: Sequence[int],
    layout: Layout,
    config: TuningConfig,
    networks: LossNetworks,
    rng: torch.Generator,
) -> TunedPart:
    of_all = _is_of_all(inversion, segments, config)
    base = generator if of_all else with_weight_deltas(generator, inversion.delta)
    drawings = _by_code(inversion, segments)
    codes = [_own_code(inversion, drawing[0], base) for drawing in drawings]
    asked = ProjectionConfig(loss=config.loss, dilation=config.dilation)
    photo = inversion.backdrop().detach().clone().to(base.device, torch.float32)
    masks = _masks_of(inversion, drawings, base.device)
    objective = TuningObjective(base, PyramidLevel.full(photo, masks, asked), asked, networks)
    optimizer = DeltaOptimizer(
        tunable_parameters(base),
        layout,
        [code.tensor for code in codes] if config.tune_codes else [],
        CODE_RATE,
    )
    earlier = _earlier_delta(inversion, segments, of_all=of_all)
    if earlier and optimizer.fits(earlier):
        optimizer.start_from(earlier)
    locality = None
    if config.locality:
        locality = Locality(base, objective.boxes, masks.masks, config.loss, networks, rng)
    return TunedPart(of_all, drawings, tuple(codes), objective, optimizer, locality)


def leaves_deltas_behind(generator: Generator, inversion: Inversion, config: TuningConfig) -> bool:
    """Whether segments that are to be tuned were tuned before in a way that this tuning can't go on from.

    Raises InvalidInputError for names and sizes as `tune` does.
    """
    shares = _shares(inversion, config)
    layout = layout_of(generator, config.size, config.rank, len(shares))
    shapes = delta_shapes(tunable_parameters(generator), layout)
    for segments in shares:
        of_all = _is_of_all(inversion, segments, config)
        own = any(inversion.segments[index].delta for index in segments)
        earlier = _earlier_delta(inversion, segments, of_all=of_all)
        goes_on = bool(earlier) and {name: tuple(one.shape) for name, one in earlier.items()} == shapes
        if (of_all and own) or (not goes_on and (own or (of_all and inversion.delta))):
            return True
    return False


def _shares(inversion: Inversion, config: TuningConfig) -> list[list[int]]:
    """The segments (their numbers) of each delta."""
    names = inversion.masks.resolve(config.segments)
    chosen = [index for index, name in enumerate(inversion.names) if name in names]
    return [chosen] if config.shared else [[index] for index in chosen]


def _is_of_all(inversion: Inversion, segments: Sequence[int], config: TuningConfig) -> bool:
    return config.shared and len(segments) == len(inversion.segments)


def _earlier_delta(inversion: Inversion, segments: Sequence[int], *, of_all: bool) -> Mapping[str, Tensor]:
    """The delta in whose place one for these segments comes; {} where they have none, or several."""
    if of_all:
        return inversion.delta
    first, *others = (inversion.segments[index].delta for index in segments)
    return first if all(one is first for one in others) else {}


def _by_code(inversion: Inversion, segments: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The segments in groups that one and the same code draws."""
    groups: list[list[int]] = []
    for index in segments:
        code = inversion.segments[index].code
        for group in groups:
            first = inversion.segments[group[0]].code
            if first.space == code.space and torch.equal(first.tensor, code.tensor):
                group.append(index)
                break
        else:
            groups.append([index])
    return tuple(map(tuple, groups))


def _own_code(inversion: Inversion, index: int, generator: Generator) -> LatentCode:
    code = inversion.segments[index].code
    return LatentCode(code.space, code.tensor.detach().clone().to(generator.device, torch.float32))


def _masks_of(inversion: Inversion, drawings: Sequence[Sequence[int]], device: torch.device) -> SegmentMasks:
    """One mask for each drawing, that of all its segments together; what is left is static."""
    masks: Tensor = inversion.masks.masks.detach().to(device, torch.float32)
    stacked = torch.stack([masks[list(drawing)].sum(dim=0).clamp(max=1.0) for drawing in drawings])
    names = tuple(inversion.names[drawing[0]] for drawing in drawings)
    return SegmentMasks(names, stacked, (1.0 - stacked.sum(dim=0, keepdim=True)).clamp(min=0.0))
