"""The generator as everyone uses it: frozen, in evaluation mode, safe to differentiate through."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .architecture import Architecture, GeneratorModule, build_module
from .region import Box


class Generator:
    """A StyleGAN2: z -> w -> image, of the whole picture or of just a box of it.

    Attributes: z_dim, w_dim, num_ws, img_resolution; style_layout: (layer, channels) of each style in the
    order of synthesis; fingerprint: SHA-256 of the weights in float32, which identifies the generator
    whatever its device and dtype; metadata: what the file says of itself (architecture, licence, source,
    ...); module: the networks, with NVlabs' parameter names.
    """

    def __init__(
        self,
        module: GeneratorModule,
        metadata: Mapping[str, str] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """Takes `module` over: it is frozen and put into evaluation mode."""
        self.module = module.requires_grad_(False).eval()
        module.synthesis.freeze()
        self.architecture = Architecture.of(module)
        self.z_dim = self.architecture.z_dim
        self.w_dim = self.architecture.w_dim
        self.img_resolution = self.architecture.img_resolution
        self.num_ws = module.synthesis.num_ws
        self.style_layout = tuple(
            (name, layer.in_channels) for name, layer in module.synthesis.styled_layers()
        )
        self.metadata = dict(metadata or {})
        self.fingerprint = fingerprint or weights_fingerprint(module.state_dict())

    @property
    def w_avg(self) -> Tensor:
        """The mean of w, [w_dim]: the code of the average image."""
        return self.module.mapping.w_avg

    @property
    def device(self) -> torch.device:
        return self.w_avg.device

    @property
    def dtype(self) -> torch.dtype:
        """What synthesis computes in; the mapping network and the RGB sums use at least float32."""
        return self.module.synthesis.dtype

    def mapping(
        self, z: Tensor, c: None = None, truncation_psi: float = 1.0, truncation_cutoff: int | None = None
    ) -> Tensor:
        """z: [B,z_dim], normally distributed -> ws: [B,num_ws,w_dim].

        c: class labels, which no supported generator has. truncation_psi: 1 keeps w, 0 gives w_avg;
        truncation_cutoff: truncate only the first that many of the num_ws vectors (None: all).
        Raises InvalidInputError for a wrong shape or given labels.
        """
        if c is not None:
            raise InvalidInputError("class labels were given; this generator has no classes, pass c=None")
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise InvalidInputError(f"z is {tuple(z.shape)}; expected [B,{self.z_dim}]")
        return self.module.mapping(z.to(self.w_avg.dtype), truncation_psi, truncation_cutoff)

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws: [B,num_ws,w_dim], or w: [B,w_dim] for all layers -> the styles [B,C] of `style_layout`."""
        if ws.ndim == 2:
            ws = ws.unsqueeze(1).expand(-1, self.num_ws, -1)
        return self.module.synthesis.styles(ws.to(self.dtype))

    def synthesis(
        self,
        codes: Tensor | Sequence[Tensor],
        box: Box | tuple[int, int, int, int] | None = None,
        noise_mode: str = "const",
        rng: torch.Generator | None = None,
        out_resolution: int | None = None,
    ) -> Tensor:
        """Makes images [B,3,h,w], nominally in [-1,1].

        codes: ws [B,num_ws,w_dim], w [B,w_dim], or the list of styles [B,C] of `style_layout`;
        differentiable. box: (top, left, bottom, right), half-open output pixels: only these are made, equal
        to the crop of the whole. noise_mode: "const", "none" or "random" (from `rng`). out_resolution: a
        lower power of two, for a preview. Raises InvalidInputError for wrong shapes, boxes or modes.
        """
        styles = self.styles(codes) if isinstance(codes, Tensor) else self._checked_styles(codes)
        return self.module.synthesis(styles, box, noise_mode, rng, out_resolution)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Generator:
        """This generator on `device` and computing in `dtype`: itself if nothing changes, otherwise a copy.

        Weights made in inference mode are replaced by copies too, because autograd cannot save such tensors.
        """
        device = self.device if device is None else torch.empty(0, device=device).device  # "cuda" -> "cuda:0"
        dtype = self.dtype if dtype is None else dtype
        state = self.module.state_dict()
        usable = not any(tensor.is_inference() for tensor in state.values())
        if usable and (device, dtype) == (self.device, self.dtype):
            return self
        with torch.inference_mode(False):
            module = build_module(self.architecture, state, device, dtype)
            return Generator(module, self.metadata, self.fingerprint)

    def _checked_styles(self, styles: Sequence[Tensor]) -> list[Tensor]:
        found = [tuple(style.shape) for style in styles]
        batch = found[0][:1] if found else ()
        expected = [(*batch, channels) for _, channels in self.style_layout]
        if found != expected:
            raise InvalidInputError(f"styles have the shapes {found}; expected {expected}")
        return [style.to(self.dtype) for style in styles]


def weights_fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of a state dict's names, shapes and float32 values, whatever their order and device."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
