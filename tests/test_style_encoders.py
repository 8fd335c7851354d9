"""Encoders of e4e, pSp and ReStyle: networks against a computation written down by the layers' names, files, errors."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import chunky_core as cg
from chunky_core.encoders.style_encoder import TOOLS
from chunky_core.errors import MissingWeightsError, UnsupportedCheckpointError, WrongGeneratorError
from tests.pack_on_double import Pack

WIDTH = 4
LAST_LAYER = ("BackboneEncoderUsingLastLayerIntoW", "BackboneEncoderUsingLastLayerIntoWPlus")
IR_STARTS, RESNET_STARTS = (0, 3, 7, 21), (3, 7, 13)
Weights = dict[str, Tensor]


def toy_weights(kind: str, styles: int, w_dim: int, inputs: int) -> Weights:
    rng = torch.Generator().manual_seed(3)
    weights: Weights = {}

    def conv(name: str, out: int, into: int, kernel: int, bias: bool = False) -> None:
        weights[f"{name}.weight"] = (
            torch.randn(out, into, kernel, kernel, generator=rng) / (into * kernel**2) ** 0.5
        )
        if bias:
            weights[f"{name}.bias"] = torch.randn(out, generator=rng) * 0.1

    def norm(name: str) -> None:
        for part in ("bias", "running_mean"):
            weights[f"{name}.{part}"] = torch.randn(WIDTH, generator=rng) * 0.1
        for part in ("weight", "running_var"):
            weights[f"{name}.{part}"] = torch.rand(WIDTH, generator=rng) + 0.5
        weights[f"{name}.num_batches_tracked"] = torch.tensor(7)

    if kind.startswith("ResNet"):
        conv("conv1", WIDTH, inputs, 7)
        norm("bn1")
        weights["relu.weight"] = torch.full((WIDTH,), 0.2)
        for i in range(16):
            for j in (1, 2):
                conv(f"body.{i}.conv{j}", WIDTH, WIDTH, 3)
                norm(f"body.{i}.bn{j}")
            if i in RESNET_STARTS:
                conv(f"body.{i}.downsample.0", WIDTH, WIDTH, 1)
                norm(f"body.{i}.downsample.1")
    else:
        conv("input_layer.0", WIDTH, inputs, 3)
        norm("input_layer.1")
        weights["input_layer.2.weight"] = torch.full((WIDTH,), 0.2)
        for i in range(24):
            name = f"body.{i}.res_layer"
            norm(f"{name}.0")
            conv(f"{name}.1", WIDTH, WIDTH, 3)
            weights[f"{name}.2.weight"] = torch.full((WIDTH,), 0.3)
            conv(f"{name}.3", WIDTH, WIDTH, 3)
            norm(f"{name}.4")
            conv(f"{name}.5.fc1", 2, WIDTH, 1)
            conv(f"{name}.5.fc2", WIDTH, 2, 1)
            if i in IR_STARTS[1:]:
                conv(f"body.{i}.shortcut_layer.0", WIDTH, WIDTH, 1)
                norm(f"body.{i}.shortcut_layer.1")
    if kind in LAST_LAYER:
        rows = 1
        if kind.endswith("WPlus"):
            rows = styles
            norm("output_layer_2.0")
            weights["output_layer_2.3.weight"] = torch.randn(w_dim, WIDTH * 49, generator=rng) * 0.1
            weights["output_layer_2.3.bias"] = torch.randn(w_dim, generator=rng) * 0.1
        weights["linear.weight"] = torch.randn(rows * w_dim, w_dim if rows > 1 else WIDTH, generator=rng)
        weights["linear.bias"] = torch.randn(rows * w_dim, generator=rng) * 0.1
        return weights
    pyramid = kind in ("Encoder4Editing", "GradualStyleEncoder", "ResNetGradualStyleEncoder")
    for i in range(styles):
        for j in range(4 + pyramid * ((i >= 3) + (i >= 7))):
            conv(f"styles.{i}.convs.{2 * j}", w_dim, WIDTH if j == 0 else w_dim, 3, bias=True)
        weights[f"styles.{i}.linear.weight"] = torch.randn(w_dim, w_dim, generator=rng)
        weights[f"styles.{i}.linear.bias"] = torch.randn(w_dim, generator=rng) * 0.1
    if pyramid:
        weights["styles.0.linear.bias"] += 0.5
        for j in (1, 2):
            conv(f"latlayer{j}", WIDTH, WIDTH, 1, bias=True)
    return weights


def oracle(kind: str, weights: Weights, x: Tensor, styles: int) -> Tensor:
    """The networks as the papers and the weights' names have them, layer by layer."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        return F.conv2d(x, kernel, weights.get(f"{name}.bias"), stride, kernel.shape[-1] // 2)

    def norm(name: str, x: Tensor) -> Tensor:
        mean, var, gain, bias = (
            weights[f"{name}.{p}"][:, None, None] for p in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * gain + bias

    def leaky(x: Tensor, slope: float) -> Tensor:
        return torch.where(x > 0, x, x * slope)

    kept: list[Tensor] = []
    if kind.startswith("ResNet"):
        x = leaky(norm("bn1", conv("conv1", x, 2)), 0.2)
        for i in range(16):
            b, stride = f"body.{i}", 2 if i in RESNET_STARTS else 1
            y = conv(f"{b}.conv2", norm(f"{b}.bn1", conv(f"{b}.conv1", x, stride)).relu())
            beside = norm(f"{b}.downsample.1", conv(f"{b}.downsample.0", x, 2)) if stride == 2 else x
            x = (norm(f"{b}.bn2", y) + beside).relu()
            kept.append(x)
        fine, middle = kept[6], kept[12]
    else:
        x = leaky(norm("input_layer.1", conv("input_layer.0", x)), 0.2)
        for i in range(24):
            b, stride = f"body.{i}", 2 if i in IR_STARTS else 1
            r = f"{b}.res_layer"
            y = leaky(conv(f"{r}.1", norm(f"{r}.0", x)), 0.3)
            y = norm(f"{r}.4", conv(f"{r}.3", y, stride))
            y = y * conv(f"{r}.5.fc2", conv(f"{r}.5.fc1", y.mean((2, 3), keepdim=True)).relu()).sigmoid()
            if i in IR_STARTS[1:]:
                x = norm(f"{b}.shortcut_layer.1", conv(f"{b}.shortcut_layer.0", x, 2))
            else:
                x = F.max_pool2d(x, 1, stride)
            x = y + x
            kept.append(x)
        fine, middle = kept[6], kept[20]
    if kind in LAST_LAYER:
        seen = x.mean((2, 3))
        if kind.endswith("WPlus"):
            cells = F.adaptive_avg_pool2d(norm("output_layer_2.0", x), 7).flatten(1)
            seen = cells @ weights["output_layer_2.3.weight"].T + weights["output_layer_2.3.bias"]
        matrix = weights["linear.weight"]
        return (seen @ matrix.T / matrix.shape[1] ** 0.5 + weights["linear.bias"]).reshape(
            len(x), -1, matrix.shape[0] // (styles if kind.endswith("WPlus") else 1)
        )
    maps = [x, x, x]
    if "latlayer1.weight" in weights:
        for at, (name, source) in enumerate((("latlayer1", middle), ("latlayer2", fine))):
            side = conv(name, source)
            maps[at + 1] = (
                F.interpolate(maps[at], side.shape[-2:], mode="bilinear", align_corners=True) + side
            )
    rows = []
    for i in range(styles):
        y, j = maps[0 if i < 3 else 1 if i < 7 else 2], 0
        while f"styles.{i}.convs.{j}.weight" in weights:
            y, j = leaky(conv(f"styles.{i}.convs.{j}", y, 2), 0.01), j + 2
        matrix = weights[f"styles.{i}.linear.weight"]
        row = y[:, :, 0, 0] @ matrix.T / len(matrix) ** 0.5 + weights[f"styles.{i}.linear.bias"]
        rows.append(row + rows[0] if TOOLS[kind][1] and i else row)
    return torch.stack(rows, 1)


def write(
    path: Path, generator: cg.Generator, kind: str = "Encoder4Editing", inputs: int = 3, **more: object
) -> Weights:
    weights = toy_weights(kind, generator.num_ws, generator.w_dim, inputs)
    options = more.pop("opts", {"encoder_type": kind, "start_from_latent_avg": True})
    state = {f"encoder.{name}": tensor for name, tensor in weights.items()}
    mean = torch.linspace(-1, 1, generator.w_dim)
    torch.save({"state_dict": state, "opts": options, "latent_avg": mean, **more}, path)
    return weights


@pytest.fixture(scope="module")
def generator() -> cg.Generator:
    return cg.load_generator("demo")


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("kind", [kind for kind in TOOLS if kind != "BackboneEncoder"])
def test_one_pass_is_the_mean_and_what_the_layers_give(
    kind: str, generator: cg.Generator, photo: Tensor, tmp_path: Path
) -> None:
    weights = write(tmp_path / "e.pt", generator, kind)
    encoder = cg.load_encoder(tmp_path / "e.pt", generator=generator)
    code = encoder.encode(generator, photo)
    expected = torch.linspace(-1, 1, generator.w_dim) + oracle(kind, weights, photo, generator.num_ws)
    if kind == LAST_LAYER[0]:
        assert code.space == "w" == encoder.space
        expected = expected[:, 0]
    else:
        assert code.space == "w+" == encoder.space
    assert encoder.name == TOOLS[kind][0]
    torch.testing.assert_close(code.tensor, expected, rtol=1e-4, atol=1e-5)


def test_restyle_looks_again_at_what_it_drew(generator: cg.Generator, photo: Tensor, tmp_path: Path) -> None:
    options = {"encoder_type": "BackboneEncoder", "n_iters_per_batch": 2}
    weights = write(tmp_path / "e.pt", generator, "BackboneEncoder", 6, opts=options)
    code = cg.load_encoder(tmp_path / "e.pt", generator=generator).encode(generator, photo)
    expected = torch.linspace(-1, 1, generator.w_dim).expand(1, generator.num_ws, -1)
    for _ in range(2):
        drawn = F.adaptive_avg_pool2d(generator.synthesis(expected).detach(), 256)
        expected = expected + oracle(
            "BackboneEncoder", weights, torch.cat([photo, drawn], 1), generator.num_ws
        )
    torch.testing.assert_close(code.tensor, expected, rtol=1e-3, atol=1e-4)


def test_options_in_a_namespace_and_no_mean(generator: cg.Generator, photo: Tensor, tmp_path: Path) -> None:
    kind = "GradualStyleEncoder"
    options = Namespace(encoder_type=kind, start_from_latent_avg=False, device=Path("cuda"))
    weights = write(tmp_path / "e.pt", generator, kind, opts=options)
    code = cg.load_encoder(tmp_path / "e.pt").encode(generator, photo, torch.ones(2, 1, 256, 256))
    expected = oracle(kind, weights, photo, generator.num_ws).expand(2, -1, -1)
    torch.testing.assert_close(code.tensor, expected, rtol=1e-4, atol=1e-5)


def test_photos_of_any_size_and_the_rows_of_cars(generator: cg.Generator, tmp_path: Path) -> None:
    kind = "BackboneEncoder"
    write(tmp_path / "e.pt", generator, kind, opts={"encoder_type": kind, "dataset_type": "cars_encode"})
    encoder = cg.load_encoder(tmp_path / "e.pt", generator=generator)
    photo = torch.zeros(1, 3, 512, 512)
    painted = photo.clone()
    painted[..., :56, :] = 1  # above the rows that are seen, resampling included
    assert torch.equal(encoder.encode(generator, photo).tensor, encoder.encode(generator, painted).tensor)


def test_of_another_generator(generator: cg.Generator, tmp_path: Path) -> None:
    write(tmp_path / "e.pt", generator)
    content = torch.load(tmp_path / "e.pt")
    names = [
        name for name in content["state_dict"] if name.startswith(f"encoder.styles.{generator.num_ws - 1}.")
    ]
    for name in names:
        del content["state_dict"][name]
    torch.save(content, tmp_path / "fewer.pt")
    with pytest.raises(WrongGeneratorError, match=f"gives {generator.num_ws - 1} styles"):
        cg.load_encoder(tmp_path / "fewer.pt", generator=generator)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"opts": {}}, "encoder_type is not named"),
        ({"opts": {"encoder_type": "Other"}}, "encoder_type is 'Other'"),
        ({"latent_avg": torch.zeros(3)}, "latent_avg is"),
        ({"latent_avg": None}, "no latent_avg"),
        ({"state_dict": {"decoder.x": torch.zeros(2)}}, "no encoder"),
        ({"state_dict": {"encoder.x": torch.zeros(2)}}, "input_layer.0.weight"),
    ],
)
def test_what_is_no_encoder_says_so(
    change: dict[str, object], found: str, generator: cg.Generator, tmp_path: Path
) -> None:
    write(tmp_path / "e.pt", generator, **change)
    with pytest.raises(UnsupportedCheckpointError, match=found):
        cg.load_encoder(tmp_path / "e.pt")


def test_one_style_for_all_layers_takes_one_mean_and_no_rendering(
    generator: cg.Generator, tmp_path: Path
) -> None:
    write(
        tmp_path / "e.pt", generator, LAST_LAYER[0], latent_avg=torch.ones(generator.num_ws, generator.w_dim)
    )
    assert torch.equal(cg.load_encoder(tmp_path / "e.pt").mean, torch.ones(1, generator.w_dim))
    rows = torch.arange(generator.num_ws)[:, None].expand(-1, generator.w_dim).float()
    write(tmp_path / "rows.pt", generator, LAST_LAYER[0], latent_avg=rows)
    write(tmp_path / "again.pt", generator, LAST_LAYER[0], 6)
    write(tmp_path / "plus.pt", generator, LAST_LAYER[1], opts={"encoder_type": LAST_LAYER[0]})
    for name, reason in (
        ("rows", "latent_avg is"),
        ("again", "takes 6 channels"),
        ("plus", "gives 14 styles"),
    ):
        with pytest.raises(UnsupportedCheckpointError, match=reason):
            cg.load_encoder(tmp_path / f"{name}.pt")


def test_a_spoilt_layer_is_named(generator: cg.Generator, tmp_path: Path) -> None:
    write(tmp_path / "e.pt", generator)
    for value, found in (
        (torch.full((WIDTH, WIDTH, 3, 3), torch.nan), "not finite"),
        (torch.zeros(2), "dimensions"),
    ):
        content = torch.load(tmp_path / "e.pt")
        content["state_dict"]["encoder.body.4.res_layer.1.weight"] = value
        torch.save(content, tmp_path / "spoilt.pt")
        with pytest.raises(UnsupportedCheckpointError, match=f"body.4.res_layer.1.weight .*{found}"):
            cg.load_encoder(tmp_path / "spoilt.pt")


def test_the_demo_and_no_file(generator: cg.Generator, tmp_path: Path) -> None:
    assert cg.load_encoder("demo", generator=generator).takes_masks
    with pytest.raises(MissingWeightsError, match="there is no file .*expected a masked encoder"):
        cg.load_encoder(tmp_path / "none.pt")


def test_a_draft_has_a_code_for_each_segment(generator: cg.Generator) -> None:
    height = width = 256
    mask = torch.zeros(2, 1, height, width)
    mask[0, :, : height // 2], mask[1, :, height // 2 :] = 1, 1
    masks = cg.segments_from_masks({"top": mask[:1], "bottom": mask[1:]})
    photo = generator.synthesis(generator.mapping(torch.ones(1, generator.z_dim))).detach().clamp(-1, 1)
    encoder = cg.load_encoder("demo", generator=generator)
    record = cg.inversion_from_encoder(generator, encoder, photo, masks)
    expected = encoder.encode(generator, photo, masks.masks).tensor
    assert [segment.name for segment in record.segments] == ["top", "bottom"]
    assert not torch.equal(expected[0], expected[1])
    for segment, code in zip(record.segments, expected, strict=True):
        torch.testing.assert_close(segment.code.tensor[0], code)


def test_the_nodes_give_a_draft_of_each_photo(pack: Pack) -> None:
    (hosted,) = pack.run("ChunkyGAN_LoadStyleGAN", name="demo (built in)")
    (encoder,) = pack.run("ChunkyGAN_LoadEncoder", name="demo (built in)")
    photo = torch.rand(2, 256, 256, 3)
    (records,) = pack.run("ChunkyGAN_EncodeSegments", generator=hosted, encoder=encoder, photo=photo)
    assert len(records) == 2 and all([s.name for s in record.segments] == ["all"] for record in records)
