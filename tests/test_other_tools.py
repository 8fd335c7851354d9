"""Networks of other tools: opened rightly or refused by the tool's name; tensors stored in unusual ways."""

from __future__ import annotations

import http
import os
import pickle
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from chunky_core.checkpoints.formats.tool_signatures import (
    refusal_of_global,
    tool_beside_generator,
    tool_of_tensors,
)
from chunky_core.checkpoints.generators import load_generator, read_checkpoint, save_generator
from chunky_core.checkpoints.pickles.allowed_globals import find
from chunky_core.checkpoints.pickles.rebuild import Known, Record
from chunky_core.errors import UnsupportedCheckpointError
from chunky_core.generator.generator import Generator
from tests.checkpoint_writers import WRITERS, rosinality_state, state_of
from tests.fuzz.seeds import seed_generator
from tests.hostile_tools import refusal, written

REFUSED = {
    "refuse/gfpgan_stylegan2_clean.pth": "GFPGAN",
    "refuse/gfpgan_v1.pth": "GFPGAN", "refuse/gpen.pth": "GPEN", "refuse/projected_gan_fastgan.pkl": "FastGAN",
    "refuse/stylegan_t.pkl": "StyleGAN-T", "refuse/lucidrains_attention.pt": "lucidrains",
    "refuse/lucidrains_model_1.pt": "lucidrains", "refuse/stylegan2_torch_grey.pt": "stylegan2-torch",
    "refuse/swagan.pt": "SWAGAN", "refuse/mobilestylegan.ckpt": "MobileStyleGAN",
    "refuse/mobilestylegan_teacher_synthesis.ckpt": "MobileStyleGAN",
}  # fmt: skip
OPENED = {
    "basicsr_official.pth": "BasicSR", "genforce_zoo.pth": "GenForce", "sefa_zoo.pth": "GenForce",
    "mmagic_stylegan2.pth": "mmagic", "paddle_square_flat.pdparams": "PaddleGAN",
    "paddle_unequal_flat.pdparams": "PaddleGAN", "projected_gan_stylegan2.pkl": "NVlabs",
    "projected_gan_stylegan2_dill.pkl": "NVlabs", "stylegan_xl_stem.pkl": "StyleGAN-XL",
    "stylegan_xl_conditional.pkl": "StyleGAN-XL",
}  # fmt: skip
NOTES = {
    "basicsr": "bilinear twin",
    "mmagic": "BGR",
    "paddle": "[in,out], as PaddleGAN",
    "genforce": "smooth are",
}
UNFAIR = ("damaged", "hostile", "wants to run", "discriminator alone")


@pytest.mark.parametrize("name", REFUSED)
def test_a_tools_file_is_refused_by_its_name(name: str, shared: Path) -> None:
    message = refusal(shared / "checkpoints" / "other_tools" / name)
    assert REFUSED[name] in message
    assert not any(word in message for word in UNFAIR)


@pytest.mark.parametrize("name", OPENED)
def test_a_tools_file_draws_what_the_tool_draws(name: str, shared: Path, tmp_path: Path) -> None:
    path = shared / "checkpoints" / "other_tools" / name
    generator, expected = load_generator(path), load_file(path.with_suffix(".safetensors"))
    labels, image = expected.get("label"), expected.get("image_rgb", expected["image"])
    assert far(generator.mapping(expected["z"], labels), expected["ws"]) < 1e-4
    assert far(generator.synthesis(expected["ws"]), image) < 1e-4
    assert far(generator.synthesis(expected["ws"], box=(3, 5, 21, 32)), image[..., 3:21, 5:32]) < 1e-4
    if "ws_psi05" in expected:
        assert far(generator.mapping(expected["z"], labels, 0.5), expected["ws_psi05"]) < 1e-4
    save_generator(generator, tmp_path / "copy.safetensors")
    again = load_generator(tmp_path / "copy.safetensors")
    assert torch.equal(again.synthesis(expected["ws"]), generator.synthesis(expected["ws"]))
    assert generator.metadata["format"].startswith(OPENED[name])
    assert NOTES.get(name.partition("_")[0], "") in generator.metadata.get("notes", "")


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max())


@pytest.fixture
def weights(make_generator: Callable[..., Generator]) -> dict[str, Tensor]:
    small = make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16)
    return {name: tensor.clone() for name, tensor in state_of(small).items()}


def arrays(state: dict[str, Tensor], transposed: bool = True) -> dict[str, np.ndarray]:
    linear = ("style.", "modulation.weight")
    found = {name: tensor.numpy() for name, tensor in rosinality_state(state).items()}
    return {
        n: a.T.copy() if transposed and a.ndim == 2 and any(p in n for p in linear) else a
        for n, a in found.items()
    }


class PaddleTensor:
    """Pickles as paddle.save stores a tensor in nested dicts."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.named = (name, array)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self.named,)


def assert_found(path: Path, state: dict[str, Tensor]) -> str:
    loaded = load_generator(path)
    found = loaded.module.state_dict()
    assert all(torch.equal(tensor, state[n]) for n, tensor in found.items() if n != "mapping.w_avg")
    return loaded.metadata["notes"]


@pytest.mark.parametrize("wrap", [lambda _, array: array, PaddleTensor])
def test_paddlegan_training_files(
    wrap: Callable[..., Any], weights: dict[str, Tensor], tmp_path: Path
) -> None:
    average = {name: wrap(name, array) for name, array in arrays(weights).items()}
    raw = {name: wrap(name, array + 1) for name, array in arrays(weights).items()}
    trainer = {
        "epoch": 3,
        "gen": raw,
        "disc": {"convs.0.0.weight": np.zeros(3, np.float32)},
        "gen_ema": average,
    }
    path = written(tmp_path / "trainer.pdparams", pickle.dumps(trainer))
    assert "gen_ema are used, not gen" in assert_found(path, weights)


def test_numpy_arrays_in_pytorchs_layout(weights: dict[str, Tensor], tmp_path: Path) -> None:
    narrow = {n: t for n, t in weights.items() if "mapping" not in n}
    narrow |= {"mapping.fc0.weight": torch.ones(16, 8), "mapping.fc0.bias": torch.ones(16)}
    path = written(tmp_path / "plain.pkl", pickle.dumps(arrays(narrow, transposed=False)))
    assert "PyTorch's layout" in assert_found(path, narrow)


def test_square_numpy_arrays_are_taken_for_paddlegans(
    make_generator: Callable[..., Generator], tmp_path: Path
) -> None:
    square = state_of(make_generator(resolution=16, w_dim=16, channel_base=256, channel_max=16))
    path = written(tmp_path / "plain.pkl", pickle.dumps(arrays(square)))
    assert "square, so taken for granted" in assert_found(path, square)


def test_paddles_sliced_tensors_are_named(weights: dict[str, Tensor], tmp_path: Path) -> None:
    content = {**arrays(weights), "UnpackBigParamInfor@@": {}}
    assert "protocol=4" in refusal(written(tmp_path / "x.pdparams", pickle.dumps(content)))


TENSORS = {
    "a Stable Diffusion model": (
        {"state_dict": {"model.diffusion_model.out.0.weight": 1}},
        "Stable Diffusion",
    ),
    "a LoRA": ({"lora_unet_mid.lora_up.weight": 1}, "LoRA"),
    "an upscaler": ({"body.0.rdb1.conv1.weight": 1}, "ESRGAN"),
    "an identity network": ({"input_layer.0.weight": 4, "output_layer.3.weight": 2}, "ArcFace"),
    "CodeFormer": (
        {"params_ema": {"fuse_convs_dict.32.shift.0.weight": 4, "quantize.embedding.weight": 2}},
        "CodeFormer",
    ),
    "EG3D": ({"G_ema": {"backbone.mapping.fc0.weight": 2, "decoder.net.0.weight": 2}}, "EG3D"),
    "StyleGAN-T": ({"mapping.mlp.fc0.weight": 2, "mapping.x_avg": 1}, "StyleGAN-T"),
    "another network's last layer": (
        {"params": {"final_conv.0.weight": 4, "other.weight": 2}},
        "1 entry (params)",
    ),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_wrong_networks_are_named_by_their_tensors(kind: str, tmp_path: Path) -> None:
    content, expected = TENSORS[kind]

    def filled(entries: Any) -> Any:
        return (
            torch.ones([1] * entries)
            if isinstance(entries, int)
            else {k: filled(v) for k, v in entries.items()}
        )

    torch.save(filled(content), tmp_path / "other.pt")
    message = refusal(tmp_path / "other.pt")
    assert expected in message and "discriminator" not in message


@pytest.mark.parametrize("kind", WRITERS)
def test_no_signature_fits_a_generator_that_opens(kind: str, good: Callable[[str], Path]) -> None:
    with read_checkpoint(good(kind)) as checkpoint:
        names = [*checkpoint.state, *rosinality_state(state_of(seed_generator("plain")))]
        assert tool_of_tensors(names) is None
        assert tool_beside_generator(names) is None


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "builtins.exec",
        "__builtin__.file",
        "builtins.getattr", "builtins.__import__", "sys.exit", "shutil.rmtree", "socket.socket", "pty.spawn",
        "runpy.run_path",
        "importlib.import_module", "ctypes.CDLL", "webbrowser.open", "torch.load", "torch.hub.load", "numpy.load",
        "__builtin__.eval", "operator.attrgetter", "pickle.loads", "dill._dill._create_code", "types.FunctionType",
        "os.path.join", "torch.jit.load", "cloudpickle.cloudpickle._make_function",
        "signal.signal", "_socket.socket", "socket.gethostbyname", "os.popen", "os._wrap_close",
        "http.client.HTTPConnection",
        "http.server.HTTPServer", "urllib.request.urlopen", "subprocess.CompletedProcess.__init__", "signal.SIGINT.x",
        "commands.getoutput", "shutil.Error.mro", "asyncio.run", "importlib.ImportError.x", "ctypes.FormatError",
    ],
)  # fmt: skip
def test_functions_of_danger_keep_the_sharp_words(name: str) -> None:
    assert "wants to run" in refusal_of_global(name) and "do not open it" in refusal_of_global(name)


INERT: list[Any] = [
    http.HTTPStatus.OK, signal.SIGINT, signal.SIG_DFL, socket.AF_INET, socket.SOCK_STREAM, os.terminal_size((80, 24)),
    Path(os.curdir).stat(), os.times(), subprocess.CompletedProcess([], 0), urllib.parse.urlparse("a"),
    subprocess.TimeoutExpired("a", 1), urllib.error.URLError("a"),
]  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("value", INERT, ids=lambda value: f"{type(value).__name__}-{value}"[:30])
def test_plain_values_of_the_standard_library_are_refused_without_accusing(
    value: Any, protocol: int, tmp_path: Path
) -> None:
    (tmp_path / "file.pkl").write_bytes(pickle.dumps({"extra": value}, protocol))
    message = refusal(tmp_path / "file.pkl")
    assert "isn't on the list" in message and not any(word in message for word in UNFAIR)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pg_modules.networks_fastgan.Generator", "FastGAN"),
        ("pg_modules.discriminator.ProjectedDiscriminator", "projected-gan"),
        ("timm.models.efficientnet.EfficientNet", "timm"),
        ("training.volumetric_rendering.renderer.ImportanceRenderer", "EG3D"),
        ("networks.generator.Generator", "StyleGAN-T"),
        ("omegaconf.dictconfig.DictConfig", "OmegaConf"),
        ("myproject.models.Config", "refers to 'myproject.models.Config'"),
        ("osmnx.graph.Graph", "refers to 'osmnx"),
        ("codecs.Codec", "refers to 'codecs"),
        ("builtins.list", "refers to 'builtins.list'"),
        ("__builtin__.unicode", "refers to '__builtin__.unicode'"),
        ("functools.partial", "refers to 'functools.partial'"),
        ("code.networks.Generator", "refers to 'code.networks"),
        ("types.SimpleNamespace", "refers to 'types.SimpleNamespace'"),
    ],
)
def test_unknown_classes_are_accused_of_nothing(name: str, expected: str, tmp_path: Path) -> None:
    module, _, kind = name.rpartition(".")
    content = b"\x80\x02c" + f"{module}\n{kind}\n".encode() + b")\x81."
    message = refusal(written(tmp_path / "file.pkl", content))
    assert expected in message
    assert not any(word in message for word in UNFAIR)


def with_mean(change: Callable[[Tensor], Any]) -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    return lambda state: {**state, "mapping.w_avg": change(state["mapping.w_avg"])}


def noted(tensor: Tensor) -> Tensor:
    tensor.origin = "ffhq"  # type: ignore[attr-defined]
    return tensor


HARMLESS: dict[str, Callable[[Tensor], Any]] = {
    "expanded": lambda mean: torch.full((1,), 0.5).expand(16), "an attribute": lambda mean: noted(mean.clone()),
    "a parameter with an attribute": lambda mean: noted(nn.Parameter(mean.clone())),
    "torch.nn.Buffer": lambda mean: nn.Buffer(mean.clone()),
    "needs gradients": lambda mean: mean.clone().requires_grad_(),
    "a view": lambda mean: torch.stack([mean, mean])[1], "a column": lambda mean: torch.stack([mean, mean], 1)[:, 0],
    "float8": lambda mean: mean.to(torch.float8_e4m3fn), "bfloat16": lambda mean: mean.bfloat16(),
    "float64": lambda mean: mean.double(),
}  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", HARMLESS)
def test_unusual_tensors_are_read(
    kind: str, legacy: bool, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    changed = with_mean(HARMLESS[kind])(weights)
    torch.save(changed, tmp_path / "file.pt", _use_new_zipfile_serialization=not legacy)
    found = load_generator(tmp_path / "file.pt")
    assert torch.equal(found.w_avg, changed["mapping.w_avg"].detach().float())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mean: mean.to_sparse(), r"mapping\.w_avg is a sparse tensor.*to_dense"),
        (lambda mean: torch.quantize_per_tensor(mean, 0.1, 0, torch.qint8), r"quantised tensor.*dequantize"),
        (lambda mean: mean.to("meta"), "without numbers"),
        (lambda mean: mean.to(torch.complex64), r"complex64; expected floats"),
        (lambda mean: mean.long(), r"int64; expected floats"),
    ],
)
def test_tensors_that_are_no_plain_floats_are_named(
    change: Callable[[Tensor], Any], message: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(with_mean(change)(weights), tmp_path / "file.pt")
    with pytest.raises(UnsupportedCheckpointError, match=message) as caught:
        load_generator(tmp_path / "file.pt")
    assert not any(word in str(caught.value) for word in UNFAIR)
    torch.save(
        {"g_ema": weights, "other": change(weights["mapping.w_avg"])}, tmp_path / "file.pt"
    )  # not the generator's
    assert torch.equal(load_generator(tmp_path / "file.pt").w_avg, weights["mapping.w_avg"])


def test_repeated_numbers_are_bounded_by_the_file(weights: dict[str, Tensor], tmp_path: Path) -> None:
    wide = torch.zeros(1).expand(1 << 22)
    torch.save({**weights, **{f"mapping.fc{index}.bias": wide for index in range(9)}}, tmp_path / "file.pt")
    assert "far more than the file" in refusal(tmp_path / "file.pt")
    torch.save({**weights, "mapping.w_avg": torch.zeros(1).expand((1 << 22) + 1)}, tmp_path / "file.pt")
    assert "does not fit" in refusal(tmp_path / "file.pt")


@pytest.mark.parametrize(
    "name",
    [
        "torch.nn.parallel.distributed.DistributedDataParallel",
        "torch.nn.parallel.distributed._BucketCapacityConfig",
        "torch.distributed.algorithms.join._JoinConfig",
        "torch.nn.modules.module._WrappedHook",
    ],
)
def test_torchs_wrappers_are_records(name: str) -> None:
    module, _, kind = name.rpartition(".")
    known = find(module, kind)
    assert isinstance(known, Known) and known.new is not None
    made = known.new()
    assert isinstance(made, Record) and made.name == name
