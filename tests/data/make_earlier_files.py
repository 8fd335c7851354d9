"""Makes the inversions of this folder's `earlier_*.safetensors`; to be run on the state whose files they shall be.

python tests/data/make_earlier_files.py tests/data
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from chunky_core.compositing.render import render
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.images import from_uint8
from chunky_core.inversion import Alignment, Edit, Inversion, ProjectionConfig, project, save_inversion
from chunky_core.segments import Segments
from tests.conftest import _make_generator
from tests.projection_tools import codes, pieces

CONFIG = ProjectionConfig(num_steps=10, dilation=1)
MIXED = {"block": "s", "band": "w"}


class Interrupted(BaseException):
    """As the host's own, which is no Exception."""


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    generator = _make_generator(seed=4, resolution=16, w_dim=8, channel_base=64, channel_max=8)
    segments = pieces(16)
    rng = torch.Generator().manual_seed(2)
    photo = from_uint8(torch.randint(0, 256, (1, 16, 16, 3), generator=rng, dtype=torch.uint8))
    kept = {"warmup": (CONFIG, 2), "companion": (replace(CONFIG, code_noise=0.05, space="w"), 5)}
    made = {
        "finished": finished(generator, photo, segments),
        "joint": project(generator, photo, without_static(segments), replace(CONFIG, mode="joint")),
        "delta": with_delta(generator, project(generator, photo, segments, CONFIG)),
    }
    made = {name: replace(inversion, state=None) for name, inversion in made.items()}  # keeps the files small
    expected = {name: render(generator, inversion) for name, inversion in made.items()}
    for name, (config, at) in kept.items():
        made[name] = interrupted(generator, photo, segments, config, at)
        expected[name] = render(generator, made[name])
        whole = codes(project(generator, photo, segments, config))
        expected |= {f"{name}/codes/{index}": code for index, code in enumerate(whole)}
    for name, inversion in made.items():
        save_inversion(inversion, folder / f"earlier_{name}.safetensors", with_photo=name != "joint")
    expected = {name: one if "/" in name else one[..., ::2, ::2] for name, one in expected.items()}
    expected = {name: one.contiguous() for name, one in expected.items()}
    save_file(expected, str(folder / "earlier_expected.safetensors"), {"torch": torch.__version__})


def finished(generator: Generator, photo: Tensor, segments: Segments) -> Inversion:
    config = replace(CONFIG, spaces=MIXED, optimize_noise=True, noise_reg=10.0, lambda_reg=0.01)
    return edited(generator, project(generator, photo, segments, config))


def edited(generator: Generator, inversion: Inversion) -> Inversion:
    step = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(6))
    return inversion.with_edits(Edit(Direction("turn", "w", step, "to the left"), 0.5, ("block", "band")))


def without_static(segments: Segments) -> Segments:
    """The static part goes to the first segment, so that the photo isn't needed."""
    masks = segments.masks.clone()
    masks[0] += segments.static[0]
    return Segments(segments.names, masks, torch.zeros_like(segments.static))


def with_delta(generator: Generator, inversion: Inversion) -> Inversion:
    """A delta of one layer, a segment to be shown without any edit, and where the photo was cut out."""
    name = "synthesis.b16.conv0.weight"
    weight = generator.module.state_dict()[name]
    delta = 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(9))
    first, second, *others = inversion.segments
    segments = (replace(first, delta={name: delta.half()}), replace(second, redrawn=True), *others)
    place = Alignment(((-3.5, 2.0), (1.0, 90.25), (88.0, 95.0), (84.0, 6.5)), (480, 640))
    return edited(generator, replace(inversion, segments=segments, alignment=place))


def interrupted(
    generator: Generator, photo: Tensor, segments: Segments, config: ProjectionConfig, at: int
) -> Inversion:
    kept: list[Inversion] = []

    def stop(step: int, total: int, image: Tensor | None) -> None:
        if step == at:
            raise Interrupted

    try:
        project(generator, photo, segments, config, callback=stop, autosave=kept.append)
    except Interrupted:
        return kept[0]
    raise AssertionError("the run was not interrupted")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
