"""The knobs of pivotal tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...errors import InvalidInputError
from ...losses.loss_config import LossConfig
from ..config_checks import check_kinds

# (knob, least, most) of those that are whole numbers
_WHOLE = (
    ("num_steps", 1, 10**6),
    ("rank", 0, 4096),
    ("plateau", 0, 10**6),
    ("dilation", 0, 4096),
    ("seed", 0, 2**64 - 1),
)


@dataclass(frozen=True)
class TuningConfig:
    """Knobs of `tune`; the defaults were measured on the demo portraits (docs/tuning.md).

    num_steps: 1 or more. learning_rate: of Adam, at its highest, in units of StyleGAN's weights, whose deviation is 1.
    segments: names or groups ("eyes") of those that are tuned. shared: one delta for all of them together, otherwise
    one for each, which stops by itself.
    size: in (0,1], the largest share of the generator's bytes that all deltas of one call take together, each number in
    float16; 1 = every weight by itself. rank: of the deltas of large weights, 0 = as high as `size` lets it be.
    locality: weight of the locality regularizer (after Roich et al. 2021, eq. 5 ff.), which keeps what other codes
    change inside the masks, and with it the effect of edits; 0 = off. plateau: steps without an improvement by 1 %
    after which a delta comes to rest, 0 = never. tune_codes: whether the codes move on beside the weights.
    loss: what compares with the photo. dilation: pixels by which each segment's mask grows for the loss. seed: of the
    regularizer's codes.
    Raises InvalidInputError for values out of range.
    """

    num_steps: int = 100
    learning_rate: float = 5e-3
    segments: tuple[str, ...] = ("all",)
    shared: bool = True
    size: float = 0.04
    rank: int = 0
    locality: float = 0.0
    plateau: int = 0
    tune_codes: bool = False
    loss: LossConfig = field(default_factory=LossConfig)
    dilation: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        names = (self.segments,) if isinstance(self.segments, str) else self.segments
        if not isinstance(names, tuple | list) or not names or not all(isinstance(one, str) for one in names):
            raise InvalidInputError(f"segments is {self.segments!r:.60}; expected names, such as ('mouth',)")
        object.__setattr__(self, "segments", tuple(names))
        check_kinds(self, _WHOLE)
        if not 0 < self.learning_rate < float("inf"):
            raise InvalidInputError(f"learning_rate is {self.learning_rate}; it must be above 0")
        if not 0 < self.size <= 1:
            raise InvalidInputError(f"size is {self.size}; expected a share above 0, at most 1")
        if not 0 <= self.locality < float("inf"):
            raise InvalidInputError(f"locality is {self.locality}; expected 0 or more")

    def with_options(self, options: Mapping[str, Any]) -> TuningConfig:
        """The same with some fields replaced. Raises TypeError for a name that isn't one."""
        known = {one.name for one in fields(self)}
        for name in options:
            if name not in known:
                raise TypeError(f"there is no option {name!r}; expected one of {', '.join(sorted(known))}")
        return replace(self, **options) if options else self

    def plain(self) -> dict[str, Any]:
        """Plain values, as an inversion's settings hold them. Of a network's file only the name: an inversion may be
        shared, a path not.
        """
        values = asdict(self) | {"segments": list(self.segments)}
        for name in ("lpips_net", "identity_net"):
            values["loss"][name] = Path(values["loss"][name]).name
        return values
