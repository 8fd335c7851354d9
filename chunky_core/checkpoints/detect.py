"""Finds the generator among a file's contents, whatever tool wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import UnsupportedCheckpointError
from . import candidates, stored_w_avg, tensor_names
from .candidates import Candidate
from .checkpoint import (
    MAX_NAME,
    PartialCheckpoint,
    Weight,
    Weights,
    fields,
    is_weight,
    summary,
    text,
    weights_of,
)
from .containers.content import Content
from .contents_summary import EXPECTED, describe, names_in, native_file
from .formats import layouts, native, nvlabs, paddle, rosinality, tensorflow
from .formats.tool_signatures import tool_beside_generator, tool_of_tensors
from .pickles.rebuild import TensorRef, refused, unknown_in

MAX_LISTED = 50
_UNLISTED = (*stored_w_avg.NAMES, paddle.NAMES)


def find_generator(content: Content, limit: int) -> PartialCheckpoint:
    """The generator in a file's contents: of several the averaged one, else the first; notes say which was taken.

    limit: the most bytes that its tensors may have together. Tensors can share their bytes, so a small file
    could otherwise ask for any amount of memory.
    Raises UnsupportedCheckpointError saying what the file holds where that is no generator, and naming a class that is
    not on the list where the generator that is meant reaches an object of it.
    """
    if native.is_native(content.metadata):
        return native.partial_checkpoint(_checked(weights_of(content.value), limit), content.metadata)
    found = candidates.find_candidates(content.value)
    _refuse_unknown(found[0].source if found else content.value)
    if not found:
        raise UnsupportedCheckpointError(_refusal(content))
    partial = _partial_checkpoint(found[0], limit)
    candidates.note_choice(found, partial)
    partial.format += " (.safetensors)" if content.container == "safetensors" else ""
    return partial


def _refuse_unknown(value: object) -> None:
    """Raises for what reaches an object of an unknown class; a generator may lie beside one, not contain one."""
    name = unknown_in(value)
    if name is not None:
        raise refused(name)


def _refusal(content: Content) -> str:
    named = native_file(content.metadata.get("format", ""))
    if named:
        return named
    names = names_in(content.value)
    return tool_of_tensors(names) or f"it holds {describe(content.value, names)}; {EXPECTED}"


def _partial_checkpoint(candidate: Candidate, limit: int) -> PartialCheckpoint:
    if isinstance(candidate.source, list | tuple):
        partial = _tensorflow(candidate.source, limit)
    elif isinstance(candidate.source, dict):
        partial = _state_dict(candidate, limit)
    else:
        partial = _module(candidate, limit)
    outer = candidate.around[: len(candidate.path)]
    if any(len(entries) > 1 for entries in outer):
        for alone, among_others in (" object", " pickle"), (" state dict", " checkpoint"):
            if partial.format.endswith(alone):
                partial.format = partial.format.removesuffix(alone) + among_others
    for key, entries in zip(candidate.path, outer, strict=True):
        others = {str(name)[:MAX_NAME]: other for name, other in entries.items() if other is not None}
        listed = [_named(name, other) for name, other in others.items() if name not in (key, *_UNLISTED)]
        partial.ignored += listed[:MAX_LISTED]
    return partial


def _tensorflow(networks: list[object] | tuple[object, ...], limit: int) -> PartialCheckpoint:
    """The last generator of a (G, D, Gs) tuple: Gs is the average, which makes the better images."""
    chosen = [index for index, network in enumerate(networks) if tensorflow.is_generator(network)][-1]
    variables = tensorflow.variables_of(networks[chosen])
    _checked(dict(variables), limit)
    partial = tensorflow.partial_checkpoint(networks[chosen], variables)
    others = [other for index, other in enumerate(networks) if index != chosen]
    partial.ignored += [
        f"{text(fields(other).get('name'))} (TensorFlow network)" for other in others[:MAX_LISTED]
    ]
    return partial


def _module(candidate: Candidate, limit: int) -> PartialCheckpoint:
    """A whole network object."""
    found, attributes = nvlabs.walk(candidate.source)
    weights = tensor_names.unwrapped(found)
    if "" not in tensor_names.generator_prefixes(weights):
        name = nvlabs.class_name(candidate.source) or "network"
        raise UnsupportedCheckpointError(f"it holds a {name[:40]} without a generator's layers; {EXPECTED}")
    modules = {tensor_names.without_wrappers(name): entries for name, entries in attributes.items()}
    chosen = tensor_names.under("", weights)
    partial = _among_names(chosen, modules, candidate.around, limit)
    partial.format += " object"
    partial.ignored += summary([name for name in weights if name not in chosen])[:MAX_LISTED]
    return partial


def _state_dict(candidate: Candidate, limit: int) -> PartialCheckpoint:
    """The generator among named tensors, which may share its prefix with nothing else."""
    weights: Weights = candidate.source
    chosen = tensor_names.under(candidate.prefix, weights)
    partial = _among_names(chosen, {}, candidate.around, limit, weights)
    partial.format += " state dict"
    used = {candidate.prefix + name for name in chosen}
    left = [name for name in weights if name not in used]
    if any(name.startswith("encoder.") for name in left):
        options = next((entries["opts"] for entries in reversed(candidate.around) if "opts" in entries), None)
        kind = rosinality.encoder_kind(weights, options)
        partial.format = f"{kind} checkpoint"
        partial.notes.append(f"the encoder is {kind}'s; only its decoder is used")
    partial.ignored += summary([name for name in left if name not in stored_w_avg.NAMES])[:MAX_LISTED]
    return partial


def _among_names(
    chosen: Weights,
    modules: nvlabs.Modules,
    around: tuple[Mapping[Any, Any], ...],
    limit: int,
    beside: Weights | None = None,
) -> PartialCheckpoint:
    """A partial from a generator's tensors under their own names; beside: all tensors that it was among."""
    tool = tool_beside_generator({**(beside or {}), **chosen})
    if tool:
        raise UnsupportedCheckpointError(tool)
    own_names = {name: value for name, value in chosen.items() if name not in stored_w_avg.NAMES}
    _checked(own_names, limit)
    partial = layouts.partial_checkpoint(own_names, modules, around[-1:])
    average = stored_w_avg.find_w_avg((chosen, beside or {}, *reversed(around)))
    if average and is_weight(average[1]):
        _checked({**own_names, average[0]: average[1]}, limit)  # type: ignore[dict-item]
    stored_w_avg.add_w_avg(partial, average)
    return partial


def _checked(weights: Weights, limit: int) -> Weights:
    total = sum(_bytes(value) for value in weights.values())
    if any(len(name) > MAX_NAME for name in weights):
        raise UnsupportedCheckpointError(f"it has a tensor whose name is longer than {MAX_NAME} characters")
    if total > limit:
        message = f"its tensors need {total} bytes, far more than the file has; it is damaged or hostile"
        raise UnsupportedCheckpointError(message)
    return weights


def _bytes(value: Weight) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    return value.numel * value.dtype.itemsize if isinstance(value, TensorRef) else 0


def _named(name: str, value: object) -> str:
    kind = nvlabs.class_name(value)
    return f"{name[:40]} ({kind[:40]})" if kind else name[:40]
