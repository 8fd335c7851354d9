"""Which weights of a file are meant: averaged ones beside raw ones, wrapped ones, the mean of w in any form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from chunky_core.checkpoints.generators import load_generator
from chunky_core.checkpoints.tensor_names import is_averaged
from chunky_core.errors import UnsupportedCheckpointError
from chunky_core.generator.generator import Generator
from tests.checkpoint_writers import state_of
from tests.foreign_layouts import rosinality_state

State = dict[str, Tensor]
CONST = "synthesis.b4.const"
D = {"b4.fc.weight": torch.ones(2, 2)}


@pytest.fixture(scope="module")
def averaged(make_generator: Callable[..., Generator]) -> State:
    """The weights of a small generator, meant to be found."""
    small = make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16)
    return {name: tensor.clone() for name, tensor in state_of(small).items()}


@pytest.fixture(scope="module")
def raw(averaged: State) -> State:
    """The weights beside them, told apart by the constant."""
    return {**averaged, CONST: averaged[CONST] + 1}


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def is_state(loaded: Generator, state: State) -> bool:
    return all(torch.equal(tensor, state[name]) for name, tensor in loaded.module.state_dict().items())


BESIDE: dict[str, Callable[[State, State], Any]] = {
    "generator, _ema": lambda r, a: {"generator": r, "generator_ema": a},
    "_smooth": lambda r, a: {"generator": r, "discriminator": {}, "generator_smooth": a},
    "ema": lambda r, a: {"generator": r, "ema": a},
    "model": lambda r, a: {"model": r, "model_ema": a},
    "params": lambda r, a: {"params": r, "params_ema": a},
    "netG": lambda r, a: {"netG": r, "netG_ema": a, "netD": D},
    "ema_state_dict": lambda r, a: {"state_dict": r, "ema_state_dict": a},
    "g_running": lambda r, a: {"generator": r, "g_running": a},
    "Gs": lambda r, a: {"G": r, "Gs": a},
    "nested": lambda r, a: {"models": {"generator": r, "generator_smooth": a}, "running_metadata": {}},
    "non_ema": lambda r, a: {"generator_non_ema": r, "generator": {"ema": a}},
    "before_swa": lambda r, a: {"g_before_swa": r, "g_swa": a},
    "gema": lambda r, a: {"G": r, "gema": a},
    "WeightAveraging": lambda r, a: {
        "state_dict": under("G.", a), "current_model_state": under("G.", r),
        "averaging_state": {"n_averaged": torch.tensor(3)},
    },
    "WeightAveraging, bare": lambda r, a: {"current_model_state": r, "state_dict": a, "averaging_state": {}},
    "flat": lambda r, a: {**under("generator.", r), **under("generator_ema.", a), **under("discriminator.", D)},
    "ema_pytorch": lambda r, a: {
        **under("online_model.", r), **under("ema_model.", a), "initted": torch.tensor(True), "step": torch.tensor(3),
    },
    "ema_pytorch, nested": lambda r, a: {"model": r, "ema": {**under("online_model.", r), **under("ema_model.", a)}},
    "AveragedModel": lambda r, a: {"model": r, "swa": {"n_averaged": torch.tensor(7), **under("module.", a)}},
    "AveragedModel, flat": lambda r, a: {**under("a.", r), **under("b.module.", a), "b.n_averaged": torch.tensor(7)},
    "AveragedModel, nameless": lambda r, a: {"a": r, "b": {"n_averaged": torch.tensor(7), **under("module.", a)}},
}  # fmt: skip


@pytest.mark.parametrize("kind", BESIDE)
def test_the_average_is_used_and_told(kind: str, averaged: State, raw: State, tmp_path: Path) -> None:
    for first, second, expected in ((raw, averaged, averaged), (averaged, raw, raw)):
        torch.save(BESIDE[kind](first, second), tmp_path / "file.pt")
        loaded = load_generator(tmp_path / "file.pt")
        assert is_state(loaded, expected)
        assert "average" in loaded.metadata["notes"] and "no average" not in loaded.metadata["notes"]


def test_the_average_in_safetensors(averaged: State, raw: State, tmp_path: Path) -> None:
    flat = {**under("ema.", averaged), **under("model.", raw)}
    save_file(
        {name: tensor.contiguous().clone() for name, tensor in flat.items()}, tmp_path / "file.safetensors"
    )
    assert is_state(load_generator(tmp_path / "file.safetensors"), averaged)


@pytest.mark.parametrize("key", ["G", "g", "generator", "netG", "gen", "params", "model"])
def test_raw_weights_alone_are_told(key: str, raw: State, tmp_path: Path) -> None:
    torch.save({key: raw, "epoch": 3}, tmp_path / "file.pt")
    loaded = load_generator(tmp_path / "file.pt")
    assert is_state(loaded, raw)
    assert loaded.metadata["notes"] == f"there is no average of the weights ({key}_ema); {key} is used"


def test_an_average_without_names_is_told(raw: State, tmp_path: Path) -> None:
    torch.save(
        {"model": raw, "ema": {"decay": 0.999, "shadow_params": list(raw.values())}}, tmp_path / "file.pt"
    )
    loaded = load_generator(tmp_path / "file.pt")
    assert is_state(loaded, raw)
    assert "shadow_params) is stored without names and not used; model is used" in loaded.metadata["notes"]


@pytest.mark.parametrize("key", ["generator_non_ema", "pre_ema", "unaveraged"])
def test_weights_that_are_named_raw_are_not_called_an_average(key: str, raw: State, tmp_path: Path) -> None:
    torch.save({key: raw}, tmp_path / "file.pt")
    assert "averaged weights" not in load_generator(tmp_path / "file.pt").metadata.get("notes", "")


def test_of_two_alike_the_first_is_taken_and_told(averaged: State, raw: State, tmp_path: Path) -> None:
    torch.save({"generator_a": raw, "generator_b": averaged}, tmp_path / "file.pt")
    loaded = load_generator(tmp_path / "file.pt")
    assert is_state(loaded, raw)
    assert loaded.metadata["notes"] == "the file holds 2 generators; generator_a is used, not generator_b"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("G_ema", True), ("netGEma", True), ("model.ema", True), ("ema.online_model", False), ("schema", False),
        ("generator", False), ("emanuel", False), ("EMA", True), ("weights_avg", True), ("Gs", True), ("", False),
        ("generator_non_ema", False), ("model_without_ema", False), ("no_ema", False), ("pre_ema", False),
        ("before_swa", False), ("non_averaged", False), ("unaveraged", False), ("nonEMA", False), ("GnonEMA", False),
        ("noema", False),
        ("un_smoothed", False), ("not_g_ema", False), ("ema.non_averaged", False), ("ema_free", False),
        ("wo_ema", False),
        ("ema_before_swa", True), ("pre_trained_ema", True), ("no_aug_ema", True), ("pretrained.ema", True),
        ("gema", True), ("Gema", True), ("GEMA", True), ("netGEMA", True), ("g_mavg", True), ("polyak", True),
        ("genema", True), ("emamodel", True), ("emanet", False), ("garage", False), ("teacher", False),
    ],
)  # fmt: skip
def test_what_names_say_of_averages(path: str, expected: bool) -> None:
    assert is_averaged(path.split(".")) is expected


def inserted(state: State, wrapper: str, depth: int) -> State:
    """Names with a wrapper after their first `depth` parts."""
    parts = {name: name.split(".") for name in state}
    return {
        ".".join([*p[:depth], wrapper, *p[depth:]] if len(p) > depth else p): state[n]
        for n, p in parts.items()
    }


@pytest.mark.parametrize("wrapper", ["module", "_orig_mod", "_fsdp_wrapped_module", "_forward_module"])
@pytest.mark.parametrize("layout", ["nvlabs", "rosinality"])
def test_wrappers_anywhere_in_names(wrapper: str, layout: str, averaged: State, tmp_path: Path) -> None:
    state = averaged if layout == "nvlabs" else rosinality_state(averaged)
    for depth in range(3):
        torch.save(inserted(under("_orig_mod.", state), wrapper, depth), tmp_path / "file.pt")
        found = load_generator(tmp_path / "file.pt").module.state_dict()
        mean = () if layout == "nvlabs" else ("mapping.w_avg",)
        assert all(torch.equal(tensor, averaged[name]) for name, tensor in found.items() if name not in mean)


@pytest.mark.parametrize(
    "prefix", ["ema.module.", "module.generator_ema.", "_forward_module.netG.", "a.b.c.", "model-1."]
)
def test_prefixes_of_any_name(prefix: str, averaged: State, tmp_path: Path) -> None:
    lightning = {
        "state_dict": {**under(prefix, averaged), **under("discriminator.", D)},
        "epoch": 1,
        "global_step": 2,
    }
    torch.save(lightning, tmp_path / "file.ckpt")
    assert is_state(load_generator(tmp_path / "file.ckpt"), averaged)


def test_other_networks_beside_a_bare_generator(averaged: State, tmp_path: Path) -> None:
    torch.save({**averaged, **under("discriminator.", D), **under("lpips.", D)}, tmp_path / "file.pt")
    assert is_state(load_generator(tmp_path / "file.pt"), averaged)
    torch.save({**averaged, "synthesis.b4.extra": torch.ones(1)}, tmp_path / "file.pt")
    with pytest.raises(UnsupportedCheckpointError, match=r"synthesis\.b4\.extra"):
        load_generator(tmp_path / "file.pt")


def test_one_name_for_two_tensors_is_refused(averaged: State, raw: State, tmp_path: Path) -> None:
    torch.save({**raw, **under("module.", averaged)}, tmp_path / "file.pt")
    with pytest.raises(UnsupportedCheckpointError, match="has two tensors synthesis"):
        load_generator(tmp_path / "file.pt")
    torch.save({**averaged, **under("module.", averaged)}, tmp_path / "file.pt")  # one tensor under two names
    assert is_state(load_generator(tmp_path / "file.pt"), averaged)


class Net(nn.Module):
    """A network of nested modules with given parameters."""

    def __init__(self, state: State) -> None:
        super().__init__()
        for name in state:
            if "." not in name:
                self.register_parameter(name, nn.Parameter(state[name]))
        for child in dict.fromkeys(name.partition(".")[0] for name in state if "." in name):
            inner = {n.partition(".")[2]: t for n, t in state.items() if n.startswith(f"{child}.")}
            self.add_module(child, Net(inner))


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.optim.swa_utils.AveragedModel])
def test_wrapped_objects(
    wrap: Callable[[nn.Module], nn.Module], averaged: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = wrap(Net(rosinality_state(averaged)))
    for part in network.modules():
        if isinstance(part, Net):
            part.__class__ = nn.Module  # pickles under torch's name
    torch.save(network, tmp_path / "file.pt")
    found = load_generator(tmp_path / "file.pt").module.state_dict()
    assert all(torch.equal(tensor, averaged[n]) for n, tensor in found.items() if n != "mapping.w_avg")


MEAN = torch.linspace(-1, 1, 16)
FORMS: dict[str, Any] = {
    "tensor": MEAN, "row": MEAN[None], "rows": MEAN.repeat(6, 1), "batch": MEAN.repeat(1, 6, 1), "array": MEAN.numpy(),
    "float64": MEAN.double().numpy(), "array of a row": MEAN[None].numpy(), "list": MEAN.tolist(),
    "tuple": tuple(MEAN.tolist()),
    "list of rows": MEAN.repeat(6, 1).tolist(), "parameter": nn.Parameter(MEAN.clone()), "half": MEAN.half(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", ["latent_avg", "mean_latent", "dlatent_avg", "w_avg"])
def test_the_mean_in_any_form(form: str, key: str, averaged: State, tmp_path: Path) -> None:
    torch.save({"g_ema": rosinality_state(averaged), key: FORMS[form]}, tmp_path / "file.pt")
    loaded = load_generator(tmp_path / "file.pt")
    assert torch.allclose(loaded.w_avg, MEAN, atol=1e-3 if form == "half" else 1e-7)
    assert "no mean" not in loaded.metadata.get("notes", "")


def test_the_mean_among_the_weights(averaged: State, tmp_path: Path) -> None:
    decoder = under("decoder.", rosinality_state(averaged))
    for place in ({**decoder, "decoder.latent_avg": MEAN}, {**decoder, "latent_avg": MEAN}):
        torch.save({"state_dict": place}, tmp_path / "file.pt")
        assert torch.equal(load_generator(tmp_path / "file.pt").w_avg, MEAN)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(8), r"shape \[8\]; expected \[16\]"),
        (np.zeros((2, 8), np.float32), r"shape \[2, 8\]"),
        (torch.zeros(0), r"shape \[0\]"),
        (torch.zeros(()), r"shape \[\]"),
        ([0.0] * 8, r"shape \[8\]"),
        ([[0.0] * 16, [0.0]], "unequal lengths"),
        (["a"] * 16, "'a' in it; expected numbers"),
        (torch.arange(16), "int64; expected floats"),
        ("yes", "'yes'; expected the mean"),
        (0.5, "<float>"),
    ],
)  # fmt: skip
def test_a_mean_that_does_not_fit_is_refused(
    value: Any, message: str, averaged: State, tmp_path: Path
) -> None:
    torch.save({"g_ema": rosinality_state(averaged), "latent_avg": value}, tmp_path / "file.pt")
    with pytest.raises(UnsupportedCheckpointError, match=message):
        load_generator(tmp_path / "file.pt")


@pytest.mark.parametrize("layout", ["nvlabs", "rosinality"])
def test_a_class_without_its_embedding_is_no_wider_z(layout: str, averaged: State, tmp_path: Path) -> None:
    first = averaged["mapping.fc0.weight"]
    state = {**averaged, "mapping.fc0.weight": torch.cat([first, first], 1)}
    torch.save({"g_ema": state if layout == "nvlabs" else rosinality_state(state)}, tmp_path / "file.pt")
    with pytest.raises(UnsupportedCheckpointError, match=r"embedding \(mapping\.embed\) is missing"):
        load_generator(tmp_path / "file.pt")


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("layout", ["nvlabs", "rosinality"])
def test_pictures_that_are_not_square(axis: int, layout: str, averaged: State, tmp_path: Path) -> None:
    state = {}
    for name, tensor in averaged.items():
        spatial = name == CONST or name.endswith("noise_const")
        state[name] = tensor.narrow(axis - 3, 0, tensor.shape[axis - 3] // 2).clone() if spatial else tensor
    torch.save(state if layout == "nvlabs" else rosinality_state(state), tmp_path / "file.pt")
    generator = load_generator(tmp_path / "file.pt")
    assert generator.img_size == ((8, 16) if axis == 1 else (16, 8))
    assert (
        generator.synthesis(generator.mapping(torch.zeros(1, generator.z_dim))).shape[-2:]
        == generator.img_size
    )


def test_a_square_start_of_another_size(averaged: State, tmp_path: Path) -> None:
    torch.save({**averaged, CONST: torch.zeros(16, 5, 5)}, tmp_path / "file.pt")
    with pytest.raises(UnsupportedCheckpointError, match=r"noise_const is \(16, 16\); expected \(20, 20\)"):
        load_generator(tmp_path / "file.pt")
