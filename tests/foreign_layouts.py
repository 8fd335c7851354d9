"""The names and layouts that other tools give a StyleGAN2's tensors, as generators of (name, value) pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
from torch import Tensor

_LAYER = re.compile(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(affine\.)?(\w+)")


def tensorflow_variable(name: str, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """One tensor of a skip generator as the TensorFlow tools name and lay it out."""
    mapping = re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name)
    layer = _LAYER.fullmatch(name)
    if mapping:
        yield f"mapping/Dense{mapping[1]}/{mapping[2]}", array.T
    elif name == "synthesis.b4.const":
        yield "synthesis/4x4/Const/const", array[None]
    elif layer and layer[4] == "noise_const":
        index = 2 * int(layer[1]).bit_length() - (7 if layer[2] == "conv0" else 6)
        yield f"synthesis/noise{index}", array[None, None]
    elif layer and layer[4] != "resample_filter":
        kind = {"conv0": "Conv0_up", "conv1": "Conv" if layer[1] == "4" else "Conv1", "torgb": "ToRGB"}[
            layer[2]
        ]
        part = f"mod_{layer[4]}" if layer[3] else layer[4]
        yield f"synthesis/{layer[1]}x{layer[1]}/{kind}/{part}", _tensorflow_layout(part, kind, array)


def _tensorflow_layout(part: str, kind: str, array: np.ndarray) -> np.ndarray:
    if part == "mod_bias":
        return array - np.float32(1)
    if part == "weight":
        transposed = array.transpose(2, 3, 1, 0)
        return transposed[::-1, ::-1] if kind == "Conv0_up" else transposed
    return array.T if part == "mod_weight" else array


def rosinality_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a skip generator under rosinality's names."""
    return dict(pair for name, tensor in state.items() for pair in _rosinality_tensor(name, tensor))


def _rosinality_tensor(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    mapping = re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name)
    layer = _LAYER.fullmatch(name)
    upsample = re.fullmatch(r"synthesis\.b(\d+)\.resample_filter", name)
    if mapping:
        yield f"style.{int(mapping[1]) + 1}.{mapping[2]}", tensor
    elif name == "synthesis.b4.const":
        yield "input.input", tensor[None]
    elif upsample and upsample[1] != "4":
        yield f"to_rgbs.{int(upsample[1]).bit_length() - 4}.upsample.kernel", tensor * 4
    elif layer:
        yield from _rosinality_layer(int(layer[1]), layer[2], (layer[3] or "") + layer[4], tensor)


def _rosinality_layer(resolution: int, kind: str, part: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    scale = resolution.bit_length() - 4
    index = 2 * scale + (kind == "conv1")
    rgb = f"to_rgbs.{scale}" if scale >= 0 else "to_rgb1"
    base = rgb if kind == "torgb" else f"convs.{index}" if scale >= 0 else "conv1"
    if part == "noise_const":
        yield f"noises.noise_{index + 1}", tensor[None, None]
    elif part == "resample_filter":
        if kind == "conv0":
            yield f"{base}.conv.blur.kernel", tensor * 4
    elif part == "bias":
        yield (
            (f"{base}.bias", tensor[None, :, None, None])
            if kind == "torgb"
            else (f"{base}.activate.bias", tensor)
        )
    elif part == "noise_strength":
        yield f"{base}.noise.weight", tensor[None]
    elif part == "weight":
        yield f"{base}.conv.weight", tensor[None]
    else:
        yield f"{base}.conv.{part.replace('affine', 'modulation')}", tensor


_BASICSR = (
    (r"style\.(.+)", r"style_mlp.\1"),
    (r"input\.input", "constant_input.weight"),
    (r"noises\.noise_(\d+)", r"noises.noise\1"),
    (r"(conv1|convs\.\d+)\.noise\.weight", r"style_\1.weight"),
    (r"(conv1|convs\.\d+)\.conv\.(.+)", r"style_\1.modulated_conv.\2"),
    (r"(conv1|convs\.\d+)\.(activate\..+)", r"style_\1.\2"),
    (r"(to_rgb1|to_rgbs\.\d+)\.conv\.(.+)", r"\1.modulated_conv.\2"),
    (r"(.+)", r"\1"),
)
_MMAGIC = (
    (r"style\.(\d+)\.weight", r"style_mapping.\1.linear.weight_orig"),
    (r"style\.(\d+)\.bias", r"style_mapping.\1.bias"),
    (r"input\.input", "constant_input.input"),
    (r"noises\.noise_(\d+)", r"injected_noise_\1"),
    (r"(.+)\.noise\.weight", r"\1.noise_injector.weight"),
    (r"(.+)\.conv\.weight", r"\1.conv.weight_orig"),
    (r"(.+)\.conv\.modulation\.weight", r"\1.conv.style_modulation.linear.weight_orig"),
    (r"(.+)\.conv\.modulation\.bias", r"\1.conv.style_modulation.bias"),
    (r"(.+)", r"\1"),
)


def basicsr_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a skip generator under BasicSR's names, which stores no kernels."""
    return {n: t for n, t in _respelled(rosinality_state(state), _BASICSR).items() if "kernel" not in n}


def mmagic_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a skip generator under mmagic's names, which draws BGR."""
    found = _respelled(rosinality_state(state), _MMAGIC)
    blue_first = {
        name: tensor.flip(1)
        for name, tensor in found.items()
        if re.fullmatch(r"to_rgb(1|s\.\d+)\.(bias|conv\.weight_orig)", name)
    }
    return {**found, **blue_first}


def _respelled(state: Mapping[str, Tensor], spellings: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    result = {}
    for name, tensor in state.items():
        match, target = next(
            (match, target) for pattern, target in spellings if (match := re.fullmatch(pattern, name))
        )
        result[match.expand(target)] = tensor
    return result


def genforce_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a skip generator under GenForce's names, in TensorFlow's conventions."""
    return dict(pair for name, tensor in state.items() for pair in _genforce_tensor(name, tensor))


def _genforce_tensor(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    mapping = re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name)
    layer = _LAYER.fullmatch(name)
    if mapping:
        yield f"mapping.dense{mapping[1]}.{mapping[2]}", tensor
    elif name == "mapping.w_avg":
        yield "truncation.w_avg", tensor
    elif name == "synthesis.b4.const":
        yield "synthesis.early_layer.const", tensor[None]
    elif name == "synthesis.b8.resample_filter":
        yield "synthesis.upsample.kernel", tensor[None, None] * 4
    elif layer:
        block = int(layer[1]).bit_length() - 3
        kind = f"output{block}" if layer[2] == "torgb" else f"layer{2 * block - (layer[2] == 'conv0')}"
        yield from _genforce_part(f"synthesis.{kind}", layer[2], (layer[3] or "") + layer[4], tensor)


def _genforce_part(base: str, layer: str, part: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    if part == "noise_const":
        yield f"{base}.noise", tensor[None, None]
    elif part == "resample_filter":
        if layer == "conv0":
            yield f"{base}.filter.kernel", tensor[None, None] * 4
    elif part == "affine.bias":
        yield f"{base}.style.bias", tensor - 1
    elif part == "weight" and layer == "conv0":
        yield f"{base}.weight", tensor.flip(2, 3)
    else:
        yield f"{base}.{part.replace('affine', 'style')}", tensor
