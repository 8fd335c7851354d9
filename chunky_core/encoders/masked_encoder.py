"""The masked encoder of P1 2.1 (Futschik et al. 2021): a photo and the mask of a segment in, the segment's code out.

File: .safetensors with metadata "format" = "chunkygan-encoder", "version", "fingerprint" of the generator, "space" and
the sizes of `MaskedSizes`; see docs/encoders.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.checkpoint import as_tensor
from ..checkpoints.containers.content import Content, open_content
from ..checks import as_file, check_type
from ..errors import InvalidInputError, UnsupportedCheckpointError, WrongGeneratorError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..generator.statistics import draw_codes
from ..saving import save_tensors
from .inputs import check_inputs
from .masked_network import MaskedNetwork, MaskedSizes, masked_input

FORMAT, VERSION = "chunkygan-encoder", "1"
EXPECTED = f"a masked encoder, a .safetensors file of format {FORMAT!r}"
SPACES = ("w+", "w")
DEMO_FILE = Path(__file__).parents[1] / "demo" / "assets" / "encoder.safetensors"
_SAMPLES = 10_000  # of w, for its mean and deviations
_LEAST = 1e-4  # of the largest variance: directions along which w hardly moves are not blown up
_NETWORK = "network."
_AT_ONCE = 16  # photos


@dataclass(frozen=True, eq=False)
class Whitening:
    """Codes in W measured from their mean, in deviations along their principal axes.

    mean: [w_dim]; axes: [w_dim,w_dim], a column for each axis, of length 1; deviations: [w_dim] along them.
    """

    mean: Tensor
    axes: Tensor
    deviations: Tensor

    def whitened(self, ws: Tensor) -> Tensor:
        """ws [...,w_dim] -> numbers of about normal distribution [...,w_dim]."""
        return (ws - self.mean) @ self.axes / self.deviations

    def codes(self, numbers: Tensor) -> Tensor:
        """The way back."""
        return self.mean + (numbers * self.deviations) @ self.axes.T

    def to(self, device: torch.device | str) -> Whitening:
        return Whitening(self.mean.to(device), self.axes.to(device), self.deviations.to(device))


def measure_whitening(generator: Generator, seed: int = 0) -> Whitening:
    """That of `_SAMPLES` seeded codes, in float32 on the CPU."""
    w = draw_codes(generator, _SAMPLES, seed)[1].double().cpu()
    variances, axes = torch.linalg.eigh(torch.cov(w.T))
    floor = _LEAST * variances.max()
    contiguous = axes.float().contiguous()  # as out of a file, or products would differ in the last bit
    return Whitening(w.mean(0).float(), contiguous, variances.clamp(min=floor).sqrt().float())


@dataclass(frozen=True, eq=False)
class MaskedEncoder:
    """A network that finds the code of what a mask shows of a photo, for the generator it was trained with.

    space: "w+" or "w"; fingerprint: of the generator; network: frozen, in evaluation mode.
    """

    network: MaskedNetwork
    whitening: Whitening
    fingerprint: str
    space: str = "w+"
    name: str = "masked encoder"
    takes_masks: bool = True

    @property
    def size(self) -> int:
        """Pixels of each side of what the network sees; photos of any size are brought to it."""
        return self.network.sizes.size

    @torch.no_grad()
    def encode(self, generator: Generator, photo: Tensor, masks: Tensor | None = None) -> LatentCode:
        """The codes of what each mask shows: w+ [B,num_ws,w_dim], or w [B,w_dim], on the generator's device.

        photo: [B,3,H,W] in [-1,1]; masks: [B,1,H,W] in [0,1], 1 = what the code is to show, None = everything; one
        photo goes with many masks, one mask with many photos. Pixels where a mask is 0 don't count.
        Raises WrongGeneratorError, and InvalidInputError for wrong shapes, numbers out of range and empty masks.
        """
        count = check_inputs(generator, photo, masks)
        self._check(generator)
        if masks is None:
            masks = torch.ones(1, 1, *photo.shape[-2:])
        device = generator.device
        whole = photo.to(device, torch.float32).expand(count, -1, -1, -1)
        parts = masks.to(device, torch.float32).expand(count, -1, -1, -1)
        network, whitening = self.network.to(device), self.whitening.to(device)
        numbers = [
            network(masked_input(some, mask, self.size))
            for some, mask in zip(whole.split(_AT_ONCE), parts.split(_AT_ONCE), strict=True)
        ]
        ws = whitening.codes(torch.cat(numbers))
        return LatentCode("w+", ws) if self.space == "w+" else LatentCode("w", ws[:, 0])

    def _check(self, generator: Generator) -> None:
        check_type(generator, "the generator", Generator, "load_generator reads one")
        if generator.fingerprint != self.fingerprint:
            raise WrongGeneratorError(
                f"this encoder was trained with generator {self.fingerprint[:12]}, the one given is "
                f"{generator.fingerprint[:12]}; load the generator it was trained with, or train one for this"
            )


def save_masked_encoder(
    encoder: MaskedEncoder, path: str | os.PathLike[str], dtype: torch.dtype = torch.float16
) -> None:
    """Writes the encoder, its network's weights in `dtype`. Raises SaveError."""
    check_type(encoder, "the encoder", MaskedEncoder, "train_masked_encoder makes one")
    path = as_file(path, "the encoder's file")
    state = encoder.network.state_dict()
    tensors = {f"{_NETWORK}{name}": tensor.detach().to("cpu", dtype) for name, tensor in state.items()}
    whitening = encoder.whitening
    tensors |= {
        name: getattr(whitening, name).detach().cpu().float() for name in ("mean", "axes", "deviations")
    }
    save_tensors({name: tensor.contiguous() for name, tensor in tensors.items()}, path, _header(encoder))


def load_masked_encoder(path: str | os.PathLike[str], *, generator: Generator | None = None) -> MaskedEncoder:
    """The encoder of a file, or "demo", the demo generator's; in float32 on the CPU, or on the generator's device.

    Raises MissingWeightsError, UnsupportedCheckpointError where it is something else or damaged, and
    WrongGeneratorError where it was trained with another generator than the one given.
    """
    file = DEMO_FILE if path == "demo" else as_file(path, "the encoder's file")
    try:
        with torch.inference_mode(False), open_content(file, expected=EXPECTED) as content:
            encoder = read_masked_encoder(content)
    except (InvalidInputError, UnsupportedCheckpointError) as error:
        found = str(error).removeprefix(f"{file.name}: ").partition(";")[0]
        raise UnsupportedCheckpointError(
            f"{file.name} is no masked encoder: {found}; expected a .safetensors file of format {FORMAT!r}"
        ) from error
    if generator is not None:
        encoder._check(generator)
        encoder.network.to(generator.device)
    return encoder


def is_masked_encoder(content: Content) -> bool:
    """Whether an open file says of itself that it is a masked encoder."""
    return content.container == "safetensors" and content.metadata.get("format") == FORMAT


def read_masked_encoder(content: Content) -> MaskedEncoder:
    """The encoder in an open file. Raises InvalidInputError where it is damaged."""
    if not is_masked_encoder(content):
        raise InvalidInputError(f"its format is {content.metadata.get('format')!r:.40}")
    header = content.metadata
    space, version = header.get("space", ""), header.get("version")
    if version != VERSION or space not in SPACES:
        raise InvalidInputError(
            f"its version is {version!r:.20} and its space {space!r:.20}, this program reads version {VERSION}, "
            f"{' or '.join(SPACES)}"
        )
    sizes = _sizes(header)
    with torch.device("meta"):
        network = MaskedNetwork(sizes)
    square = {"mean": (sizes.w_dim,), "axes": (sizes.w_dim, sizes.w_dim), "deviations": (sizes.w_dim,)}
    expected = {f"{_NETWORK}{name}": tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    _compare({name: ref.size for name, ref in content.value.items()}, expected | square)
    tensors = {name: as_tensor(name, ref).to(torch.float32, copy=True) for name, ref in content.value.items()}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise InvalidInputError(f"its tensor {name} has numbers that are not finite")
    whitening = Whitening(*(tensors.pop(name) for name in square))
    network.load_state_dict(
        {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items()}, assign=True
    )
    return MaskedEncoder(network.requires_grad_(False).eval(), whitening, header["fingerprint"], space)


def _compare(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise InvalidInputError(
                f"its tensor {name[:80]} is {found.get(name)}, its header says {expected.get(name)}"
            )


def _header(encoder: MaskedEncoder) -> dict[str, str]:
    sizes = encoder.network.sizes
    numbers = {name: str(getattr(sizes, name)) for name in ("layers", "w_dim", "size", "hidden")}
    channels = ",".join(str(width) for width in sizes.channels)
    said = {"format": FORMAT, "version": VERSION, "fingerprint": encoder.fingerprint, "space": encoder.space}
    return said | numbers | {"channels": channels}


def _sizes(header: Mapping[str, str]) -> MaskedSizes:
    fingerprint = header.get("fingerprint", "")
    if not (len(fingerprint) == 64 and all(letter in "0123456789abcdef" for letter in fingerprint)):
        raise InvalidInputError(f"its fingerprint is {fingerprint!r:.80}")
    numbers = {name: _number(header.get(name, "")) for name in ("layers", "w_dim", "size", "hidden")}
    channels = tuple(_number(text) for text in header.get("channels", "").split(","))
    return MaskedSizes(channels=channels, **numbers)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidInputError(f"its header has {text[:20]!r} where a whole number is due")
    return int(text)
