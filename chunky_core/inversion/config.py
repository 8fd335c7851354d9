"""The knobs of the projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..deprecated.keywords import old_fields
from ..errors import InvalidInputError
from ..generator.spaces import SPACES
from ..losses.loss_config import LossConfig
from .config_checks import check_kinds

MODES = ("independent", "joint")
OPTIMIZERS = ("adam", "lbfgs")
SIGNS = ("grow", "shrink")
# (knob, least, most) of those that are whole numbers
WHOLE = (
    ("num_steps", 1, 10**6),
    ("dilation", 0, 4096),
    ("neighborhood_width", 0, 4096),
    ("plateau", 0, 10**6),
    ("refine_every", 0, 10**6),
    ("seed", 0, 2**64 - 1),
)

# fields that were added since files are written: what runs of files without them were made with
EARLIER: Mapping[str, Any] = {
    "adam_betas": (0.9, 0.999),
    "dilation_weight": 1.0,
    "warmup_photo": False,
}

# stored name, in files and of the widgets of nodes: field
STORED_NAMES = {
    "steps": "num_steps",
    "losses": "loss",
    "companion": "global_code",
    "optimise_noise": "optimize_noise",
    "neighbourhood": "neighborhood",
    "neighbourhood_width": "neighborhood_width",
}


@old_fields(STORED_NAMES)
@dataclass(frozen=True)
class ProjectionConfig:
    """Knobs of `project`; the defaults give a good result on the demo portraits.

    P1 = Futschik et al. 2021, P2 = Subrtova et al. 2022, K = Karras et al. 2020.

    mode: "independent" fits every segment to the photo by itself (P1 2.1), "joint" fits all of them together
    to the picture that they make (P2 eq. 2). space: "w+", "w", "s" or "z"; spaces: other ones for some
    segments, by name or group ("eyes"). num_steps: 1 or more; 100 to 500 is usual. learning_rate: of Adam, at its
    highest, in units of the space (K: 0.1). optimizer: "adam", or "lbfgs" for segments in w or z, which finds
    the size of its steps itself.
    adam_betas: decay of Adam's two moments, in [0,1) (K: 0.9, 0.999, which overshoot in runs of some hundred steps).
    warmup: fraction of the steps, in [0,1], that fits one code to all segments together; 1 = they share it to the end.
    warmup_photo: to the whole photo, static parts included, at a low resolution; for two fifths of it where
    most of it is static.
    global_code: that code is fitted on beside the segments' own, and a segment that it fits better takes it over
    (independent, Adam).
    loss: what compares with the photo.
    lambda_reg: pull of each code to the mean code of the segments (P2 eq. 2), as a mean square per number of
    the code; the paper's sum of squares is as many times larger as a code has numbers. lambda_mean: the same
    pull to the generator's mean code. code_noise: deviation of the noise added to the codes at the start, in
    deviations of w, gone after 75 % of the run (K: 0.05).
    dilation: pixels by which each segment's mask grows for the loss (P1), dilation_weight: in [0,1], with which
    pixels beyond the mask itself count there, feather: sigma in pixels that softens it there. neighborhood: weight in
    [0,1) that the pixels within neighborhood_width pixels around it count with. These five are for independent segments
    only.
    optimize_noise: fit the generator's noise maps too, held to white noise by noise_reg (K: 1e5).
    coarse: fraction of the steps, in [0,1), made at a quarter, then half of the resolution.
    plateau: steps without an improvement by 1 % after which a segment stops, 0 = never.
    torgb: whether codes in s move the styles of the toRGB layers too.
    refine_every: steps after which the boundaries of the segments `refine` (names or groups) are moved, 0 =
    never (P1 2.3); refine_sign: they "grow" or "shrink" where what the code draws differs from the photo, by
    up to refine_distance pixels each time, held smooth by refine_curvature.
    seed: of the noise and of the starting point in z.
    Raises InvalidInputError for values out of range.
    """

    mode: str = "independent"
    space: str = "w+"
    spaces: Mapping[str, str] = field(default_factory=dict)
    num_steps: int = 100
    learning_rate: float = 0.1
    optimizer: str = "adam"
    warmup: float = 0.3
    global_code: bool = True
    loss: LossConfig = field(default_factory=LossConfig)
    lambda_reg: float = 0.0
    lambda_mean: float = 0.0
    code_noise: float = 0.0
    dilation: int = 3
    feather: float = 0.0
    neighborhood: float = 0.0
    neighborhood_width: int = 16
    optimize_noise: bool = False
    noise_reg: float = 1e5
    coarse: float = 0.0
    plateau: int = 0
    torgb: bool = True
    refine_every: int = 0
    refine: tuple[str, ...] = ("all",)
    refine_sign: str = "grow"
    refine_distance: float = 1.0
    refine_curvature: float = 0.1
    seed: int = 0
    adam_betas: tuple[float, float] = (0.8, 0.9)
    dilation_weight: float = 0.25
    warmup_photo: bool = True

    def __post_init__(self) -> None:
        _check_choice("mode", self.mode, MODES)
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("refine_sign", self.refine_sign, SIGNS)
        if not isinstance(self.spaces, Mapping):
            raise InvalidInputError(
                f"spaces is {self.spaces!r:.60}; expected a dict such as {{'mouth': 's'}}"
            )
        for space in (self.space, *self.spaces.values()):
            _check_choice("space", space, SPACES)
        if self.optimizer == "lbfgs" and not {self.space, *self.spaces.values()} <= {"w", "z"}:
            raise InvalidInputError(
                f'the optimizer is "lbfgs" and the space {self.space!r}; it is for w and z, use "adam" here'
            )
        if self.optimizer == "lbfgs" and (self.optimize_noise or self.code_noise):
            raise InvalidInputError(
                '"lbfgs" needs a loss that stands still; optimize no noise maps, set code_noise to 0, or use "adam"'
            )
        check_kinds(self, WHOLE)
        if not isinstance(self.refine, tuple | list) or not all(isinstance(one, str) for one in self.refine):
            raise InvalidInputError(f"refine is {self.refine!r:.60}; expected names, such as ('mouth',)")
        if not 0 < self.learning_rate < float("inf"):
            raise InvalidInputError(
                f"learning_rate is {self.learning_rate}; it must be above 0, 0.1 is usual"
            )
        _check_betas(self.adam_betas)
        if not 0 <= self.dilation_weight <= 1:
            raise InvalidInputError(
                f"dilation_weight is {self.dilation_weight}; expected a fraction in [0, 1]"
            )
        if not 0 <= self.warmup <= 1:
            raise InvalidInputError(f"warmup is {self.warmup}; expected a fraction in [0, 1]")
        for name in ("coarse", "neighborhood"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; expected a fraction in [0, 1)")
        for name in (
            "lambda_reg",
            "lambda_mean",
            "code_noise",
            "noise_reg",
            "feather",
            "refine_distance",
            "refine_curvature",
        ):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidInputError(f"{name} is {getattr(self, name)}; expected 0 or more")

    @property
    def judges_together(self) -> bool:
        """Whether one loss judges all codes: they share the image, or the noise maps."""
        return self.mode == "joint" or self.optimize_noise

    def going_on(self, settings: Mapping[str, Any]) -> ProjectionConfig:
        """The same for a run that goes on from a record with these `plain_settings`: what was begun before there were
        some of the fields goes on without them.
        """
        begun = {name: old for name, old in EARLIER.items() if _same(settings.get(name, old), old)}
        return replace(self, **begun)

    def with_options(self, options: Mapping[str, Any]) -> ProjectionConfig:
        """The same with some fields replaced. Raises TypeError for a name that isn't one."""
        known = {one.name for one in fields(self)} | STORED_NAMES.keys()
        for name in options:
            if name not in known:
                raise TypeError(f"there is no option {name!r}; expected one of {', '.join(sorted(known))}")
            if STORED_NAMES.get(name) in options:
                raise TypeError(f"{name!r} and {STORED_NAMES[name]!r} are the same option; give one of them")
        return replace(self, **options) if options else self


def plain_settings(config: ProjectionConfig) -> dict[str, Any]:
    """The config as plain values, by the names that files have. Of a network's file only the name: an inversion may
    be shared, a path not.
    """
    stored = {field: name for name, field in STORED_NAMES.items()}
    settings = {stored.get(name, name): value for name, value in asdict(config).items()}
    for name in ("lpips_net", "identity_net"):
        settings["losses"][name] = Path(settings["losses"][name]).name
    return settings


def _same(one: Any, other: Any) -> bool:
    """Whether a value out of a file is that of a field."""
    return bool((tuple(one) if isinstance(one, list) else one) == other)


def _check_betas(betas: Any) -> None:
    fits = isinstance(betas, tuple | list) and len(betas) == 2
    if not fits or not all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in betas):
        raise InvalidInputError(f"adam_betas is {betas!r:.60}; expected two fractions in [0, 1)")


def _check_choice(what: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise InvalidInputError(f"{what} {found!r} is unknown; choose one of {', '.join(known)}")
