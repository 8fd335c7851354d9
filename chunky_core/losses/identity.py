"""Embeddings of a person's identity, by the demo domain's own network, a file of such a network, or an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from .face_frame import ARCFACE_SIZE, Points, align_to_template, arcface_frame
from .onnx.files import load_onnx
from .perceptual import load_own_network
from .pytorch_files import is_onnx_file, refused, renamed_onnx
from .resize import Size, input_size, resize
from .trial_run import try_network

DEMO_FILE = Path(__file__).parents[1] / "demo" / "assets" / "identity.safetensors"
ENDINGS = (".onnx", ".safetensors")
PYTORCH_ENDINGS = (".pt", ".pth", ".pt2", ".ckpt", ".bin")
_LARGEST_EMBEDDING = 1 << 16


class IdentityNetwork(Protocol):
    """A network whose embeddings of pictures of one person point the same way."""

    def embed(self, images: Tensor) -> Tensor:
        """images [B,3,h,w] in [-1,1], RGB, whole portraits as FFHQ frames them -> [B,D] of length 1, differentiable."""


def load_identity_network(
    net: str, device: torch.device | str = "cpu", *, channels: str = "rgb"
) -> IdentityNetwork:
    """`net`: "demo", or the path of a file: .onnx, or .safetensors (a feature network).

    channels: "rgb" or "bgr", the order that an ONNX network wants. Raises InvalidInputError for another name,
    MissingWeightsError if a file or a package is absent, UnsupportedCheckpointError if a file is damaged, refused
    (PyTorch's .pt and .pth among them, which hold a program or weights without a network), or no embedder.
    """
    if net == "demo":
        return _Own(DEMO_FILE, device)
    path = checked_identity_file(net)
    if path.suffix.lower() == ".safetensors":
        return _Own(path, device)
    network = load_onnx(path, torch.device(device), ARCFACE_SIZE)
    return FaceEmbedder(network.run, network.size or ARCFACE_SIZE, channels, path.name, torch.device(device))


def checked_identity_file(net: str) -> Path:
    """The file of an identity network, looked at from outside only: quick, to be called before any work begins.

    Raises as `load_identity_network` does for another name, a missing file and one of PyTorch's.
    """
    path = Path(net)
    ending = path.suffix.lower()
    if ending not in (*ENDINGS, *PYTORCH_ENDINGS):
        raise InvalidInputError(
            f'identity network {net!r} is unknown; choose "demo" or the path of an ONNX (.onnx) or a feature network '
            "(.safetensors) file"
        )
    if not path.is_file():
        raise MissingWeightsError(
            f"there is no identity network {path.name} in {path.parent}; put the file there, or use the "
            "losses that need none: L2, L1, MS-SSIM"
        )
    if ending in PYTORCH_ENDINGS:
        raise refused(path)
    if ending != ".onnx" and is_onnx_file(path):
        raise renamed_onnx(path)
    return path


class _Own:
    """A feature network file."""

    def __init__(self, path: Path, device: torch.device | str) -> None:
        self.network = load_own_network(path, "identity", device)
        side = self.network.sizes.side
        run = self.network.embed
        try_network(
            path.name, lambda picture: [run(picture)], (side, side), torch.device(device), _check_shape
        )

    def embed(self, images: Tensor) -> Tensor:
        """See IdentityNetwork."""
        smallest = self.network.smallest_side
        seen = resize(images.float(), input_size((images.shape[-2], images.shape[-1]), 0, smallest))
        return F.normalize(self.network.embed(seen), dim=1)


class FaceEmbedder:
    """Any function of pictures with ArcFace's preprocessing (Deng et al. 2019): 112x112, values in [-1,1].

    A network of 112x112 sees ArcFace's frame out of each square picture, networks of other sizes the whole picture.
    """

    def __init__(
        self, network: Callable[[Tensor], Tensor], size: Size, channels: str, name: str, device: torch.device
    ) -> None:
        self.network, self.size, self.reverse = network, size, channels == "bgr"
        try_network(name, lambda picture: [network(picture)], size, device, _check_shape)

    def embed(self, images: Tensor) -> Tensor:
        """See IdentityNetwork."""
        is_framed = self.size == ARCFACE_SIZE and images.shape[-2] == images.shape[-1]
        return self._vectors((arcface_frame if is_framed else resize)(images.float(), self.size))

    def embed_at(self, images: Tensor, points: Points) -> Tensor:
        """Of faces anywhere in pictures [B,3,h,w] in [-1,1], by their points, see `align_to_template`."""
        return self._vectors(align_to_template(images.float(), points, self.size))

    def _vectors(self, pictures: Tensor) -> Tensor:
        ordered = pictures.flip(1) if self.reverse else pictures
        # One by one: many an exported network holds the batch size that it was exported with.
        vectors = [self.network(picture[None]) for picture in ordered]
        return F.normalize(torch.cat(vectors).float(), dim=1)


def _check_shape(name: str, vectors: Sequence[object]) -> None:
    vector = vectors[0]
    found = tuple(vector.shape) if isinstance(vector, Tensor) else type(vector).__name__
    right = (
        isinstance(found, tuple) and len(found) == 2 and found[0] == 1 and 1 < found[1] <= _LARGEST_EMBEDDING
    )
    if not right:
        raise UnsupportedCheckpointError(
            f"{name} gives {found} for one picture; expected an embedding, (1, numbers)"
        )
