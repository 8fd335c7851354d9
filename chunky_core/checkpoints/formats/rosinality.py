"""rosinality's stylegan2-pytorch, whose networks e4e, pSp and ReStyle use as decoders: names -> NVlabs' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from ...errors import UnsupportedCheckpointError
from ..checkpoint import PartialCheckpoint, Weights, as_tensor, fields, shape_of
from . import paddle

ENCODERS = {
    "Encoder4Editing": "e4e",
    "GradualStyleEncoder": "pSp",
    "BackboneEncoderUsingLastLayerIntoW": "pSp (W)",
    "BackboneEncoderUsingLastLayerIntoWPlus": "pSp (W+)",
    "BackboneEncoder": "ReStyle (pSp)",
    "ResNetBackboneEncoder": "ReStyle (pSp)",
    "ProgressiveBackboneEncoder": "ReStyle (e4e)",
    "ResNetProgressiveBackboneEncoder": "ReStyle (e4e)",
}
MAX_SCALES = 16


def partial_checkpoint(weights: Weights, around: Iterable[Mapping[Any, Any]] = ()) -> PartialCheckpoint:
    """A partial checkpoint from a generator's weights under rosinality's names, PyTorch's or PaddleGAN's.

    around: the dicts that they lie in.
    Raises UnsupportedCheckpointError for a name that such a generator does not have.
    """
    names = dict(_pairs(weights))
    for name in weights:
        if name not in names:
            message = (
                f"the tensor {name[:80]} does not belong to a generator of rosinality's stylegan2-pytorch"
            )
            raise UnsupportedCheckpointError(message)
    _refuse_gpen(weights)
    partial = PartialCheckpoint("rosinality stylegan2-pytorch", {})
    if paddle.is_paddle(weights):
        weights, note = paddle.in_pytorch_layout(weights, around)
        partial.format = "PaddleGAN StyleGAN2"
        partial.notes.append(note)
    partial.state = {
        names[name]: _reshaped(name, names[name], as_tensor(name, t)) for name, t in weights.items()
    }
    return partial


def _refuse_gpen(weights: Weights) -> None:
    """GPEN's generator differs in that each layer's noise is more channels beside its own."""
    kernel, bias = shape_of(weights.get("conv1.conv.weight")), shape_of(weights.get("conv1.activate.bias"))
    if len(kernel) == 5 and bias == (2 * kernel[1],):
        raise UnsupportedCheckpointError(
            "it holds GPEN's generator, whose noise enters as channels of its own; choose a StyleGAN2 or StyleGAN3 "
            "generator"
        )


def encoder_kind(weights: Weights, options: object) -> str:
    """The name of the encoder beside a decoder, from the options it was trained with or its weights."""
    stated = fields(options).get("encoder_type")
    first = weights.get("encoder.input_layer.0.weight", weights.get("encoder.conv1.weight"))
    iterative = first is not None and len(shape_of(first)) == 4 and shape_of(first)[1] == 6
    if isinstance(stated, str) and stated in ENCODERS:
        kind = ENCODERS[stated]
        return f"ReStyle ({kind})" if iterative and "ReStyle" not in kind else kind
    if iterative:
        return "ReStyle"
    return "pSp or e4e"


def _pairs(weights: Weights) -> Iterator[tuple[str, str]]:
    """(rosinality's name, NVlabs' name) of everything in a generator with these weights' layers."""
    styles = sum(bool(re.fullmatch(r"style\.\d+\.weight", name)) for name in weights)
    scales = min(sum(bool(re.fullmatch(r"to_rgbs\.\d+\.bias", name)) for name in weights), MAX_SCALES)
    for index in range(styles):
        for part in ("weight", "bias"):
            yield f"style.{index + 1}.{part}", f"mapping.fc{index}.{part}"
    yield "input.input", "synthesis.b4.const"
    yield "noises.noise_0", "synthesis.b4.conv1.noise_const"
    yield from _layer("conv1", "synthesis.b4.conv1")
    yield from _layer("to_rgb1", "synthesis.b4.torgb")
    for scale in range(scales):
        block = f"synthesis.b{8 << scale}"
        for index in (0, 1):
            yield f"noises.noise_{2 * scale + index + 1}", f"{block}.conv{index}.noise_const"
            yield from _layer(f"convs.{2 * scale + index}", f"{block}.conv{index}")
        yield f"convs.{2 * scale}.conv.blur.kernel", f"{block}.conv0.resample_filter"
        yield f"to_rgbs.{scale}.upsample.kernel", f"{block}.resample_filter"
        yield from _layer(f"to_rgbs.{scale}", f"{block}.torgb")


def _layer(source: str, target: str) -> Iterator[tuple[str, str]]:
    yield f"{source}.conv.weight", f"{target}.weight"
    for part in ("weight", "bias"):
        yield f"{source}.conv.modulation.{part}", f"{target}.affine.{part}"
    if target.endswith("torgb"):
        yield f"{source}.bias", f"{target}.bias"
    else:
        yield f"{source}.activate.bias", f"{target}.bias"
        yield f"{source}.noise.weight", f"{target}.noise_strength"


def _reshaped(source: str, target: str, tensor: Tensor) -> Tensor:
    """A tensor without the dimensions of 1 that only rosinality has, a kernel without its gain of 4."""
    if source.endswith(".kernel"):
        return tensor / 4
    if target.startswith("mapping.") or ".affine." in target:
        return tensor
    part = target.rpartition(".")[2]
    dimensions = {"weight": 4, "const": 3, "noise_const": 2, "bias": 1, "noise_strength": 0}[part]
    result = tensor
    while result.ndim > dimensions and result.shape[0] == 1:
        result = result[0]
    while result.ndim > dimensions and result.shape[-1] == 1:
        result = result[..., 0]
    return result  # a shape that is still wrong is reported with all other shapes
