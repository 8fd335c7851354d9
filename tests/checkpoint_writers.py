"""Small checkpoints in every container that users hold, written from a generator of this package.

The stand-in classes pickle under the foreign tools' global names, which exist only while a file is written. Where
the tools store source text, the text here raises: whoever runs anything stored in a file is found out at once.
"""

from __future__ import annotations

import argparse
import pickle
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chunky_core.checkpoints.generators import save_generator
from chunky_core.generator.generator import Generator

from .foreign_layouts import (
    basicsr_state,
    genforce_state,
    mmagic_state,
    rosinality_state,
    tensorflow_variable,
)

SOURCE = 'raise RuntimeError("source code stored in the checkpoint was executed")\n'
_BUFFERS = ("resample_filter", "noise_const", "w_avg", "magnitude_ema", "up_filter", "down_filter")
_CLASSES = (
    (r"", "Generator"),
    (r"mapping", "MappingNetwork"),
    (r"synthesis", "SynthesisNetwork"),
    (r"synthesis\.input", "SynthesisInput"),
    (r"synthesis\.b\d+", "SynthesisBlock"),
    (r".*\.torgb", "ToRGBLayer"),
    (r".*\.skip", "Conv2dLayer"),
    (r".*\.(fc\d+|embed|affine)", "FullyConnectedLayer"),
    (r".*", "SynthesisLayer"),
)

PADDLE_LINEAR = r"style\.\d+\.weight|.*\.modulation\.weight"

Writer = Callable[[Generator, Path], None]


def _reconstruct_persistent_obj(meta: object) -> None:
    raise AssertionError("never called: only its name is written")


class EasyDict(dict):  # type: ignore[type-arg]
    """Pickles as dnnlib's dictionary."""


class Network:
    """Pickles as a network of NVlabs' TensorFlow tools."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.__dict__ = attributes


class Persistent:
    """Pickles as an object of NVlabs' persistence module."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": class_name}
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return _reconstruct_persistent_obj, ({**self.meta, "state": self.state},)


class ProjectedDiscriminator:
    """Pickles as an object of projected-gan's, whose class no reader of ours knows."""

    def __init__(self) -> None:
        self.weight = torch.zeros(2)
        self.feature_network = [{"norm": 1.0}]


def _create_array() -> None:
    raise AssertionError("never called: only its name is written")


class DillArray:
    """Pickles as a numpy array by the dill library."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, ...]:
        return _create_array, (*self.array.__reduce__(), None)


_FOREIGN: tuple[tuple[str, Any], ...] = (
    ("torch_utils.persistence", _reconstruct_persistent_obj),
    ("dnnlib.util", EasyDict),
    ("dnnlib.tflib.network", Network),
    ("pg_modules.discriminator", ProjectedDiscriminator),
    ("dill._dill", _create_array),
)


@contextmanager
def foreign_names() -> Iterator[None]:
    """While this is open the stand-ins can be pickled under the foreign tools' names."""
    own, added = {thing: thing.__module__ for _, thing in _FOREIGN}, []
    for path, thing in _FOREIGN:
        for end in (match.end() for match in re.finditer(r"\w+", path)):
            if path[:end] not in sys.modules:
                sys.modules[path[:end]] = types.ModuleType(path[:end])
                added.append(path[:end])
        setattr(sys.modules[path], thing.__name__, thing)
        thing.__module__ = path
    try:
        yield
    finally:
        for thing, name in own.items():
            thing.__module__ = name
        for name in added:
            del sys.modules[name]


def state_of(generator: Generator) -> dict[str, Tensor]:
    """The weights under NVlabs' names, contiguous."""
    return {name: tensor.detach().contiguous() for name, tensor in generator.module.state_dict().items()}


def persistent_module(state: Mapping[str, Tensor], settings: Mapping[str, Any], path: str = "") -> Persistent:
    """A module tree of NVlabs' persistent objects; settings: the generator's dimensions, its init arguments."""
    prefix = f"{path}." if path else ""
    names = [name.removeprefix(prefix) for name in state if name.startswith(prefix)]
    own = [name for name in names if "." not in name]
    children = dict.fromkeys(name.partition(".")[0] for name in names if "." in name)
    buffers = [name for name in own if name in _BUFFERS or path == "synthesis.input" and name != "weight"]
    parameters = [name for name in own if name not in buffers]
    attributes: dict[str, Any] = {
        "training": False,
        "_parameters": OrderedDict((name, torch.nn.Parameter(state[prefix + name])) for name in parameters),
        "_buffers": OrderedDict((name, state[prefix + name]) for name in buffers),
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": OrderedDict(),
        "_modules": OrderedDict((n, persistent_module(state, settings, prefix + n)) for n in children),
    }
    class_name = next(name for pattern, name in _CLASSES if re.fullmatch(pattern, path))
    attributes.update(_attributes(path, class_name, settings))
    return Persistent(class_name, attributes)


def _attributes(path: str, class_name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    if not path:
        return {
            "_init_args": (),
            "_init_kwargs": EasyDict(init_arguments(settings)),
            "z_dim": settings["z_dim"],
        }
    if class_name in ("SynthesisLayer", "ToRGBLayer", "Conv2dLayer"):
        return {"conv_clamp": settings.get("conv_clamp")}
    if path.startswith("mapping.fc"):
        return {"activation": "lrelu", "bias_gain": settings.get("lr_multiplier", 0.01)}
    return {}


def init_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that NVlabs' Generator was made with."""
    shared = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
    synthesis = {
        name: value
        for name, value in settings.items()
        if name not in (*shared, "mapping_layers", "lr_multiplier", "upsampling", "class_means")
    }
    mapping = EasyDict(num_layers=settings["mapping_layers"])
    dimensions = {name: settings[name] for name in shared}
    if "block" not in synthesis:  # StyleGAN3 takes them flat
        return {**dimensions, "mapping_kwargs": mapping, **synthesis}
    synthesis["architecture"] = synthesis.pop("block")
    return {**dimensions, "mapping_kwargs": mapping, "synthesis_kwargs": EasyDict(synthesis)}


def persistent_generator(generator: Generator) -> Persistent:
    """The generator as NVlabs' tools would pickle it."""
    return persistent_module(state_of(generator), asdict(generator.architecture))


def write_nvlabs(generator: Generator, path: Path, protocol: int = 4) -> None:
    """A snapshot of stylegan2-ada-pytorch or stylegan3: G, D, G_ema, training_set_kwargs, augment_pipe."""
    network = persistent_generator(generator)
    weight = torch.nn.Parameter(torch.zeros(1, 2))
    discriminator = Persistent("Discriminator", {"_parameters": OrderedDict(weight=weight), "_modules": {}})
    options = EasyDict(
        class_name="training.dataset.ImageFolderDataset", path="x.zip", resolution=np.int64(16)
    )
    content = {
        "G": None,
        "D": discriminator,
        "G_ema": network,
        "training_set_kwargs": options,
        "augment_pipe": None,
    }
    with foreign_names(), path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)


def write_tensorflow(generator: Generator, path: Path, protocol: int = 4) -> None:
    """A snapshot of NVlabs' TensorFlow-era stylegan2: three networks."""
    state = {name: tensor.numpy() for name, tensor in state_of(generator).items()}
    settings = asdict(generator.architecture)
    variables = dict(pair for name, array in state.items() for pair in tensorflow_variable(name, array))
    kwargs = {
        "num_channels": 3,
        "resolution": settings["img_resolution"],
        "mapping_layers": settings["mapping_layers"],
    }
    parts = {
        part: _network(
            f"G_{part}", {}, {n.partition("/")[2]: v for n, v in variables.items() if n.startswith(part)}
        )
        for part in ("mapping", "synthesis")
    }
    parts["mapping"].__dict__["static_kwargs"] = {"mapping_lrmul": settings["lr_multiplier"]}
    top = {"lod": np.float32(0), "dlatent_avg": state["mapping.w_avg"]}
    network = _network("G_main", parts, top, kwargs)
    discriminator = _network("D_stylegan2", {}, {"4x4/Dense0/bias": np.zeros(2, np.float32)})
    with foreign_names(), path.open("wb") as file:
        pickle.dump((network, discriminator, network), file, protocol=protocol)


def _network(
    builder: str,
    components: dict[str, Any],
    variables: dict[str, Any],
    kwargs: Mapping[str, Any] | None = None,
) -> Network:
    return Network(
        {
            "version": 4,
            "name": builder,
            "static_kwargs": dict(kwargs or {}),
            "components": components,
            "build_module_src": SOURCE,
            "build_func_name": builder,
            "variables": list(variables.items()),
        }
    )


def write_rosinality(generator: Generator, path: Path) -> None:
    """A training snapshot of rosinality's stylegan2-pytorch."""
    weights = rosinality_state(state_of(generator))
    options = argparse.Namespace(size=generator.architecture.img_resolution, latent=generator.w_dim, n_mlp=2)
    optimiser = {
        "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2)}},
        "param_groups": [{"lr": 0.1}],
    }
    average = state_of(generator)["mapping.w_avg"]
    content = {"g": weights, "g_ema": weights, "latent_avg": average, "args": options, "g_optim": optimiser}
    torch.save(content, path)


def write_e4e(generator: Generator, path: Path) -> None:
    """An encoder's checkpoint with its decoder, as e4e, pSp and ReStyle write it."""
    weights = {f"decoder.{name}": tensor for name, tensor in rosinality_state(state_of(generator)).items()}
    weights["encoder.input_layer.0.weight"] = torch.zeros(2, 3, 3, 3)
    average = state_of(generator)["mapping.w_avg"].repeat(generator.num_ws, 1)
    options = {"encoder_type": "Encoder4Editing", "stylegan_size": generator.architecture.img_resolution}
    torch.save({"state_dict": weights, "latent_avg": average, "opts": options}, path)


def write_whole_object(generator: Generator, path: Path, legacy: bool = False) -> None:
    """A generator object as Pivotal Tuning writes it."""
    with foreign_names():
        torch.save(persistent_generator(generator), path, _use_new_zipfile_serialization=not legacy)


def write_legacy(generator: Generator, path: Path) -> None:
    """rosinality's weights in torch's format before 1.6, which is no zip."""
    content = {
        "g_ema": rosinality_state(state_of(generator)),
        "latent_avg": state_of(generator)["mapping.w_avg"],
    }
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_state_dict(generator: Generator, path: Path) -> None:
    """The weights alone under NVlabs' names."""
    torch.save(OrderedDict(state_of(generator)), path)


def write_paddle(generator: Generator, path: Path) -> None:
    """A state dict by PaddleGAN's paddle.save: numpy arrays, linear layers [in, out], the names beside them."""
    arrays = {name: tensor.numpy() for name, tensor in rosinality_state(state_of(generator)).items()}
    linear = {name: array.T.copy() for name, array in arrays.items() if re.fullmatch(PADDLE_LINEAR, name)}
    names = {name: f"parameter_{index}.w_0" for index, name in enumerate(arrays)}
    content = {**arrays, **linear, "StructuredToParameterName@@": names}
    path.write_bytes(pickle.dumps(content, protocol=4))


def write_basicsr(generator: Generator, path: Path) -> None:
    """A training file of BasicSR: raw and averaged weights."""
    weights = basicsr_state(state_of(generator))
    raw = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    average = state_of(generator)["mapping.w_avg"]
    torch.save({"params": raw, "params_ema": weights, "latent_avg": average}, path)


def write_mmagic(generator: Generator, path: Path) -> None:
    """A checkpoint of mmgeneration: generator and generator_ema in one state dict."""
    weights = mmagic_state(state_of(generator)) | {"w_avg": state_of(generator)["mapping.w_avg"]}
    average = {f"generator_ema.{name}": tensor for name, tensor in weights.items()}
    raw = {f"generator.{name}": torch.zeros_like(tensor) for name, tensor in weights.items()}
    torch.save({"meta": {"epoch": 1}, "state_dict": {**raw, **average}, "optimizer": {}}, path)


def write_genforce(generator: Generator, path: Path) -> None:
    """A file of GenForce's model zoo."""
    weights = genforce_state(state_of(generator))
    raw = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    torch.save({"generator": raw, "discriminator": {}, "generator_smooth": weights}, path)


def write_projected(generator: Generator, path: Path) -> None:
    """A snapshot of projected-gan: a StyleGAN2 beside a discriminator of its own classes."""
    content = {"G": None, "D": ProjectedDiscriminator(), "G_ema": persistent_generator(generator)}
    with foreign_names(), path.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def write_stylegan_xl(generator: Generator, path: Path) -> None:
    """A snapshot of StyleGAN-XL by dill: a table of class features, projected to what describes a class."""
    state = state_of(generator)
    described = state.pop("mapping.embed.weight").T / generator.c_dim**0.5
    del state["mapping.embed.bias"]
    rows = torch.where(described < 0, described / 0.2, described) / 2**0.5  # undoes the leaky ReLU
    state["mapping.w_avg"] = state.pop("mapping.class_w_avg")
    state["mapping.embed.weight"] = torch.cat([rows, torch.ones(3, rows.shape[1])])  # more rows than classes
    state["mapping.embed_proj.weight"] = torch.eye(rows.shape[1]) * rows.shape[1] ** 0.5
    state["mapping.embed_proj.bias"] = torch.zeros(rows.shape[1])
    network = persistent_module(state, asdict(generator.architecture))
    content = {"G": None, "D": None, "G_ema": network, "rates": DillArray(np.ones(3))}
    with foreign_names(), path.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def write_own(generator: Generator, path: Path) -> None:
    """This package's own format."""
    save_generator(generator, path)


WRITERS: dict[str, Writer] = {
    "ada": write_nvlabs,
    "tensorflow": write_tensorflow,
    "stylegan3": write_nvlabs,
    "rosinality": write_rosinality,
    "e4e": write_e4e,
    "whole": write_whole_object,
    "legacy": write_legacy,
    "plain": write_state_dict,
    "paddle": write_paddle,
    "basicsr": write_basicsr,
    "mmagic": write_mmagic,
    "genforce": write_genforce,
    "projected": write_projected,
    "stylegan_xl": write_stylegan_xl,
    "own": write_own,
}
