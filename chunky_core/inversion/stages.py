"""Stages: what the codes that move are judged by, made once for all the steps that share it."""

from __future__ import annotations

from .objectives import Objective, segment_objective, shared_objective
from .optimizers import AdamStep, CodeStep, LbfgsStep
from .projection import Projection, Stage


def is_stale(run: Projection) -> bool:
    """Whether codes have come to rest, or masks, resolution or the number of codes have changed since it began."""
    return run.losses_changed or run.stage.which != run.latents.moving()


def enter_stage(run: Projection) -> None:
    """Begin the stage that belongs to where the run stands, and tell the hooks."""
    run.stage = _next_stage(run)
    if run.losses_changed:
        run.latents.forget_losses(run.step)
    run.losses_changed = False
    for hook in run.hooks:
        hook.at_stage(run)


def _next_stage(run: Projection) -> Stage:
    generator, config, networks = run.generator, run.config, run.networks
    level, which = run.full.at(run.resolution), run.latents.moving()
    objective: Objective
    if run.is_shared:
        objective = shared_objective(generator, level, config, networks)
    else:
        objective = segment_objective(generator, level, config, networks, which)
    move: CodeStep = AdamStep(config, which, objective.scales)
    if config.optimizer == "lbfgs":
        groups = [(which, objective)]
        if not run.is_shared and config.mode != "joint":
            groups = [([i], segment_objective(generator, level, config, networks, [i])) for i in which]
        move = LbfgsStep(run.loss, run.latents, which, groups)
    return Stage(level, which, objective, move, run.losses_changed)
