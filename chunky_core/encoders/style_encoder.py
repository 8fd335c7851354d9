"""Encoders of other tools, checkpoints of e4e, pSp and ReStyle: a photo in, its code out in a pass or a few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checkpoints.checkpoint import Weights, as_tensor, fields, is_weight, shape_of, weights_of
from ..checkpoints.containers.content import Content
from ..errors import UnsupportedCheckpointError, WrongGeneratorError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from .inputs import check_inputs
from .style_networks import StyleNetwork

SIZE = 256  # pixels of each side of what these networks see
ITERATIONS = 5  # of ReStyle, unless the file says otherwise
MAX_ITERATIONS = 100
PREFIX = "encoder."
TOOLS = {  # the type that a file's options name -> (tool, whether the styles are deltas to the first)
    "Encoder4Editing": ("e4e", True),
    "GradualStyleEncoder": ("pSp", False),
    "ResNetGradualStyleEncoder": ("pSp", False),
    "BackboneEncoder": ("pSp", False),
    "ResNetBackboneEncoder": ("pSp", False),
    "BackboneEncoderUsingLastLayerIntoW": ("pSp", False),
    "BackboneEncoderUsingLastLayerIntoWPlus": ("pSp", False),
    "ProgressiveBackboneEncoder": ("e4e", True),
    "ResNetProgressiveBackboneEncoder": ("e4e", True),
}
INTO_W = "BackboneEncoderUsingLastLayerIntoW"  # one style for all layers
_CARS = slice(SIZE // 8, SIZE - SIZE // 8)  # the rows that encoders of cars see, 4:3
_AT_ONCE = 4  # photos


@dataclass(frozen=True, eq=False)
class StyleEncoder:
    """A network that finds the code of a whole photo.

    mean: [num_ws,w_dim], in the space "w" [1,w_dim], added to what the network gives; iterations: how often ReStyle
    looks at photo and rendering, 1 where the network sees the photo alone; wide: whether it sees the middle 3/4 of the
    rows, as those of cars do; fingerprint: of the generator in its file, None = the file has none.
    """

    network: StyleNetwork
    mean: Tensor
    name: str
    iterations: int = 1
    wide: bool = False
    fingerprint: str | None = None
    space: str = "w+"
    takes_masks: bool = False
    size: int = SIZE

    @torch.no_grad()
    def encode(self, generator: Generator, photo: Tensor, masks: Tensor | None = None) -> LatentCode:
        """The codes of photos, w+ [B,num_ws,w_dim] or w [B,w_dim], on the generator's device.

        photo: [B,3,H,W] in [-1,1] of any size, aligned as the tool aligns; masks: [B,1,H,W] don't count, for these see
        the whole photo; one photo goes with many masks, whose codes are the same.
        Raises WrongGeneratorError, and InvalidInputError for wrong shapes, numbers out of range and empty masks.
        """
        count = check_inputs(generator, photo, masks)
        self.check(generator)
        device = generator.device
        network, mean = self.network.to(device), self.mean.to(device)
        seen = _resized(photo.to(device, torch.float32))
        codes = [self._codes(generator, network, mean, some) for some in seen.split(_AT_ONCE)]
        ws = torch.cat(codes).expand(count, -1, -1).contiguous()
        return LatentCode("w", ws[:, 0]) if self.space == "w" else LatentCode("w+", ws)

    def _codes(self, generator: Generator, network: StyleNetwork, mean: Tensor, photo: Tensor) -> Tensor:
        code = mean.expand(len(photo), -1, -1)
        if network.inputs == 3:
            return code + network(self._rows(photo))
        for _ in range(self.iterations):
            drawn = generator.synthesis(code.to(generator.dtype)).float()
            estimate = F.adaptive_avg_pool2d(drawn, SIZE)
            code = code + network(self._rows(torch.cat([photo, estimate], dim=1)))
        return code

    def _rows(self, pictures: Tensor) -> Tensor:
        return pictures[..., _CARS, :] if self.wide else pictures

    def check(self, generator: Generator) -> None:
        """Raises WrongGeneratorError for a generator that the codes are not of."""
        found = tuple(self.mean.shape)
        expected = (1 if self.space == "w" else generator.num_ws, generator.w_dim)
        if found != expected:
            raise WrongGeneratorError(
                f"this encoder ({self.name}) gives {found[0]} styles of {found[1]} numbers, the generator takes "
                f"{expected[0]} of {expected[1]}; load the generator from the encoder's own file"
            )
        if self.fingerprint not in (None, generator.fingerprint):
            raise WrongGeneratorError(
                f"this encoder ({self.name}) came with generator {str(self.fingerprint)[:12]}, the one given is "
                f"{generator.fingerprint[:12]}; load the generator from the encoder's own file"
            )


def read_style_encoder(content: Content) -> StyleEncoder:
    """The encoder in an open checkpoint of e4e, pSp or ReStyle, without its generator's fingerprint.

    Raises UnsupportedCheckpointError.
    """
    whole = fields(content.value)
    weights = _weights(whole)
    own: Weights = {
        name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)
    }
    if not own:
        raise UnsupportedCheckpointError("it holds no encoder; expected a checkpoint of e4e, pSp or ReStyle")
    options = fields(whole.get("opts"))
    kind = options.get("encoder_type")
    if not isinstance(kind, str) or kind not in TOOLS:
        named = f"{kind[:60]!r}" if isinstance(kind, str) else "not named in its opts"
        raise UnsupportedCheckpointError(f"its encoder_type is {named}; expected one of {', '.join(TOOLS)}")
    tool, progressive = TOOLS[kind]
    shapes = {name: shape_of(value) for name, value in own.items()}
    with torch.device("meta"):
        network = StyleNetwork(shapes, progressive)
    _fill(network, own)
    if network.inputs not in (3, 6):
        raise UnsupportedCheckpointError(
            f"its encoder takes pictures of {network.inputs} channels, as those of sketches and label maps; expected "
            "3, a photo, or 6, a photo and a rendering"
        )
    again = network.inputs == 6
    space = "w" if kind == INTO_W else "w+"
    if space == "w" and (again or network.rows[0] != 1):
        raise UnsupportedCheckpointError(
            f"its encoder takes {network.inputs} channels and gives {network.rows[0]} styles; "
            f"{INTO_W} takes 3 and gives one"
        )
    return StyleEncoder(
        network=network,
        mean=_mean(network, whole, options, again),
        name=f"ReStyle ({tool})" if again else tool,
        iterations=_iterations(options) if again else 1,
        wide="cars" in str(options.get("dataset_type", ""))[:40],
        space=space,
    )


def has_decoder(content: Content) -> bool:
    """Whether an open checkpoint has a generator, which it calls its decoder."""
    return any(name.startswith("decoder.") for name in _weights(fields(content.value)))


def _weights(whole: Mapping[Any, Any]) -> Weights:
    return weights_of(fields(whole.get("state_dict")) or whole)


def _fill(network: StyleNetwork, weights: Weights) -> None:
    """Give the network the file's numbers, in float32, which alone are copied."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    for name in sorted(({*weights, *expected} - counters) - {n for n in weights if n.endswith("_tracked")}):
        found = shape_of(weights[name]) if name in weights else None
        if found != expected.get(name):
            raise UnsupportedCheckpointError(
                f"its encoder's {name[:80]} is {found}, where such a network has {expected.get(name)}"
            )
    state = {
        name: as_tensor(name, weights[name]).to(torch.float32, copy=True)
        for name in expected
        if name not in counters
    }
    state |= {name: torch.zeros((), dtype=torch.long) for name in counters}
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise UnsupportedCheckpointError(f"its encoder's {name[:80]} has numbers that are not finite")
    network.load_state_dict(state, assign=True)
    network.requires_grad_(False).eval()


def _mean(network: StyleNetwork, whole: Mapping[Any, Any], options: Mapping[Any, Any], again: bool) -> Tensor:
    """latent_avg as rows [num_ws,w_dim]; zeros where the tool doesn't add it."""
    rows = network.rows
    if not (again or options.get("start_from_latent_avg", True)):
        return torch.zeros(rows)
    stored = whole.get("latent_avg")
    if not is_weight(stored):
        raise UnsupportedCheckpointError(
            "it has no latent_avg, the mean code that its encoder's result is added to"
        )
    mean = as_tensor("latent_avg", stored).to(torch.float32, copy=True)  # type: ignore[arg-type]
    if rows[0] == 1 and mean.dim() == 2 and len(mean) and bool((mean == mean[:1]).all()):
        mean = mean[0]  # e4e's has a row for each layer
    if tuple(mean.shape) not in (rows, (1, *rows), rows[1:], (1, rows[1])) or not bool(mean.isfinite().all()):
        raise UnsupportedCheckpointError(
            f"its latent_avg is {list(mean.shape)}; expected finite numbers [{rows[0]}, {rows[1]}] or [{rows[1]}]"
        )
    return mean.reshape(-1, rows[1]).expand(rows).clone()


def _iterations(options: Mapping[Any, Any]) -> int:
    stated = options.get("n_iters_per_batch")
    valid = isinstance(stated, int) and not isinstance(stated, bool) and 1 <= stated <= MAX_ITERATIONS
    return stated if valid else ITERATIONS  # type: ignore[return-value]


def _resized(photo: Tensor) -> Tensor:
    if photo.shape[-2:] == (SIZE, SIZE):
        return photo
    return F.interpolate(photo, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
