"""The part "correctness": the largest differences between the device and the CPU, each against a bound.

What a generator computes is compared in each dtype with the CPU's float64; the rest, which runs in float32 whatever the
generator's dtype, with the CPU's float32. float32 is measured in full and, on CUDA, with TF32, torch's default for
convolutions, too. What is made twice on the device by deterministic kernels is compared with itself, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.compositing import COMPOSITE_MODES, composite, poisson_blend, render
from chunky_core.generator import Generator
from chunky_core.inversion import Inversion, LossConfig, ProjectionConfig, project
from chunky_core.segments import mask_box
from chunky_core.segments.level_set import evolve

from .part import part_options
from .scenes import Scene, demo_scene, tiny_scene

GREY_LEVEL = 2 / 255
STEPS = 4
# The largest differences that pass, by dtype: of pictures and gradients in units of the largest value, of the
# projection's losses in units of the loss, of composites in grey levels of 255.
BOUNDS = {
    "float32": {"pictures": 1e-4, "gradients": 1e-3, "box": 1e-5, "projection": 1e-3, "composite": 0.5},
    "float32, TF32": {"pictures": 1e-2, "gradients": 5e-2, "box": 1e-2, "projection": 3e-2, "composite": 6.0},
    "float16": {"pictures": 2e-2, "gradients": 1e-1, "box": 2e-2, "projection": 3e-2, "composite": 8.0},
    "bfloat16": {"pictures": 1e-1, "gradients": 3e-1, "box": 1e-1, "projection": 1e-1, "composite": 40.0},
}
POISSON_BOUND, LEVEL_SET_BOUND = 0.5, 0.02  # grey levels; shares of a pixel


def main() -> None:
    part = part_options(__doc__)
    tiny = tiny_scene()
    scene = tiny if part.size == "tiny" else demo_scene()
    results: list[dict[str, Any]] = []
    for result in checks(scene, scene if part.size == "full" else tiny, part.device):
        results.append(result)
        part.write("correctness", results)
        print(
            f"  {result['name']}, {result['dtype']}: {result['difference']} (at most {result['bound']})",
            flush=True,
        )


def checks(scene: Scene, projected_scene: Scene, device: torch.device) -> Iterator[dict[str, Any]]:
    """All results, one by one: CHECK of the schema. projected_scene: what is projected and edited."""
    names = [name for name in BOUNDS if device.type == "cuda" or not name.endswith("TF32")]
    reference = Reference(scene)
    for name in names:
        with cudnn("allow_tf32", name.endswith("TF32")):
            yield from generator_checks(reference, name, device)
    with cudnn("allow_tf32", False):
        yield from mask_and_colour_checks(scene, device)
        yield from repeat_checks(projected_scene, device)
    record = RecordReference(projected_scene)  # the CPU's slowest part: the limit takes nothing else away
    for name in names:
        with cudnn("allow_tf32", name.endswith("TF32")):
            yield from record_checks(record, name, device)


@contextmanager
def cudnn(flag: str, wanted: bool) -> Iterator[None]:
    """A setting of CUDA's convolutions: "allow_tf32", float32 rounded to 10 bits; "deterministic", one order."""
    before = getattr(torch.backends.cudnn, flag)
    setattr(torch.backends.cudnn, flag, wanted)
    try:
        yield
    finally:
        setattr(torch.backends.cudnn, flag, before)


class Reference:
    """Pictures and gradients in float64 on the CPU."""

    def __init__(self, scene: Scene) -> None:
        self.generator, self.ws = scene.generator, scene.ws(2)
        exact = scene.generator.to(dtype=torch.float64)
        self.pictures, self.gradients = pictures_and_gradients(exact, self.ws.double())


class RecordReference:
    """A projection and its composites in float32 on the CPU."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.inversion = projected(scene.generator, scene)
        self.composites = composites(scene.generator, self.inversion, scene)


def generator_checks(reference: Reference, name: str, device: torch.device) -> Iterator[dict[str, Any]]:
    """Pictures, gradients and boxes in one dtype."""
    generator = reference.generator.to(device, dtype_of(name))
    ws, bounds, unit = reference.ws.to(device), BOUNDS[name], "of the largest value"
    pictures, gradients = pictures_and_gradients(generator, ws)
    yield check("pictures", name, relative(pictures, reference.pictures), bounds, unit)
    yield check("gradients", name, relative(gradients, reference.gradients), bounds, unit)
    yield check("box", name, box_difference(generator, ws, pictures), bounds, unit)


def record_checks(reference: RecordReference, name: str, device: torch.device) -> Iterator[dict[str, Any]]:
    """A projection, and composites of the CPU's, in one dtype."""
    generator, bounds = reference.scene.generator.to(device, dtype_of(name)), BOUNDS[name]
    yield check("projection", name, loss_difference(generator, reference), bounds, "of the first loss")
    found = composites(generator, reference.inversion, reference.scene)
    pairs = zip(found, reference.composites, strict=True)
    levels = max(float((one - other).abs().max()) for one, other in pairs) / GREY_LEVEL
    yield check("composite", name, levels, bounds, "grey levels")


def dtype_of(name: str) -> torch.dtype:
    """The dtype of an entry of BOUNDS."""
    dtype: torch.dtype = getattr(torch, name.split(",")[0])
    return dtype


def check(name: str, dtype: str, difference: float, bounds: dict[str, float], unit: str) -> dict[str, Any]:
    """One result: CHECK of the schema. A difference that is no number fails, and is stored as none."""
    passed = difference <= bounds[name]  # NaN doesn't
    finite = difference if abs(difference) < float("inf") else None
    result = {"name": name, "dtype": dtype, "difference": finite, "bound": bounds[name], "unit": unit}
    return {**result, "passed": bool(passed)}


def pictures_and_gradients(generator: Generator, ws: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures, and the gradient of their mean square by ws, in float64 on the CPU."""
    leaf = ws.detach().clone().requires_grad_()
    pictures = generator.synthesis(leaf)
    (gradient,) = torch.autograd.grad(pictures.float().square().mean(), leaf)
    return pictures.detach().cpu().double(), gradient.cpu().double()


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference in units of the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def box_difference(generator: Generator, ws: Tensor, pictures: Tensor) -> float:
    """Between boxes made alone and the crops of whole pictures, both on the device: the largest of three boxes."""
    size = generator.img_resolution
    boxes = (
        Box(size // 3, size // 5, size // 2 + 1, size - 7),
        Box(0, 0, 9, size),
        Box(size - 8, size // 2, size, size),
    )
    crops = [pictures[..., box.top : box.bottom, box.left : box.right] for box in boxes]
    made = [generator.synthesis(ws, box=box).cpu().double() for box in boxes]
    peak = pictures.abs().max()
    return max(float((one - crop).abs().max() / peak) for one, crop in zip(made, crops, strict=True))


def projected(generator: Generator, scene: Scene) -> Inversion:
    """A few steps of all segments together, with the losses that need no files."""
    losses = LossConfig(l2=1.0, l1=0.1, ms_ssim=0.1)
    config = ProjectionConfig(mode="joint", space="w+", num_steps=STEPS, loss=losses, warmup=0.0)
    return project(generator, scene.photo, scene.segments, config)


def loss_difference(generator: Generator, reference: RecordReference) -> float:
    """Of the losses of all segments together after each of a few steps, in units of the CPU's first."""
    found, expected = (
        torch.tensor(list(one.losses.values())).sum(dim=0)
        for one in (projected(generator, reference.scene), reference.inversion)
    )
    return float((found - expected).abs().max() / expected[0])


def composites(generator: Generator, inversion: Inversion, scene: Scene) -> list[Tensor]:
    """The edited inversion in every mode, with segments joined by one solution, and drawn wholly."""
    edited = inversion.with_edits(scene.edit)
    pictures = [composite(generator, edited, mode=mode) for mode in COMPOSITE_MODES]
    pictures.append(composite(generator, edited, between=True))
    return [picture.float().cpu() for picture in (*pictures, render(generator, edited))]


def mask_and_colour_checks(scene: Scene, device: torch.device) -> Iterator[dict[str, Any]]:
    """What runs in float32 whatever the generator's dtype: Poisson's equation and the level set."""
    mask = scene.segments.masks[:1]
    picture = scene.photo.flip(3)
    difference = largest_difference(poisson_blend, device, scene.photo, picture, mask) / GREY_LEVEL
    yield check("poisson", "float32", difference, {"poisson": POISSON_BOUND}, "grey levels")
    top, left, bottom, right = mask_box(mask[0])
    speed = torch.zeros_like(mask)
    speed[..., top:bottom, left:right] = 1.0
    moved = largest_difference(lambda a, b: evolve(a, b, distance=5.0, sign=1), device, mask, speed)
    yield check("level set", "float32", moved, {"level set": LEVEL_SET_BOUND}, "of a mask's range")


def repeat_checks(scene: Scene, device: torch.device) -> Iterator[dict[str, Any]]:
    """The same projection and the same rendering twice on the device, to the bit: by cuDNN's deterministic kernels."""
    generator, bounds, unit = (
        scene.generator.to(device),
        {"codes again": 0.0, "pictures again": 0.0},
        "of the largest value",
    )
    with cudnn("deterministic", True):
        one, other = (projected(generator, scene) for _ in range(2))
        codes, again = (
            torch.stack([part.code.tensor for part in record.segments]) for record in (one, other)
        )
        yield check("codes again", "float32", relative(again, codes), bounds, unit)
        difference = relative(render(generator, one), render(generator, one))
        yield check("pictures again", "float32", difference, bounds, unit)


def largest_difference(call: Callable[..., Tensor], device: torch.device, *inputs: Tensor) -> float:
    """Between a call on the device and on the CPU."""
    found = call(*(one.to(device) for one in inputs)).cpu()
    return float((found - call(*inputs)).abs().max())


if __name__ == "__main__":
    main()
