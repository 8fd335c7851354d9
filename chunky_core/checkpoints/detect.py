"""Finds the generator among a file's contents, whatever tool wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import UnsupportedCheckpointError
from . import candidates, tensor_names
from . import stored_means as mean
from .candidates import Candidate
from .checkpoint import MAX_NAME, Draft, Weight, Weights, fields, is_weight, summary, text, weights_of
from .containers.content import Content
from .contents_summary import EXPECTED, describe, names_in, own_file
from .formats import native as own
from .formats import nvlabs, paddle, rosinality, tensorflow
from .formats.known_tools import tool_beside_generator, tool_of_tensors
from .pickles.rebuild import TensorRef

MAX_LISTED = 50
_UNLISTED = (*mean.NAMES, paddle.NAMES)


def find_draft(content: Content, limit: int) -> Draft:
    """The generator in a file's contents: of several the averaged one, else the first; notes say which was taken.

    limit: the most bytes that its tensors may have together. Tensors can share their bytes, so a small file
    could otherwise ask for any amount of memory.
    Raises UnsupportedCheckpointError saying what the file holds where that is no generator.
    """
    if own.is_own(content.metadata):
        return own.draft_of(_checked(weights_of(content.value), limit), content.metadata)
    found = candidates.find(content.value)
    if not found:
        raise UnsupportedCheckpointError(_refusal(content))
    draft = _draft_of(found[0], limit)
    candidates.tell_choice(found, draft)
    draft.format += " (.safetensors)" if content.container == "safetensors" else ""
    return draft


def _refusal(content: Content) -> str:
    named = own_file(content.metadata.get("format", ""))
    if named:
        return named
    names = names_in(content.value)
    return tool_of_tensors(names) or f"it holds {describe(content.value, names)}; {EXPECTED}"


def _draft_of(candidate: Candidate, limit: int) -> Draft:
    if isinstance(candidate.source, list | tuple):
        draft = _tensorflow(candidate.source, limit)
    elif isinstance(candidate.source, dict):
        draft = _state_dict(candidate, limit)
    else:
        draft = _module(candidate, limit)
    outer = candidate.around[: len(candidate.path)]
    if any(len(entries) > 1 for entries in outer):
        for alone, among_others in (" object", " pickle"), (" state dict", " checkpoint"):
            if draft.format.endswith(alone):
                draft.format = draft.format.removesuffix(alone) + among_others
    for key, entries in zip(candidate.path, outer, strict=True):
        others = {str(name)[:MAX_NAME]: other for name, other in entries.items() if other is not None}
        listed = [_named(name, other) for name, other in others.items() if name not in (key, *_UNLISTED)]
        draft.ignored += listed[:MAX_LISTED]
    return draft


def _tensorflow(networks: list[object] | tuple[object, ...], limit: int) -> Draft:
    """The last generator of a (G, D, Gs) tuple: Gs is the average, which makes the better images."""
    chosen = [index for index, network in enumerate(networks) if tensorflow.is_generator(network)][-1]
    variables = tensorflow.variables_of(networks[chosen])
    _checked(dict(variables), limit)
    draft = tensorflow.draft_of(networks[chosen], variables)
    others = [other for index, other in enumerate(networks) if index != chosen]
    draft.ignored += [
        f"{text(fields(other).get('name'))} (TensorFlow network)" for other in others[:MAX_LISTED]
    ]
    return draft


def _module(candidate: Candidate, limit: int) -> Draft:
    """A whole network object."""
    found, attributes = nvlabs.walk(candidate.source)
    weights = tensor_names.unwrapped(found)
    if "" not in tensor_names.generator_prefixes(weights):
        name = nvlabs.class_name(candidate.source) or "network"
        raise UnsupportedCheckpointError(f"it holds a {name[:40]} without a generator's layers; {EXPECTED}")
    modules = {tensor_names.without_wrappers(name): entries for name, entries in attributes.items()}
    chosen = tensor_names.under("", weights)
    draft = _among_names(chosen, modules, candidate.around, limit)
    draft.format += " object"
    draft.ignored += summary([name for name in weights if name not in chosen])[:MAX_LISTED]
    return draft


def _state_dict(candidate: Candidate, limit: int) -> Draft:
    """The generator among named tensors, which may share its prefix with nothing else."""
    weights: Weights = candidate.source
    chosen = tensor_names.under(candidate.prefix, weights)
    draft = _among_names(chosen, {}, candidate.around, limit, weights)
    draft.format += " state dict"
    used = {candidate.prefix + name for name in chosen}
    left = [name for name in weights if name not in used]
    if any(name.startswith("encoder.") for name in left):
        options = next((entries["opts"] for entries in reversed(candidate.around) if "opts" in entries), None)
        kind = rosinality.encoder_kind(weights, options)
        draft.format = f"{kind} checkpoint"
        draft.notes.append(f"the encoder is {kind}'s; only its decoder is used")
    draft.ignored += summary([name for name in left if name not in mean.NAMES])[:MAX_LISTED]
    return draft


def _among_names(
    chosen: Weights,
    modules: nvlabs.Modules,
    around: tuple[Mapping[Any, Any], ...],
    limit: int,
    beside: Weights | None = None,
) -> Draft:
    """A draft from a generator's tensors under their own names; beside: all tensors that it was among."""
    tool = tool_beside_generator({**(beside or {}), **chosen})
    if tool:
        raise UnsupportedCheckpointError(tool)
    own_names = {name: value for name, value in chosen.items() if name not in mean.NAMES}
    _checked(own_names, limit)
    if "style.1.weight" in chosen:
        draft = rosinality.draft_of(own_names, around[-1:])
    else:
        draft = nvlabs.draft_of(own_names, modules)
    average = mean.find((chosen, beside or {}, *reversed(around)))
    if average and is_weight(average[1]):
        _checked({**own_names, average[0]: average[1]}, limit)  # type: ignore[dict-item]
    mean.add(draft, average)
    return draft


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
