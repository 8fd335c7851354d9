"""What the names of a file's entries and tensors say: wrappers around a network, averaged or raw weights, roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import UnsupportedCheckpointError
from .checkpoint import MAX_NAME, Weight, Weights
from .rebuild import TensorRef

# What torch.compile, DDP, FSDP, activation checkpointing, Lightning and DeepSpeed insert into names
WRAPPERS = frozenset(
    (
        "_orig_mod",
        "module",
        "_fsdp_wrapped_module",
        "_forward_module",
        "_original_module",
        "_checkpoint_wrapped_module",
    )
)
_AVERAGED = {"ema", "avg", "average", "averaged", "smooth", "smoothed", "swa", "shadow", "running", "gs"}
_RAW = {"online", "raw", "current"}
_OTHERS = {
    "d",
    "disc",
    "discriminator",
    "encoder",
    "loss",
    "losses",
    "criterion",
    "lpips",
    "optimizer",
    "optim",
    "augment",
}
MAX_PREFIXES = 64
_ANCHOR = re.compile(r"((?:[\w-]+\.){0,8})(?:mapping\.fc0|style\.1)\.weight")
_STARTS = ("synthesis.b4.const", "synthesis.input.freqs", "input.input")


def is_averaged(path: Iterable[str]) -> bool:
    """Whether the keys that lead to weights say that these are an average over training, e.g. "g_ema"."""
    averaged = False
    for part in path:
        words = _words(part)
        averaged = (averaged or bool(words & _AVERAGED)) and not words & _RAW
    return averaged


def _words(name: str) -> set[str]:
    """ "netG_ema" -> net, g, ema."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name[:MAX_NAME])}


def unwrapped(weights: Mapping[str, Any]) -> Weights:
    """Tensors by their names without wrappers, wherever these stand.

    Raises UnsupportedCheckpointError where two different tensors get one name so.
    """
    result: Weights = {}
    for name, value in weights.items():
        clean = without_wrappers(name)
        if clean in result and not _same(result[clean], value):
            raise UnsupportedCheckpointError(
                f"it has two tensors {clean}, with and without a wrapper's name (module. and the like) or in two; "
                "expected one; save one of the networks alone"
            )
        result[clean] = value
    return result


def without_wrappers(name: str) -> str:
    """ "module.synthesis._orig_mod.b4.const" -> "synthesis.b4.const"."""
    if len(name) > MAX_NAME or not any(wrapper in name for wrapper in WRAPPERS):
        return name
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _same(one: Weight, other: Weight) -> bool:
    if isinstance(one, TensorRef) and isinstance(other, TensorRef):
        places = [(t.storage, t.offset, t.size, t.stride, t.dtype) for t in (one, other)]
        return places[0] == places[1]
    return one is other


def generator_prefixes(weights: Weights) -> list[str]:
    """What stands before the names of each generator among the tensors, e.g. "generator.", in the file's order.

    Prefixes with all a generator needs come alone where there are any.
    """
    matches = (_ANCHOR.fullmatch(name) for name in weights if len(name) <= MAX_NAME)
    found = list(dict.fromkeys(match[1] for match in matches if match))[:MAX_PREFIXES]
    complete = [prefix for prefix in found if any(prefix + start in weights for start in _STARTS)]
    return complete or found


def under(prefix: str, weights: Weights) -> Weights:
    """The tensors with a prefix, without it and without those of another network that lies within.

    What belongs to a discriminator, an encoder and the like is left out, and so are counters.
    """
    inner = tuple(
        other for other in generator_prefixes(weights) if other != prefix and other.startswith(prefix)
    )
    return {
        name[len(prefix) :]: value
        for name, value in weights.items()
        if name.startswith(prefix)
        and not (inner and name.startswith(inner))
        and not _is_beside(name[len(prefix) :], value)
    }


def _is_beside(name: str, value: Weight) -> bool:
    head, dot, _ = name.partition(".")
    if dot:
        return len(head) <= MAX_NAME and bool(_words(head) & _OTHERS)
    return isinstance(value, TensorRef) and value.numel == 1 and not value.dtype.is_floating_point
