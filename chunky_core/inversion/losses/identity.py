"""Embeddings of a person's identity, by the demo domain's own network or by a file in TorchScript or ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from .onnx_files import load_onnx
from .perceptual import load_own_network
from .resize import Size, resize, seen_size
from .torchscript_files import load_torchscript

DEMO_FILE = Path(__file__).parents[2] / "demo" / "assets" / "identity.safetensors"
ARCFACE_SIZE: Size = (112, 112)
_LARGEST_EMBEDDING = 1 << 16
_FAULTS = (RuntimeError, LookupError, TypeError, ValueError)  # what running a network on a wrong input raises


class IdentityNetwork(Protocol):
    """A network whose embeddings of pictures of one person point the same way."""

    def embed(self, images: Tensor) -> Tensor:
        """images [B,3,h,w] in [-1,1], RGB, whole portraits -> [B,D] of length 1, differentiable."""


def load_identity_network(
    net: str, device: torch.device | str = "cpu", *, channels: str = "rgb"
) -> IdentityNetwork:
    """`net`: "demo", or the path of a file: .onnx, .pt (TorchScript) or .safetensors (a feature network).

    channels: "rgb" or "bgr", the order that a TorchScript or ONNX network wants. Raises InvalidInputError for
    another name, MissingWeightsError if a file or a package is absent, UnsupportedCheckpointError if a file is
    damaged, refused, or no embedder.
    """
    path = Path(net)
    if net == "demo":
        return _Own(DEMO_FILE, device)
    loader = {".onnx": load_onnx, ".pt": load_torchscript, ".pth": load_torchscript}.get(path.suffix.lower())
    if loader is None and path.suffix.lower() != ".safetensors":
        raise InvalidInputError(
            f'identity network {net!r} is unknown; choose "demo" or the path of a TorchScript (.pt) or ONNX '
            "(.onnx) file"
        )
    if not path.is_file():
        raise MissingWeightsError(
            f"there is no identity network {path.name} in {path.parent}; put the file there, or use the "
            "losses that need none: L2, L1, MS-SSIM"
        )
    if loader is None:
        return _Own(path, device)
    network, size = loader(path, torch.device(device))
    return _Embedder(network, size or ARCFACE_SIZE, channels, path.name, torch.device(device))


class _Own:
    """A feature network file."""

    def __init__(self, path: Path, device: torch.device | str) -> None:
        self.network = load_own_network(path, "identity", device)

    def embed(self, images: Tensor) -> Tensor:
        """See IdentityNetwork."""
        smallest = self.network.smallest_side
        seen = resize(images.float(), seen_size((images.shape[-2], images.shape[-1]), 0, smallest))
        return F.normalize(self.network.embed(seen), dim=1)


class _Embedder:
    """Any function of pictures with ArcFace's preprocessing (Deng et al. 2019): 112x112, values in [-1,1]."""

    def __init__(
        self, network: Callable[[Tensor], Tensor], size: Size, channels: str, name: str, device: torch.device
    ) -> None:
        self.network, self.size, self.reverse = network, size, channels == "bgr"
        self._try(name, device)

    def embed(self, images: Tensor) -> Tensor:
        """See IdentityNetwork."""
        pictures = resize(images.float(), self.size)
        ordered = pictures.flip(1) if self.reverse else pictures
        # One by one: many an exported network holds the batch size that it was exported with.
        vectors = [self.network(picture[None]) for picture in ordered]
        return F.normalize(torch.cat(vectors).float(), dim=1)

    def _try(self, name: str, device: torch.device) -> None:
        """Raises UnsupportedCheckpointError unless a picture gives one finite vector and a gradient."""
        height, width = self.size
        ramp = torch.linspace(-1, 1, 3 * height * width, device=device).view(1, 3, height, width)
        slope = None
        try:
            with torch.enable_grad():
                picture = ramp.requires_grad_()
                vector = self.network(picture)
                _check_shape(name, vector)
                if vector.requires_grad:
                    (slope,) = torch.autograd.grad(vector.float().square().sum(), picture, allow_unused=True)
        except _FAULTS as error:
            if isinstance(error, UnsupportedCheckpointError):
                raise
            reason = str(error).strip().rpartition("\n")[2][:200]
            raise UnsupportedCheckpointError(
                f"{name} doesn't take a picture of {width}x{height}: {reason}; "
                "expected a network of float32 [B,3,h,w] pictures"
            ) from error
        if slope is None or not vector.isfinite().all() or not slope.isfinite().all():
            raise UnsupportedCheckpointError(
                f"{name} gives numbers that aren't finite or don't depend on the picture; get a fresh copy of it"
            )


def _check_shape(name: str, vector: object) -> None:
    found = tuple(vector.shape) if isinstance(vector, Tensor) else type(vector).__name__
    if (
        not isinstance(found, tuple)
        or len(found) != 2
        or found[0] != 1
        or not 1 < found[1] <= _LARGEST_EMBEDDING
    ):
        raise UnsupportedCheckpointError(
            f"{name} gives {found} for one picture; expected an embedding, (1, numbers)"
        )
