"""The shipped generator and directions: right kind, small, and as good as docs/demo_domain.md says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from chunky_core import load_generator
from chunky_core.demo.portraits import INDEX, draw_portraits
from chunky_core.demo.training.export import DIRECTIONS
from chunky_core.demo.training.quality import attribute_gain, held_out_quality
from chunky_core.editing import load_directions

ASSETS = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets"
FIGURES = json.loads((ASSETS / "figures.json").read_text())


@pytest.fixture(scope="module")
def demo():
    return load_generator("demo")


@pytest.fixture(scope="module")
def readout():
    tensors = load_file(ASSETS / "directions.safetensors")
    return tensors["readout/weight"], tensors["readout/bias"]


def test_files_are_small_and_belong_together(demo):
    assert (ASSETS / "generator.safetensors").stat().st_size < 25e6
    assert demo.img_resolution == 256
    assert set(DIRECTIONS) < set(load_directions("demo"))
    assert load_directions("demo")["gaze"].name == "gaze_x"


def test_fresh_codes_look_like_what_the_renderer_paints_for_them(demo, readout):
    weight, bias = readout
    with torch.no_grad():
        z = torch.randn(12, demo.z_dim, generator=torch.Generator().manual_seed(99))
        w = demo.mapping(z)[:, 0]
        images, labels = draw_portraits(w @ weight.T + bias, 256)
        quality = held_out_quality(demo.synthesis(w), images, labels)
    for part in ("psnr", "eyes", "mouth"):
        assert quality[part] > FIGURES[part] - 1.5, (
            f"{part}: {quality[part]:.1f} dB, documented {FIGURES[part]}"
        )


@pytest.mark.parametrize("name", ["smile", "gaze_x", "age"])
def test_a_direction_changes_the_picture_as_its_attribute_does(demo, readout, name):
    weight, bias = readout

    def generate(u):
        with torch.no_grad():
            return demo.synthesis(torch.linalg.solve(weight, (u - bias).T).T)

    start = torch.randn(4, len(INDEX), generator=torch.Generator().manual_seed(3)) * 0.7
    gain, cosine = attribute_gain(generate, start, name)
    assert 0.8 < gain < 1.2 and cosine > 0.85


def test_a_direction_is_one_standard_deviation_of_its_attribute_alone(readout):
    weight, _ = readout
    for name, (attribute, _) in DIRECTIONS.items():
        moved = weight @ load_directions("demo")[name].tensor
        expected = torch.zeros(len(INDEX))
        expected[INDEX[attribute]] = 1
        assert torch.allclose(moved, expected, atol=1e-4), name
