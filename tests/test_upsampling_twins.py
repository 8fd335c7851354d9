"""BasicSR's StyleGAN2 and GFPGAN's bilinear one: the same names and shapes, told apart by the user alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from chunky_core.boxes import Box, Boxes
from chunky_core.checkpoints.generators import load_generator, read_checkpoint, save_generator
from chunky_core.cli import main
from chunky_core.errors import InvalidInputError, UnsupportedCheckpointError
from chunky_core.generator.architecture import StyleGAN2Architecture
from chunky_core.generator.generator import Generator
from chunky_core.inversion import ProjectionConfig, load_inversion, project, save_inversion
from chunky_core.segments import single_segment
from tests.checkpoint_writers import write_basicsr, write_nvlabs
from tests.foreign_layouts import basicsr_state
from tests.pack_on_double import Pack

SIZE = 32


@pytest.fixture(scope="module")
def source(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(resolution=SIZE, w_dim=16, channel_base=256, channel_max=16)


@pytest.fixture(scope="module")
def file(source: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("twins") / "StyleGAN2_512.pth"
    write_basicsr(source, path)
    return path


@pytest.fixture(scope="module")
def bilinear(file: Path) -> Generator:
    return load_generator(file, upsampling="bilinear")


@pytest.fixture(scope="module")
def ws(source: Generator) -> Tensor:
    return source.mapping(torch.randn(3, 16, generator=torch.Generator().manual_seed(0)))


def drawn_by_gfpgan(weights: dict[str, Tensor], ws: Tensor) -> Tensor:
    """StyleGAN2GeneratorBilinear's arithmetic, written out, under its own names."""

    def modulated(x: Tensor, name: str, w: Tensor, *, demodulate: bool, double: bool) -> Tensor:
        weight = weights[f"{name}.modulated_conv.weight"][0]
        style = w @ weights[f"{name}.modulated_conv.modulation.weight"].T / w.shape[1] ** 0.5
        style = style + weights[f"{name}.modulated_conv.modulation.bias"]
        scaled = weight[None] * style[:, None, :, None, None] / weight[0].numel() ** 0.5
        if demodulate:
            scaled = scaled * (scaled.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        x = doubled(x) if double else x
        pictures = zip(x, scaled, strict=True)
        return torch.stack(
            [functional.conv2d(one, kernel, padding=kernel.shape[-1] // 2) for one, kernel in pictures]
        )

    def layer(x: Tensor, name: str, w: Tensor, noise: str, *, double: bool) -> Tensor:
        x = modulated(x, name, w, demodulate=True, double=double)
        x = x + weights[f"{name}.weight"] * weights[noise]
        return functional.leaky_relu(x + weights[f"{name}.activate.bias"][:, None, None], 0.2) * 2**0.5

    def rgb(x: Tensor, name: str, w: Tensor) -> Tensor:
        return modulated(x, name, w, demodulate=False, double=False) + weights[f"{name}.bias"]

    def doubled(x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    x = weights["constant_input.weight"].repeat(len(ws), 1, 1, 1)
    x = layer(x, "style_conv1", ws[:, 0], "noises.noise0", double=False)
    image = rgb(x, "to_rgb1", ws[:, 1])
    for scale in range(ws.shape[1] // 2 - 1):
        for index in (2 * scale, 2 * scale + 1):
            double = index % 2 == 0
            x = layer(x, f"style_convs.{index}", ws[:, index + 1], f"noises.noise{index + 1}", double=double)
        image = doubled(image) + rgb(x, f"to_rgbs.{scale}", ws[:, 2 * scale + 3])
    return image


def test_the_bilinear_one_draws_as_gfpgans_arithmetic(
    source: Generator, bilinear: Generator, ws: Tensor
) -> None:
    weights = basicsr_state({name: t.cpu() for name, t in source.module.state_dict().items()})
    expected = drawn_by_gfpgan(weights, ws.cpu())
    torch.testing.assert_close(bilinear.synthesis(ws.cpu()), expected, atol=1e-4, rtol=1e-5)
    assert (source.synthesis(ws).cpu() - expected).abs().mean() > 0.05


def test_boxes_are_crops_and_pass_gradients(bilinear: Generator, ws: Tensor) -> None:
    whole, random = bilinear.synthesis(ws), Random(1)
    for _ in range(25):
        top, left = random.randrange(SIZE), random.randrange(SIZE)
        box = Box(top, left, random.randrange(top, SIZE) + 1, random.randrange(left, SIZE) + 1)
        found = bilinear.synthesis(ws, box=box)
        torch.testing.assert_close(found, cut(whole, box), atol=1e-5, rtol=0)
    codes = [ws.clone().requires_grad_() for _ in range(2)]
    box = Box(0, 7, 11, SIZE)
    cut(bilinear.synthesis(codes[0]), box).square().sum().backward()
    bilinear.synthesis(codes[1], box=box).square().sum().backward()
    torch.testing.assert_close(codes[0].grad, codes[1].grad, atol=1e-3, rtol=1e-4)


def test_a_box_of_its_own_for_each_sample(bilinear: Generator, ws: Tensor) -> None:
    whole = bilinear.synthesis(ws)
    for size in (3, 9, 20):
        boxes = Boxes(Box(y, x, y + size, x + size) for y, x in ((0, 0), (SIZE - size, 2), (5, SIZE - size)))
        found = bilinear.module.synthesis(bilinear.styles(ws), box=boxes)
        for one, picture, box in zip(found, whole, boxes, strict=True):
            torch.testing.assert_close(one, cut(picture, box), atol=1e-5, rtol=0)


def cut(picture: Tensor, box: Box) -> Tensor:
    return picture[..., box.top : box.bottom, box.left : box.right]


def test_a_box_costs_less_than_the_picture_and_doubling_first_more(
    source: Generator, bilinear: Generator
) -> None:
    assert bilinear.cost((0, 0, 4, 4)).macs < bilinear.cost().macs / 2
    assert bilinear.cost().macs > source.cost().macs


def test_the_choice_is_kept_in_files_and_fingerprints(
    file: Path, source: Generator, bilinear: Generator, ws: Tensor, tmp_path: Path
) -> None:
    save_generator(bilinear, tmp_path / "copy.safetensors")
    again = load_generator(tmp_path / "copy.safetensors")
    assert torch.equal(again.synthesis(ws), bilinear.synthesis(ws))
    assert again.fingerprint == bilinear.fingerprint != load_generator(file).fingerprint
    save_generator(load_generator(file), tmp_path / "fir.safetensors")
    assert "upsampling" not in load_generator(tmp_path / "fir.safetensors").metadata
    with pytest.raises(UnsupportedCheckpointError, match="upsampling is fir"):
        load_generator(tmp_path / "fir.safetensors", upsampling="bilinear")


def test_a_projection_fits_and_comes_back(bilinear: Generator, ws: Tensor, tmp_path: Path) -> None:
    photo = bilinear.synthesis(ws[:1]).clamp(-1, 1)
    config = ProjectionConfig(num_steps=8, space="w+", coarse=0.0)
    found = project(bilinear, photo, single_segment((SIZE, SIZE)), config)
    curve = found.losses["all"]
    assert min(curve) < 0.8 * curve[0]
    save_inversion(found, tmp_path / "inversion.safetensors")
    assert load_inversion(tmp_path / "inversion.safetensors").fingerprint == bilinear.fingerprint


def test_the_default_says_what_it_took(file: Path) -> None:
    assert "taken for BasicSR's own" in load_generator(file).metadata["notes"]
    for asked, kind in (("fir", "BasicSR"), ("bilinear", "GFPGAN")):
        with read_checkpoint(file, upsampling=asked) as checkpoint:
            assert checkpoint.format.startswith(kind)
            assert not any("taken for" in note for note in checkpoint.notes)


def test_what_a_file_tells_is_not_chosen_otherwise(source: Generator, tmp_path: Path) -> None:
    write_nvlabs(source, tmp_path / "ada.pkl")
    assert load_generator(tmp_path / "ada.pkl", upsampling="fir").c_dim == 0
    with pytest.raises(UnsupportedCheckpointError, match="leave the choice to the file"):
        load_generator(tmp_path / "ada.pkl", upsampling="bilinear")
    with pytest.raises(InvalidInputError, match="expected one of fir, bilinear"):
        load_generator(tmp_path / "ada.pkl", upsampling="nearest")  # type: ignore[arg-type]


@pytest.mark.parametrize(("upsampling", "block"), [("nearest", "skip"), ("bilinear", "resnet"), (3, "skip")])
def test_impossible_kinds_are_refused(upsampling: Any, block: str) -> None:
    dimensions = StyleGAN2Architecture(8, 8, 0, 8, 3, 64, 8, 2, block, upsampling=upsampling)
    with pytest.raises(UnsupportedCheckpointError):
        dimensions.empty_module()


def test_the_command_line(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.safetensors"
    assert main(["convert", str(file), str(copy)]) == 0
    assert "--upsampling bilinear" in capsys.readouterr().err
    assert main(["convert", str(file), str(copy), "--upsampling", "bilinear", "--overwrite"]) == 0
    assert capsys.readouterr().err == ""
    assert load_generator(copy).metadata["upsampling"] == "bilinear"
    assert main(["inspect", str(file), "--upsampling", "bilinear"]) == 0
    assert "GFPGAN" in capsys.readouterr().out


def test_the_node(pack: Pack, file: Path, ws: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    target = pack.base / "models" / "stylegan" / file.name
    target.write_bytes(file.read_bytes())
    try:
        (default,) = pack.run("ChunkyGAN_LoadStyleGAN", name=file.name)
        assert "bilinear twin" in caplog.text
        caplog.clear()
        (chosen,) = pack.run("ChunkyGAN_LoadStyleGAN", name=file.name, upsampling="bilinear")
        assert not caplog.text
        assert chosen.generator.architecture.upsampling == "bilinear"
        assert default.generator.architecture.upsampling == "fir"
        node = pack.nodes["ChunkyGAN_LoadStyleGAN"]
        stamps = {node.fingerprint_inputs(name=file.name, upsampling=one) for one in ("fir", "bilinear")}
        assert len(stamps) == 2
    finally:
        target.unlink()
