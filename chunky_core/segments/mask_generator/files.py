"""Mask generators on disk: one .safetensors file, of which nothing is executed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...checkpoints.containers.content import Content, open_content
from ...checks import as_path, check_type
from ...errors import ChunkyError, InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from ...generator.generator import Generator
from ...saving import save_tensors
from .classifier import Classifier
from .record import MaskGenerator, TrainingState

FORMAT = "chunkygan-mask-generator"
VERSION = (1, 0)  # a reader takes every file of its own major version and ignores entries it doesn't know
SUFFIX = ".safetensors"
DEMO = "demo"
DEMO_FILE = Path(__file__).parents[2] / "demo" / "assets" / "mask_generator.safetensors"
_EXPECTED = f"a mask generator, a .safetensors file of the format {FORMAT!r}"
_LAYERS = 3  # of each network


def save_mask_generator(
    mask_generator: MaskGenerator, path: str | Path, *, with_training: bool = True
) -> None:
    """Write a mask generator to a .safetensors file, which `load_mask_generator` opens.

    with_training: False leaves the state of its training out, two thirds of the file, without which it can't go on.
    Raises InvalidInputError for another ending and for weights that aren't finite, SaveError where it can't be written.
    """
    check_type(mask_generator, "the mask generator", MaskGenerator, "train_mask_generator makes one")
    path = as_path(path, "the mask generator's file")
    if path.suffix.lower() != SUFFIX:
        raise InvalidInputError(f"{path} doesn't end in {SUFFIX}; mask generators are saved as that")
    tensors = _tensors(mask_generator, with_training)
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise InvalidInputError(
                f"the mask generator's {name} isn't finite; train it with a lower learning_rate"
            )
    document: dict[str, Any] = {
        "names": list(mask_generator.names),
        "layers": list(mask_generator.layers),
        "figures": dict(mask_generator.figures),
    }
    if with_training and mask_generator.training is not None:
        document["step"] = mask_generator.training.step
    header = {
        "format": FORMAT,
        "version": ".".join(map(str, VERSION)),
        "generator": mask_generator.fingerprint,
        "mask_generator": json.dumps(document),
    }
    save_tensors(tensors, path, header)


def load_mask_generator(source: str | Path, *, generator: Generator | None = None) -> MaskGenerator:
    """Read a mask generator: "demo", that of the demo generator, or the path of a file that this program has saved.

    generator: the one that it is to be used with. Weights come back in float32 on the generator's device, the CPU
    without one. Raises MissingWeightsError where there is no such file, UnsupportedCheckpointError for one that is
    damaged, of another kind or newer, WrongGeneratorError where it was trained for another generator.
    """
    path = DEMO_FILE if source == DEMO else as_path(source, "the mask generator's file")
    try:
        with torch.inference_mode(False), open_content(path, expected=_EXPECTED) as content:
            _check_kind(content)
            found = _rebuilt(content)
    except MissingWeightsError as error:
        raise MissingWeightsError(f"no mask generator can be opened: {error}") from error
    except ChunkyError as error:
        said = str(error).removeprefix(f"{path.name}: ")
        raise UnsupportedCheckpointError(f"{path} is no mask generator that can be opened: {said}") from error
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise UnsupportedCheckpointError(
            f"{path} is a damaged mask generator ({error!r:.200}); save it again"
        ) from error
    if generator is None:
        return found
    found.check_generator(generator)
    return found.to(generator.device)


def _tensors(found: MaskGenerator, with_training: bool) -> dict[str, Tensor]:
    own = found.classifier
    tensors = {"mean": own.mean, "scale": own.scale}
    for index, (weight, bias) in enumerate(zip(own.weights, own.biases, strict=True)):
        tensors |= {f"weights/{index}": weight, f"biases/{index}": bias}
    if with_training and found.training is not None:
        for index, (first, second) in enumerate(
            zip(found.training.first_moments, found.training.second_moments, strict=True)
        ):
            tensors |= {f"training/first/{index}": first, f"training/second/{index}": second}
    return {
        name: one.detach().cpu().clone(memory_format=torch.contiguous_format) for name, one in tensors.items()
    }


def _check_kind(content: Content) -> None:
    if content.container != "safetensors" or content.metadata.get("format") != FORMAT:
        kind = content.metadata.get("format", content.container)
        raise InvalidInputError(f"its format is {kind!r:.60}; expected {_EXPECTED}")
    version = content.metadata.get("version", "")
    if not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise InvalidInputError(f"its version is {version!r:.40}; expected two numbers such as 1.0")
    if int(version.partition(".")[0]) > VERSION[0]:
        raise InvalidInputError(f"it was saved by a newer program (version {version}); update this one")


def _rebuilt(content: Content) -> MaskGenerator:
    document = json.loads(content.metadata["mask_generator"])
    read = _reader(content)
    weights = tuple(read(f"weights/{index}", 3) for index in range(_LAYERS))
    biases = tuple(read(f"biases/{index}", 3) for index in range(_LAYERS))
    mean, scale = read("mean", 1), read("scale", 1)
    _check_shapes(mean, scale, weights, biases)
    own = Classifier(mean, scale, weights, biases)
    names, layers = (tuple(document[key]) for key in ("names", "layers"))
    if not layers or not all(isinstance(one, str) for one in layers):
        raise InvalidInputError("its layers are none of a mask generator")
    figures = _figures(document.get("figures", {}))
    training = _training(document, read, (*weights, *biases)) if "step" in document else None
    fingerprint = content.metadata["generator"]
    return MaskGenerator(names, fingerprint, layers, own, training, figures)


def _reader(content: Content) -> Callable[[str, int], Tensor]:
    def read(name: str, dimensions: int) -> Tensor:
        if name not in content.value:
            raise InvalidInputError(f"the tensor {name!r} is missing")
        tensor = content.value[name].tensor()
        if tensor.ndim != dimensions or not tensor.is_floating_point() or not tensor.numel():
            raise InvalidInputError(f"the tensor {name!r} is {tensor.dtype} {list(tensor.shape)}")
        copy = tensor.to(torch.float32, copy=True)
        if not bool(copy.isfinite().all()):
            raise InvalidInputError(f"the tensor {name!r} holds numbers that aren't finite")
        return copy

    return read


def _check_shapes(
    mean: Tensor, scale: Tensor, weights: tuple[Tensor, ...], biases: tuple[Tensor, ...]
) -> None:
    members, source = len(weights[0]), len(mean)
    fits = scale.shape == mean.shape and bool((scale > 0).all())
    for weight, bias in zip(weights, biases, strict=True):
        fits &= tuple(weight.shape[:2]) == (members, source)
        fits &= tuple(bias.shape) == (members, 1, weight.shape[2])
        source = weight.shape[2]
    if not fits:
        raise InvalidInputError("the shapes of its tensors don't fit together")


def _training(
    document: Mapping[str, Any], read: Callable[[str, int], Tensor], values: tuple[Tensor, ...]
) -> TrainingState:
    step = document["step"]
    if type(step) is not int or step < 0:
        raise InvalidInputError(f"its training's step is {step!r:.40}")
    moments = [
        tuple(read(f"training/{which}/{index}", 3) for index in range(len(values)))
        for which in ("first", "second")
    ]
    for ones in moments:
        if [one.shape for one in ones] != [one.shape for one in values]:
            raise InvalidInputError("the state of its training doesn't fit its weights")
    return TrainingState(step, *moments)


def _figures(found: Any) -> dict[str, float]:
    if not isinstance(found, dict) or not all(type(one) in (int, float) for one in found.values()):
        raise InvalidInputError("its figures are no numbers by name")
    return {str(name): float(value) for name, value in found.items()}
