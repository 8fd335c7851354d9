"""What all encoders have in common, and how one of any kind is opened."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ..checkpoints import read_checkpoint
from ..checkpoints.containers.content import Content, open_content
from ..checks import as_path
from ..errors import InvalidInputError, UnsupportedCheckpointError
from ..generator.generator import Generator, weights_fingerprint
from ..generator.spaces import LatentCode
from .masked_encoder import EXPECTED, is_masked_encoder, load_masked_encoder
from .style_encoder import StyleEncoder, has_decoder, read_style_encoder

_EXPECTED = f"{EXPECTED}, or a checkpoint of e4e, pSp or ReStyle"


class Encoder(Protocol):
    """A network that names the code of a photo, or of what a mask shows of it.

    network: lies where it was used last; name: for people; space: "w+" or "w"; size: pixels of each side of what it
    sees, to which photos are brought;
    fingerprint: of its generator, None where that isn't known; takes_masks: whether masks count.
    """

    @property
    def network(self) -> nn.Module: ...
    @property
    def name(self) -> str: ...
    @property
    def space(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def fingerprint(self) -> str | None: ...
    @property
    def takes_masks(self) -> bool: ...

    def encode(self, generator: Generator, photo: Tensor, masks: Tensor | None = None) -> LatentCode:
        """photo [B,3,H,W] in [-1,1], masks [B,1,H,W] in [0,1] or None -> codes w+ [B,num_ws,w_dim] or w [B,w_dim]."""


def check_encoder(encoder: object) -> None:
    """Raise InvalidInputError for what is no `Encoder`."""
    if not callable(getattr(encoder, "encode", None)) or not hasattr(encoder, "takes_masks"):
        raise InvalidInputError(
            f"the encoder is of type {type(encoder).__name__}; expected what load_encoder opens"
        )


def load_encoder(path: str | os.PathLike[str], *, generator: Generator | None = None) -> Encoder:
    """Opens an encoder, told apart by content: "demo" or a masked encoder's file, or e4e's, pSp's and ReStyle's
    checkpoints. Nothing stored in a file is executed.

    generator: the one it is to serve, to whose device it goes. A warning where the file has a decoder that can't be
    read: then any generator with as many styles of the same width is taken.
    Raises MissingWeightsError, UnsupportedCheckpointError where it is something else or damaged, and
    WrongGeneratorError where it belongs to another generator than the one given.
    """
    if path == "demo":
        return load_masked_encoder("demo", generator=generator)
    file = as_path(path, "the encoder's file")
    with torch.inference_mode(False), open_content(file, unknown=True, expected=_EXPECTED) as content:
        masked = is_masked_encoder(content)
        if not masked:
            encoder = _style_encoder(file, content)
    if masked:
        return load_masked_encoder(file, generator=generator)
    if generator is not None:
        encoder.check(generator)
        encoder.network.to(generator.device)
    return encoder


def _style_encoder(file: Path, content: Content) -> StyleEncoder:
    try:
        encoder = read_style_encoder(content)
    except UnsupportedCheckpointError as error:
        raise UnsupportedCheckpointError(f"{file.name}: {error}") from error
    return replace(encoder, fingerprint=_decoder_fingerprint(file, content))


def _decoder_fingerprint(file: Path, content: Content) -> str | None:
    """That of the generator beside the encoder; None where the file has none, or, with a warning, a damaged one."""
    if not has_decoder(content):
        return None
    try:
        with read_checkpoint(file) as checkpoint:
            return weights_fingerprint(checkpoint.state, checkpoint.architecture)
    except UnsupportedCheckpointError as error:
        warnings.warn(
            f"the generator beside the encoder can't be read ({error}); that the encoder belongs to the generator "
            "given can't be checked, only the number and the width of its styles are",
            stacklevel=4,
        )
        return None
