"""What would load as another network than it is: classes whose embedding is missing."""

from __future__ import annotations

from ..errors import UnsupportedCheckpointError
from .checkpoint import PartialCheckpoint

_Z_LIKE_W = ("rosinality", "PaddleGAN", "BasicSR", "GFPGAN", "mmagic")  # tools whose z is as wide as w


def check_supported(partial: PartialCheckpoint, size_of_z_is_known: bool) -> None:
    """Raises UnsupportedCheckpointError for a conditional generator without its embedding.

    size_of_z_is_known: whether the file says how many numbers z has, so that more of them can't be a class.
    """
    if not size_of_z_is_known:
        _check_embedding(partial)


def _check_embedding(partial: PartialCheckpoint) -> None:
    first = partial.state.get("mapping.fc0.weight")
    if first is None or first.ndim != 2 or "mapping.embed.weight" in partial.state:
        return
    width, inputs = first.shape
    stated, classes = partial.config_hints.get("z_dim"), partial.config_hints.get("c_dim")
    conditional = type(classes) is int and classes > 0
    if type(stated) is int and stated > 0:
        conditional |= inputs != stated
    elif inputs > width:
        rosinality = partial.format.startswith(_Z_LIKE_W)
        conditional |= inputs >= 2 * width if rosinality else inputs == 2 * width
        partial.notes.append(f"z has {inputs} numbers, w {width}; a class's embedding may be missing")
    if conditional:
        raise UnsupportedCheckpointError(
            f"its mapping network takes {inputs} numbers where w has {width}: z and a class side by side, but the "
            "classes' embedding (mapping.embed) is missing; save the conditional network as a whole, "
            "e.g. NVlabs' .pkl as it is"
        )
