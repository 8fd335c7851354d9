"""Style channels for a segment: which of them change its pixels, and hardly any others (Wu et al. 2021, "StyleSpace
Analysis", sec. 4: locally active channels).

They are found in two steps. For all channels of all layers what one standard deviation changes inside and outside of
the segment is estimated from few backward passes; the best are then moved up and down and drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from ..callbacks import Callback
from ..checks import MOST_SEED, check_shape, check_type, check_whole, checked_names, is_number
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction, LatentCode
from ..generator.statistics import GeneratorStatistics, measure_statistics
from ..inversion.record import Inversion, check_same_generator
from ..inversion.tuning import segment_generator
from .channel_effects import Effects, MaskedCode, estimate_effects, measure_effects, ranked_layers
from .edits import STRONGEST, applicable_edits, edited_code


@dataclass(frozen=True)
class ChannelSearchConfig:
    """How channels are looked for.

    sigma: by how many standard deviations of its own distribution a channel is moved, up and down. floor: in gray
    levels; the score of a channel that changes the inside by this much (root mean square) and nothing else is 1/2,
    so that a channel which hardly changes anything doesn't win. probes: backward passes for each estimate, inside
    and outside; their relative error is about sqrt(2 / probes). candidates: how many of the estimated best are drawn
    (at least as many as are asked for). rgb_layers: whether the layers that make colors take part, which act on the
    whole picture (ibid., sec. 3). seed: of the probes.
    Raises InvalidInputError for numbers out of range.
    """

    sigma: float = 3.0
    floor: float = 5.0
    probes: int = 8
    candidates: int = 48
    rgb_layers: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("sigma", 0, STRONGEST), ("floor", 0, 255)):
            value = getattr(self, name)
            if not is_number(value) or not low < value <= high:  # NaN fails, too
                raise InvalidInputError(
                    f"{name} is {value!r:.60}; expected a number above {low}, up to {high}"
                )
        for name in ("probes", "candidates"):
            check_whole(getattr(self, name), name, 1)
        check_whole(self.seed, "seed", 0, MOST_SEED)


@dataclass(frozen=True)
class SegmentChannel:
    """A style channel, and what moving it by sigma standard deviations changes, the mean of up and down.

    layer: its number in `Generator.style_layout`; layer_name: the name there; channel: its number in the layer;
    index: its place among all style channels. std: its standard deviation. inside, outside: root mean square changes in
    gray levels. share: of the squared change of the whole picture, what lies inside, 0 to 1. score: inside / (inside
    + outside + floor), of squared changes, by which channels are ranked.
    """

    layer: int
    layer_name: str
    channel: int
    index: int
    std: float
    sigma: float
    inside: float
    outside: float
    share: float
    score: float

    @property
    def name(self) -> str:
        """As directions and captions name it."""
        return f"layer {self.layer} channel {self.channel}"

    def __str__(self) -> str:
        return f"{self.name}, {self.share:.0%} inside"


def segment_channels(
    generator: Generator,
    inversion: Inversion,
    segments: str | Sequence[str],
    count: int = 12,
    *,
    config: ChannelSearchConfig | None = None,
    statistics: GeneratorStatistics | None = None,
    callback: Callback | None = None,
) -> tuple[SegmentChannel, ...]:
    """The `count` style channels that change a segment most and the rest of the picture least, the best first.

    segments: names as `SegmentMasks.resolve` takes them; several are taken as one area. Each segment's own code is
    moved as it stands, with its edits and tuned weights. statistics: the generator's, which tell the standard
    deviations; None = measured now. callback(done, total, None): as the work goes on.
    `channel_direction` makes a direction of each. Raises WrongGeneratorError if the inversion is another generator's,
    InvalidInputError for an unknown segment and a wrong count.
    """
    masked = masked_codes(generator, inversion, segments)
    return rank_channels(masked, count, config=config, statistics=statistics, callback=callback)


def masked_codes(
    generator: Generator, inversion: Inversion, segments: str | Sequence[str]
) -> list[MaskedCode]:
    """The codes of some segments of an inversion with their edits, each with the mask of all these segments."""
    check_same_generator(generator, inversion)
    masks = inversion.masks
    wanted = checked_names(segments, "the segments")
    chosen = [inversion.segments[name] for name in masks.resolve(wanted)]
    if not chosen:
        raise InvalidInputError(f"no segment was named; expected one of {', '.join(masks.names)}")
    area = torch.stack([one.mask for one in chosen]).sum(dim=0).clamp(max=1)
    found = []
    for segment in chosen:
        own = segment_generator(generator, inversion, segment)
        code = LatentCode(segment.code.space, segment.code.tensor.to(own.device))
        moved = edited_code(own, code, applicable_edits(masks, segment.name, inversion.edits))
        found.append(MaskedCode(own, moved, area, inversion.noise))
    return found


def rank_channels(
    masked: Sequence[MaskedCode],
    count: int = 12,
    *,
    config: ChannelSearchConfig | None = None,
    statistics: GeneratorStatistics | None = None,
    callback: Callback | None = None,
) -> tuple[SegmentChannel, ...]:
    """`segment_channels` over any codes with masks, such as random ones: the effects are averaged over them.

    masked: of one generator, whose weights may be tuned; statistics: as there, of the first one's generator.
    """
    check_whole(count, "count")
    config = config or ChannelSearchConfig()
    if not masked:
        raise InvalidInputError("no code was given; expected at least one")
    layout = masked[0].generator.style_layout
    if any(one.generator.style_layout != layout for one in masked):
        raise InvalidInputError("the codes belong to generators with other layers; rank them one by one")
    stds = (statistics or measure_statistics(masked[0].generator)).style_std
    check_shape(stds, "style_std of the statistics", (sum(width for _, width in layout),))
    layers = ranked_layers(masked[0].generator, rgb_layers=config.rgb_layers)
    ranked = sum(layout[layer][1] for layer in layers)
    if not 1 <= count <= ranked:
        raise InvalidInputError(f"{count} channels were asked for; expected 1 to {ranked}")
    drawn = min(max(count, config.candidates), ranked)
    report = _Progress(len(masked) * (1 + drawn), callback)
    rng = torch.Generator().manual_seed(config.seed)
    estimates = []
    for one in masked:
        estimates.append(estimate_effects(one, layers, config.probes, rng))
        report(1)
    scores = reduce(add, estimates).scaled(config.sigma * stds).scores(config.floor)
    indices = scores.topk(drawn).indices.tolist()
    shifts = config.sigma * stds[indices]
    effects = reduce(add, [measure_effects(one, shifts, indices, report) for one in masked])
    found = _found(layout, indices, stds, effects, config)
    return tuple(sorted(found, key=lambda one: -one.score)[:count])


def channel_direction(generator: Generator, found: SegmentChannel, segments: str = "") -> Direction:
    """The direction in S that moves one channel; strength 1 adds one standard deviation.

    segments: what it was found for, which its description says.
    """
    check_type(generator, "the generator", Generator, "it comes first; load_generator reads one")
    check_type(found, "what was found", SegmentChannel, "segment_channels finds some")
    tensor = torch.zeros(sum(width for _, width in generator.style_layout))
    tensor[found.index] = found.std
    what = f" of the change of {segments}" if segments else ""
    return Direction(
        found.name,
        "s",
        tensor,
        description=f"{found.share:.0%}{what} lies inside at {found.sigma:g} standard deviations",
        layers=(found.layer,),
        source=f"style channel {found.channel} of {found.layer_name} (Wu et al. 2021, StyleSpace), found in the app",
        fingerprint=generator.fingerprint,
    )


class _Progress:
    """Counts what is done, for a callback."""

    def __init__(self, total: int, callback: Callback | None) -> None:
        self.total, self.done, self.callback = total, 0, callback

    def __call__(self, count: int) -> None:
        self.done += count
        if self.callback is not None:
            self.callback(self.done, self.total, None)


def _found(
    layout: Sequence[tuple[str, int]],
    indices: Sequence[int],
    stds: Tensor,
    effects: Effects,
    config: ChannelSearchConfig,
) -> list[SegmentChannel]:
    """The records of the channels `indices`, which had these effects."""
    places = [(layer, channel) for layer, (_, width) in enumerate(layout) for channel in range(width)]
    figures = (*effects.rms(), effects.shares(), effects.scores(config.floor))
    return [
        SegmentChannel(
            layer=places[index][0],
            layer_name=layout[places[index][0]][0],
            channel=places[index][1],
            index=index,
            std=float(stds[index]),
            sigma=config.sigma,
            inside=inside,
            outside=outside,
            share=share,
            score=score,
        )
        for index, inside, outside, share, score in zip(
            indices, *(one.tolist() for one in figures), strict=True
        )
    ]
