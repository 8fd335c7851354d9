"""What a GPU must do as the CPU does; skipped without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.compositing import COMPOSITE_MODES, composite, poisson_composite, render
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.images import from_uint8, to_uint8
from chunky_core.inversion import Edit, Inversion, ProjectionConfig, project
from tests.projection_tools import photo_of_parts, pieces

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
GREY_LEVEL = 2 / 255


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Convolutions in float32: TF32, torch's default, is exact to three digits only."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="module")
def on_cpu(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)


@pytest.fixture(scope="module")
def on_gpu(on_cpu: Generator) -> Generator:
    return on_cpu.to("cuda")


@pytest.fixture(scope="module")
def photo(on_cpu: Generator) -> Tensor:
    drawn = photo_of_parts(on_cpu, pieces(on_cpu.img_resolution)).clamp(-1, 1)
    return from_uint8(to_uint8(drawn))


@pytest.fixture(scope="module")
def inversion(on_cpu: Generator, photo: Tensor) -> Inversion:
    segments = pieces(on_cpu.img_resolution)
    tensor = torch.randn(on_cpu.w_dim, generator=torch.Generator().manual_seed(0))
    edit = Edit(Direction("any", "w", tensor), 1.0, ("block", "band"))
    return project(on_cpu, photo, segments, ProjectionConfig(steps=4, dilation=1)).with_edits(edit)


def test_pictures_and_boxes_agree(on_cpu: Generator, on_gpu: Generator) -> None:
    ws = on_cpu.mapping(torch.randn(2, on_cpu.z_dim, generator=torch.Generator().manual_seed(0)))
    whole, box = on_gpu.synthesis(ws.cuda()), Box(3, 5, 21, 30)
    assert torch.allclose(whole.cpu(), on_cpu.synthesis(ws), atol=1e-4)
    part = on_gpu.synthesis(ws.cuda(), box=box)
    assert torch.allclose(part, whole[..., box.top : box.bottom, box.left : box.right], atol=1e-5)


@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_a_photo_on_the_cpu_is_projected_on_the_gpu(on_gpu: Generator, photo: Tensor, mode: str) -> None:
    config = ProjectionConfig(mode=mode, steps=6, dilation=1)
    result = project(on_gpu, photo, pieces(on_gpu.img_resolution), config)
    assert result.stopped is None and all(one.code.tensor.device == photo.device for one in result.segments)
    losses = next(iter(result.losses.values()))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("mode", COMPOSITE_MODES)
@pytest.mark.parametrize("between", [False, True])
def test_composites_agree(
    on_cpu: Generator, on_gpu: Generator, inversion: Inversion, mode: str, between: bool
) -> None:
    expected = composite(on_cpu, inversion, mode=mode, between=between)
    found = composite(on_gpu, inversion, mode=mode, between=between)
    assert found.device == expected.device and (found - expected).abs().max() < GREY_LEVEL
    assert (render(on_gpu, inversion) - render(on_cpu, inversion)).abs().max() < 1e-4


def test_poisson_agrees(photo: Tensor) -> None:
    mask = torch.zeros(1, 1, *photo.shape[-2:])
    mask[..., 8:24, 8:24] = 1
    found = poisson_composite(photo.flip(3).cuda(), photo.cuda(), mask.cuda())
    assert (found.cpu() - poisson_composite(photo.flip(3), photo, mask)).abs().max() < GREY_LEVEL / 2
