"""The mapping network z -> w of StyleGAN2 and StyleGAN3, conditional or not (Karras et al. 2019, 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .ops import drawn, leaky_relu

LR_MULTIPLIER = 0.01  # NVlabs' default


class FullyConnectedLayer(nn.Module):
    """Linear layer; its weights have unit variance and are scaled at run time (Karras et al. 2018, sec. 4.1)."""

    def __init__(
        self, in_features: int, out_features: int, *, bias_init: float = 0.0, lr_multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(drawn(out_features, in_features).div_(lr_multiplier))
        self.bias = nn.Parameter(torch.full((out_features,), bias_init))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """x: [B,in_features] -> [B,out_features]."""
        bias = self.bias if self.bias_gain == 1.0 else self.bias * self.bias_gain
        return torch.addmm(bias, x, self.weight.t(), alpha=self.weight_gain)


class MappingNetwork(nn.Module):
    """z and class labels -> w: both normalised, then `num_layers` fully connected layers with leaky ReLU.

    class_means: whether each class has its own mean of w, and is described by z_dim in place of w_dim numbers
    (StyleGAN-XL, Sauer et al. 2022).
    """

    w_avg: Tensor
    class_w_avg: Tensor | None

    def __init__(
        self,
        z_dim: int,
        w_dim: int,
        num_ws: int,
        num_layers: int = 8,
        c_dim: int = 0,
        lr_multiplier: float = LR_MULTIPLIER,
        class_means: bool = False,
    ) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.c_dim, self.num_ws = z_dim, w_dim, c_dim, num_ws
        self.num_layers, self.lr_multiplier = num_layers, lr_multiplier
        described = z_dim if class_means else w_dim
        if c_dim:
            self.embed = FullyConnectedLayer(c_dim, described)
        in_features = z_dim + described if c_dim else z_dim
        for index in range(num_layers):
            self.add_module(
                f"fc{index}", FullyConnectedLayer(in_features, w_dim, lr_multiplier=lr_multiplier)
            )
            in_features = w_dim
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.register_buffer("class_w_avg", torch.zeros(c_dim, w_dim) if class_means else None)

    def config_hints(self) -> dict[str, Any]:
        """What the tensors' shapes don't tell."""
        return {"lr_multiplier": self.lr_multiplier}

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """z: [B,z_dim], normally distributed; c: labels [B,c_dim], mostly one-hot, None where c_dim is 0

        -> ws: [B,num_ws,w_dim]. truncation_psi: 1 leaves w as it is, 0 gives w_avg; truncation_cutoff: only
        the first that many of the num_ws vectors are truncated (None: all).
        """
        x = _normalized(z)
        if c is not None:
            x = torch.cat([x, _normalized(self.embed(c))], dim=1)
        for index in range(self.num_layers):
            x = leaky_relu(self.get_submodule(f"fc{index}")(x))
        ws = x.unsqueeze(1).expand(-1, self.num_ws, -1)
        if truncation_psi == 1.0:
            return ws.contiguous()
        cutoff = self.num_ws if truncation_cutoff is None else truncation_cutoff
        truncated = self._mean(c).lerp(ws[:, :cutoff], truncation_psi)
        return torch.cat([truncated, ws[:, cutoff:]], dim=1)

    def _mean(self, c: Tensor | None) -> Tensor:
        """What truncation pulls to: the mean of w [w_dim], or those of the classes c: [B,c_dim] as [B,1,w_dim]."""
        if self.class_w_avg is None or c is None:
            return self.w_avg
        return self.class_w_avg[c.argmax(dim=1)].unsqueeze(1)


def mapping_dimensions(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """z_dim, w_dim, c_dim, mapping_layers and class_means behind the shapes of "mapping.fc0.weight" and so on.

    The first layer's tensor must be there and have two dimensions.
    """
    w_dim, in_features = shapes["mapping.fc0.weight"]
    embed = shapes.get("mapping.embed.weight", ())
    c_dim = embed[1] if len(embed) == 2 else 0
    layers = sum(name.startswith("mapping.fc") and name.endswith(".weight") for name in shapes)
    class_means = "mapping.class_w_avg" in shapes
    described = embed[0] if class_means else w_dim
    z_dim = in_features - described if c_dim else in_features
    dimensions = {"z_dim": z_dim, "w_dim": w_dim, "c_dim": c_dim, "mapping_layers": layers}
    return {**dimensions, "class_means": class_means}


def _normalized(x: Tensor) -> Tensor:
    """Rows of x: [B,C] scaled to a mean square of 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
