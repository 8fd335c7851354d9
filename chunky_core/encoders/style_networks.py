"""The networks of pSp (Richardson et al. 2021), e4e (Tov et al. 2021) and ReStyle (Alaluf et al. 2021), built from the
shapes of their weights: a residual backbone of which one map, or three of a feature pyramid, give a style per layer;
or whose last map gives one style, or all of them, by a linear layer (pSp's comparisons).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UnsupportedCheckpointError

Shapes = Mapping[str, tuple[int, ...]]

PYRAMID = (3, 7)  # the styles from which on the middle and the fine map of a pyramid count
_IR_STRIDES = {0: 2, 3: 2, 7: 2, 21: 2}  # of IR-SE50 (ArcFace, Deng et al. 2019): its blocks of stride 2
_RESNET_STRIDES = {3: 2, 7: 2, 13: 2}  # of ResNet-34 (He et al. 2016)
_IR_TAPS, _RESNET_TAPS = (6, 20, 23), (6, 12, 15)  # the blocks whose outputs a pyramid takes
SLOPE = 0.01  # of the leaky ReLU between a style's convolutions
MAX_CONVOLUTIONS, MAX_STYLES = 8, 64
LAST_LAYER = "linear.weight"  # of encoders without a head per style
_ALL_STYLES = "output_layer_2.3.weight"  # before it, where it gives all styles
_CELLS = 7  # of a side of the map that it then sees


class IrBlock(nn.Module):
    """A block of IR-50, with squeeze and excitation where the file has it."""

    def __init__(self, shapes: Shapes, name: str, stride: int) -> None:
        super().__init__()
        width, narrow = _dimensions(shapes, f"{name}.res_layer.1.weight", 4)[:2]
        self.stride = stride
        self.shortcut_layer: nn.Module | None = None
        if f"{name}.shortcut_layer.0.weight" in shapes:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(narrow, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
        layers: list[nn.Module] = [
            nn.BatchNorm2d(narrow),
            nn.Conv2d(narrow, width, 3, 1, 1, bias=False),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        ]
        squeeze = f"{name}.res_layer.5.fc1.weight"
        if squeeze in shapes:
            layers.append(_Excitation(width, _dimensions(shapes, squeeze, 4)[0]))
        self.res_layer = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        around = (
            x[..., :: self.stride, :: self.stride] if self.shortcut_layer is None else self.shortcut_layer(x)
        )
        return self.res_layer(x) + around


class _Excitation(nn.Module):
    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, narrow, 1, bias=False)
        self.fc2 = nn.Conv2d(narrow, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class ResNetBlock(nn.Module):
    """A basic block of ResNet-34."""

    def __init__(self, shapes: Shapes, name: str, stride: int) -> None:
        super().__init__()
        width, narrow = _dimensions(shapes, f"{name}.conv1.weight", 4)[:2]
        self.conv1 = nn.Conv2d(narrow, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if f"{name}.downsample.0.weight" in shapes:
            self.downsample = nn.Sequential(
                nn.Conv2d(narrow, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.downsample is None else self.downsample(x)
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + around).relu()


class ScaledLinear(nn.Module):
    """A linear layer whose weights are stored at unit variance (Karras et al. 2018, section 4.1)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight / self.weight.shape[1] ** 0.5, self.bias)


class StyleHead(nn.Module):
    """A map [B,C,h,w] -> a style [B,w_dim] by convolutions of stride 2 down to one pixel."""

    def __init__(self, shapes: Shapes, name: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while f"{name}.convs.{len(layers)}.weight" in shapes and len(layers) < 2 * MAX_CONVOLUTIONS:
            outputs, inputs = _dimensions(shapes, f"{name}.convs.{len(layers)}.weight", 4)[:2]
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(SLOPE)]
        self.convs = nn.Sequential(*layers)
        self.linear = ScaledLinear(*reversed(_dimensions(shapes, f"{name}.linear.weight", 2)))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


class StyleNetwork(nn.Module):
    """Pictures [B,3 or 6,256,256] in [-1,1] -> styles [B,num_ws or 1,w_dim], before the mean code is added.

    rows: num_ws, or 1 for all layers, and w_dim. shapes: of the weights, by their names without "encoder.";
    progressive: whether all styles but the first are deltas to it, as e4e's (Tov et al. 2021, section 4.2).
    Raises UnsupportedCheckpointError where they are no such network's.
    """

    def __init__(self, shapes: Shapes, progressive: bool) -> None:
        super().__init__()
        self.progressive = progressive
        resnet = "conv1.weight" in shapes
        first = "conv1.weight" if resnet else "input_layer.0.weight"
        width, self.inputs = _dimensions(shapes, first, 4)[:2]
        blocks = 16 if resnet else 24
        if f"body.{blocks - 1}.{'conv1' if resnet else 'res_layer.1'}.weight" not in shapes:
            raise UnsupportedCheckpointError(
                f"its encoder has fewer than the {blocks} blocks of {_backbone(resnet)}"
            )
        if resnet:
            self.conv1 = nn.Conv2d(self.inputs, width, 7, 2, 3, bias=False)
            self.bn1, self.relu = nn.BatchNorm2d(width), nn.PReLU(width)
            made: list[nn.Module] = [
                ResNetBlock(shapes, f"body.{i}", _RESNET_STRIDES.get(i, 1)) for i in range(blocks)
            ]
        else:
            self.input_layer = nn.Sequential(
                nn.Conv2d(self.inputs, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
            )
            made = [IrBlock(shapes, f"body.{i}", _IR_STRIDES.get(i, 1)) for i in range(blocks)]
        self.body = nn.Sequential(*made)
        self.taps = _RESNET_TAPS if resnet else _IR_TAPS
        self.linear: ScaledLinear | None = None
        self.output_layer_2: nn.Sequential | None = None
        if LAST_LAYER in shapes:
            self._add_last_layer(shapes)
            return
        self.styles = nn.ModuleList(StyleHead(shapes, f"styles.{i}") for i in range(_count(shapes, "styles")))
        self.rows = len(self.styles), _dimensions(shapes, "styles.0.linear.weight", 2)[0]
        self.latlayer1, self.latlayer2 = (_lateral(shapes, f"latlayer{i}") for i in (1, 2))

    def _add_last_layer(self, shapes: Shapes) -> None:
        numbers, inputs = _dimensions(shapes, LAST_LAYER, 2)
        self.linear, self.rows = ScaledLinear(inputs, numbers), (1, numbers)
        if _ALL_STYLES not in shapes:
            return
        hidden, cells = _dimensions(shapes, _ALL_STYLES, 2)
        self.output_layer_2 = nn.Sequential(
            nn.BatchNorm2d(cells // _CELLS**2),
            nn.AdaptiveAvgPool2d(_CELLS),
            nn.Flatten(),
            nn.Linear(cells, hidden),
        )
        self.rows = numbers // inputs, inputs
        if numbers % inputs or self.rows[0] > MAX_STYLES:
            raise UnsupportedCheckpointError(
                f"its encoder's {LAST_LAYER} is {[numbers, inputs]}; expected rows for up to {MAX_STYLES} styles"
            )

    def forward(self, pictures: Tensor) -> Tensor:
        x = (
            self.input_layer(pictures)
            if hasattr(self, "input_layer")
            else self.relu(self.bn1(self.conv1(pictures)))
        )
        tapped = []
        for index, block in enumerate(self.body):
            x = block(x)
            if index in self.taps:
                tapped.append(x)
        if self.linear is not None:
            seen = x.mean((2, 3)) if self.output_layer_2 is None else self.output_layer_2(x)
            styles: Tensor = self.linear(seen)
            return styles.unflatten(1, self.rows)
        fine, middle, coarse = tapped
        maps = [coarse] * 3
        if self.latlayer1 is not None and self.latlayer2 is not None:
            maps[1] = _enlarged(coarse, self.latlayer1(middle))
            maps[2] = _enlarged(maps[1], self.latlayer2(fine))
        each = [head(maps[sum(i >= at for at in PYRAMID)]) for i, head in enumerate(self.styles)]
        result = torch.stack(each, dim=1)
        if not self.progressive:
            return result
        return torch.cat([result[:, :1], result[:, :1] + result[:, 1:]], dim=1)


def _enlarged(small: Tensor, large: Tensor) -> Tensor:
    return F.interpolate(small, size=large.shape[-2:], mode="bilinear", align_corners=True) + large


def _lateral(shapes: Shapes, name: str) -> nn.Conv2d | None:
    if f"{name}.weight" not in shapes:
        return None
    outputs, inputs = _dimensions(shapes, f"{name}.weight", 4)[:2]
    return nn.Conv2d(inputs, outputs, 1)


def _count(shapes: Shapes, name: str) -> int:
    count = next(
        i for i in range(MAX_STYLES + 1) if f"{name}.{i}.linear.weight" not in shapes or i == MAX_STYLES
    )
    if not count:
        raise UnsupportedCheckpointError(
            "its encoder has no styles.0.linear, a head per style; expected e4e's, pSp's or ReStyle's"
        )
    return count


def _dimensions(shapes: Shapes, name: str, count: int) -> tuple[int, ...]:
    found = shapes.get(name, ())
    if len(found) != count or 0 in found:
        raise UnsupportedCheckpointError(
            f"its encoder's {name} is {list(found)}; expected {count} dimensions"
        )
    return found


def _backbone(resnet: bool) -> str:
    return "ResNet-34" if resnet else "IR-SE50"
