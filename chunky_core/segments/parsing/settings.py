"""The two JSON files of a SegFormer folder, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import UnsupportedCheckpointError

LARGEST_JSON = 1 << 20  # bytes
LARGEST_SIZE = 2048  # pixels to which a photo is brought; published SegFormers have 512 to 1024
LIMITS = {  # the largest published SegFormer has depths of 3, 6, 40, 3 and 512 and 768 channels
    "num_encoder_blocks": 8,
    "depths": 128,
    "sr_ratios": 64,
    "hidden_sizes": 2048,
    "patch_sizes": 64,
    "strides": 64,
    "num_attention_heads": 64,
    "mlp_ratios": 16,
    "decoder_hidden_size": 4096,
    "size": LARGEST_SIZE,
}
ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "relu", "silu", "swish")
LONGEST_NAME = 100  # characters
MODES = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # PIL's numbers
IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
PER_BLOCK = (
    "depths",
    "sr_ratios",
    "hidden_sizes",
    "patch_sizes",
    "strides",
    "num_attention_heads",
    "mlp_ratios",
)


@dataclass(frozen=True)
class Preprocessing:
    """What a network wants done to a photo.

    size: (height, width) in pixels, None = as it is; scale: from 0..255 to what mean and std refer to.
    """

    size: tuple[int, int] | None
    mode: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, photo: Tensor) -> Tensor:
        """[B,3,H,W] in [-1,1] -> the network's input [B,3,h,w]."""
        pixels = (photo + 1) * 127.5
        if self.size is not None:
            smooth = {} if self.mode == "nearest" else {"antialias": True}
            pixels = F.interpolate(pixels, self.size, mode=self.mode, **smooth)
            pixels = pixels.clamp(0, 255).round()  # 8 bits, as in training
        mean, std = (torch.tensor(values).to(pixels).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels * self.scale - mean) / std


def read_json(path: Path) -> dict[str, Any]:
    """The object of a JSON file. Raises UnsupportedCheckpointError."""
    if path.stat().st_size > LARGEST_JSON:
        raise UnsupportedCheckpointError(
            f"{path} has {path.stat().st_size} bytes; expected a small JSON file"
        )
    try:
        content = json.loads(path.read_bytes())  # finds out the encoding
    except OSError as error:
        raise UnsupportedCheckpointError(
            f"{path} can't be read ({error.strerror}); check its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UnsupportedCheckpointError(f"{path} is no JSON ({error}); fetch the file again") from error
    if not isinstance(content, dict):
        raise UnsupportedCheckpointError(f"{path} holds a {type(content).__name__}; expected an object")
    return content


def label_names(config: Mapping[str, Any]) -> dict[int, str]:
    """id2label of config.json, label -> name. Raises UnsupportedCheckpointError."""
    given = config.get("id2label")
    names = given if isinstance(given, dict) else {}
    if sorted(names) != sorted(map(str, range(len(names)))) or not 2 <= len(names) <= 256:
        raise UnsupportedCheckpointError(
            "config.json names no labels; expected id2label with the numbers from 0 to at most 255"
        )
    if not all(isinstance(name, str) and name.strip() for name in names.values()):
        raise UnsupportedCheckpointError("config.json has labels without a name in id2label; name them all")
    odd = [name for name in names.values() if len(name) > LONGEST_NAME or not name.isprintable()]
    if odd:
        raise UnsupportedCheckpointError(
            f"config.json calls a label {_shown(odd[0])} in id2label; expected at most {LONGEST_NAME} printable "
            "characters: shorten it"
        )
    return {label: names[str(label)].strip() for label in range(len(names))}


def model_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of config.json shapes the network; everything else, code references included, is left out.

    Raises UnsupportedCheckpointError for another kind of network and for numbers out of range.
    """
    if config.get("model_type") != "segformer":
        raise UnsupportedCheckpointError(
            f"config.json describes a {str(config.get('model_type'))[:60]!r} network; expected 'segformer': choose "
            "another folder"
        )
    if config.get("num_channels", 3) != 3:
        raise UnsupportedCheckpointError(
            f"the network takes {str(config['num_channels'])[:20]} channels; expected 3, a photo's: choose another one"
        )
    lists = {key: _numbers(config, key) for key in PER_BLOCK if key in config}
    single = ("num_encoder_blocks", "decoder_hidden_size")
    numbers = {key: _number(key, config[key]) for key in single if key in config}
    if any(len(values) != numbers.get("num_encoder_blocks", 4) for values in lists.values()):
        raise UnsupportedCheckpointError(
            f"config.json has {numbers.get('num_encoder_blocks', 4)} blocks, but not as many of "
            f"{', '.join(lists)}; fetch the file again"
        )
    rest = {key: check(config[key]) for key, check in _OTHERS.items() if key in config}
    return {**lists, **numbers, **rest}


def preprocessing_of(config: Mapping[str, Any]) -> Preprocessing:
    """preprocessor_config.json as one record. Raises UnsupportedCheckpointError."""
    resample = config.get("resample", 2)
    if not isinstance(resample, int) or resample not in MODES:
        raise UnsupportedCheckpointError(
            f"preprocessor_config.json has resample {_shown(resample)}; expected one of {list(MODES)}"
        )
    size = _size(config.get("size", 512)) if config.get("do_resize", True) else None
    scale = _real("rescale_factor", config.get("rescale_factor", 1 / 255))
    normalize = config.get("do_normalize", True)
    mean = _channels(config, "image_mean") if normalize else (0.0, 0.0, 0.0)
    std = _channels(config, "image_std") if normalize else (1.0, 1.0, 1.0)
    return Preprocessing(size, MODES[resample], scale if config.get("do_rescale", True) else 1.0, mean, std)


def _size(given: Any) -> tuple[int, int]:
    if isinstance(given, dict) and {"height", "width"} <= set(given):
        return _number("size", given["height"]), _number("size", given["width"])
    if isinstance(given, dict):
        raise UnsupportedCheckpointError(
            f"preprocessor_config.json has the size {_shown(given)}; expected height and width"
        )
    return (_number("size", given),) * 2


def _numbers(config: Mapping[str, Any], key: str) -> list[int]:
    given = config[key]
    return [_number(key, value) for value in (given if isinstance(given, list) else [given])]


def _number(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LIMITS[key]:
        raise UnsupportedCheckpointError(
            f"{key} has {_shown(value)}; expected whole numbers in 1..{LIMITS[key]}: fetch the file again"
        )
    return value


def _channels(config: Mapping[str, Any], key: str) -> tuple[float, ...]:
    given = config.get(key, IMAGENET[key])
    values = tuple(_real(key, value) for value in given) if isinstance(given, (list, tuple)) else ()
    if len(values) != 3 or (key == "image_std" and min(values) <= 0):
        raise UnsupportedCheckpointError(
            f"preprocessor_config.json has {key} {_shown(given)}; expected 3 numbers"
        )
    return values


def _real(key: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1e6:
        raise UnsupportedCheckpointError(
            f"{key} has {_shown(value)}; expected a number: fetch the file again"
        )
    return float(value)


def _activation(value: Any) -> str:
    if value not in ACTIVATIONS:
        raise UnsupportedCheckpointError(
            f"hidden_act has {_shown(value)}; expected one of {', '.join(ACTIVATIONS)}: fetch the file again"
        )
    return str(value)


def _epsilon(value: Any) -> float:
    if not 0 < _real("layer_norm_eps", value) < 1:
        raise UnsupportedCheckpointError(
            f"layer_norm_eps has {_shown(value)}; expected a number between 0 and 1"
        )
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnsupportedCheckpointError(f"reshape_last_stage has {_shown(value)}; expected true or false")
    return value


def _shown(value: Any) -> str:
    """A value of a JSON file, however long it is."""
    text = ascii(value) if not isinstance(value, int) or abs(value) < 1 << 64 else "a number beyond 2^64"
    return text if len(text) <= 60 else text[:60] + "..."


_OTHERS: dict[str, Callable[[Any], Any]] = {
    "hidden_act": _activation,
    "layer_norm_eps": _epsilon,
    "reshape_last_stage": _flag,
}
