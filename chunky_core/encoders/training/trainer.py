"""The training of a masked encoder (P1 2.1) with pictures that its generator draws; goes on where it was stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from time import monotonic

import torch
from torch import Tensor

from ...callbacks import Callback
from ...checks import check_callback, check_type
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...losses.perceptual import PerceptualNetwork
from ...losses.resize import resize
from ..masked_encoder import MaskedEncoder, Whitening, measure_whitening
from ..masked_network import MaskedNetwork, MaskedSizes, masked_input
from .batches import Batch, Batches
from .config import EncoderTrainingConfig
from .digests import digests_of
from .objective import batch_loss
from .pictures import PhotoExamples
from .state import TrainingState, check_resumable

WARM_UP = 50  # steps in which the rate rises
LARGEST_GRADIENT = 1.0  # its norm; a larger one is shortened
_SHOWN = 4  # pictures of the preview
Autosave = Callable[[TrainingState], None]


def train_masked_encoder(
    generator: Generator,
    config: EncoderTrainingConfig | None = None,
    *,
    examples: PhotoExamples | None = None,
    perceptual: PerceptualNetwork | None = None,
    callback: Callback | None = None,
    resume: TrainingState | None = None,
    autosave: Autosave | None = None,
    autosave_seconds: float = 60.0,
) -> MaskedEncoder:
    """An encoder for `generator`, which computes on its device and draws all pictures from codes of its own.

    examples: photos to train with, too; perceptual: a network on the generator's device, for the pictures' loss.
    callback(step, total, image): after each step; image: some pictures and below them what their codes draw.
    resume: a state to go on from; with the same config, examples, network, device and number of threads the weights
    become those of a training that was never interrupted, to the bit.
    autosave(state): every `autosave_seconds`, at the end, and when the training ends by an exception after a step.
    Works under torch.inference_mode; no global state is touched. Raises InvalidInputError and WrongGeneratorError
    (`resume`), and InvalidInputError where the loss is no longer finite.
    """
    config = EncoderTrainingConfig() if config is None else config
    _check_types(generator, config, examples, resume, callback)
    digests = digests_of(examples, perceptual)
    if resume is not None:
        check_resumable(generator, resume, config, digests)
    with torch.inference_mode(False), torch.enable_grad():
        run = _Run(generator, config, examples, perceptual, resume, digests)
        saved = monotonic()
        try:
            while run.step < config.steps:
                image = run.advance()
                if callback is not None:
                    callback(run.step, config.steps, image)
                if autosave is not None and monotonic() - saved >= autosave_seconds:
                    autosave(run.state())
                    saved = monotonic()
        finally:
            if autosave is not None and run.step:
                autosave(run.state())
        return encoder_of(run.state())


def _check_types(
    generator: object, config: object, examples: object, resume: object, callback: object
) -> None:
    check_type(generator, "the generator", Generator, "load_generator reads one")
    check_type(config, "the config", EncoderTrainingConfig)
    if examples is not None:
        check_type(examples, "examples", PhotoExamples)
    if resume is not None:
        check_type(resume, "resume", TrainingState, "load_training reads one")
    check_callback(callback)


def encoder_of(state: TrainingState) -> MaskedEncoder:
    """The encoder as it stands in a training, on the CPU."""
    whitening = Whitening(**state.part("whitening"))
    weights = state.part("network")
    network = _network(state.config, len(weights["out.bias"]) // len(whitening.mean), len(whitening.mean))
    network.load_state_dict(weights)
    return MaskedEncoder(
        network.requires_grad_(False).eval(), whitening, state.fingerprint, state.config.space
    )


def rate_at(config: EncoderTrainingConfig, step: int) -> float:
    """Of Adam in the step after `step` others."""
    half_cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * min(1.0, (step + 1) / WARM_UP) * half_cosine


class _Run:
    """A training under way: what is in `state`, on the generator's device, and what draws the batches."""

    def __init__(
        self,
        generator: Generator,
        config: EncoderTrainingConfig,
        examples: PhotoExamples | None,
        perceptual: PerceptualNetwork | None,
        resume: TrainingState | None,
        digests: Mapping[str, str],
    ) -> None:
        self.generator, self.config, self.perceptual = generator, config, perceptual
        self.digests = digests
        self.step = 0 if resume is None else resume.step
        self.whitening = (
            measure_whitening(generator, config.seed)
            if resume is None
            else Whitening(**resume.part("whitening"))
        )
        self.batches = Batches(generator, config, self.whitening, examples)
        layers = generator.num_ws if config.space == "w+" else 1
        network = _network(config, layers, generator.w_dim).to(generator.device)
        self.network = network.to(memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        if resume is not None:
            self.network.load_state_dict(resume.part("network"))
            _restore(self.adam, resume.part("adam"))

    def advance(self) -> Tensor | None:
        """One step of Adam; the preview, if there is one."""
        batch = self._on_device(self.batches.draw(self.step))
        for group in self.adam.param_groups:
            group["lr"] = rate_at(self.config, self.step)
        self.adam.zero_grad(set_to_none=True)
        seen = masked_input(batch.seen, batch.masks, self.config.size)
        found = self.network(seen.contiguous(memory_format=torch.channels_last))
        whitening = self.whitening.to(self.generator.device)
        loss, drawn = batch_loss(self.generator, self.config, whitening, found, batch, self.perceptual)
        if not math.isfinite(float(loss.detach())):
            raise InvalidInputError(f"the loss of step {self.step + 1} is not finite; lower learning_rate")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.adam.step()
        self.step += 1
        return None if drawn is None else _preview(batch, drawn)

    def state(self) -> TrainingState:
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for index, kept in self.adam.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in kept.items()}
        tensors |= {f"whitening.{name}": value for name, value in vars(self.whitening).items()}
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        return TrainingState(self.step, self.config, self.generator.fingerprint, copies, self.digests)

    def _on_device(self, batch: Batch) -> Batch:
        device = self.generator.device
        return Batch(
            batch.seen.to(device),
            batch.clean.to(device),
            batch.masks.to(device),
            batch.numbers.to(device),
            batch.judged,
        )


def _network(config: EncoderTrainingConfig, layers: int, w_dim: int) -> MaskedNetwork:
    """With weights that the config's seed alone decides."""
    with torch.device("meta"):  # torch would draw weights of its own, which moves its global source
        network = MaskedNetwork(MaskedSizes(layers, w_dim, config.size, config.channels, config.hidden))
    network.to_empty(device="cpu")
    rng = torch.Generator().manual_seed(config.seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1 and not name.startswith("out."):
                gain = 1.7 / parameter[0].numel() ** 0.5  # keeps the signal's size behind SiLU
                parameter.normal_(0.0, gain, generator=rng)
            else:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)
    return network


def _restore(adam: torch.optim.Adam, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = tensor.clone()
    adam.load_state_dict({"state": state, "param_groups": adam.state_dict()["param_groups"]})


def _preview(batch: Batch, drawn: Tensor) -> Tensor:
    """[1,3,2h,4h]: some of the pictures, gray where they are masked out, and what their codes draw."""
    seen = (batch.clean * batch.masks)[-batch.judged :][-_SHOWN:]
    rows = (resize(seen, (drawn.shape[-2], drawn.shape[-1])), drawn[-_SHOWN:])
    return torch.cat([torch.cat(list(row), 2) for row in rows], 1)[None].clamp(-1, 1).cpu()
