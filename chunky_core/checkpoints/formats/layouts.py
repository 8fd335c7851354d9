"""The tools' ways to name a generator's tensors, told apart by one name that each has and no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..checkpoint import PartialCheckpoint, Weights
from . import basicsr, genforce, mmagic, nvlabs, rosinality, stylegan_xl

# A name that tells a tool's generator, and those of which a generator with all its tensors has one
STARTS = {
    "mapping.fc0.weight": ("synthesis.b4.const", "synthesis.input.freqs"),  # NVlabs
    "style.1.weight": ("input.input",),  # rosinality, PaddleGAN
    "style_mlp.1.weight": ("constant_input.weight",),  # BasicSR
    "style_mapping.1.linear.weight_orig": ("constant_input.input",),  # mmagic
    "mapping.dense0.weight": ("synthesis.early_layer.const",),  # GenForce
}
_READERS = {
    "style.1.weight": rosinality.partial_checkpoint,
    "style_mlp.1.weight": basicsr.partial_checkpoint,
    "style_mapping.1.linear.weight_orig": mmagic.partial_checkpoint,
}


def partial_checkpoint(
    weights: Weights, modules: nvlabs.Modules, around: Iterable[Mapping[Any, Any]]
) -> PartialCheckpoint:
    """A partial checkpoint from a generator's weights under their tool's names.

    modules: of a whole object, empty for a state dict; around: the dicts that the weights lie in.
    Raises UnsupportedCheckpointError for names that the tool's generator does not have.
    """
    if "mapping.dense0.weight" in weights:
        return genforce.partial_checkpoint(weights)
    for name, read in _READERS.items():
        if name in weights:
            return read(weights, around)
    partial = nvlabs.partial_checkpoint(weights, modules)
    if stylegan_xl.is_stylegan_xl(partial.state):
        stylegan_xl.adapt(partial)
    return partial
