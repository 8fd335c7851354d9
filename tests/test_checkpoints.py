"""Every format against the figures that its own tool made, and what is said of a file's other contents."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from chunky_core.checkpoints.generators import load_generator, read_checkpoint, save_generator
from chunky_core.errors import UnsupportedCheckpointError
from chunky_core.generator.generator import Generator

ADA = ["stylegan2_ada_64.pkl", "stylegan2_tf_64.pkl", "pti_tuned_64.pt"]
ROSINALITY = ["stylegan2_rosinality_64.pt", "e4e_64.pt"]
GOOD = [*ADA, *ROSINALITY, "stylegan3_t_64.pkl"]
State = dict[str, Tensor]


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max())


def reference(shared: Path, name: str) -> State:
    kind = "sg3_t_64" if "gan3" in name else "sg2_rosinality_64" if name in ROSINALITY else "sg2_ada_64"
    return load_file(shared / "parity" / f"{kind}.safetensors")


@pytest.mark.parametrize("name", GOOD)
def test_images_are_the_original_tools(shared: Path, name: str) -> None:
    generator, expected = load_generator(shared / "checkpoints" / name), reference(shared, name)
    w = expected["out/w"]
    found = generator.mapping(expected["in/z"])
    assert error(found if w.ndim == 3 else found[:, 0], w) < 1e-5
    image = expected.get("out/image_wplus_const", expected.get("out/image_wplus"))
    assert image is not None
    assert error(generator.synthesis(expected["in/w_plus"]), image) < 1e-4
    if name in ADA:
        plain = generator.synthesis(expected["in/w_plus"], noise_mode="none")
        assert error(plain, expected["out/image_wplus_none"]) < 1e-4
        assert error(generator.synthesis(w), expected["out/image_w_const"]) < 1e-4
        assert error(generator.mapping(expected["in/z"], truncation_psi=0.7), expected["out/w_psi0.7"]) < 1e-5


@pytest.mark.parametrize("name", ADA)
def test_styles_and_gradients_are_the_original_tools(shared: Path, name: str) -> None:
    generator, expected = load_generator(shared / "checkpoints" / name), reference(shared, name)
    names = sorted(key for key in expected if key.startswith("out/styles/"))
    for key, style in zip(names, generator.styles(expected["in/w_plus"]), strict=True):
        assert error(style, expected[key]) < 1e-5
    ws = expected["in/w_plus"].clone().requires_grad_()
    (generator.synthesis(ws) * expected["in/proj"]).sum().backward()
    assert ws.grad is not None
    gradient = expected["out/grad_wplus"]
    assert error(ws.grad, gradient) < 1e-4 * float(gradient.abs().max())


@pytest.mark.parametrize("name", ROSINALITY)
def test_latent_avg_becomes_w_avg(shared: Path, name: str) -> None:
    generator = load_generator(shared / "checkpoints" / name)
    assert torch.equal(generator.w_avg, reference(shared, name)["state/latent_avg"])


@pytest.mark.parametrize("name", GOOD)
def test_a_converted_file_renders_identically(shared: Path, tmp_path: Path, name: str) -> None:
    generator = load_generator(shared / "checkpoints" / name)
    save_generator(generator, tmp_path / "own.safetensors")
    again = load_generator(tmp_path / "own.safetensors")
    ws = reference(shared, name)["in/w_plus"]
    assert torch.equal(again.synthesis(ws), generator.synthesis(ws))
    assert again.fingerprint == generator.fingerprint
    assert again.architecture == generator.architecture
    assert again.metadata["source"] == name
    assert again.metadata["source_format"] == generator.metadata["format"]


@pytest.mark.parametrize(
    ("name", "format_", "ignored"),
    [
        ("stylegan2_ada_64.pkl", "NVlabs stylegan2-ada-pytorch pickle", "D (Discriminator)"),
        ("stylegan3_t_64.pkl", "NVlabs stylegan3 pickle", "G (Generator)"),
        ("stylegan2_tf_64.pkl", "NVlabs stylegan2 (TensorFlow) pickle", "D (TensorFlow network)"),
        ("pti_tuned_64.pt", "NVlabs stylegan2-ada-pytorch object", None),
        ("stylegan2_rosinality_64.pt", "rosinality stylegan2-pytorch checkpoint", None),
        ("e4e_64.pt", "e4e checkpoint", "encoder.* (2 tensors)"),
    ],
)
def test_files_are_described(shared: Path, name: str, format_: str, ignored: str | None) -> None:
    with read_checkpoint(shared / "checkpoints" / name) as checkpoint:
        assert checkpoint.format == format_
        assert (ignored in checkpoint.ignored) if ignored else not checkpoint.ignored
        assert checkpoint.metadata["source"] == name


@pytest.mark.parametrize("name", ["hostile_os_system.pkl", "hostile_eval.pt", "truncated.pkl"])
def test_bad_files_are_refused(
    shared: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedCheckpointError, match=name):
        load_generator(shared / "checkpoints" / name)
    assert list(tmp_path.iterdir()) == []


def rosinality_state(shared: Path) -> State:
    tensors = load_file(shared / "parity" / "sg2_rosinality_64.safetensors")
    prefix = "state/g_ema/"
    return {name.removeprefix(prefix): t.clone() for name, t in tensors.items() if name.startswith(prefix)}


@pytest.mark.parametrize("prefix", ["", "module.", "generator.", "G_ema.", "module.generator."])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_plain_state_dicts(generator: Generator, tmp_path: Path, prefix: str, ending: str) -> None:
    state = {prefix + name: t.contiguous() for name, t in generator.module.state_dict().items()}
    path = tmp_path / f"plain.{ending}"
    (save_file if ending == "safetensors" else torch.save)(state, path)
    loaded = load_generator(path)
    assert loaded.fingerprint == generator.fingerprint
    assert "state dict" in loaded.metadata["format"]


@pytest.mark.parametrize("prefix", ["", "decoder.", "module."])
def test_plain_rosinality_state_dicts(shared: Path, tmp_path: Path, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in rosinality_state(shared).items()}
    torch.save(state, tmp_path / "plain.pt")
    with read_checkpoint(tmp_path / "plain.pt") as checkpoint:
        assert any("no mean of w" in note for note in checkpoint.notes)
    loaded = load_generator(tmp_path / "plain.pt")
    expected = load_file(shared / "parity" / "sg2_rosinality_64.safetensors")
    assert error(loaded.synthesis(expected["in/w_plus"]), expected["out/image_wplus_const"]) < 1e-4
    rng = torch.Generator().manual_seed(9)  # other samples than those that w_avg was made of
    ws = loaded.mapping(torch.randn(20_000, loaded.z_dim, generator=rng))[:, 0]
    assert error(loaded.w_avg, ws.mean(0)) < 6 * float(ws.std(0).max()) * (1 / 10_000 + 1 / 20_000) ** 0.5


def as_module(state: State, kind: type[torch.nn.Module]) -> torch.nn.Module:
    """Nested modules with these parameters."""
    module = kind()
    for name, tensor in state.items():
        if "." not in name:
            module.register_parameter(name, torch.nn.Parameter(tensor))
    for child in {name.split(".")[0] for name in state if "." in name}:
        inner = {name[len(child) + 1 :]: t for name, t in state.items() if name.startswith(f"{child}.")}
        module.add_module(child, as_module(inner, torch.nn.Module))
    return module


def test_a_whole_rosinality_object(shared: Path, foreign: Callable[..., Any], tmp_path: Path) -> None:
    kind = foreign("model.Generator", type("Generator", (torch.nn.Module,), {}))
    torch.save(as_module(rosinality_state(shared), kind), tmp_path / "whole.pt")
    loaded = load_generator(tmp_path / "whole.pt")
    expected = load_file(shared / "parity" / "sg2_rosinality_64.safetensors")
    assert error(loaded.synthesis(expected["in/w_plus"]), expected["out/image_wplus_const"]) < 1e-4
    assert loaded.metadata["format"] == "rosinality stylegan2-pytorch object"


def test_rosinality_training_state_is_listed(shared: Path, tmp_path: Path) -> None:
    state = rosinality_state(shared)
    rows = torch.stack([torch.zeros(48), torch.ones(48)])
    content = {
        "g": state,
        "g_ema": state,
        "d": {"x": torch.ones(1)},
        "g_optim": {"lr": 0.1},
        "latent_avg": rows,
    }
    torch.save(content, tmp_path / "training.pt")
    with read_checkpoint(tmp_path / "training.pt") as checkpoint:
        assert set(checkpoint.ignored) == {"g", "d", "g_optim"}
        assert any("latent_avg differ" in note for note in checkpoint.notes)
        assert torch.equal(checkpoint.state["mapping.w_avg"], torch.full((48,), 0.5))


@pytest.mark.parametrize(
    ("options", "channels", "kind"),
    [
        ({"encoder_type": "GradualStyleEncoder"}, 3, "pSp checkpoint"),
        ({"encoder_type": "ProgressiveBackboneEncoder"}, 6, "ReStyle (e4e) checkpoint"),
        ({}, 6, "ReStyle checkpoint"),
        ({}, 3, "pSp or e4e checkpoint"),
    ],
)
def test_encoders_are_named(
    shared: Path, tmp_path: Path, options: dict[str, str], channels: int, kind: str
) -> None:
    state = {"decoder." + name: tensor for name, tensor in rosinality_state(shared).items()}
    state["encoder.input_layer.0.weight"] = torch.zeros(4, channels, 3, 3)
    content = {"state_dict": state, "opts": options, "latent_avg": torch.zeros(10, 48)}
    torch.save(content, tmp_path / "encoder.pt")
    with read_checkpoint(tmp_path / "encoder.pt") as checkpoint:
        assert checkpoint.format == kind
        assert checkpoint.notes[-1].startswith("the encoder is")
        assert not any("latent_avg differ" in note for note in checkpoint.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"b4.fc.weight": torch.ones(2, 2), "b8.conv0.weight": torch.ones(1)}, "a discriminator alone"),
        ({"d": {"final_conv.0.weight": torch.ones(1)}}, "a discriminator alone"),
        ({"input_layer.0.weight": torch.ones(1, 3, 3, 3)}, "an encoder alone"),
        ({"generator.progression.0.conv": torch.ones(1), "style.1.bias": torch.ones(1)}, "StyleGAN1"),
        (torch.ones(1, 18, 512), "a single tensor"),
        ({"epoch": 3, "lr": 0.1}, "2 entries"),
        ([], "expected a StyleGAN2"),
    ],
)
def test_other_contents_are_named(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(UnsupportedCheckpointError, match=message) as caught:
        load_generator(tmp_path / "other.pt")
    assert str(caught.value).startswith("other.pt: ")


def test_tensors_that_share_bytes_cannot_ask_for_more_memory(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chunky_core.checkpoints.generators.MARGIN", 0)
    shared_bytes = torch.zeros(200_000)
    state: dict[str, Any] = {f"mapping.fc{index}.weight": shared_bytes for index in range(9)}
    torch.save(state, tmp_path / "shared.pt")
    with pytest.raises(UnsupportedCheckpointError, match="far more than the file"):
        load_generator(tmp_path / "shared.pt")


def test_loading_in_inference_mode_gives_usable_weights(shared: Path) -> None:
    with torch.inference_mode():
        generator = load_generator(shared / "checkpoints" / ROSINALITY[0], dtype=torch.float64)
    assert not any(tensor.is_inference() for tensor in generator.module.state_dict().values())
    assert generator.dtype == torch.float64


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that makes a class or function findable under another tool's name while pickling."""

    def add(path: str, thing: Any) -> Any:
        module, _, name = path.rpartition(".")
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            partial = ".".join(parts[:end])
            if partial not in sys.modules:
                monkeypatch.setitem(sys.modules, partial, types.ModuleType(partial))
        monkeypatch.setattr(sys.modules[module], name, thing, raising=False)
        thing.__module__, thing.__qualname__, thing.__name__ = module, name, name
        return thing

    return add


def persistent(foreign: Callable[..., Any], state: State, kwargs: dict[str, Any], **extra: Any) -> Any:
    """A network as NVlabs' persistence writes it."""

    def reconstruct(meta: dict[str, Any]) -> None: ...

    function = foreign("torch_utils.persistence._reconstruct_persistent_obj", reconstruct)

    class Stored:
        def __init__(self, meta: dict[str, Any]) -> None:
            self.meta = meta

        def __reduce__(self) -> tuple[Any, ...]:
            return function, (self.meta,)

    def module(prefix: str, attributes: dict[str, Any]) -> Stored:
        inner = [name.removeprefix(prefix) for name in state if name.startswith(prefix)]
        own = {name: torch.nn.Parameter(state[prefix + name]) for name in inner if "." not in name}
        children = sorted({name.split(".")[0] for name in inner if "." in name})
        fields = {
            "_parameters": own,
            "_buffers": {"unused": None},
            "_modules": {child: module(f"{prefix}{child}.", extra.get(child, {})) for child in children},
        }
        meta = {"class_name": extra.get("name", "Generator"), "module_src": "raise RuntimeError"}
        return Stored({**meta, "state": {**fields, **attributes}})

    return module("", {"_init_kwargs": kwargs})


def test_settings_come_from_layers_and_arguments(
    generator: Generator, foreign: Callable[..., Any], tmp_path: Path
) -> None:
    state = generator.module.state_dict()
    layers = {name: {"conv_clamp": 2} for name in ("conv0", "conv1", "torgb")}
    kwargs = {"mapping_kwargs": {"lr_multiplier": 0.02}, "synthesis_kwargs": {"num_fp16_res": 4}}
    stored = {"G_ema": persistent(foreign, state, kwargs, **layers), "D": None}
    (tmp_path / "clamped.pkl").write_bytes(pickle.dumps(stored))
    loaded = load_generator(tmp_path / "clamped.pkl")
    assert loaded.architecture.conv_clamp == 2.0
    assert loaded.architecture.lr_multiplier == 0.02
    assert "float16" in loaded.metadata["notes"]
    save_generator(loaded, tmp_path / "own.safetensors")
    assert load_generator(tmp_path / "own.safetensors").architecture == loaded.architecture


def test_a_network_without_noise_stays_silent(
    generator: Generator, foreign: Callable[..., Any], tmp_path: Path
) -> None:
    state = {name: t for name, t in generator.module.state_dict().items() if "noise" not in name}
    (tmp_path / "silent.pkl").write_bytes(pickle.dumps(persistent(foreign, state, {})))
    loaded = load_generator(tmp_path / "silent.pkl")
    w = torch.randn(1, loaded.w_dim, generator=torch.Generator().manual_seed(1))
    assert error(loaded.synthesis(w), generator.synthesis(w, noise_mode="none")) < 1e-5
    assert "no noise" in loaded.metadata["notes"]


def test_a_discriminator_object_is_named(foreign: Callable[..., Any], tmp_path: Path) -> None:
    stored = persistent(foreign, {"b4.fc.weight": torch.ones(2, 2)}, {}, name="Discriminator")
    (tmp_path / "d.pkl").write_bytes(pickle.dumps({"D": stored}))
    with pytest.raises(UnsupportedCheckpointError, match="Discriminator"):
        load_generator(tmp_path / "d.pkl")


def test_layers_that_differ_in_clamping_are_refused(
    generator: Generator, foreign: Callable[..., Any], tmp_path: Path
) -> None:
    clamps: dict[str, Any] = {"conv0": {"conv_clamp": 2}, "conv1": {"conv_clamp": None}}
    stored = persistent(foreign, generator.module.state_dict(), {}, **clamps)
    (tmp_path / "mixed.pkl").write_bytes(pickle.dumps(stored))
    with pytest.raises(UnsupportedCheckpointError, match="differ in conv_clamp"):
        load_generator(tmp_path / "mixed.pkl")


def network(
    foreign: Callable[..., Any], variables: dict[str, Any], settings: dict[str, Any], **more: Any
) -> Any:
    """A generator as NVlabs' TensorFlow code writes it."""
    kind = foreign("dnnlib.tflib.network.Network", type("Network", (), {}))

    def one(prefix: str, components: dict[str, Any]) -> Any:
        own = {name.removeprefix(prefix): v for name, v in variables.items() if name.startswith(prefix)}
        names = [name for name in own if prefix or not name.startswith(("mapping/", "synthesis/"))]
        made = kind()
        made.__dict__.update(components=components, variables=[(name, own[name]) for name in names])
        return made

    parts = {part: one(f"{part}/", {}) for part in ("mapping", "synthesis")}
    result = one("", parts)
    result.__dict__.update(name="Gs", static_kwargs=settings, build_func_name="G_main", **more)
    return result


def tensorflow_variables(state: State) -> dict[str, Any]:
    """The inverse of the documented mapping, for a small network of 8x8 pixels."""
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    result: dict[str, Any] = {"dlatent_avg": arrays["mapping.w_avg"], "lod": np.float32(0).reshape(())}
    for index in range(sum(name.startswith("mapping.fc") for name in arrays) // 2):
        result[f"mapping/Dense{index}/weight"] = arrays[f"mapping.fc{index}.weight"].T
        result[f"mapping/Dense{index}/bias"] = arrays[f"mapping.fc{index}.bias"]
    result["synthesis/4x4/Const/const"] = arrays["synthesis.b4.const"][None]
    layers = {"4x4/Conv": "b4.conv1", "8x8/Conv0_up": "b8.conv0", "8x8/Conv1": "b8.conv1"}
    for index, (source, target) in enumerate(layers.items()):
        result[f"synthesis/noise{index}"] = arrays[f"synthesis.{target}.noise_const"][None, None]
        result[f"synthesis/{source}/noise_strength"] = arrays[f"synthesis.{target}.noise_strength"]
    for source, target in {**layers, "4x4/ToRGB": "b4.torgb", "8x8/ToRGB": "b8.torgb"}.items():
        weight = arrays[f"synthesis.{target}.weight"].transpose(2, 3, 1, 0)
        result[f"synthesis/{source}/weight"] = weight[::-1, ::-1] if "up" in source else weight
        result[f"synthesis/{source}/bias"] = arrays[f"synthesis.{target}.bias"]
        result[f"synthesis/{source}/mod_weight"] = arrays[f"synthesis.{target}.affine.weight"].T
        result[f"synthesis/{source}/mod_bias"] = arrays[f"synthesis.{target}.affine.bias"] - np.float32(1)
    return {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in result.items()}


def test_tensorflow_settings_and_single_networks(
    make_generator: Callable[..., Generator], foreign: Callable[..., Any], tmp_path: Path
) -> None:
    generator = make_generator(resolution=8)
    variables = tensorflow_variables(generator.module.state_dict())
    stored = network(foreign, variables, {"conv_clamp": 256, "mapping_lrmul": 0.01})
    (tmp_path / "tf.pkl").write_bytes(pickle.dumps(stored))
    loaded = load_generator(tmp_path / "tf.pkl")
    assert loaded.architecture.conv_clamp == 256.0
    state = generator.module.state_dict()
    assert all(error(tensor, state[name]) < 1e-6 for name, tensor in loaded.module.state_dict().items())


@pytest.mark.parametrize(
    ("extra", "settings", "message"),
    [
        ({"synthesis/8x8/Conv1/StyleMod/weight": np.ones((2, 2), np.float32)}, {}, "configs A to D"),
        ({"mapping/LabelConcat/weight": np.ones((2, 2), np.float32)}, {}, "LabelConcat"),
        ({"synthesis/odd/thing": np.ones(2, np.float32)}, {}, "odd/thing"),
        ({}, {"nonlinearity": "relu"}, "'relu'"),
    ],
)
def test_other_tensorflow_networks_are_refused(
    make_generator: Callable[..., Generator],
    foreign: Callable[..., Any],
    tmp_path: Path,
    extra: dict[str, Any],
    settings: dict[str, Any],
    message: str,
) -> None:
    variables = {**tensorflow_variables(make_generator(resolution=8).module.state_dict()), **extra}
    (tmp_path / "tf.pkl").write_bytes(pickle.dumps(network(foreign, variables, settings)))
    with pytest.raises(UnsupportedCheckpointError, match=message):
        load_generator(tmp_path / "tf.pkl")
