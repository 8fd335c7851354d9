"""NVlabs' networks: persistent objects (stylegan2-ada-pytorch, stylegan3), read as data, and state dicts.

A persistent object stores its class's source text beside its attributes; only the attributes are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import UnsupportedCheckpointError
from ..checkpoint import MAX_NAME, PartialCheckpoint, Weights, as_tensor, fields, is_weight, number, text
from ..pickles.rebuild import Record

PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"
MAX_MODULES = 2_000
MAX_ENTRIES = 1_000  # of a module
MAX_DEPTH = 32

Modules = dict[str, Mapping[Any, Any]]


def class_name(value: object) -> str:
    """The class of an object read as data, e.g. "Generator"; "" for anything else."""
    if not isinstance(value, Record):
        return ""
    if value.name == PERSISTENT:
        return text(_meta(value).get("class_name", ""))
    return value.name.rpartition(".")[2]


def is_module(value: object) -> bool:
    """Whether a value is a network with parameters, buffers and sub-modules."""
    return "_modules" in attributes_of(value)


def walk(root: object) -> tuple[Weights, Modules]:
    """All weights of a network and the attributes of its modules, by their dotted names.

    Raises UnsupportedCheckpointError where modules nest deeper, or are more, than any real network's.
    """
    weights: Weights = {}
    modules: Modules = {}
    waiting: list[tuple[tuple[str, ...], object]] = [((), root)]
    while waiting:
        path, module = waiting.pop()
        attributes = attributes_of(module)
        _check_size(path, len(modules) + len(waiting), attributes)
        modules[".".join(path)] = attributes
        for name, value in _own_weights(attributes).items():
            weights[".".join((*path, name))] = value
        children = fields(attributes.get("_modules"))
        waiting += [((*path, str(name)), child) for name, child in children.items() if child is not None]
    return weights, modules


def partial_checkpoint(weights: Weights, modules: Modules) -> PartialCheckpoint:
    """A partial checkpoint from weights under NVlabs' names; `modules` is empty for a plain state dict."""
    state = {name: as_tensor(name, value) for name, value in weights.items()}
    third = "synthesis.input.freqs" in state
    source = "stylegan3" if third else "stylegan2-ada-pytorch"
    partial = PartialCheckpoint(f"NVlabs {source}", state)
    if modules:
        _check_activations(modules)
        partial.config_hints = _hints(modules)
        halves = partial.config_hints.get("num_fp16_res")
        if isinstance(halves, int) and halves > 0:
            partial.notes.append(
                f"{halves} resolutions ran in float16 originally; here the dtype is your choice"
            )
    return partial


def _meta(record: Record) -> Mapping[Any, Any]:
    return fields(record.args[0]) if record.args else {}


def attributes_of(module: object) -> Mapping[Any, Any]:
    """The attributes of a network read as data; empty for anything else."""
    if isinstance(module, Record) and module.name == PERSISTENT:
        return fields(_meta(module).get("state"))
    return fields(module) if isinstance(module, Record) else {}


def _check_size(path: tuple[str, ...], modules: int, attributes: Mapping[Any, Any]) -> None:
    """Raises where a network is larger than any real one: modules may share parts, even without end."""
    kinds = ("_parameters", "_buffers", "_modules")
    entries = max(len(fields(attributes.get(kind))) for kind in kinds)
    long = any(len(name) > MAX_NAME for name in path[-1:])
    if len(path) > MAX_DEPTH or modules > MAX_MODULES or entries > MAX_ENTRIES or long:
        raise UnsupportedCheckpointError("its modules nest without end; the file is damaged or hostile")


def _own_weights(attributes: Mapping[Any, Any]) -> Weights:
    """The parameters and those buffers that belong to the state dict."""
    hidden = attributes.get("_non_persistent_buffers_set")
    skipped = hidden if isinstance(hidden, set | frozenset) else frozenset()
    buffers = {k: v for k, v in fields(attributes.get("_buffers")).items() if k not in skipped}
    found = {**fields(attributes.get("_parameters")), **buffers}
    return {str(name): value for name, value in found.items() if is_weight(value)}


def _hints(modules: Modules) -> dict[str, Any]:
    """What shapes cannot tell: the arguments the network was made with, then the attributes it has."""
    root = fields(modules.get("", {}).get("_init_kwargs"))
    sources = [root, fields(root.get("synthesis_kwargs"))]
    synthesis = modules.get("synthesis", {})
    sources += [fields(synthesis.get("_init_kwargs")), synthesis]
    config_hints = {k: v for source in sources for k, v in source.items() if _is_setting(k, v)}
    config_hints.pop("conv_clamp", None)  # the layers' own attribute counts
    config_hints.pop("upsampling", None)  # a setting of ours, which no network of NVlabs has
    config_hints.update(_layer_settings(modules))
    multiplier = _multiplier(modules, fields(root.get("mapping_kwargs")))
    if multiplier is not None:
        config_hints["lr_multiplier"] = multiplier
    return config_hints


def _is_setting(name: object, value: object) -> bool:
    if not isinstance(name, str) or name.startswith("_"):
        return False
    return isinstance(value, bool | str) or isinstance(value, int | float) and -1e30 < value < 1e30


def _layer_settings(modules: Modules) -> dict[str, Any]:
    """conv_clamp and filter settings as the layers carry them."""
    layers = [  # a residual block's skip is never clamped
        attributes
        for name, attributes in sorted(modules.items())
        if "conv_clamp" in attributes and not name.endswith(".skip")
    ]
    clamps = {number(layer["conv_clamp"]) for layer in layers}
    if len(clamps) > 1:
        raise UnsupportedCheckpointError(f"its layers differ in conv_clamp {clamps}; expected one value")
    return {"conv_clamp": clamps.pop()} if clamps else {}


def _multiplier(modules: Modules, mapping_kwargs: Mapping[Any, Any]) -> float | None:
    """The learning rate multiplier of the mapping network, which scales its weights."""
    made_with = fields(modules.get("mapping", {}).get("_init_kwargs"))
    candidates = (
        modules.get("mapping.fc0", {}).get("bias_gain"),
        made_with.get("lr_multiplier"),
        mapping_kwargs.get("lr_multiplier"),
    )
    return next((found for found in map(number, candidates) if found is not None), None)


def _check_activations(modules: Modules) -> None:
    for name, attributes in modules.items():
        activation = text(attributes.get("activation", "lrelu"))
        if re.fullmatch(r"mapping\.fc\d+|synthesis\.b\d+\.conv\d", name) and activation != "lrelu":
            raise UnsupportedCheckpointError(f"{name} uses the activation {activation!r}; expected 'lrelu'")
