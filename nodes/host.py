"""What the nodes need of the host: device and memory, progress and previews, pictures in its format, and the
prompt that runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management as memory
import comfy.model_patcher
import comfy.utils
import torch
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from PIL import Image
from server import PromptServer
from torch import Tensor, nn

from ..chunky_core.callbacks import Callback
from ..chunky_core.compositing import Renderings
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.images import to_uint8
from ..chunky_core.images.levels import EXACT, GRAY_DIVISOR, LEVEL_DIVISORS
from ..chunky_core.wording import counted

PREVIEW_SIZE = 512  # longest side in pixels of a live preview
GRID_TOLERANCE = EXACT  # in 8-bit grey levels
GREY_TOLERANCE = LEVEL_DIVISORS[1][1]
OVERSHOOT = 0.25  # of a bicubic kernel at a hard edge, a little more than it can be
BRIGHTEST = 16.0  # times white; pictures beyond were not divided by 255


@dataclass(frozen=True)
class HostedGenerator:
    """A generator whose weights the host may move to its device and back, and what it drew last.

    searches: what `segment_channels` found with it last, which goes with it.
    """

    generator: Generator
    patcher: comfy.model_patcher.ModelPatcher
    renderings: Renderings = field(init=False, repr=False)
    searches: list[Any] = field(default_factory=list, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "renderings", Renderings(self.generator))


@dataclass(frozen=True)
class RunningNode:
    """The node that the host is at.

    prompt: all nodes of the prompt by their ids, as the API format has them. wanted: the output nodes for whose
    sake the prompt runs; empty where that isn't known.
    """

    id: str
    prompt: Mapping[str, Mapping[str, Any]]
    wanted: Collection[str] = ()


@contextmanager
def plain_tensors() -> Iterator[None]:
    """Leave the host's inference mode: no record shall hold a tensor that autograd refuses to save."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def host_generator(generator: Generator) -> HostedGenerator:
    """Put a generator under the host's memory management."""
    device, offload = memory.get_torch_device(), memory.unet_offload_device()
    return HostedGenerator(generator, comfy.model_patcher.ModelPatcher(generator.module, device, offload))


@contextmanager
def loaded(hosted: HostedGenerator, memory_required: int = 0) -> Iterator[Generator]:
    """The generator on the host's device, ready for autograd, outside inference mode.

    memory_required: bytes of working memory to keep free beside the weights.
    """
    with plain_tensors():
        memory.load_models_gpu([hosted.patcher], memory_required=memory_required, force_full_load=True)
        thaw(hosted.generator.module)
        yield hosted.generator
        if hosted.generator.device.type != "cpu":  # that memory is the host's to manage
            hosted.renderings.release()
    memory.soft_empty_cache()


def thaw(module: nn.Module) -> None:
    """Replace inference tensors among parameters and buffers by clones.

    The host unloads models in inference mode, and autograd cannot save what was moved there, frozen or not.
    """
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            if parameter.is_inference():
                setattr(
                    part,
                    name,
                    nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad),
                )
        for name, buffer in list(part.named_buffers(recurse=False)):
            if buffer.is_inference():
                setattr(part, name, buffer.clone())


def to_core(image: Tensor) -> Tensor:
    """Host IMAGE [B,H,W,3 or 4] in 0..1 -> a new float32 [B,3,H,W] in [-1,1].

    What is a little (or, of high dynamic range, a good deal) beyond 0..1 stays. Raises InvalidInputError for another
    shape or type, NaN, infinity and pictures in 0..255.
    """
    check_image(image)
    levels = on_grid(image[..., :3].detach().clone().float() * 255)
    return (levels / 127.5 - 1).movedim(-1, 1).contiguous()


def check_image(image: Tensor) -> None:
    """Raise InvalidInputError for what isn't a colour IMAGE of the host."""
    if image.ndim != 4 or image.shape[-1] not in (3, 4) or 0 in image.shape:
        raise InvalidInputError(
            f"the image is a tensor of shape {list(image.shape)}; expected a colour IMAGE, "
            "[pictures, height, width, 3 or 4]"
        )
    if not image.is_floating_point():
        kind = str(image.dtype).removeprefix("torch.")
        raise InvalidInputError(
            f"the image holds {kind} numbers; expected floats in 0..1, so divide it by 255"
        )
    low, high = (bound.item() for bound in image.detach().aminmax())
    if not -BRIGHTEST <= low <= high <= BRIGHTEST:  # NaN fails, too
        raise InvalidInputError(
            f"the image has values in {low:g}..{high:g}, expected 0..1; mend or divide them"
        )


def image_size(image: Tensor) -> tuple[int, int]:
    """Height and width of a host IMAGE. Raises InvalidInputError for what is none."""
    check_image(image)
    return image.shape[1], image.shape[2]


def to_host(image: Tensor) -> Tensor:
    """[B,3,H,W] in [-1,1] -> host IMAGE [B,H,W,3] in 0..1 on the host's device for results."""
    levels = on_grid((image.detach().float().clamp(-1, 1) + 1) * 127.5)
    return (levels / 255).movedim(1, -1).contiguous().to(memory.intermediate_device())


def on_grid(levels: Tensor) -> Tensor:
    """Grey levels 0..255, with what is a whole level but for rounding errors made exactly whole.

    The host's savers truncate: without this, the last bit lost on the way through [-1,1] would turn a quarter
    of all untouched grey levels of an 8-bit photo into their lower neighbour.
    """
    whole = levels.round()
    return torch.where((levels - whole).abs() < GRID_TOLERANCE, whole, levels)


def mask_to_core(mask: Tensor, *, borrowed: bool = False) -> Tensor:
    """Host MASK [B,H,W] -> a new float32 [B,1,H,W] in 0..1.

    Some packs give a mask without a batch, [H,W], or with a channel of its own, [B,1,H,W] or [B,H,W,1]; bicubic
    enlarging leaves 0..1 a little, and is clipped; levels that are 0 and 1 of 255 only are off and on, as `read_mask`
    takes them from a file. borrowed: the result may be the host's own tensor, to be read
    only and not kept. Raises InvalidInputError for other shapes and values.
    """
    plain = mask[None] if mask.ndim == 2 else mask
    if plain.ndim == 4 and 1 in (plain.shape[1], plain.shape[-1]):
        plain = plain[:, 0] if plain.shape[1] == 1 else plain[..., 0]
    if plain.ndim != 3 or not plain.numel():
        raise InvalidInputError(
            f"the mask is a tensor of shape {list(mask.shape)}; expected a MASK, [masks, height, width]"
        )
    values = plain.detach().to(torch.float32, copy=not borrowed)
    low, high = (bound.item() for bound in values.aminmax())
    if not -OVERSHOOT <= low <= high <= 1 + OVERSHOOT:  # NaN fails, too
        raise InvalidInputError(
            f"the mask has values in {low:g}..{high:g}, expected 0..1; clip or divide them"
        )
    if (
        abs(high * GRAY_DIVISOR - 255) < GREY_TOLERANCE
    ):  # white of a grey picture, as the host's loader gives it
        values, high = values * (1 / high), 1.0
    if not low and _is_level_1(high) and bool(((values == 0) | (values == high)).all()):
        values, high = (values > 0).float(), 1.0
    return (values if low >= 0 and high <= 1 else values.clamp(0, 1))[:, None]


def _is_level_1(value: float) -> bool:
    return any(abs(value * most - 1) < off for most, off in LEVEL_DIVISORS)


def mask_to_host(mask: Tensor) -> Tensor:
    """[B,1,H,W] -> host MASK [B,H,W] on the host's device for results."""
    return mask.detach().float()[:, 0].clone().to(memory.intermediate_device())


def each_photo(image: Tensor) -> list[Tensor]:
    """Host IMAGE batch -> its photos as [1,3,H,W] in [-1,1]."""
    return list(to_core(image).split(1))


def per_photo(records: tuple, count: int, what: str) -> tuple:
    """One record for each of `count` photos; a single record serves all. Raises InvalidInputError."""
    if len(records) == count:
        return records
    if len(records) == 1:
        return records * count
    raise InvalidInputError(
        f"{len(records)} {what} for {counted(count, 'photo')}; give one for all, or one for each"
    )


def step_reporter(index: int = 0, count: int = 1, *, previews: bool = True) -> Callback:
    """A callback(step, total, image) for the core's work on photo `index` of `count`: progress bar, live previews,
    interruption.

    It raises the host's own exception within one step of the user's wish. Every photo takes as many steps. previews:
    off where the pictures on the way tell nothing, since the last one stays on the node.
    """
    bar = comfy.utils.ProgressBar(count)

    def report(step: int, total: int, image: Tensor | None) -> None:
        memory.throw_exception_if_processing_interrupted()
        shown = preview(image) if previews and image is not None else None
        bar.update_absolute(total * index + step, total * count, shown)

    return report


def preview(image: Tensor) -> tuple[str, Image.Image, int]:
    """The first of [B,3,H,W] in [-1,1] as the host's preview triple."""
    return "JPEG", Image.fromarray(to_uint8(image)[0].cpu().numpy()), PREVIEW_SIZE


def running_node() -> RunningNode | None:
    """The node that is being executed or asked for its fingerprint; None outside a prompt, and for a node that
    another one put in while the prompt ran.
    """
    context, state = get_executing_context(), get_progress_state()
    if context is None or state.prompt_id != context.prompt_id:
        return None
    prompt = state.dynprompt.get_original_prompt()
    if context.node_id not in prompt:
        return None
    return RunningNode(context.node_id, prompt, _wanted_outputs(context.prompt_id))


def output_is_used(index: int) -> bool:
    """Whether output `index` (from 0) of the running node is linked to another node; True where that isn't known.

    Works in `execute` and in `fingerprint_inputs`, where the host gives no hidden inputs.
    """
    node = running_node()
    return node is None or [node.id, index] in [
        given for other in node.prompt.values() for given in other["inputs"].values()
    ]


def _wanted_outputs(prompt_id: str) -> Collection[str]:
    """From the server's queue, where a prompt stands with its output nodes; without a server nothing is known."""
    queue = getattr(getattr(PromptServer, "instance", None), "prompt_queue", None)
    running = queue.get_current_queue_volatile()[0] if queue is not None else ()
    return next((outputs for _, name, _, _, outputs, *_ in running if name == prompt_id), ())
