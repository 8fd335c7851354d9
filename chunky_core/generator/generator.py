"""The generator as everyone uses it: frozen, in evaluation mode, safe to differentiate through."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..boxes import AnyBox, Size, check_boxes
from ..checks import check_shape
from ..errors import InvalidInputError
from .architecture import Architecture, GeneratorModule, architecture_of, build_module
from .batches import Batch
from .cost import Cost
from .partial_synthesis import PartialSynthesis
from .region_plan import SynthesisPlan
from .settings import FIR


class Generator:
    """A StyleGAN2 or StyleGAN3: z -> w -> image, of the whole picture or of just a box of it.

    Attributes: architecture; z_dim, w_dim, num_ws; img_size: (height, width) of the pictures; img_resolution: their
    longer side, which stands for the whole size wherever a resolution is asked for (see `size_at`); c_dim: length
    of the class labels, 0 for a generator without; supports_boxes: whether a box is cheaper than the whole picture;
    style_layout: (layer, channels) of each style in the order of synthesis; noise_layout: (layer, resolution) of each
    noise map in the order of synthesis, () for a generator without noise; metadata: what the file says of itself
    (architecture, licence, source, ...); module: the networks, with NVlabs' parameter names.
    """

    def __init__(
        self,
        module: GeneratorModule,
        metadata: Mapping[str, str] | None = None,
        fingerprint: str | None = None,
        architecture: Architecture | None = None,
    ) -> None:
        """Takes `module` over: it is frozen and put into evaluation mode.

        fingerprint, architecture: the module's, where they are known already.
        """
        self.module = module.requires_grad_(False).eval()
        module.synthesis.freeze()
        self.architecture = architecture or architecture_of(module)
        self.z_dim = self.architecture.z_dim
        self.w_dim = self.architecture.w_dim
        self.c_dim = self.architecture.c_dim
        self.img_resolution = self.architecture.img_resolution
        self.img_size = self.architecture.img_size
        self.num_ws = module.synthesis.num_ws
        self.supports_boxes = module.synthesis.exact_boxes
        self.style_layout = tuple(
            (name, layer.in_channels) for name, layer in module.synthesis.styled_layers()
        )
        self.noise_layout = module.synthesis.noise_layout
        self.metadata = dict(metadata or {})
        self._fingerprint = fingerprint

    def __repr__(self) -> str:
        kind = self.architecture.as_metadata()["architecture"]
        codes = f"z {self.z_dim}, w {self.num_ws} x {self.w_dim}"
        return f"Generator({kind}, {self._pixels()}, {codes}, {self.device}, {self.dtype})"

    def _pixels(self) -> str:
        return f"{self.img_resolution}px" if self.is_square else f"{self.img_size}px"

    @property
    def is_square(self) -> bool:
        return self.img_size.height == self.img_size.width

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights in float32, which identifies the generator whatever its device and dtype.

        Computed when first asked for: on a large generator that takes longer than loading it.
        """
        if self._fingerprint is None:
            self._fingerprint = weights_fingerprint(self.module.state_dict(), self.architecture)
        return self._fingerprint

    @property
    def out_resolutions(self) -> tuple[int, ...]:
        """What `synthesis` takes as out_resolution, from the lowest up."""
        return self.module.synthesis.out_resolutions

    def size_at(self, resolution: int | None = None) -> Size:
        """(height, width) of the pictures, or of a noise map, whose longer side is `resolution` (None: img_resolution).

        Raises InvalidInputError for a resolution that none of its layers has.
        """
        return self.module.synthesis.size_at(resolution)

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
        self,
        z: Tensor,
        c: Tensor | int | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """z: [B,z_dim], normally distributed -> ws: [B,num_ws,w_dim].

        c: the class of all or, as integers [B], of each, or labels [B,c_dim]; None for a generator without
        classes. truncation_psi: 1 keeps w, 0 gives w_avg; truncation_cutoff: truncate only the first that
        many of the num_ws vectors (None: all). Raises InvalidInputError for a wrong shape, and for classes
        that are missing, out of range or given where there are none.
        """
        check_shape(z, "z", ("B", self.z_dim))
        labels = self._labels(c, z.shape[0])
        return self.module.mapping(z.to(self.w_avg.dtype), labels, truncation_psi, truncation_cutoff)

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws: [B,num_ws,w_dim], or w: [B,w_dim] for all layers -> the styles [B,C] of `style_layout`."""
        if ws.ndim == 2:
            ws = ws.unsqueeze(1).expand(-1, self.num_ws, -1)
        return self.module.synthesis.styles(ws.to(self.dtype))

    def synthesis(
        self,
        codes: Tensor | Sequence[Tensor],
        box: AnyBox | None = None,
        noise_mode: str = "const",
        rng: torch.Generator | None = None,
        out_resolution: int | None = None,
        noise: Sequence[Tensor] | None = None,
        start: PartialSynthesis | None = None,
    ) -> Tensor:
        """Makes images [B,3,h,w], nominally in [-1,1].

        codes: ws [B,num_ws,w_dim], w [B,w_dim], or the list of styles [B,C] of `style_layout`;
        differentiable. box: (top, left, bottom, right), half-open output pixels: only these are made, equal
        to the crop of the whole. noise_mode: "const", "none" or "random" (from `rng`). out_resolution: one
        of `out_resolutions`, lower ones for a preview (StyleGAN2 with RGB skips only). noise: a map [h,w] per entry of
        `noise_layout`, which replaces the stored one in mode "const"; differentiable; None or empty: the
        stored ones. start: what `partial_synthesis` made of codes with the same styles up to some layer, and with
        the same noise, so that the rest alone is made; its box and resolution count instead of these.
        Raises InvalidInputError for wrong shapes, boxes or modes, for noise where there is none, and a start of other
        styles.
        """
        styles = self._styles_of(codes)
        if start is not None:
            start.check(styles)
        return self.module.synthesis(styles, box, noise_mode, rng, out_resolution, noise=noise, start=start)

    def partial_synthesis(
        self,
        codes: Tensor | Sequence[Tensor],
        layer: int,
        box: AnyBox | None = None,
        noise: Sequence[Tensor] | None = None,
        out_resolution: int | None = None,
        start: PartialSynthesis | None = None,
    ) -> PartialSynthesis:
        """The pass of `synthesis` up to before a layer, its place in `style_layout`: the `start` of passes that change
        the styles from there on only.

        start: of the same box, from which it goes on itself. The rest, and what is raised: see `synthesis`.
        """
        styles = self._styles_of(codes)
        if start is not None:
            start.check(styles)
        plan = self.module.synthesis.plan(box, out_resolution) if start is None else start.plan
        return self.module.synthesis.partial(styles, layer, plan, noise=noise, start=start)

    def synthesis_boxes(
        self,
        codes: Tensor | Sequence[Tensor],
        boxes: Sequence[AnyBox] | SynthesisPlan,
        noise: Sequence[Tensor] | None = None,
        out_resolution: int | None = None,
        noise_mode: str = "const",
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Makes boxes[b] of sample b in one pass: [B,3,h,w], nominally in [-1,1].

        boxes: one per sample, all of one size, such as a Batch of `batches` has; or their `plan`, which has the
        resolution, too. The rest: see `synthesis`; each sample equals `synthesis` of its box alone. Without
        `supports_boxes` the whole images are made and cropped. Raises InvalidInputError as `synthesis` does, and
        for boxes of several sizes.
        """
        styles = self._styles_of(codes)
        given = boxes.boxes if isinstance(boxes, SynthesisPlan) else boxes
        if len(given) != styles[0].shape[0]:
            found = f"{len(given)} boxes and codes of {styles[0].shape[0]} samples were given"
            raise InvalidInputError(f"{found}; expected one box per sample")
        plan = boxes if isinstance(boxes, SynthesisPlan) else self.plan(boxes, out_resolution)
        if out_resolution not in (None, plan.resolution):
            found = f"out_resolution is {out_resolution} and the plan is for {plan.resolution}"
            raise InvalidInputError(f"{found} pixels; make a plan for each resolution")
        return self.module.synthesis(styles, plan, noise_mode, rng, noise=noise)

    def plan(self, boxes: Sequence[AnyBox], out_resolution: int | None = None) -> SynthesisPlan:
        """What `synthesis_boxes` takes in place of `boxes`, to be made once where they are drawn many times.

        It belongs to the architecture, not to the weights. Raises InvalidInputError for a bad box, several sizes
        and a resolution that the generator doesn't make.
        """
        checked = check_boxes(boxes, self.size_at(out_resolution))
        return self.module.synthesis.plan(checked, out_resolution)

    def batches(self, boxes: Sequence[AnyBox], out_resolution: int | None = None) -> tuple[Batch, ...]:
        """Groups boxes to be made by one `synthesis_boxes` each, such that the estimated time is least."""
        return self.module.synthesis.batches(boxes, out_resolution)

    def cost(
        self, box: AnyBox | None = None, out_resolution: int | None = None, first_layer: int = 0
    ) -> Cost:
        """Multiply-adds and feature values of making `box` (None: everything) of one sample, forward only.

        first_layer: the first that counts, its place in `style_layout`, as of a pass that a `start` spares the others.
        """
        return self.module.synthesis.cost(box, out_resolution, first_layer)

    def relative_cost(self, box: AnyBox, out_resolution: int | None = None) -> float:
        """The estimated time of making `box` alone, with what a pass takes at any size; 1 = the whole."""
        return self.module.synthesis.relative_cost(box, out_resolution)

    def effort(self, box: AnyBox, out_resolution: int | None = None) -> float:
        """The old name of `relative_cost`, until version 0.3."""
        message = "Generator.effort is now Generator.relative_cost; the old name goes with version 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self.relative_cost(box, out_resolution)

    def _styles_of(self, codes: Tensor | Sequence[Tensor]) -> list[Tensor]:
        return self.styles(codes) if isinstance(codes, Tensor) else self._checked_styles(codes)

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
            keeps = dtype in (torch.float32, torch.float64)  # so the copy can find out its own fingerprint
            fingerprint = self._fingerprint if keeps else self.fingerprint
            return Generator(module, self.metadata, fingerprint, self.architecture)

    def with_module(self, module: GeneratorModule) -> Generator:
        """This generator with networks of other weights, which are taken as they are."""
        own = copy.copy(self)
        own.module, own._fingerprint = module, None
        return own

    def _labels(self, c: Tensor | int | None, batch: int) -> Tensor | None:
        """c of `mapping` as labels [batch,c_dim], or None for a generator without classes."""
        if self.c_dim == 0:
            if c is not None:
                raise InvalidInputError("class labels were given; this generator has no classes, pass c=None")
            return None
        if c is None:
            raise InvalidInputError(f"no class was given; pass c, a class from 0 to {self.c_dim - 1}")
        labels = torch.full((batch,), c) if isinstance(c, int) else c
        if labels.ndim == 1 and not labels.is_floating_point():
            labels = self._one_hot(labels)
        if labels.shape != (batch, self.c_dim):
            message = (
                f"c is {tuple(labels.shape)}; expected classes [{batch}] or labels [{batch},{self.c_dim}]"
            )
            raise InvalidInputError(message)
        return labels.to(self.w_avg)

    def _one_hot(self, classes: Tensor) -> Tensor:
        outside = classes[(classes < 0) | (classes >= self.c_dim)]
        if outside.numel():
            raise InvalidInputError(f"the class {int(outside[0])} was given; expected 0 to {self.c_dim - 1}")
        return functional.one_hot(classes.long(), self.c_dim)

    def _checked_styles(self, styles: Sequence[Tensor]) -> list[Tensor]:
        found = [tuple(style.shape) for style in styles]
        batch = found[0][:1] if found else ()
        expected = [(*batch, channels) for _, channels in self.style_layout]
        if found != expected:
            raise InvalidInputError(f"styles have the shapes {found}; expected {expected}")
        return [style.to(self.dtype) for style in styles]


def weights_fingerprint(state: Mapping[str, Tensor], architecture: Architecture | None = None) -> str:
    """SHA-256 (hex) of a state dict's names, shapes and float32 values, whatever their order and device.

    architecture: of two networks with the same weights that draw differently, the bilinear one has another hash.
    """
    digest = hashlib.sha256()
    upsampling = getattr(architecture, "upsampling", FIR)
    digest.update(b"" if upsampling == FIR else upsampling.encode())
    for name in sorted(state):
        values = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).numpy().data)
    return digest.hexdigest()
