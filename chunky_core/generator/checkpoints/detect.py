"""Finds the generator among a file's contents, whatever tool wrote them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import UnsupportedCheckpointError
from . import nvlabs, own, rosinality, tensorflow
from .checkpoint import MAX_NAME, Draft, Weights, fields, is_weight, summary, text
from .content import Content
from .rebuild import Record, TensorRef

EXPECTED = (
    "expected a StyleGAN2 or StyleGAN3 generator of NVlabs, rosinality, e4e, pSp, ReStyle or Pivotal Tuning"
)
HOLDERS = ("G_ema", "g_ema", "G", "g", "generator", "state_dict", "model")
PREFIXES = {"module", "generator", "G_ema", "g_ema", "decoder", "G", "g", "model", "netG", "state_dict"}
MAX_NESTING = 3
MAX_LISTED = 50


def find_draft(content: Content, limit: int) -> Draft:
    """The generator in a file's contents.

    limit: the most bytes that its tensors may have together. Tensors can share their bytes, so a small file
    could otherwise ask for any amount of memory.
    Raises UnsupportedCheckpointError saying what the file holds where that is no generator.
    """
    if own.is_own(content.metadata):
        return own.draft_of(_checked(_weights(content.value), limit), content.metadata)
    draft = _search(content.value, limit, 0)
    draft.format += " (.safetensors)" if content.container == "safetensors" else ""
    return draft


def _search(value: object, limit: int, depth: int) -> Draft:
    if (
        isinstance(value, tuple | list)
        and any(map(tensorflow.is_network, value))
        or tensorflow.is_network(value)
    ):
        return _tensorflow(value, limit)
    if nvlabs.is_module(value):
        return _module(value, limit)
    entries = fields(value)
    weights = _weights(entries)
    if weights and _prefix(weights) is not None:
        return _state_dict(weights, entries, limit)
    if depth < MAX_NESTING:
        holders = [key for key in HOLDERS if _may_hold(entries.get(key))]
        if not holders and len(entries) == 1:
            holders = [key for key, inner in entries.items() if _may_hold(inner)]
        if holders:
            return _held(entries, holders[0], limit, depth)
    raise UnsupportedCheckpointError(f"it holds {_describe(value, weights)}; {EXPECTED}")


def _tensorflow(value: object, limit: int) -> Draft:
    """The last generator of a (G, D, Gs) tuple: Gs is the average, which makes the better images."""
    networks = value if isinstance(value, tuple | list) else [value]
    places = [index for index, network in enumerate(networks) if tensorflow.is_generator(network)]
    if not places:
        names = ", ".join(text(fields(network).get("name")) for network in networks[:5])
        raise UnsupportedCheckpointError(f"it holds the TensorFlow networks {names}; {EXPECTED}")
    network = networks[places[-1]]
    variables = tensorflow.variables_of(network)
    _checked(dict(variables), limit)
    draft = tensorflow.draft_of(network, variables)
    others = [other for index, other in enumerate(networks) if index != places[-1]]
    draft.ignored += [
        f"{text(fields(other).get('name'))} (TensorFlow network)" for other in others[:MAX_LISTED]
    ]
    return draft


def _module(value: object, limit: int) -> Draft:
    """A whole network object."""
    weights, modules = nvlabs.walk(value)
    name = nvlabs.class_name(value)
    if _prefix(weights) != "":
        what = name or _describe(value, weights)
        raise UnsupportedCheckpointError(f"it holds a {what[:40]} without a generator's layers; {EXPECTED}")
    _checked(weights, limit)
    if _is_rosinality(weights):
        draft = rosinality.draft_of(weights, None)
    else:
        draft = nvlabs.draft_of(weights, modules)
    draft.format += " object"
    return draft


def _held(entries: Mapping[Any, Any], key: Any, limit: int, depth: int) -> Draft:
    """The generator under one key of a dict; what lies beside it is listed."""
    held = entries[key]
    weights = _weights(fields(held))
    if not nvlabs.is_module(held) and _prefix(weights) is not None:
        draft = _state_dict(weights, entries, limit)
    else:
        draft = _search(held, limit, depth + 1)
    if key in ("G", "g"):
        draft.notes.append(f"there is no average of the weights ({key}_ema); {key} is used")
    for alone, among_others in (" object", " pickle"), (" state dict", " checkpoint"):
        if draft.format.endswith(alone) and len(entries) > 1:
            draft.format = draft.format.removesuffix(alone) + among_others
    rest = [(str(name), other) for name, other in entries.items() if name not in (key, "latent_avg")]
    draft.ignored += [_named(name, other) for name, other in rest[:MAX_LISTED] if other is not None]
    return draft


def _state_dict(weights: Weights, beside: Mapping[Any, Any], limit: int) -> Draft:
    """The generator among named tensors, which may share its prefix with nothing else."""
    prefix = _prefix(weights) or ""
    chosen = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
    left = [name for name in weights if not name.startswith(prefix)]
    latent_avg = beside.get("latent_avg", weights.get("latent_avg"))
    chosen.pop("latent_avg", None)
    _checked(chosen, limit)
    draft = rosinality.draft_of(chosen, latent_avg) if _is_rosinality(chosen) else nvlabs.draft_of(chosen, {})
    draft.format += " state dict"
    if any(re.match(r"(module\.)?encoder\.", name) for name in left):
        kind = rosinality.encoder_kind(weights, beside.get("opts"))
        draft.format = f"{kind} checkpoint"
        draft.notes.append(f"the encoder is {kind}'s; only its decoder is used")
    draft.ignored += summary([name for name in left if name != "latent_avg"])[:MAX_LISTED]
    return draft


def _weights(entries: Mapping[Any, Any]) -> Weights:
    return {str(name): value for name, value in entries.items() if is_weight(value)}


def _prefix(weights: Weights) -> str | None:
    """What comes before a generator's own names, e.g. "module."; None if there is no generator."""
    found = []
    for name in weights:
        match = re.fullmatch(r"((?:\w+\.){0,4})(?:mapping\.fc0|style\.1)\.weight", name)
        if match and set(match[1].split(".")[:-1]) <= PREFIXES:
            found.append(match[1])
    average_last = sorted(found, key=lambda prefix: ("ema" in prefix.lower(), -len(prefix)))
    return average_last[-1] if found else None


def _is_rosinality(weights: Weights) -> bool:
    return "style.1.weight" in weights


def _may_hold(value: object) -> bool:
    return (
        nvlabs.is_module(value) or isinstance(value, Mapping) and len(value) > 0 or isinstance(value, Record)
    )


def _checked(weights: Weights, limit: int) -> Weights:
    total = sum(_bytes(value) for value in weights.values())
    if any(len(name) > MAX_NAME for name in weights):
        raise UnsupportedCheckpointError(f"it has a tensor whose name is longer than {MAX_NAME} characters")
    if total > limit:
        message = f"its tensors need {total} bytes, far more than the file has; it is damaged or hostile"
        raise UnsupportedCheckpointError(message)
    return weights


def _bytes(value: TensorRef | np.ndarray) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    return value.numel * value.dtype.itemsize


def _named(name: str, value: object) -> str:
    kind = nvlabs.class_name(value)
    return f"{name[:40]} ({kind[:40]})" if kind else name[:40]


_FAMILIES = (
    (
        r"(\w+\.)*(b4\.fc\.weight|b4\.out\.weight|final_linear\.\d\.weight|final_conv\.0\.weight)",
        "a discriminator",
    ),
    (r"(\w+\.)*input_layer\.0\.weight", "an encoder"),
    (r"(\w+\.)*(progression\.\d.*|g_synthesis\..*)", "a StyleGAN1 generator"),
)


def _describe(value: object, weights: Weights) -> str:
    """What a file holds, for people."""
    for pattern, family in _FAMILIES:
        if any(re.fullmatch(pattern, name) for name in weights):
            return f"{family} alone" if family.startswith(("a d", "an e")) else family
    if isinstance(value, TensorRef | np.ndarray):
        return "a single tensor"
    keys = [str(key)[:30] for key in list(fields(value))[:5]]
    if keys:
        return f"{len(fields(value))} entries ({', '.join(keys)}{', ...' if len(fields(value)) > 5 else ''})"
    if isinstance(value, dict | list | tuple) and not value:
        return f"an empty {type(value).__name__}"
    return f"a {nvlabs.class_name(value)[:40] or type(value).__name__}"
