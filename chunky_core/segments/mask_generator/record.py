"""The mask generator: a record of what was learnt, and the masks that it gives for codes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ...boxes import AnySize, Size, as_size
from ...checks import FLOATS, check_type, check_whole, checked_names
from ...devices import usable_device
from ...errors import InvalidInputError, WrongGeneratorError
from ...generator.features import recorded_layers
from ...generator.generator import Generator
from ...generator.spaces import LatentCode, check_codes, synthesis_input
from ..names import check_name, resolve_names
from ..segment_masks import SegmentMasks
from .classifier import Classifier, member_logits

FAINT = 0.01  # probabilities below are no part of a soft mask, which would cover the whole picture otherwise
MOST_SIDE = 16384  # pixels of a picture of masks
MOST_CLASSES = 255  # 255 itself stands for unknown in label maps of 8 bits
SMALLEST_SHARE = 5e-4  # of the picture, below which a class shows in stray pixels only
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Where training stands: steps done, and Adam's moments of the weights and biases in the classifier's order."""

    step: int
    first_moments: tuple[Tensor, ...]
    second_moments: tuple[Tensor, ...]

    def to(self, device: torch.device | str | None) -> TrainingState:
        """This state on `device`; None: where it is."""
        first, second = (
            tuple(one.to(device) for one in moments) for moments in (self.first_moments, self.second_moments)
        )
        return TrainingState(self.step, first, second)


@dataclass(frozen=True, eq=False, repr=False)
class MaskGenerator:
    """G^S of P2 §3: the code of a picture -> which class each of its pixels belongs to.

    names: of the K classes, one of which every pixel has. fingerprint: of the generator whose features it reads.
    layers: names of those features (`feature_layers`). classifier: the ensemble of M networks. training: where its
    training stands, None where that was not kept. figures: what was measured of it, by name.
    Raises InvalidInputError for names that are alike, no text, or not as many as the classes.
    """

    names: tuple[str, ...]
    fingerprint: str
    layers: tuple[str, ...]
    classifier: Classifier
    training: TrainingState | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_class_names(self.names)
        check_type(
            self.classifier, "the classifier", Classifier, "train_mask_generator makes mask generators"
        )
        classes = self.classifier.weights[-1].shape[-1]
        if len(self.names) != classes:
            raise InvalidInputError(
                f"{len(self.names)} names were given for {classes} classes; give one for each"
            )

    def __repr__(self) -> str:
        names = ", ".join(self.names)
        return f"MaskGenerator({names:.80}; {self.members} networks, generator {self.fingerprint[:12]})"

    @property
    def members(self) -> int:
        """How many networks the ensemble has."""
        return self.classifier.members

    @property
    def device(self) -> torch.device:
        return self.classifier.mean.device

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> MaskGenerator:
        """This mask generator on `device`, in `dtype`; without its training's state in another dtype. Fit for autograd,
        even if it was made in inference mode. Raises InvalidInputError for a device that can't be used here, and a
        dtype of no floats.
        """
        if device is not None and device != self.device:
            device = usable_device(device)
        if dtype not in (None, *FLOATS):
            raise InvalidInputError(
                f"the dtype is {dtype!r:.60}; expected torch.float32 or another of floats"
            )
        own = self.classifier

        def at(one: Tensor) -> Tensor:
            return (one.clone() if one.is_inference() else one).to(device, dtype)

        with torch.inference_mode(False), torch.no_grad():
            weights, biases = (tuple(at(one) for one in ones) for ones in (own.weights, own.biases))
            moved = Classifier(at(own.mean), at(own.scale), weights, biases)
        training = self.training if dtype in (None, own.mean.dtype) else None
        return replace(self, classifier=moved, training=training and training.to(device))

    def with_members(self, count: int) -> MaskGenerator:
        """With the first `count` networks only, which is faster in proportion. Raises InvalidInputError."""
        check_whole(count, "the number of networks", 1, self.members)
        own = self.classifier
        weights, biases = (tuple(one[:count] for one in ones) for ones in (own.weights, own.biases))
        return replace(self, classifier=Classifier(own.mean, own.scale, weights, biases), training=None)

    def probabilities(
        self, generator: Generator, code: LatentCode, size: Size | tuple[int, int] | None = None
    ) -> Tensor:
        """How likely each pixel belongs to each class: [B,K,H,W] in [0,1], adding up to one; the mean of the networks.

        code: [B,...] in any space; differentiable by its tensor. size: (height, width), None: the generator's; a
        smaller one is faster. Raises WrongGeneratorError for another generator than the one it was trained for,
        InvalidInputError for codes that aren't finite and sides that are no whole numbers from 1 to 16384.
        """
        wanted = self._wanted(generator, size)
        return self.by_features(self.drawn(generator, code)[1], wanted)

    @torch.no_grad()
    def uncertainty(
        self, generator: Generator, code: LatentCode, size: Size | tuple[int, int] | None = None
    ) -> Tensor:
        """Where the networks disagree: [B,1,H,W] in [0,1], 0 = they agree.

        The Jensen-Shannon divergence of their probabilities (DatasetGAN, §3.2), divided by its largest value, the
        logarithm of the number of networks or of classes, whichever is smaller. 0 everywhere for one network.
        """
        return self.read(generator, code, size)[1]

    @torch.no_grad()
    def read(
        self, generator: Generator, code: LatentCode, size: Size | tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """`probabilities` and `uncertainty`, by drawing the picture once."""
        wanted = self._wanted(generator, size)
        each = self._by_member(self.drawn(generator, code)[1], wanted)
        mean, most = each.mean(dim=1), math.log(min(each.shape[1], each.shape[2]))
        if not most:
            return mean, torch.zeros_like(each[:, 0, :1])
        divergence = _entropy(mean, 1) - _entropy(each, 2).mean(dim=1)
        return mean, (divergence / most).clamp(0, 1)[:, None]

    @torch.no_grad()
    def labels(
        self, generator: Generator, code: LatentCode, size: Size | tuple[int, int] | None = None
    ) -> Tensor:
        """The most likely class of each pixel: int64 [B,H,W], places in `names`."""
        return self.probabilities(generator, code, size).argmax(dim=1)

    @torch.no_grad()
    def masks(
        self,
        generator: Generator,
        code: LatentCode,
        static: Sequence[str] = (),
        size: Size | tuple[int, int] | None = None,
    ) -> SegmentMasks:
        """The soft masks of one picture: a segment for each class that is the most likely one somewhere.

        code: one, [1,...]. static: names, or groups such as "eyes", of classes that belong to the static mask instead.
        Probabilities below 0.01 count as 0. Raises InvalidInputError for several codes, unknown names, and where no
        segment is left.
        """
        check_type(code, "the code", LatentCode, "an inversion's segments have one each")
        if len(code.tensor) != 1:
            raise InvalidInputError(
                f"{len(code.tensor)} codes were given; masks are of one picture at a time"
            )
        kept = static_classes(static, self.names)
        return segment_masks(self.probabilities(generator, code, size)[0], self.names, kept)

    def drawn(self, generator: Generator, code: LatentCode) -> tuple[Tensor, list[Tensor]]:
        """The picture of a code, [B,3,H,W], and the features that tell its classes, [B,C,h,w] of each layer.

        Differentiable by the code's tensor. Raises WrongGeneratorError for another generator than its own.
        """
        self.check_generator(generator)
        check_type(code, "the code", LatentCode, "an inversion's segments have one each")
        if not code.tensor.requires_grad:  # one that is optimized is its optimizer's to watch
            check_codes(code, "the code")
        there = LatentCode(code.space, code.tensor.to(generator.device))
        with recorded_layers(generator, self.layers) as maps:
            picture = generator.synthesis(synthesis_input(generator, there))
        return picture, [maps[name].to(self.device) for name in self.layers]

    def by_features(self, maps: Sequence[Tensor], size: Size | tuple[int, int]) -> Tensor:
        """`probabilities` of the features that `drawn` gives; differentiable by them."""
        return self._by_member(maps, Size(*size)).mean(dim=1)

    def _by_member(self, maps: Sequence[Tensor], size: Size) -> Tensor:
        """The probabilities of each network: [B,M,K,H,W]."""
        dtype = torch.promote_types(self.classifier.mean.dtype, torch.float32)
        own = self if dtype == self.classifier.mean.dtype else self.to(dtype=dtype)
        return member_logits(own.classifier, maps, size).softmax(dim=2)

    def digest(self) -> str:
        """SHA-256 (hex) of classes, layers and weights, which decide what it says of a code."""
        own = self.classifier
        found = hashlib.sha256(repr((self.names, self.layers, self.fingerprint)).encode())
        for one in (own.mean, own.scale, *own.weights, *own.biases):
            found.update(one.detach().float().cpu().contiguous().numpy().data)
        return found.hexdigest()

    def _wanted(self, generator: Generator, size: Size | tuple[int, int] | None) -> Size:
        self.check_generator(generator)
        return generator.img_size if size is None else masks_size(size)

    def check_generator(self, generator: Generator) -> None:
        """Raise WrongGeneratorError, which names both fingerprints, unless it is the one it was trained for."""
        check_type(generator, "the generator", Generator, "it comes first; load_generator reads one")
        if generator.fingerprint != self.fingerprint:
            raise WrongGeneratorError(
                f"this mask generator was trained for generator {self.fingerprint[:12]}, the one given is "
                f"{generator.fingerprint[:12]}; load the generator it was trained for, or train one for this"
            )


def masks_size(size: AnySize) -> Size:
    """(height, width) as pictures of masks may have it. Raises InvalidInputError for anything else."""
    wanted = as_size(size)
    for what, side in zip(("height", "width"), wanted, strict=True):
        check_whole(side, f"the {what} of the masks", 1, MOST_SIDE)
    return wanted


def static_classes(static: Sequence[str], names: Sequence[str]) -> set[str]:
    """The classes that `static` means: one name or group, or several.

    Raises InvalidInputError for anything else, for unknown names, and where no class is left.
    """
    kept = set(resolve_names(checked_names(static, "the static classes"), names, thing="class"))
    if len(kept) == len(names):
        raise InvalidInputError(
            f"all classes ({', '.join(names):.200}) are static; leave one of them out of static"
        )
    return kept


def segment_masks(probabilities: Tensor, names: Sequence[str], static: set[str]) -> SegmentMasks:
    """Probabilities [K,H,W] as masks: classes that hardly show are left out, faint probabilities cut off.

    static: names of the classes that the photo itself stays for. Raises InvalidInputError where no segment is left.
    """
    pixels = torch.bincount(probabilities.argmax(dim=0).flatten(), minlength=len(names))
    enough = max(1.0, SMALLEST_SHARE * float(pixels.sum()))
    shown = [index for index in range(len(names)) if float(pixels[index]) >= enough]
    values = probabilities[shown].to(torch.float32) + _TINY
    values = values / values.sum(dim=0, keepdim=True)
    values = torch.where(values < FAINT, 0.0, values)
    values = values / values.sum(dim=0, keepdim=True)
    moving = [place for place, index in enumerate(shown) if names[index] not in static]
    if not moving:
        found = ", ".join(names[index] for index in shown)
        raise InvalidInputError(
            f"the picture shows {found or 'nothing'}, all of which are static; leave one of them out of static"
        )
    masks = values[moving][:, None]
    rest = (1 - masks.sum(dim=0, keepdim=True)).clamp(0, 1)
    rest = torch.where(rest < 1e-6, 0.0, rest)
    return SegmentMasks(tuple(names[shown[place]] for place in moving), masks, rest)


def check_class_names(names: Sequence[str]) -> None:
    """Raise InvalidInputError unless they are two or more different texts, at most MOST_CLASSES."""
    texts = isinstance(names, tuple | list) and all(isinstance(one, str) and one.strip() for one in names)
    if not texts or len(names) < 2 or len(set(names)) < len(names):
        raise InvalidInputError(f"the classes are named {names!r:.80}; expected two or more different names")
    if len(names) > MOST_CLASSES:
        raise InvalidInputError(
            f"{len(names)} classes were named; expected at most {MOST_CLASSES}: label {MOST_CLASSES} is unknown"
        )
    for name in names:
        check_name(name)


def _entropy(probabilities: Tensor, dim: int) -> Tensor:
    return -(probabilities * (probabilities + _TINY).log()).sum(dim=dim)
