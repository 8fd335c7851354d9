"""What the names of a file's entries and tensors say: wrappers around a network, averaged or raw weights, roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import UnsupportedCheckpointError
from .checkpoint import MAX_NAME, Weight, Weights
from .formats.layouts import STARTS
from .pickles.rebuild import TensorRef

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
_AVERAGED = {
    "ema", "avg", "average", "averaged", "smooth", "smoothed", "swa", "shadow", "running", "gs", "ewma", "mavg",
    "polyak",
}  # fmt: skip
_RAW = {"online", "raw", "current"}
_NETWORK = {"g", "net", "gen", "generator", "model", "network", "weights", "params", "s"}
_AFTER = {"free", "off", "disabled", "excluded"}  # "ema_free"
_HEAD, _TAIL = r"(net)?(g|gen|generator|model|weights|params)?", r"(generator|model|weights|params)?"
_NOT = re.compile(rf"no|un|wo|{_HEAD}(non|not|without|pre|before)")
_ONE_WORD = re.compile(
    rf"(?P<no>no|non|un|pre)?{_HEAD}({'|'.join(sorted(_AVERAGED - {'gs'}))}){_TAIL}"
)  # "gema"
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
_STARTS = tuple(start for starts in STARTS.values() for start in starts)
_ANCHOR = re.compile(rf"((?:[\w-]+\.){{0,8}})(?:{'|'.join(map(re.escape, STARTS))})")


def is_averaged(path: Iterable[str]) -> bool:
    """Whether the keys that lead to weights say that these are an average over training, e.g. "g_ema"."""
    averaged = False
    for part in path:
        said = _says(part)
        averaged = averaged if said is None else said
    return averaged


def _says(name: str) -> bool | None:
    """Whether a key speaks of averaged (True) or of raw weights (False); None where it speaks of neither."""
    words = _words(name)
    if _RAW & set(words):
        return False
    said = [_averages(words, index) for index in range(len(words))]
    return True if True in said else False if False in said else None


def _averages(words: list[str], index: int) -> bool | None:
    match = _ONE_WORD.fullmatch(words[index])
    if words[index] not in _AVERAGED and not match:
        return None
    before = [word for word in words[:index] if word not in _NETWORK]
    negated = bool(match and match["no"]) or any(map(_NOT.fullmatch, before[-1:]))
    return not negated and not _AFTER & set(words[index + 1 : index + 2])


def _words(name: str) -> list[str]:
    """ "netG_ema" -> net, g, ema."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name[:MAX_NAME])]


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
        return len(head) <= MAX_NAME and not _OTHERS.isdisjoint(_words(head))
    return isinstance(value, TensorRef) and value.numel == 1 and not value.dtype.is_floating_point
