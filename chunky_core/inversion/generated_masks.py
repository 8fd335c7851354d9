"""Masks that a code gives, S = G^S(X^S) (P2 = Subrtova et al. 2022, equation 2), and the code of given masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_type, check_whole, is_number
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode, convert
from ..segments.mask_generator import MaskGenerator
from ..segments.segment_masks import SegmentMasks
from .initialization import mean_latent, nearest_in_space
from .record import Inversion
from .single_fit import fitted_code

SPACE = "w+"  # of X^S
DRAWN, _FITTED = 256, 64  # longer sides at which classes are told, at most: of masks, in a fit to masks
LARGEST_RATE = 10.0  # learning rate of a fit
_FAINT = 0.01  # shares of a pixel below which are no part of a mask
_TINY = 1e-12
_NOTHING = 1e-20  # of all weights: where the static mask is 1


@dataclass(frozen=True, eq=False)
class GeneratedMasks:
    """What a mask generator makes of a code, as the masks of certain segments upon a static mask that stays.

    names: of the segments, classes of the mask generator. static: [1,1,H,W]; were it generated, too, it would grow
    until the photo explained itself. Classes without a segment have no share: each pixel is divided among the others.
    longest: side in pixels at which classes are told at most; beyond, their shares are interpolated.
    Raises InvalidInputError for a segment that is no class, WrongGeneratorError for the mask generator of another
    generator.
    """

    generator: Generator
    mask_generator: MaskGenerator
    names: tuple[str, ...]
    static: Tensor
    longest: int = DRAWN

    def __post_init__(self) -> None:
        check_type(self.mask_generator, "the mask generator", MaskGenerator, "load_mask_generator reads one")
        self.mask_generator.check_generator(self.generator)
        known = self.mask_generator.names
        unknown = [name for name in self.names if name not in known]
        if unknown:
            raise InvalidInputError(
                f"the mask generator has no class {unknown[0]!r:.40} (it has {', '.join(known):.200}); give masks with "
                "the names of its classes, such as its own"
            )

    def shares(self, code: LatentCode) -> Tensor:
        """How likely the segments are at each pixel, [N,1,H,W] adding up to one; differentiable by the code."""
        return self.shares_of(self.mask_generator.drawn(self.generator, code)[1])

    def shares_of(self, maps: Sequence[Tensor]) -> Tensor:
        """The same by the features of the code's picture."""
        height, width = self.static.shape[-2:]
        ratio = min(1.0, self.longest / max(height, width))
        every = self.mask_generator.by_features(maps, (round(height * ratio), round(width * ratio)))
        if ratio < 1:
            every = F.interpolate(every, (height, width), mode="bilinear", align_corners=False)
        places = [self.mask_generator.names.index(name) for name in self.names]
        own = every[0, places][:, None].to(self.static) + _TINY
        return own / own.sum(dim=0)

    def draw(self, code: LatentCode, reach: Tensor | None = None) -> Tensor:
        """The masks [N,1,H,W], with the static mask adding up to one; differentiable by the code.

        reach: [N,1,H,W], where each segment may have a weight; None = anywhere. Shares below 0.01 count as 0, but each
        segment keeps one pixel, its likeliest: one that vanishes has a place to come back from.
        """
        return self.divided(self.shares(code), reach)

    def divided(self, shares: Tensor, reach: Tensor | None = None) -> Tensor:
        """The masks of such shares, as `draw` makes them."""
        if reach is not None:
            shares = shares * reach
            shares = shares / shares.sum(dim=0).clamp(min=_NOTHING)
        least = min(_FAINT, 0.5 / len(self.names))
        kept = torch.where(shares < least, 0.0, shares)
        room = 1 - self.static[0]
        lost = [i for i, mask in enumerate(kept.detach() * room) if not mask.any()]
        if lost:
            kept = self._with_a_pixel(kept, shares.detach() * (room > 0), lost, least)
        return kept / kept.sum(dim=0).clamp(min=_NOTHING) * room

    def masks(self, code: LatentCode) -> SegmentMasks:
        """The masks with their names and the static mask, without gradients."""
        with torch.no_grad():
            return SegmentMasks(self.names, self.draw(code), self.static)

    @staticmethod
    def _with_a_pixel(kept: Tensor, shares: Tensor, lost: list[int], least: float) -> Tensor:
        added = torch.zeros_like(kept)
        for index in lost:
            added[index].view(-1)[shares[index].argmax()] = least
        return kept + added


def vanished(masks: SegmentMasks) -> dict[str, str]:
    """The segments of generated masks that are nowhere the most likely one, and which has the place where each is
    likeliest.
    """
    moving = masks.masks.sum(dim=0).flatten() > 0
    winners = torch.where(moving, masks.masks.argmax(dim=0).flatten(), -1)
    return {
        name: masks.names[int(winners[mask.argmax()])]
        for i, (name, mask) in enumerate(zip(masks.names, masks.masks, strict=True))
        if not (winners == i).any()
    }


def fit_mask_code(
    generator: Generator,
    mask_generator: MaskGenerator,
    masks: SegmentMasks,
    *,
    num_steps: int = 100,
    learning_rate: float = 0.03,
    start: LatentCode | None = None,
    seed: int = 0,
) -> LatentCode:
    """X^S, [1,num_ws,w_dim] in w+, whose masks come nearest to given ones: the inversion of a label map.

    masks: of the generator's size, their names classes of the mask generator; where they are static, nothing is asked.
    num_steps: of Adam, by the schedule of Karras et al. 2020. start: a code to set out from, None: the mean. What is
    minimized is the cross-entropy to the masks, at 64 pixels; the best code of all steps is returned.
    Raises InvalidInputError for masks of another size, and names that are no classes; WrongGeneratorError for the mask
    generator of another generator.
    """
    check_type(generator, "the generator", Generator, "it comes first; load_generator reads one")
    check_type(mask_generator, "the mask generator", MaskGenerator, "load_mask_generator reads one")
    check_type(masks, "masks", SegmentMasks, "segments_from_masks makes them of single masks")
    check_whole(num_steps, "num_steps", 0, 1 << 20)
    check_whole(seed, "seed", 0, (1 << 63) - 1)
    if not is_number(learning_rate) or not 0 < learning_rate < LARGEST_RATE:
        raise InvalidInputError(
            f"learning_rate is {learning_rate!r:.40}; expected above 0 and below {LARGEST_RATE:g}, .03 is usual"
        )
    if masks.size != tuple(generator.img_size):
        height, width = generator.img_size
        raise InvalidInputError(
            f"the masks are {masks.size[1]}x{masks.size[0]} pixels, the generator draws {width}x{height}; give masks "
            "of that size"
        )
    with torch.inference_mode(False), torch.enable_grad():
        generator = generator.to()
        wanted, static = (_at_most(one, _FITTED).to(generator.device) for one in (masks.masks, masks.static))
        mask_generator = mask_generator.to(generator.device)
        source = GeneratedMasks(generator, mask_generator, masks.names, static)
        weights = wanted / wanted.sum()

        def judge(code: LatentCode) -> tuple[float, Tensor]:
            loss = -(weights * source.shares(code).log()).sum()
            return loss.item(), torch.autograd.grad(loss, [code.tensor])[0]

        return fitted_code(judge, mask_code_start(generator, start, seed), num_steps, learning_rate)


def mask_code_start(generator: Generator, code: LatentCode | None, seed: int) -> LatentCode:
    """Where X^S begins: a copy of `code` in w+, or the mean code. Raises InvalidInputError for more than one code."""
    if code is None:
        return LatentCode(SPACE, mean_latent(generator, SPACE, seed))
    check_type(code, "the code of the masks", LatentCode, "fit_mask_code and load_latent give one")
    if len(code.tensor) != 1:
        raise InvalidInputError(
            f"{len(code.tensor)} codes of masks were given; expected one, [1,num_ws,w_dim]"
        )
    own = replace(code, tensor=code.tensor.detach().clone().to(generator.device))
    moved = convert(generator, own, SPACE).tensor.detach().float().clone()
    if not moved.isfinite().all():
        raise InvalidInputError("the code of the masks holds NaN or infinite values; give another one")
    return LatentCode(SPACE, moved)


def code_of_masks(generator: Generator, inversion: Inversion) -> LatentCode:
    """X^S of an inversion or, where its masks did not move, the mean of its segments' codes, weighted by their areas:
    in w+, for a code in s the mean code.
    """
    if inversion.mask_code is not None:
        return inversion.mask_code
    areas = torch.stack([segment.mask.sum() for segment in inversion.segments])
    codes = torch.cat(
        [nearest_in_space(generator, segment.code, SPACE, 0).tensor for segment in inversion.segments]
    )
    weights = (areas / areas.sum().clamp(min=_TINY)).to(codes)
    return LatentCode(SPACE, (codes * weights[:, None, None]).sum(dim=0, keepdim=True))


def _at_most(masks: Tensor, longest: int) -> Tensor:
    """Masks with a longer side of at most that, every pixel the mean of those below it."""
    factor = max(1, max(masks.shape[-2:]) // longest)
    return F.avg_pool2d(masks.detach().float(), factor)
