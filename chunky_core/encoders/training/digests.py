"""What a training was given besides its settings, by SHA-256: an interrupted one goes on with the same alone."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping

from torch import nn

from ...errors import InvalidInputError
from ...generator.generator import weights_fingerprint
from ...losses.perceptual import PerceptualNetwork
from .pictures import PhotoExamples

DIGESTS = {"photos": "photos", "perceptual": "a perceptual network"}  # name -> what it is of


def digests_of(examples: PhotoExamples | None, perceptual: PerceptualNetwork | None) -> dict[str, str]:
    """SHA-256 (hex) of the photos with their label maps and of the network's weights, by name; "" = none were given."""
    return {
        "photos": "" if examples is None else _of_photos(examples),
        "perceptual": "" if perceptual is None else _of_network(perceptual),
    }


def check_same_digests(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise InvalidInputError where what was given differs; warn where that isn't known, as of states of old."""
    if not before:
        warnings.warn(
            "the state of the training doesn't say with which photos and perceptual network it was begun; give the "
            "same as then",
            stacklevel=3,
        )
    for name, what in DIGESTS.items():
        if before.get(name, now[name]) != now[name]:
            begun, given = (f"with {what}" if one else f"without {what}" for one in (before[name], now[name]))
            raise InvalidInputError(
                f"the training was begun {begun}, it was to go on {'with others' if begun == given else given}; go "
                "on with the same (only steps may differ), or begin a new training"
            )


def _of_photos(examples: PhotoExamples) -> str:
    digest = hashlib.sha256()
    for part in (examples.images, examples.labels):
        if part is not None:
            values = part.cpu().contiguous()
            digest.update(f"{values.dtype}{tuple(values.shape)}".encode())
            digest.update(values.numpy().data)
    return digest.hexdigest()


def _of_network(network: PerceptualNetwork) -> str:
    """Of its class and of the weights in all modules that it holds, or whose method it calls."""
    digest = hashlib.sha256(type(network).__name__.encode())
    held = (network, *getattr(network, "__dict__", {}).values())
    for module in (getattr(one, "__self__", one) for one in held):
        if isinstance(module, nn.Module):
            digest.update(weights_fingerprint(module.state_dict()).encode())
    return digest.hexdigest()
