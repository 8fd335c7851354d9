"""Calibrate Edit on a double of the host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from chunky_core.losses.feature_network import FeatureNetwork, FeatureSizes, save_feature_network
from tests.embedders import embedder, onnx_file
from tests.node_scenes import Scene, interrupt_at, made_scene
from tests.pack_on_double import NAME, Pack

NODE = "ChunkyGAN_CalibrateEdit"
FILE = "tiny.safetensors"


def core(name: str) -> ModuleType:
    return sys.modules[f"{NAME}.chunky_core.{name}"]


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    return made_scene(pack)


@pytest.fixture(scope="module", autouse=True)
def scorers(pack: Pack) -> Iterator[Path]:
    folder = pack.base / "models" / "chunkygan" / "scorers"
    folder.mkdir(parents=True, exist_ok=True)
    sizes = FeatureSizes("attributes", (6, 8), neck=4, grid=2, embedding=2, side=32, names=("age", "smile"))
    network = FeatureNetwork(sizes)
    rng = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.3, generator=rng)
    save_feature_network(network, folder / FILE, torch.float32)
    yield folder
    (folder / FILE).unlink()


@pytest.fixture(scope="module")
def direction(scene: Scene, scorers: Path) -> Any:
    """Up the slope of the score "smile"."""
    generator = scene.generator.generator
    scorer = core("editing.scorers").load_scorer(scorers / FILE)
    w = generator.w_avg[None].clone().requires_grad_()
    picture = generator.synthesis(w[:, None].expand(-1, generator.num_ws, -1))
    (slope,) = torch.autograd.grad(scorer(picture)[:, 1].sum(), w)
    return core("generator.spaces").Direction("up", "w", slope[0] / slope.norm())


def run(scene: Scene, direction: Any, **given: Any) -> tuple[Any, ...]:
    widgets = {"scorer": FILE, "attribute": "smile", "samples": 8, "strongest": 0.3}
    return scene.pack.run(NODE, generator=scene.generator, direction=direction, **widgets | given)


def test_strength_1_is_one_unit_and_is_said(scene: Scene, direction: Any) -> None:
    scene.pack.sent.clear()
    found, plot, text = run(scene, direction)
    assert found.calibration.attribute == "smile" and found.calibration.samples == 8
    assert found.unit == "1 deviation of smile" and found.unit in text
    assert plot.shape == (1, 480, 640, 3) and 0 <= plot.min() < plot.max() <= 1
    again, _, _ = run(scene, found, strongest=0.3 * found.calibration.response)
    assert again.calibration.response == pytest.approx(1.0, abs=1e-3)
    values = [(value, total) for value, total, _ in scene.pack.sent]
    assert values[-1][0] == values[-1][1]


def test_inversions_are_measured_by_their_segments(
    scene: Scene, direction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {"generator": scene.generator, "image": scene.image, "segments": scene.segments}
    inversions = scene.pack.run("ChunkyGAN_SegmentedProjection", **links, steps=2)[0]
    module, given = sys.modules[f"{NAME}.nodes.calibration"], []
    calibrate = module.calibrate

    def spied(*values: Any, **named: Any) -> Any:
        given.append(named["config"].segments)
        return calibrate(*values, **named | {"config": replace(named["config"], segments=("all",))})

    monkeypatch.setattr(module, "calibrate", spied)
    found = run(scene, direction, inversion=inversions, segments="mouth, eyes", unit="score")[0]
    assert found.calibration.samples == 2 and given == [("mouth", "eyes")]
    assert all(record.edits == () for record in inversions)


def test_an_onnx_file_is_listed_and_judges_by_its_outputs(
    scene: Scene, direction: Any, scorers: Path
) -> None:
    onnx_file(scorers / "net.onnx", embedder())
    try:
        schema = scene.pack.nodes[NODE].GET_SCHEMA()
        assert {"demo", FILE, "net.onnx"} <= set(schema.inputs[2].widget["options"])
        with pytest.raises(scene.pack.errors.InvalidInputError, match="no attribute 'smile'; there are a, b"):
            run(scene, direction, scorer="net.onnx", output_names="a, b, c, d, e, f, g, h")
    finally:
        (scorers / "net.onnx").unlink()


def test_what_is_wrong_is_said_before_and_after_the_run(scene: Scene, direction: Any) -> None:
    node = scene.pack.nodes[NODE]
    assert node.validate_inputs(scorer=FILE, attribute="anything") is True
    assert "no file 'gone.onnx'" in node.validate_inputs(scorer="gone.onnx", attribute="smile")
    assert "no attribute 'smil'; there are " in node.validate_inputs(scorer="demo", attribute="smil")
    flat = core("generator.spaces").Direction("flat", "w", torch.zeros_like(direction.tensor))
    with pytest.raises(scene.pack.errors.InvalidInputError, match="hardly changes 'smile'"):
        run(scene, flat)


def test_a_file_that_was_changed_is_measured_anew(scene: Scene, scorers: Path) -> None:
    node = scene.pack.nodes[NODE]
    before = node.fingerprint_inputs(scorer=FILE)
    assert node.fingerprint_inputs(scorer=FILE) == before
    (scorers / "config.json").write_text('{"id2label": {"0": "a", "1": "b"}}')
    try:
        assert node.fingerprint_inputs(scorer=FILE) != before
    finally:
        (scorers / "config.json").unlink()


def test_cancel_ends_it(scene: Scene, direction: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(scene.pack, monkeypatch, 3)
    with pytest.raises(scene.pack.management.InterruptProcessingException):
        run(scene, direction)
