"""What to say of PyTorch files where a whole network is wanted. None is opened: they are programs, or weights alone."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints.containers.archive import Archive
from ..checkpoints.containers.content import open_content
from ..checkpoints.containers.mapped_file import mapped, naming
from ..checkpoints.containers.unsupported_files import is_onnx
from ..errors import ChunkyError, UnsupportedCheckpointError
from .onnx.checks import BEST_OPSET


def refused(path: Path) -> UnsupportedCheckpointError:
    """The error for a .pt or .pth file: what it is, and how to make an ONNX file of it."""
    target = path.with_suffix(".onnx").name
    if is_onnx_file(path):
        return renamed_onnx(path)
    if is_torchscript(path):
        line = export_line(f"torch.jit.load({path.name!r}, 'cpu')", target)
        return UnsupportedCheckpointError(
            f"{path.name} is TorchScript, which is a program and isn't opened; where you trust it, export it to ONNX: "
            f"{line}, and put {target} into {path.parent}"
        )
    try:
        with open_content(path):
            pass
    except UnsupportedCheckpointError as error:
        found = str(error).removeprefix(f"{path.name}: ").partition(";")[0]
        return UnsupportedCheckpointError(
            f"{path.name} can't be used as a network: {found}; expected an ONNX file (.onnx): export one from the "
            f"network's own code, and put it into {path.parent}"
        )
    return UnsupportedCheckpointError(
        f"{path.name} holds weights without the network that they belong to; build the network by its own code, load "
        f"the weights, export it to ONNX: {export_line('model.eval()', target)}, and put {target} into {path.parent}"
    )


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive by torch.jit.save, by its members' names alone."""
    try:
        with mapped(path) as data, naming(path):
            names = list(Archive(data).members)
    except ChunkyError:
        return False
    return any(
        name.endswith("/constants.pkl") or "/code/" in name or name.endswith("/model.json") for name in names
    )


def is_onnx_file(path: Path) -> bool:
    """Whether a file is an ONNX model by its contents."""
    try:
        with mapped(path) as data:
            return is_onnx(data)
    except ChunkyError:
        return False


def renamed_onnx(path: Path) -> UnsupportedCheckpointError:
    """The error for an ONNX model whose name ends otherwise."""
    return UnsupportedCheckpointError(
        f"{path.name} is an ONNX file by its contents; rename it to {path.with_suffix('.onnx').name}"
    )


def export_line(network: str, target: str) -> str:
    """A line of Python that works with every PyTorch since 2.5 and needs no package but onnx."""
    return (
        f"torch.onnx.export({network}, torch.zeros(1, 3, 112, 112), {target!r}, opset_version={BEST_OPSET}, "
        "dynamo=False)"
    )
