"""Edits of the demo portraits after a tuning: they do what they did before (Roich et al. 2021, sec. 4.3)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from torch import Tensor

from chunky_core.checkpoints.generators import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.shipped import load_shipped_photo
from chunky_core.editing import load_directions
from chunky_core.evaluation.metrics import mse
from chunky_core.generator.generator import Generator
from chunky_core.inversion import Edit, Inversion, ProjectionConfig, TuningConfig, project, tune
from chunky_core.segments import single_segment

DEMO = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets" / "generator.safetensors"


@cache
def before_and_after() -> tuple[Generator, Inversion, Inversion]:
    generator, photo = load_generator(DEMO), load_shipped_photo(1)
    config = ProjectionConfig(num_steps=60, coarse=0.6)
    pivot = project(generator, photo.image, single_segment((256, 256)), config)
    return generator, pivot, tune(generator, pivot, TuningConfig(num_steps=40))


def change(generator: Generator, inversion: Inversion, edit: Edit) -> Tensor:
    return render(generator, inversion.with_edits(edit)) - render(generator, inversion)


@cache
def gain(name: str, strength: float) -> float:
    """How much of the change that an edit makes in the untuned picture it makes in the tuned one."""
    generator, pivot, tuned = before_and_after()
    edit = Edit(load_directions("demo")[name], strength)
    untuned, after = change(generator, pivot, edit), change(generator, tuned, edit)
    return float((after * untuned).sum() / untuned.square().sum())


@pytest.mark.cpu("by the demo generator, whose figures are known there")
def test_tuning_brings_the_photo_nearer() -> None:
    generator, pivot, tuned = before_and_after()
    assert mse(render(generator, tuned), pivot.photo) < 0.3 * mse(render(generator, pivot), pivot.photo)


@pytest.mark.cpu("by the demo generator, whose figures are known there")
@pytest.mark.parametrize("name", ["smile", "gaze_x", "yaw", "age", "mouth_open", "gaze_y"])
def test_an_edit_keeps_its_effect(name: str) -> None:
    assert sum(gain(name, strength) for strength in (-2.0, 2.0)) / 2 > 0.95
    assert min(gain(name, strength) for strength in (-2.0, 2.0)) > 0.9
