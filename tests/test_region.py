"""A box made alone equals the crop of the whole picture: values, gradients, noise; and it costs less."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box, full_box
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.region_plan import plan_region
from tests.devices import tolerance

SIZE = 64
EDGE_CASES = (
    Box(0, 0, 64, 64),
    Box(0, 0, 1, 1),
    Box(63, 63, 64, 64),
    Box(0, 63, 1, 64),
    Box(31, 32, 32, 33),
    Box(0, 20, 64, 21),
    Box(17, 0, 18, 64),
    Box(1, 1, 63, 63),
    Box(0, 0, 40, 33),
    Box(33, 30, 64, 64),
)


def random_boxes(count: int, seed: int) -> list[Box]:
    rng = random.Random(seed)
    boxes = []
    for _ in range(count):
        top, bottom = sorted(rng.sample(range(SIZE + 1), 2))
        left, right = sorted(rng.sample(range(SIZE + 1), 2))
        boxes.append(Box(top, left, bottom, right))
    return boxes


def cut(image: Tensor, box: Box) -> Tensor:
    return image[:, :, box.top : box.bottom, box.left : box.right]


@pytest.fixture(scope="module")
def exact(generator: Generator) -> Generator:
    return generator.to(dtype=torch.float64)


@pytest.fixture(scope="module")
def ws(generator: Generator) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return torch.randn(2, generator.num_ws, generator.w_dim, dtype=torch.float64, generator=rng)


def test_values_in_double_precision(exact: Generator, ws: Tensor) -> None:
    whole = exact.synthesis(ws)
    for box in (*EDGE_CASES, *random_boxes(40, seed=1)):
        part = exact.synthesis(ws, box)
        assert part.shape == (2, 3, box.height, box.width)
        assert float((part - cut(whole, box)).abs().max()) < 1e-12, box


def test_values_in_the_dtype_asked_for(generator: Generator, ws: Tensor) -> None:
    whole = generator.synthesis(ws)
    bound = tolerance(generator.dtype) * float(whole.abs().max())
    for box in (*EDGE_CASES, *random_boxes(20, seed=2)):
        assert float((generator.synthesis(ws, box) - cut(whole, box)).abs().max()) < bound, box


@pytest.mark.float64
def test_other_resolutions_and_lower_outputs(make_generator: Callable[..., Generator]) -> None:
    for resolution in (4, 8, 128):
        generator = make_generator(seed=resolution, resolution=resolution, channel_base=256, channel_max=16)
        generator = generator.to(dtype=torch.float64)
        w = torch.randn(1, generator.w_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        whole = generator.synthesis(w)
        quarter = Box(resolution // 4, 1, resolution // 2, resolution)
        assert float((generator.synthesis(w, quarter) - cut(whole, quarter)).abs().max()) < 1e-12
    box = Box(3, 5, 20, 32)
    small = generator.synthesis(w, out_resolution=32)
    assert float((generator.synthesis(w, box, out_resolution=32) - cut(small, box)).abs().max()) < 1e-12


@pytest.mark.parametrize("kind", ["w", "w+", "styles"])
def test_gradients(exact: Generator, ws: Tensor, kind: str) -> None:
    source = {"w": [ws[:, 0]], "w+": [ws], "styles": exact.styles(ws)}[kind]
    for box in (*EDGE_CASES[:6], *random_boxes(6, seed=3)):
        rng = torch.Generator().manual_seed(box.area)
        weights = torch.randn(2, 3, box.height, box.width, dtype=torch.float64, generator=rng)
        gradients = []
        for alone in (True, False):
            leaves = [code.clone().requires_grad_() for code in source]
            codes = leaves if kind == "styles" else leaves[0]
            part = exact.synthesis(codes, box) if alone else cut(exact.synthesis(codes), box)
            gradients.append(torch.autograd.grad((part * weights).sum(), leaves))
        peak = max(float(gradient.abs().max()) for gradient in gradients[1])
        for found, expected in zip(*gradients, strict=True):
            assert float((found - expected).abs().max()) < 1e-12 * peak, box


@pytest.mark.float64
def test_gradients_of_parameters(make_generator: Callable[..., Generator], device: torch.device) -> None:
    frozen = make_generator(resolution=16, channel_base=128, channel_max=8).module.synthesis
    network = type(frozen)(w_dim=32, img_resolution=16, channel_base=128, channel_max=8)
    network.load_state_dict(frozen.state_dict())
    network.double().to(device)
    w = torch.randn(1, network.num_ws, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    box = Box(2, 5, 9, 16)
    parameters = list(network.parameters())
    alone = torch.autograd.grad(network(network.styles(w), box).square().sum(), parameters)
    whole = torch.autograd.grad(cut(network(network.styles(w)), box).square().sum(), parameters)
    for found, expected in zip(alone, whole, strict=True):
        assert float((found - expected).abs().max()) < 1e-12 * (1 + float(expected.abs().max()))


def test_random_noise_is_the_same_in_a_box(exact: Generator, ws: Tensor) -> None:
    box = Box(10, 20, 30, 64)
    whole = exact.synthesis(ws, noise_mode="random", rng=torch.Generator().manual_seed(7))
    part = exact.synthesis(ws, box, noise_mode="random", rng=torch.Generator().manual_seed(7))
    other = exact.synthesis(ws, box, noise_mode="random", rng=torch.Generator().manual_seed(8))
    assert float((part - cut(whole, box)).abs().max()) < 1e-12
    assert float((part - other).abs().max()) > 1e-2
    twins = exact.synthesis(ws[:1].expand(2, -1, -1), box, "random", torch.Generator().manual_seed(7))
    assert float((twins[0] - twins[1]).abs().max()) > 1e-2


def test_noise_modes_differ_and_leave_the_global_seed_alone(exact: Generator, ws: Tensor) -> None:
    before = torch.get_rng_state()
    images = [
        exact.synthesis(ws, Box(8, 8, 40, 40), mode, torch.Generator().manual_seed(1))
        for mode in ("const", "none", "random")
    ]
    assert torch.equal(before, torch.get_rng_state())
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert float((images[first] - images[second]).abs().max()) > 1e-2
    quiet = exact.synthesis(ws, noise_mode="none")
    assert float((images[1] - quiet[:, :, 8:40, 8:40]).abs().max()) < 1e-12


def test_inputs_stay_as_they_are(exact: Generator, ws: Tensor) -> None:
    leaf = ws.clone().requires_grad_()
    styles = [style.detach().requires_grad_() for style in exact.styles(ws)]
    copies = [style.detach().clone() for style in styles]
    state = {name: tensor.clone() for name, tensor in exact.module.state_dict().items()}
    exact.synthesis(leaf, Box(3, 4, 30, 40)).sum().backward()
    exact.synthesis(styles, Box(3, 4, 30, 40)).sum().backward()
    assert torch.equal(leaf.detach(), ws)
    assert all(torch.equal(style, copy) for style, copy in zip(styles, copies, strict=True))
    assert all(torch.equal(tensor, state[name]) for name, tensor in exact.module.state_dict().items())


@pytest.mark.parametrize(
    "box",
    [(0, 0, 0, 4), (4, 0, 4, 4), (5, 0, 4, 4), (-1, 0, 4, 4), (0, 0, 65, 4), (0, 0, 4, 65), (1, 2, 3), None],
)
def test_bad_boxes_are_refused(generator: Generator, box: tuple[int, ...] | None) -> None:
    with pytest.raises(InvalidInputError, match="box"):
        plan_region(SIZE, box)  # type: ignore[arg-type]
    if box is not None:
        with pytest.raises(InvalidInputError, match="box"):
            generator.synthesis(torch.zeros(1, generator.w_dim), box)


def test_plan_holds_integers_inside_the_image() -> None:
    for box in (*EDGE_CASES, *random_boxes(50, seed=4)):
        plan = plan_region(SIZE, box)
        assert [blocks.resolution for blocks in plan] == [4, 8, 16, 32, 64]
        assert plan[-1].conv1 == plan[-1].rgb == box
        for lower, upper in zip(plan[:-1], plan[1:], strict=True):
            assert upper.features_in == lower.conv1
            for part, size in ((upper.conv0, upper.resolution), (lower.conv1, lower.resolution)):
                assert part == part.clip(size)
                assert all(type(edge) is int for edge in part)
            assert lower.rgb.within(lower.conv1) == lower.rgb.within(lower.conv1).clip(lower.resolution)


def test_plan_is_minimal_by_following_every_pixel() -> None:
    """The oracle walks the operations back pixel by pixel, in one dimension."""
    for first, last in ((0, 64), (0, 1), (63, 64), (30, 33), (17, 48)):
        needed = shown = set(range(first, last))
        for blocks in reversed(plan_region(SIZE, (first, 0, last, SIZE))):
            size, below = blocks.resolution, blocks.resolution // 2
            assert (set(range(*blocks.conv1[::2])), set(range(*blocks.rgb[::2]))) == (needed, shown)
            needed = {x + k for x in needed for k in (-1, 0, 1)} & set(range(size))
            assert set(range(*blocks.conv0[::2])) == needed
            doubled = {x + k for x in needed for k in (-1, 0, 1, 2)}
            needed = {(x - k) // 2 for x in doubled for k in (0, 1, 2) if (x - k) % 2 == 0} & set(
                range(below)
            )
            stuffed = {x + k for x in shown for k in (-2, -1, 0, 1)}
            shown = {x // 2 for x in stuffed if x % 2 == 0} & set(range(below))
            assert blocks.features_in is None or set(range(*blocks.features_in[::2])) == needed


def test_cost_counts_a_whole_picture_by_hand(make_generator: Callable[..., Generator]) -> None:
    network = make_generator(resolution=8, channel_base=32, channel_max=4).module.synthesis
    four = 9 * 4 * 4 * 16 + 3 * 4 * 16
    eight = 9 * 4 * 4 * 16 + 16 * 4 * 64 + 9 * 4 * 4 * 64 + 3 * 4 * 64
    assert network.cost() == network.cost(full_box(8)) == (four + eight, 4 * 16 + 2 * 4 * 64)


def test_cost_falls_with_the_area(make_generator: Callable[..., Generator]) -> None:
    network = make_generator(resolution=256, channel_base=2048, channel_max=32).module.synthesis
    costs = [network.cost(Box(0, 0, side, side)) for side in (256, 180, 128, 64, 16)]
    assert costs == sorted(costs, reverse=True)
    assert costs[3].activations < 0.15 * costs[0].activations


@pytest.mark.real_device("looks at the memory behind saved tensors")
def test_memory_follows_the_area(make_generator: Callable[..., Generator]) -> None:
    generator = make_generator(resolution=128, channel_base=2048, channel_max=32)
    network = generator.module.synthesis
    for box in (full_box(128), Box(40, 40, 72, 72)):
        saved: dict[int, int] = {}

        def pack(tensor: Tensor, saved: dict[int, int] = saved) -> Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        w = torch.zeros(1, generator.w_dim).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            image = generator.synthesis(w, box)
        weights = {
            tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())
        }
        kept = sum(size for address, size in saved.items() if address not in weights)
        assert kept < 1.1 * generator.dtype.itemsize * network.cost(box).activations + 2**16
        assert image.requires_grad
