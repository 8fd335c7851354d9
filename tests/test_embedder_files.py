"""Which embedder files are refused, before anything of them runs."""

from __future__ import annotations

import builtins
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chunky_core.errors import ChunkyError, InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from tests.embedders import WRITERS, embedder, faces, load, onnx_file, scripted

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")


class FromFile(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_file("/etc/hostname", size=4, dtype=torch.uint8).float()[None] + x.mean()


class Strided(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.as_strided([1, 8], [8, 1])


class Forks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(torch.relu, x)).flatten(1)


class Restores(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return 1, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.training = state[1]


@pytest.mark.parametrize("kind", [FromFile, Strided, Forks, Restores])
def test_a_program_that_does_more_than_compute_is_refused(
    kind: type[nn.Module], tmp_path: Path, nothing_created: Path
) -> None:
    with pytest.raises(UnsupportedCheckpointError, match="isn't run"):
        load(scripted(tmp_path / "net.pt", kind()))


def rewritten(path: Path, change: Callable[[str], str]) -> Path:
    """The TorchScript archive with its network's code changed, as an attacker would."""
    target = path.with_name("changed.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".py"):
                content = change(content.decode()).encode()
            archive.writestr(name, content)
    return target


@pytest.mark.parametrize(
    "statement",
    [
        'torch.save(x, "stolen.pt")',
        'torch . \\\n  save(x, "stolen.pt")',
        'a = torch\n    a.save(x, "stolen.pt")',
        'getattr(torch, "sa" "ve")(x, "stolen.pt")',
        'getattr(torch, "\\x73ave")(x, "stolen.pt")',
        "b = ops\n    b.aten.seed()",
        "ops.quantized.linear(x, x, 1., 0)",
        "torch.manual_seed(3)",
        "torch._print(x)",
    ],
)
def test_no_spelling_hides_an_operator(statement: str, tmp_path: Path, nothing_created: Path) -> None:
    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    path = scripted(tmp_path / "net.pt", Flat())
    hostile = rewritten(path, lambda code: code.replace("    return ", f"    {statement}\n    return ", 1))
    with pytest.raises(UnsupportedCheckpointError, match="isn't run|can't be read"):
        load(hostile)


def test_names_in_an_onnx_file_never_become_code(tmp_path: Path, nothing_created: Path) -> None:
    prefix = "\"); open('PWNED', 'w'); (\""
    path = onnx_file(tmp_path / "net.onnx", embedder(), prefix=prefix)
    assert load(path).embed(faces()).shape == (2, 8)


def test_an_onnx_file_in_several_parts_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = onnx_file(tmp_path / "net.onnx", embedder())
    model = onnx.load(str(path))
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedCheckpointError, match="one file"):
        load(path)


class Pooled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))[:, :, None]


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(-x.flatten(1).square())


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(x.shape[0], 8)


class OtherSize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 3 * 50 * 50)


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Pooled, r"\(1, 3, 1\)"), (Broken, "finite"), (Constant, "depend on"), (OtherSize, "112x112")],
)
def test_a_network_that_is_no_embedder_is_refused(kind: type[nn.Module], said: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedCheckpointError, match=said) as error:
        load(scripted(tmp_path / "net.pt", kind()))
    assert "\n" not in str(error.value) and "net.pt" in str(error.value)


@pytest.mark.parametrize("name", ["scripted.pt", "net.onnx"])
def test_damaged_files_give_one_clear_error(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path / name, embedder())
    whole = path.read_bytes()
    for content in (b"", b"<html>not found</html>", whole[: len(whole) // 2], bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(ChunkyError) as error:
            load(path)
        assert "\n" not in str(error.value) and name in str(error.value)


def test_missing_and_unknown_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="L2, L1, MS-SSIM"):
        load(tmp_path / "arcface.onnx")
    with pytest.raises(InvalidInputError, match=r"\.onnx"):
        load("arcface")


def test_a_missing_onnx2torch_is_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "onnx2torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    (tmp_path / "net.onnx").write_bytes(b"x")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingWeightsError, match="pip install onnx2torch"):
        load(tmp_path / "net.onnx")
