"""NVlabs' TensorFlow-era StyleGAN2 (configs E and F) and its ADA branch: variables -> NVlabs' PyTorch names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import UnsupportedCheckpointError
from ..checkpoint import MAX_NAME, PartialCheckpoint, as_tensor, fields, number, text
from ..pickles.rebuild import Record

NETWORK = "Network"
MAX_DEPTH = 8
MAX_NETWORKS = 64
MAX_VARIABLES = 2_000


def is_network(value: object) -> bool:
    """Whether a value is a dnnlib network read as data."""
    return isinstance(value, Record) and value.name.startswith("dnnlib.") and value.name.endswith(NETWORK)


def is_generator(value: object) -> bool:
    """Whether a network has mapping and synthesis as components."""
    return {"mapping", "synthesis"} <= set(fields(fields(value).get("components")))


def partial_checkpoint(network: object, variables: Mapping[str, np.ndarray]) -> PartialCheckpoint:
    """A partial checkpoint from a TensorFlow generator and its `variables_of`.

    Raises UnsupportedCheckpointError for StyleGAN1, configs A to D and other label or activation kinds.
    """
    settings = fields(fields(network).get("static_kwargs"))
    _check(network, variables, settings)
    resolution = max((int(match[1]) for match in map(_BLOCK.match, variables) if match), default=4)
    state = {}
    for name, array in variables.items():
        target = _target(_at_resolution(name, resolution))
        if target is not None:
            state[target] = as_tensor(name, _converted(name, array))
    partial = PartialCheckpoint("NVlabs stylegan2 (TensorFlow) pickle", state)
    partial.config_hints = _hints(settings)
    return partial


_BLOCK = re.compile(r"synthesis/(\d{1,5})x\1/")
_UNUSED = ("lod", "mapping/lod", "synthesis/lod")


def variables_of(network: object) -> dict[str, np.ndarray]:
    """All variables of a network and its components, by their names with slashes."""
    found: dict[str, np.ndarray] = {}
    waiting: list[tuple[tuple[str, ...], object]] = [((), network)]
    for path, part in waiting:
        if len(path) > MAX_DEPTH or len(waiting) > MAX_NETWORKS:
            raise UnsupportedCheckpointError("its networks nest without end; the file is damaged or hostile")
        for name, array in _pairs(fields(part).get("variables")):
            found["/".join((*path, name))] = array
        components = fields(fields(part).get("components")).items()
        waiting += [((*path, str(name)[:MAX_NAME]), component) for name, component in components]
    return found


def _pairs(variables: object) -> list[tuple[str, np.ndarray]]:
    entries = list(variables.items()) if isinstance(variables, Mapping) else variables
    if not isinstance(entries, list) or len(entries) > MAX_VARIABLES:
        return []
    pairs = [entry for entry in entries if isinstance(entry, tuple | list) and len(entry) == 2]
    return [(name, value) for name, value in pairs if isinstance(name, str) and isinstance(value, np.ndarray)]


def _check(network: object, variables: Mapping[str, np.ndarray], settings: Mapping[Any, Any]) -> None:
    builder = text(fields(network).get("build_func_name", ""))
    if builder == "G_style" or any("/StyleMod/" in name for name in variables):
        kind = "StyleGAN1" if builder == "G_style" else "StyleGAN1 or StyleGAN2's configs A to D"
        raise UnsupportedCheckpointError(
            f"it holds {kind} (AdaIN layers); expected StyleGAN2's config E or F, or newer"
        )
    if any("LabelConcat" in name for name in variables):
        raise UnsupportedCheckpointError(
            "its labels enter by LabelConcat, as before StyleGAN2-ADA; expected an unconditional network"
        )
    for key in ("nonlinearity", "mapping_nonlinearity"):
        found = text(settings.get(key, "lrelu"))
        if found != "lrelu":
            raise UnsupportedCheckpointError(f"its activation ({key}) is {found!r}; expected 'lrelu'")


def _at_resolution(name: str, resolution: int) -> str:
    """ "ToRGB_lod0/..." under the resolution that it belongs to."""
    match = re.fullmatch(r"synthesis/ToRGB_lod(\d{1,2})/(.*)", name)
    if not match:
        return name
    size = resolution >> int(match[1])
    return f"synthesis/{size}x{size}/ToRGB/{match[2]}"


def _target(name: str) -> str | None:
    """The PyTorch name of a variable; None for what only training needs."""
    if name in _UNUSED:
        return None
    if name == "dlatent_avg":
        return "mapping.w_avg"
    dense = re.fullmatch(r"mapping/(?:Dense(\d{1,2})|(LabelEmbed))/(weight|bias)", name)
    if dense:
        return f"mapping.{'embed' if dense[2] else 'fc' + dense[1]}.{dense[3]}"
    noise = re.fullmatch(r"synthesis/noise(\d{1,2})", name)
    if noise:
        block, layer = divmod(int(noise[1]) + 1, 2)
        return f"synthesis.b{4 << block}.conv{layer}.noise_const"
    return _synthesis_target(name)


_LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_PARTS = {"mod_weight": "affine.weight", "mod_bias": "affine.bias"}


def _synthesis_target(name: str) -> str:
    match = re.fullmatch(r"synthesis/(\d{1,5})x\1/(\w+)/(\w+)", name)
    if match and (match[2], match[3]) == ("Const", "const"):
        return f"synthesis.b{match[1]}.const"
    if match and match[2] in _LAYERS:
        return f"synthesis.b{match[1]}.{_LAYERS[match[2]]}.{_PARTS.get(match[3], match[3])}"
    raise UnsupportedCheckpointError(
        f"the variable {name[:80]} does not belong to StyleGAN2's config E or F; other networks are not supported"
    )


def _converted(name: str, array: np.ndarray) -> np.ndarray:
    """A variable in PyTorch's layout; fused upsampling convolutions flip their kernels."""
    kind = name.rpartition("/")[2]
    if array.dtype.kind != "f":
        return array  # refused for its kind
    if kind == "mod_bias":
        return array + array.dtype.type(1)
    dimensions = 3 if kind == "const" else 2 if re.fullmatch(r"synthesis/noise\d+", name) else array.ndim
    while array.ndim > dimensions and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 4 and kind == "weight":
        flipped = array[::-1, ::-1] if re.search(r"/(Conv0_up|Skip)/", name) else array
        return flipped.transpose(3, 2, 0, 1)
    if array.ndim == 2 and kind in ("weight", "mod_weight"):
        return array.T
    return array


def _hints(settings: Mapping[Any, Any]) -> dict[str, Any]:
    config_hints: dict[str, Any] = {}
    for source, target in (("conv_clamp", "conv_clamp"), ("mapping_lrmul", "lr_multiplier")):
        value = number(settings.get(source))
        if value is not None:
            config_hints[target] = value
    if type(settings.get("latent_size")) is int:
        config_hints["z_dim"] = settings["latent_size"]
    kernel = settings.get("resample_kernel")
    if kernel is not None:
        config_hints["resample_filter"] = kernel
    return config_hints
