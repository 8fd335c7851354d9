"""Where the training of an encoder stands, and its file: from it the training goes on to the same weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from ...checkpoints.checkpoint import as_tensor
from ...checkpoints.containers.content import open_content
from ...checks import as_path, check_whole
from ...errors import InvalidInputError, UnsupportedCheckpointError, WrongGeneratorError
from ...generator.generator import Generator
from ...saving import save_tensors
from .config import EncoderTrainingConfig
from .digests import DIGESTS, check_same_digests

FORMAT, VERSION = "chunkygan-encoder-training", "1"
EXPECTED = f"the state of an encoder's training, a .safetensors file of the format {FORMAT!r}"


@dataclass(frozen=True, eq=False)
class TrainingState:
    """step: how many are done; tensors: the network's ("network.NAME"), Adam's ("adam.INDEX.NAME") and the whitening's
    ("whitening.NAME"), in float32 on the CPU; fingerprint: of the generator; digests: of what else it was given
    (`digests_of`), {} = not known.
    """

    step: int
    config: EncoderTrainingConfig
    fingerprint: str
    tensors: dict[str, Tensor]
    digests: Mapping[str, str] = field(default_factory=dict)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix` and a dot, without it."""
        start = f"{prefix}."
        return {name.removeprefix(start): t for name, t in self.tensors.items() if name.startswith(start)}


def check_resumable(
    generator: Generator, state: TrainingState, config: EncoderTrainingConfig, digests: Mapping[str, str]
) -> None:
    """Only the number of steps may differ, but not below those done. Raises WrongGeneratorError, InvalidInputError."""
    if state.fingerprint != generator.fingerprint:
        raise WrongGeneratorError(
            f"this training was begun with generator {state.fingerprint[:12]}, the one given is "
            f"{generator.fingerprint[:12]}; go on with the same, or begin a new training"
        )
    if replace(state.config, steps=config.steps) != config:
        before, now = asdict(state.config), asdict(config)
        other = next(name for name in now if name != "steps" and now[name] != before[name])
        raise InvalidInputError(
            f"the training was begun with {other} {before[other]!r}, {now[other]!r} is asked for; go on with the "
            "same (only steps may differ), or begin a new training"
        )
    check_same_digests(state.digests, digests)
    if config.steps < state.step:
        raise InvalidInputError(
            f"{state.step} steps are done already, and steps is {config.steps}, which counts them; raise it"
        )


def save_training(state: TrainingState, path: str | os.PathLike[str]) -> None:
    """Writes the state as .safetensors. Raises SaveError."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": state.fingerprint,
        "step": str(state.step),
        "config": json.dumps(asdict(state.config)),
        **state.digests,
    }
    save_tensors(state.tensors, path, header)


def load_training(path: str | os.PathLike[str]) -> TrainingState:
    """The state in a file. Raises MissingWeightsError, and UnsupportedCheckpointError where it is something else."""
    file = as_path(path, "the training's file")
    with torch.inference_mode(False), open_content(file, expected=EXPECTED) as content:
        header = content.metadata
        if header.get("format") != FORMAT or header.get("version") != VERSION:
            raise UnsupportedCheckpointError(
                f"{file.name} holds no training of an encoder; expected a file of format {FORMAT!r}, version {VERSION}"
            )
        try:
            settings = json.loads(header["config"])
            config = EncoderTrainingConfig(**{**settings, "channels": tuple(settings["channels"])})
            step, fingerprint = int(header["step"]), header["fingerprint"]
            check_whole(step, "its step", 0)
        except (KeyError, TypeError, ValueError) as error:
            raise UnsupportedCheckpointError(
                f"{file.name}: its settings are damaged ({error}); begin the training anew"
            ) from error
        tensors = {name: as_tensor(name, ref).clone() for name, ref in content.value.items()}
    digests = {name: header[name] for name in DIGESTS if name in header}
    return TrainingState(step, config, fingerprint, tensors, digests)
