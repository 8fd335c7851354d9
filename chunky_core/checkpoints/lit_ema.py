"""Averages that are stored under the raw weights' names without their dots, as latent-diffusion's LitEma stores them.

Beside `model.synthesis.b4.const` lies `model_ema.synthesisb4const`, with `model_ema.decay` and `model_ema.num_updates`.
Parameters are averaged; buffers are the raw network's, as that tool takes them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import tensor_names
from .checkpoint import MAX_NAME, Weights, fields, shape_of, weights_of

COUNTERS = ("decay", "num_updates")
MAX_AVERAGES = 8
_BUFFER = re.compile(
    r"(.*\.)?(w_avg|noise_const|resample_filter|latent_avg|noise_\d+|kernel|magnitude_ema|freqs|phases|transform|"
    r"(up|down)_filter|num_batches_tracked)"
)


def prefixes(names: Iterable[str]) -> list[str]:
    """What stands before the names of such averages, e.g. "model_ema."."""
    known = set(names)
    ends = [name.removesuffix("num_updates") for name in known if name.endswith(".num_updates")]
    counted = sorted(prefix for prefix in ends if f"{prefix}decay" in known)[:MAX_AVERAGES]
    return [prefix for prefix in counted if any(_is_dotless(name, prefix) for name in known)]


def _is_dotless(name: str, prefix: str) -> bool:
    own = name[len(prefix) :]
    return name.startswith(prefix) and "." not in own and own not in COUNTERS


def without(weights: Weights) -> Weights:
    """The tensors that belong to no such average."""
    found = tuple(prefixes(weights))
    return (
        {name: value for name, value in weights.items() if not name.startswith(found)} if found else weights
    )


def flattened(entries: Mapping[Any, Any]) -> Weights:
    """The tensors of dicts that lie side by side, where one of them is such an average; else nothing."""
    inner = {str(key)[:MAX_NAME]: fields(value) for key, value in entries.items()}
    if not any(all(counter in part for counter in COUNTERS) for part in inner.values()):
        return {}
    return {f"{key}.{name}": value for key, part in inner.items() for name, value in weights_of(part).items()}


def averages(weights: Weights) -> Iterator[tuple[str, Weights]]:
    """Prefix and tensors, under names with dots, of each such average that has all of a generator's parameters.

    weights: by their names as stored, with wrappers.
    """
    found = prefixes(weights)
    clean = tensor_names.unwrapped(weights) if found else {}
    for average in found:
        stored = {name[len(average) :]: value for name, value in weights.items() if name.startswith(average)}
        prefix = tensor_names.without_wrappers(average)
        rest = {name: value for name, value in clean.items() if not name.startswith(prefix)}
        raws = without(weights)
        restored = (_restored(raws, raw, stored) for raw in tensor_names.generator_prefixes(rest))
        whole = next((one for one in restored if one), None)
        if whole:
            yield prefix, rest | {prefix + name: value for name, value in whole.items()}


def _restored(weights: Weights, prefix: str, stored: Weights) -> Weights | None:
    """A generator's tensors, the stored ones in place of the raw; None unless each parameter has one of its shape."""
    parts = prefix.split(".")
    for depth in range(len(parts)):  # the average may have been made of the whole model or of the generator
        outer = ".".join(parts[:depth]) + "." if depth else ""
        found = _matched(weights, outer, prefix, stored)
        if found:
            return found
    return None


def _matched(weights: Weights, outer: str, prefix: str, stored: Weights) -> Weights | None:
    found: Weights = {}
    taken: set[str] = set()
    for name, raw in weights.items():
        clean = tensor_names.without_wrappers(name)
        if not clean.startswith(prefix) or len(name) > 2 * MAX_NAME:
            continue
        own = clean[len(prefix) :]
        spellings = {name[len(outer) :] if name.startswith(outer) else name, clean[len(outer) :]}
        keys = {spelling.replace(".", "") for spelling in spellings} & set(stored)
        if len(keys) != 1 or keys & taken:
            if keys or not _BUFFER.fullmatch(own):
                return None
            found[own] = raw
            continue
        (key,) = keys
        if shape_of(stored[key]) != shape_of(raw):
            return None
        taken.add(key)
        found[own] = stored[key]
    return found if taken else None
