"""The record of an inversion: a photo, its segments with their codes, and the list of edits on top."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checks import check_type
from ..deprecated.argument_order import generator_then_inversion
from ..errors import InvalidInputError, WrongGeneratorError
from ..generator.generator import Generator
from ..generator.spaces import Direction, LatentCode, checked_layers
from ..images import to_uint8
from ..images.same_photo import how_photos_differ, is_same_photo
from ..segments.segment_masks import SegmentMasks
from ..wording import pictures
from .fits import ENOUGH_STEPS, SegmentFit, is_out_of_domain, poor_segments
from .original_crop import Alignment
from .segment_codes import SegmentCodes


@dataclass(frozen=True, eq=False)
class Edit:
    """Move the codes of some segments by strength x direction; strength is in the direction's unit.

    `segments` holds names or group names as `SegmentMasks.resolve` takes them ("eyes", "all"); one alone may be text.
    layers: which of the direction's layers take part, numbered as in `Direction`; () = all that it has. enabled: False
    keeps the edit in the list without effect. harmonizes: "", or for a harmony the digest of the edits that it was made
    for (`editing.harmonies`): with others it isn't in force.
    Raises InvalidInputError for another kind of direction, strength or layers.
    """

    direction: Direction
    strength: float
    segments: tuple[str, ...] = ("all",)
    layers: tuple[int, ...] = ()
    enabled: bool = True
    harmonizes: str = ""

    def __post_init__(self) -> None:
        check_type(
            self.direction, "the direction of an edit", Direction, "name one that `load_directions` gives"
        )
        if not isinstance(self.strength, int | float) or isinstance(self.strength, bool):
            raise InvalidInputError(f"the strength of an edit is {self.strength!r:.40}; expected a number")
        names = (self.segments,) if isinstance(self.segments, str) else tuple(self.segments)
        object.__setattr__(self, "segments", names)
        whose = f"the edit with {self.direction.name[:80]!r}"
        object.__setattr__(self, "layers", checked_layers(self.layers, whose))
        kept_layers(self.direction, self.layers, whose)
        if not isinstance(self.enabled, bool):
            raise InvalidInputError(f"enabled of {whose} is {self.enabled!r:.40}; expected True or False")

    @property
    def has_effect(self) -> bool:
        """Whether it is enabled, at a strength other than 0."""
        return self.enabled and self.strength != 0.0

    def __repr__(self) -> str:
        return f"Edit({str(self)!r}{'' if self.enabled else ', off'})"

    def __str__(self) -> str:
        """As `parse_edit` reads it, which takes it for enabled."""
        layers = f"[{','.join(map(str, self.layers))}]" if self.layers else ""
        return f"{'+'.join(self.segments)}:{self.direction.name}{layers}={self.strength:g}"


def kept_layers(direction: Direction, layers: tuple[int, ...], whose: str) -> tuple[int, ...]:
    """Those of a direction's layers that are among `layers`, () = all that it has.

    whose: who keeps it to them, for the error. Raises InvalidInputError where none is.
    """
    if not layers or not direction.layers:
        return layers or direction.layers
    kept = tuple(layer for layer in direction.layers if layer in layers)
    if not kept:
        has, wanted = (", ".join(map(str, some)) for some in (direction.layers, layers))
        raise InvalidInputError(
            f"{whose} keeps {direction.name[:80]!r} to the layers {wanted:.60}, of which it moves none; it moves "
            f"{has:.60}"
        )
    return kept


@dataclass(frozen=True, eq=False)
class EarlierStep:
    """A step of incremental editing (P1 fig. 5, P2 fig. 9): its composite is the photo of the inversion after it.

    options: the arguments of `composite` that it was made with, plain values by name.
    """

    inversion: Inversion
    options: Mapping[str, Any] = field(default_factory=dict)


TUNING = "tuning"  # the entry of a tuning in settings, and in the numbers of its state
PHASE = "phase"  # the entry of the last phase of a preset in settings


@dataclass(frozen=True, eq=False)
class ProjectionState:
    """Where a projection stands, or a tuning after it.

    step: how many of the steps are done; numbers: plain values that JSON can hold; tensors: codes under
    optimisation, the optimiser's moments, and what else is large.
    """

    step: int
    numbers: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        count = len(self.tensors)
        return f"ProjectionState(step {self.step}, {count} tensor{'s' * (count != 1)})"

    @property
    def is_tuning(self) -> bool:
        """Whether it is that of a tuning, which `tune` goes on with, and `project` doesn't."""
        return TUNING in self.numbers

    def on(self, device: torch.device | str) -> ProjectionState:
        """The same, its tensors on `device`."""
        return replace(self, tensors={name: tensor.to(device) for name, tensor in self.tensors.items()})


@dataclass(frozen=True, eq=False)
class Inversion:
    """A photo [1,3,H,W] in [-1,1] explained by segments; nothing in it is ever changed, every method makes a
    new one.

    segments: made of any sequence of `SegmentCode`. photo: None where it was left out; absent_photo is then its
    `photo_digest`, and "" otherwise.
    static_mask [1,1,H,W]: where it is 1 the photo itself stays. fingerprint: of the generator that the codes
    belong to. settings: what the projection was asked for, plain values only. losses: one curve per segment,
    one value per step. stopped: None, or why the projection ended early. noise: one map [h,w] for each entry
    of `Generator.noise_layout`, or () for the generator's own maps. alignment: where in a larger original the
    photo was cut out. state: where the projection or the tuning stands, to go on from there. fits: by name, how near
    each segment came to the photo; {} where it wasn't measured. delta: what tuning adds to the generator's weights for
    all segments, by parameter name (see `generator.weight_deltas`); empty = nothing; the segments' own come on top.
    earlier: the step before, of whose composite this is the inversion, or None. mask_code: X^S of the masks that were
    optimized with the codes, [1,num_ws,w_dim] in w+ (P2 equation 2), or None.
    Raises InvalidInputError where masks, names, photo and maps don't fit together.
    """

    photo: Tensor | None
    segments: SegmentCodes
    static_mask: Tensor
    fingerprint: str
    edits: tuple[Edit, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    stopped: str | None = None
    absent_photo: str = ""
    noise: tuple[Tensor, ...] = ()
    alignment: Alignment | None = None
    state: ProjectionState | None = None
    fits: Mapping[str, SegmentFit] = field(default_factory=dict)
    delta: Mapping[str, Tensor] = field(default_factory=dict)
    earlier: EarlierStep | None = None
    mask_code: LatentCode | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", SegmentCodes(self.segments))  # any sequence will do
        masks = self.masks  # checks names, sizes, signs and sums
        for delta in (self.delta, *(segment.delta for segment in self.segments)):
            _check_delta(delta)
        if (self.photo is None) != bool(self.absent_photo):
            raise InvalidInputError(
                "an inversion needs its photo or, if that is left out, the photo's digest"
            )
        if self.photo is not None:
            _check_photo(self.photo, masks.static)
        height, width = masks.size
        for index, noise in enumerate(self.noise):
            if noise.ndim != 2 or noise.shape[0] * width != noise.shape[1] * height:
                raise InvalidInputError(
                    f"noise map {index} is {list(noise.shape)}; expected sides in the photo's ratio, {height}:{width}"
                )
        self._check_edits()
        if self.earlier is not None:
            _check_earlier(self, self.earlier.inversion)

    def __repr__(self) -> str:
        count, edits = len(self.segments), len(self.edits)
        spaces = "/".join(dict.fromkeys(segment.code.space for segment in self.segments))
        height, width = self.static_mask.shape[-2:]
        size = f"{width}px" if width == height else f"{width}x{height}px"
        parts = [f"{count} segment{'s' * (count != 1)}", spaces, size, f"{edits} edit{'s' * (edits != 1)}"]
        parts += [f"step {len(self.steps)}"] * (self.earlier is not None)
        parts += ["tuned"] * self.is_tuned + ["unfinished"] * self.is_unfinished
        return f"Inversion({', '.join(parts)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the segments, in order."""
        return self.segments.names

    @property
    def is_tuned(self) -> bool:
        """Whether any of its segments is drawn with tuned weights."""
        return bool(self.delta) or any(segment.delta for segment in self.segments)

    @property
    def is_unfinished(self) -> bool:
        """Whether its projection or tuning was interrupted, so that going on with it leads somewhere."""
        return self.state is not None and (self.stopped or "").startswith("interrupted")

    @property
    def poor_fits(self) -> tuple[str, ...]:
        """Names of the segments that hardly came nearer to the photo than where they set out from."""
        return poor_segments(self.fits)

    @property
    def is_out_of_domain(self) -> bool:
        """Whether what the codes draw shows no more of the photo than 8x8 pixels do after a run of some length, so that
        the generator probably doesn't know such pictures.
        """
        if max(map(len, self.losses.values()), default=0) < ENOUGH_STEPS:
            return False
        areas = {segment.name: float(segment.mask.mean()) for segment in self.segments}
        return is_out_of_domain(self.fits, areas)

    @property
    def masks(self) -> SegmentMasks:
        """The masks of the segments, and the static one."""
        if not self.segments:
            raise InvalidInputError("the inversion has no segments; it needs at least one")
        masks = torch.cat([segment.mask for segment in self.segments])
        return SegmentMasks(names=self.names, masks=masks, static=self.static_mask)

    @property
    def photo_digest(self) -> str:
        """SHA-256 (hex) of the photo's size and 8-bit pixels, known even where the photo was left out."""
        return self.absent_photo if self.photo is None else photo_digest(self.photo)

    @property
    def steps(self) -> tuple[Inversion, ...]:
        """The steps of incremental editing that led here, the first one first, this one last."""
        found = [self]
        while found[-1].earlier is not None:
            found.append(found[-1].earlier.inversion)
        return tuple(reversed(found))

    def without_photo(self) -> Inversion:
        """The same without its photo, of which the digest stays, and without those of the steps before."""
        earlier = self.earlier
        if earlier is not None:
            earlier = replace(earlier, inversion=earlier.inversion.without_photo())
        return replace(self, photo=None, absent_photo=self.photo_digest, earlier=earlier)

    def is_of(self, photo: Tensor) -> bool:
        """Whether it explains a photo [1,3,H,W] in [-1,1]: the same 8-bit pixels or, where it holds its photo, the same
        file as another program decodes it (`images.is_same_photo`).
        """
        if self.photo_digest == photo_digest(photo):
            return True
        return self.photo is not None and is_same_photo(self.photo, photo)

    def with_photo(self, photo: Tensor) -> Inversion:
        """The same with its photo [1,3,H,W] in [-1,1] put back, or put in the place of the one that it holds.

        Raises InvalidInputError unless it `is_of` that photo.
        """
        _check_photo(photo, self.static_mask)
        if not self.is_of(photo):
            found, expected = photo_digest(photo), self.photo_digest
            raise InvalidInputError(
                f"the photo given ({found[:12]}) is not the one that was inverted ({expected[:12]}): "
                f"{self.reason_against(photo)}"
            )
        return replace(self, photo=photo, absent_photo="")

    def reason_against(self, photo: Tensor) -> str:
        """Why this isn't the photo that it explains, and what to do, for errors."""
        if self.photo is not None:
            return f"{how_photos_differ(self.photo, photo)}; give that one, or project the new one"
        return (
            "only its exact pixels are known, as it was saved without its photo, and programs decode JPEG and WebP "
            "files differently; give the photo as PNG or by the program that inverted it, uncut, not turned and in its "
            "size, or project it anew"
        )

    def backdrop(self) -> Tensor:
        """What shows where the static mask does: the photo, or zeros if it is absent and nothing of it shows.

        Raises InvalidInputError where the photo is needed and absent.
        """
        if self.photo is not None:
            return self.photo
        if self.static_mask.any():
            raise InvalidInputError(
                "this inversion was saved without its photo, which shows in the static parts; give it the photo "
                "(Inversion.with_photo, or the photo input of the nodes that load and draw inversions)"
            )
        return self.static_mask.expand(-1, 3, -1, -1).clone()

    def save(self, path: str | Path, *, with_photo: bool = True) -> None:
        """Write everything to one .safetensors file; see `save_inversion`."""
        from .inversion_files import save_inversion  # which reads inversions, too

        save_inversion(self, path, with_photo=with_photo)

    def with_edits(self, *edits: Edit) -> Inversion:
        """Append edits. Raises InvalidInputError, with the known names, for a segment that isn't here."""
        return self.with_all_edits((*self.edits, *edits))

    def with_all_edits(self, edits: Iterable[Edit]) -> Inversion:
        """Put other edits in the place of all. Raises what `with_edits` raises."""
        other = copy(self)  # whose masks, photo and maps are checked already
        object.__setattr__(other, "edits", tuple(edits))
        other._check_edits()
        return other

    def without_edit(self, index: int) -> Inversion:
        """Remove the edit at `index` (0 = first)."""
        self.check_edit(index)
        return self.with_all_edits(self.edits[:index] + self.edits[index + 1 :])

    def with_edit_replaced(self, index: int, edit: Edit) -> Inversion:
        """Put another edit in the place of that at `index` (0 = first)."""
        self.check_edit(index)
        return self.with_all_edits((*self.edits[:index], edit, *self.edits[index + 1 :]))

    def with_edit_order(self, order: Sequence[int]) -> Inversion:
        """Reorder the edits: `order` names each of the present positions once."""
        if sorted(order) != list(range(len(self.edits))):
            raise InvalidInputError(
                f"edit order {list(order)} must name each of the {len(self.edits)} edits once, counted from 0"
            )
        return self.with_all_edits(self.edits[index] for index in order)

    def check_edit(self, index: int) -> None:
        """Raise InvalidInputError unless there is an edit at `index` (0 = first)."""
        if not 0 <= index < len(self.edits):
            raise InvalidInputError(
                f"there is no edit {index}; the inversion has {len(self.edits)}, counted from 0"
            )

    def _check_edits(self) -> None:
        for edit in self.edits:
            self.segments.resolve(edit.segments)


def check_generator(generator: Generator, inversion: Inversion) -> None:
    """Raise WrongGeneratorError, which names both fingerprints, unless they are the same.

    The order inversion, generator goes with version 0.3.
    """
    check_same_generator(*generator_then_inversion(generator, inversion, Generator, "check_generator"))


def check_same_generator(generator: Generator, inversion: Inversion) -> None:
    """The same in this order only; InvalidInputError for other kinds of things."""
    check_type(generator, "the generator", Generator, "it comes first; load_generator reads one")
    check_type(
        inversion, "the inversion", Inversion, "it comes after the generator; load_inversion reads one"
    )
    if inversion.fingerprint != generator.fingerprint:
        raise WrongGeneratorError(
            f"this inversion was made with generator {inversion.fingerprint[:12]}, the one given is "
            f"{generator.fingerprint[:12]}; load the generator it was made with, or project the photo again"
        )


def photo_digest(photo: Tensor) -> str:
    """SHA-256 (hex) of the size and the 8-bit pixels of a photo [1,3,H,W] in [-1,1]."""
    pixels = to_uint8(photo).cpu()
    return hashlib.sha256(_size(photo).encode() + pixels.numpy().tobytes()).hexdigest()


def _check_earlier(inversion: Inversion, earlier: Inversion) -> None:
    """Steps of one chain draw with one generator, in one size."""
    if inversion.fingerprint != earlier.fingerprint:
        raise WrongGeneratorError(
            f"the step before was made with generator {earlier.fingerprint[:12]}, this one with "
            f"{inversion.fingerprint[:12]}; the steps of a chain need the same"
        )
    if inversion.static_mask.shape != earlier.static_mask.shape:
        raise InvalidInputError(
            f"the step before is of a photo of {_size(earlier.static_mask)}, this one of "
            f"{_size(inversion.static_mask)}; give the picture that the step before made"
        )


def _check_delta(delta: object) -> None:
    tensors = delta.items() if isinstance(delta, Mapping) else [("", delta)]
    if not all(isinstance(name, str) and isinstance(one, Tensor) for name, one in tensors):
        raise InvalidInputError(f"a delta is {delta!r:.60}; expected tensors by the names of parameters")


def _check_photo(photo: Tensor, static_mask: Tensor) -> None:
    if photo.ndim != 4 or photo.shape[:2] != (1, 3):
        raise InvalidInputError(
            f"the photo is {pictures(photo)}; expected one RGB image [1, 3, height, width]"
        )
    if photo.shape[-2:] != static_mask.shape[-2:]:
        raise InvalidInputError(
            f"the photo is {_size(photo)}, its masks are {_size(static_mask)}; give the crop that was inverted, "
            "as Align Face cut it out, in that size"
        )


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"
