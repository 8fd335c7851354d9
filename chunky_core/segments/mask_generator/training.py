"""Learning a mask generator from the codes of some pictures and their label maps."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...boxes import Size
from ...callbacks import Callback
from ...checks import check_callback, check_each, check_type, check_whole, checked_list, is_number
from ...errors import InvalidInputError
from ...generator.features import feature_layers
from ...generator.generator import Generator
from ...generator.spaces import LatentCode, check_codes
from .classifier import Classifier, start_classifier
from .pixels import UNLABELED, LabeledPixels, derived_seed, sample_pixels
from .record import MaskGenerator, TrainingState, check_class_names

__all__ = ["UNLABELED", "MaskTrainingConfig", "StopTraining", "train_mask_generator"]
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of Adam
_SHOWN_EVERY, _SHOWN_SIDE = 100, 128  # steps between previews, and their longer side


class StopTraining(Exception):  # noqa: N818  # a request, no error; as StopIteration
    """Raised by a callback of `train_mask_generator`: what was learnt so far is returned and can be trained on."""


@dataclass(frozen=True)
class MaskTrainingConfig:
    """Knobs of `train_mask_generator`.

    num_steps: of Adam, in all, those of what is resumed included. learning_rate: of Adam (DatasetGAN: 1e-3); it falls
    to 0 over the last half of the steps. batch: pixels in a step, for each network. members: networks of the ensemble
    (DatasetGAN: 10); hidden: widths of their two hidden layers (DatasetGAN: 128, 32 for up to 50 classes).
    pixels: at most so many of each picture are looked at; memory: bytes that the features of all may take, else fewer.
    layers: of the generator's `feature_layers`, () = all. seed: of weights and choice of pixels.
    Raises InvalidInputError for values out of range.
    """

    num_steps: int = 1500
    learning_rate: float = 1e-3
    batch: int = 512
    members: int = 4
    hidden: tuple[int, int] = (128, 32)
    pixels: int = 4096
    memory: int = 512 << 20
    layers: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {"num_steps": 10**6, "batch": 1 << 16, "members": 64, "pixels": 1 << 22, "memory": 1 << 40}
        for name, most in limits.items():
            check_whole(getattr(self, name), name, 1, most)
        check_whole(self.seed, "seed", 0, (1 << 63) - 1)
        if not isinstance(self.hidden, tuple | list) or len(self.hidden) != 2:
            raise InvalidInputError(f"hidden is {self.hidden!r:.60}; expected the widths of two layers")
        for width in self.hidden:
            check_whole(width, "a width in hidden", 1, 4096)
        check_each(self.layers, "layers", str, "feature_layers names them")
        if not is_number(self.learning_rate) or not 0 < self.learning_rate < 1:
            raise InvalidInputError(f"learning_rate is {self.learning_rate!r:.40}; expected 0 to 1")


def train_mask_generator(
    generator: Generator,
    codes: LatentCode,
    labels: Tensor,
    names: Sequence[str],
    config: MaskTrainingConfig | None = None,
    *,
    callback: Callback | None = None,
    resume: MaskGenerator | None = None,
) -> MaskGenerator:
    """Learn which class the pixels of a generator's pictures belong to (P2 §3; Zhang et al. 2021, DatasetGAN, §3).

    codes: of N pictures, in any space. labels: whole numbers [N,H,W], places in `names`, of any size in the picture's
    proportions; -1 and 255 (UNLABELED) stand for pixels that nothing is known of. Features are up-sampled bilinearly at
    a sample of the labelled pixels, one picture at a time; of rare classes relatively more are looked at, which
    weights in the loss (cross-entropy) balance. callback(step, total, image): image shows what the first picture's
    labels would be, [1,3,h,w] in [-1,1], every 100 steps, else None; it may raise StopTraining. resume: what an earlier
    call returned, to go on with: with the same pictures and config to the same weights as without interruption, to
    the bit; with other ones to what these tell.
    Raises InvalidInputError for codes that aren't finite, labels that fit neither codes nor names, more than 255 names,
    and pictures without any; WrongGeneratorError where `resume` is another generator's.
    """
    config = MaskTrainingConfig() if config is None else config
    check_type(generator, "the generator", Generator, "load_generator reads one")
    check_codes(codes, "the codes", "sample gives some")
    check_type(config, "the config", MaskTrainingConfig)
    check_callback(callback)
    if resume is not None:
        check_type(resume, "resume", MaskGenerator, "an earlier call returned one")
    names = checked_list(names, "the names", str)
    check_class_names(names)
    layers = tuple(config.layers) or feature_layers(generator)
    if resume is not None:
        _check_resumed(generator, resume, names, layers, config)
        resume = resume.to(generator.device)
    with torch.inference_mode(False):
        pixels = sample_pixels(
            generator,
            codes,
            labels,
            len(names),
            layers,
            most=config.pixels,
            memory=config.memory,
            seed=config.seed,
            statistics=None if resume is None else (resume.classifier.mean, resume.classifier.scale),
        )
        begun = resume or _begun(generator, pixels, names, layers, config)
        return _train(generator, codes, pixels, begun, config, callback)


def _check_resumed(
    generator: Generator,
    resume: MaskGenerator,
    names: tuple[str, ...],
    layers: tuple[str, ...],
    config: MaskTrainingConfig,
) -> None:
    resume.check_generator(generator)
    if resume.training is None:
        raise InvalidInputError(
            "the mask generator to go on with was saved without its training's state; train a new one"
        )
    widths = tuple(one.shape[-1] for one in resume.classifier.weights[:-1])
    found = (resume.names, resume.layers, resume.members, widths)
    wanted = (names, layers, config.members, tuple(config.hidden))
    for what, old, new in zip(("names", "layers", "members", "hidden"), found, wanted, strict=True):
        if old != new:
            raise InvalidInputError(
                f"{what} are {old!r:.80} in the mask generator to go on with, and {new!r:.80} now; keep them"
            )


def _begun(
    generator: Generator,
    pixels: LabeledPixels,
    names: tuple[str, ...],
    layers: tuple[str, ...],
    config: MaskTrainingConfig,
) -> MaskGenerator:
    """Before the first step."""
    start = start_classifier(
        pixels.mean, pixels.scale, config.hidden, len(names), config.members, config.seed
    )
    zeros = tuple(torch.zeros_like(one) for one in (*start.weights, *start.biases))
    state = TrainingState(0, zeros, tuple(one.clone() for one in zeros))
    return MaskGenerator(names, generator.fingerprint, layers, start, state)


def _train(
    generator: Generator,
    codes: LatentCode,
    pixels: LabeledPixels,
    begun: MaskGenerator,
    config: MaskTrainingConfig,
    callback: Callback | None,
) -> MaskGenerator:
    state = begun.training
    assert state is not None
    run = _Run(begun.classifier, state, config)
    for step in range(state.step, config.num_steps):
        run.step(pixels, step)
        if callback is None:
            continue
        shown = step % _SHOWN_EVERY == 0 or step + 1 == config.num_steps
        try:
            callback(
                step + 1, config.num_steps, _preview(generator, codes, run.record(begun)) if shown else None
            )
        except StopTraining:
            break
    return run.record(begun)


class _Run:
    """Weights under Adam (Kingma and Ba 2015)."""

    def __init__(self, classifier: Classifier, state: TrainingState, config: MaskTrainingConfig) -> None:
        self.classifier, self.config, self.done = classifier, config, state.step
        self.values = [
            one.detach().clone().requires_grad_() for one in (*classifier.weights, *classifier.biases)
        ]
        self.first = [one.clone() for one in state.first_moments]
        self.second = [one.clone() for one in state.second_moments]

    def current(self) -> Classifier:
        half = len(self.values) // 2
        own = self.classifier
        return Classifier(own.mean, own.scale, tuple(self.values[:half]), tuple(self.values[half:]))

    def step(self, pixels: LabeledPixels, step: int) -> None:
        """One step of all networks, each on pixels of its own."""
        rng = torch.Generator().manual_seed(derived_seed(self.config.seed, 20, step))
        chosen = torch.randint(len(pixels), (self.classifier.members, self.config.batch), generator=rng)
        features, labels, weights = pixels.batch(chosen)
        with torch.enable_grad():
            logits = self.current()(features)
            losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
            # of each network the mean, so that none depends on how many there are
            loss = (losses * weights.flatten()).sum() / self.config.batch
            gradients = torch.autograd.grad(loss, self.values)
        self._adam(gradients, step)
        self.done = step + 1

    @torch.no_grad()
    def _adam(self, gradients: Sequence[Tensor], step: int) -> None:
        left = 1 - step / self.config.num_steps
        rate = self.config.learning_rate * min(1.0, 2 * left)
        corrections = tuple(1 - beta ** (step + 1) for beta in _BETAS)
        for value, gradient, first, second in zip(
            self.values, gradients, self.first, self.second, strict=True
        ):
            first.lerp_(gradient, 1 - _BETAS[0])
            second.lerp_(gradient.square(), 1 - _BETAS[1])
            value -= rate / corrections[0] * first / ((second / corrections[1]).sqrt() + _EPSILON)

    def record(self, begun: MaskGenerator) -> MaskGenerator:
        """What is learnt so far, by itself."""
        own = self.current()
        weights, biases = (tuple(o.detach().clone() for o in ones) for ones in (own.weights, own.biases))
        moments = (tuple(one.clone() for one in ones) for ones in (self.first, self.second))
        state = TrainingState(self.done, *moments)
        return replace(begun, classifier=Classifier(own.mean, own.scale, weights, biases), training=state)


@torch.no_grad()
def _preview(generator: Generator, codes: LatentCode, found: MaskGenerator) -> Tensor:
    """The first picture's labels in colors: [1,3,h,w] in [-1,1]."""
    height, width = generator.img_size
    share = min(1.0, _SHOWN_SIDE / max(height, width))
    size = Size(max(1, round(height * share)), max(1, round(width * share)))
    first = LatentCode(codes.space, codes.tensor[:1].to(generator.device))
    labels = found.labels(generator, first, size)
    return class_colors(len(found.names)).to(labels.device)[labels].permute(0, 3, 1, 2) * 2 - 1


def class_colors(count: int) -> Tensor:
    """A color for each class, [count,3] in [0,1]: hues around the circle, in two brightnesses."""
    hues = [colorsys.hsv_to_rgb(index * 0.381966 % 1, 0.65, 1 - 0.3 * (index % 2)) for index in range(count)]
    return torch.tensor(hues)
