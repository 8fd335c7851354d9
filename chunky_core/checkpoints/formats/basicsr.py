"""BasicSR's StyleGAN2 and its bilinear twin of GFPGAN: names -> rosinality's names (whose mathematics it is).

StyleGAN2Generator (basicsr.archs.stylegan2_arch) and StyleGAN2GeneratorBilinear (GFPGAN) have the same names and
shapes; one doubles by StyleGAN2's filter, the other bilinearly. Nothing in a file tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import UnsupportedCheckpointError
from ...generator.settings import BILINEAR, FIR
from ..checkpoint import PartialCheckpoint, Weights
from . import rosinality

FORMAT = "BasicSR StyleGAN2"
OF_TWINS = (
    "taken for BasicSR's own StyleGAN2 (upsampling fir), though GFPGAN's bilinear twin has the same names and shapes: "
    "where pictures look wrong, choose upsampling bilinear"
)
_RENAMED = (
    (r"style_mlp\.(\d{1,3}\.(?:weight|bias))", r"style.\1"),
    (r"constant_input\.weight", "input.input"),
    (r"noises\.noise(\d{1,3})", r"noises.noise_\1"),
    (r"style_conv1\.(.+)", r"conv1.\1"),
    (r"style_convs\.(\d{1,3}\..+)", r"convs.\1"),
    (r"(to_rgb1|to_rgbs\.\d{1,3})\.(.+)", r"\1.\2"),
)
_PARTS = {"weight": "noise.weight"}  # of a styled convolution: what stands beside its modulated one


def partial_checkpoint(weights: Weights, around: Iterable[Mapping[Any, Any]] = ()) -> PartialCheckpoint:
    """A partial checkpoint from a generator's weights under BasicSR's names; `choose_upsampling` says which twin.

    around: the dicts that they lie in.
    Raises UnsupportedCheckpointError for a name that such a generator does not have.
    """
    partial = rosinality.partial_checkpoint(
        {_renamed(name): value for name, value in weights.items()}, around
    )
    partial.format = FORMAT
    return partial


def choose_upsampling(partial: PartialCheckpoint, asked: str | None) -> None:
    """Makes a generator the twin that was asked for; where nobody said, it is BasicSR's, with a note.

    asked: FIR, BILINEAR or None.
    Raises UnsupportedCheckpointError where the file is of a kind that has no twin and doubles in the other way.
    """
    if not partial.format.startswith(FORMAT):
        found = partial.config_hints.get("upsampling", FIR)
        if asked not in (None, found):
            raise UnsupportedCheckpointError(
                f"upsampling {asked} was asked for, but this file ({partial.format}) holds a generator whose "
                f"upsampling is {found}; leave the choice to the file"
            )
        return
    if asked is None:
        partial.notes.append(OF_TWINS)
    if asked == BILINEAR:
        partial.format = partial.format.replace(FORMAT, "GFPGAN bilinear StyleGAN2")
        partial.config_hints["upsampling"] = BILINEAR


def is_of_twins(metadata: Mapping[str, str]) -> bool:
    """Whether a generator was taken for one of two networks because nobody said which it is."""
    return metadata.get("format", "").startswith(FORMAT) and OF_TWINS in metadata.get("notes", "")


def _renamed(name: str) -> str:
    for pattern, target in _RENAMED:
        match = re.fullmatch(pattern, name)
        if match:
            return _inner(match.expand(target))
    raise UnsupportedCheckpointError(
        f"the tensor {name[:80]} does not belong to a generator of BasicSR's stylegan2_arch"
    )


def _inner(name: str) -> str:
    """The parts of a layer: "conv1.weight" is its noise's strength, "conv1.modulated_conv.weight" its kernel."""
    head, _, part = name.rpartition(".")
    if re.fullmatch(r"conv1|convs\.\d{1,3}", head):
        return f"{head}.{_PARTS.get(part, part)}"
    return name.replace(".modulated_conv.", ".conv.")
