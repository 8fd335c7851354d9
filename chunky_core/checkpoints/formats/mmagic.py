"""StyleGAN2 of mmagic and mmgeneration (StyleGANv2Generator): names -> rosinality's names; its pictures are BGR.

Its data pipelines keep OpenCV's order of colors and its configurations give metrics bgr2rgb=True, so the RGB layers'
outputs are exchanged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import UnsupportedCheckpointError
from ..checkpoint import PartialCheckpoint, Weights
from . import rosinality

_RENAMED = (
    (r"style_mapping\.(\d{1,3})\.linear\.weight_orig", r"style.\1.weight"),
    (r"style_mapping\.(\d{1,3})\.bias", r"style.\1.bias"),
    (r"injected_noise_(\d{1,3})", r"noises.noise_\1"),
    (r"constant_input\.input", "input.input"),
    (r"(.+)\.conv\.weight_orig", r"\1.conv.weight"),
    (r"(.+)\.conv\.style_modulation\.linear\.weight_orig", r"\1.conv.modulation.weight"),
    (r"(.+)\.conv\.style_modulation\.bias", r"\1.conv.modulation.bias"),
    (r"(.+)\.noise_injector\.weight", r"\1.noise.weight"),
    (r"((?:conv1|convs\.\d{1,3})\.(?:activate\.bias|conv\.blur\.kernel))", r"\1"),
    (r"((?:to_rgb1|to_rgbs\.\d{1,3})\.(?:bias|upsample\.kernel))", r"\1"),
)


def partial_checkpoint(weights: Weights, around: Iterable[Mapping[Any, Any]] = ()) -> PartialCheckpoint:
    """A partial checkpoint from a generator's weights under mmagic's names; it draws RGB.

    around: the dicts that they lie in.
    Raises UnsupportedCheckpointError for a name that such a generator does not have.
    """
    partial = rosinality.partial_checkpoint(
        {_renamed(name): value for name, value in weights.items()}, around
    )
    partial.format = "mmagic StyleGAN2"
    for name, tensor in partial.state.items():
        if re.fullmatch(r"synthesis\.b\d+\.torgb\.(weight|bias)", name):
            partial.state[name] = tensor.flip(0)
    partial.notes.append("its pictures are BGR, as mmagic trains; their channels are exchanged to RGB")
    return partial


def _renamed(name: str) -> str:
    for pattern, target in _RENAMED:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(target)
    raise UnsupportedCheckpointError(
        f"the tensor {name[:80]} does not belong to a StyleGAN2 generator of mmagic (mmgeneration)"
    )
