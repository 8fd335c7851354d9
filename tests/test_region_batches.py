"""Boxes made together in one pass equal the boxes made alone: values, gradients, noise; and how they are grouped."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from chunky_core.boxes import Box, Boxes, full_box
from chunky_core.errors import InvalidInputError
from chunky_core.generator.architecture import architecture_from, build_module
from chunky_core.generator.generator import Generator
from chunky_core.generator.region_plan import SynthesisPlan, plan_region, plan_synthesis
from chunky_core.generator.stylegan2 import BLOCKS, SynthesisNetwork
from tests.devices import tolerance

SIZE = 32
STYLEGAN3 = Path(__file__).parent / "data" / "sg3_r_16.safetensors"
SIDES = ((1, 1), (3, 12), (10, 9), (32, 3), (20, 17), (31, 31), (32, 32))


def placed(height: int, width: int, count: int, rng: random.Random, size: int = SIZE) -> list[Box]:
    """Boxes of one size: in two corners of the image, and anywhere."""
    places = [(0, 0), (size - height, size - width)]
    places += [(rng.randint(0, size - height), rng.randint(0, size - width)) for _ in range(count - 2)]
    return [Box(top, left, top + height, left + width) for top, left in places]


def random_boxes(count: int, seed: int) -> list[Box]:
    rng, boxes = random.Random(seed), []
    for _ in range(count):
        top, bottom = sorted(rng.sample(range(SIZE + 1), 2))
        left, right = sorted(rng.sample(range(SIZE + 1), 2))
        boxes.append(Box(top, left, bottom, right))
    return boxes


def cut(image: Tensor, box: Box) -> Tensor:
    return image[..., box.top : box.bottom, box.left : box.right]


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(resolution=SIZE, channel_base=256, channel_max=16)


@pytest.fixture(scope="module")
def exact(generator: Generator) -> Generator:
    return generator.to(dtype=torch.float64)


@pytest.fixture(scope="module")
def ws(generator: Generator) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return torch.randn(5, generator.num_ws, generator.w_dim, dtype=torch.float64, generator=rng)


@pytest.fixture(scope="module")
def whole(exact: Generator, ws: Tensor) -> Tensor:
    return exact.synthesis(ws)


@pytest.mark.parametrize("sides", SIDES)
def test_values_in_double_precision(
    exact: Generator, ws: Tensor, whole: Tensor, sides: tuple[int, int]
) -> None:
    rng = random.Random(sides[0])
    for _ in range(4):
        boxes = placed(*sides, 5, rng)
        together = exact.synthesis_boxes(ws, boxes)
        assert together.shape == (5, 3, *sides)
        for index, box in enumerate(boxes):
            assert float((together[index] - cut(whole[index], box)).abs().max()) < 1e-12, box
    assert float((exact.synthesis(ws[1:2], boxes[1])[0] - together[1]).abs().max()) < 1e-12


def test_values_in_the_dtype_asked_for(generator: Generator, ws: Tensor) -> None:
    whole = generator.synthesis(ws)
    for sides in SIDES:
        boxes = placed(*sides, 5, random.Random(2))
        for index, image in enumerate(generator.synthesis_boxes(ws, boxes)):
            expected = cut(whole[index], boxes[index])
            assert float((image - expected).abs().max()) < tolerance(generator.dtype) * float(
                whole.abs().max()
            )


@pytest.mark.parametrize("kind", ["w", "w+", "styles", "noise"])
def test_gradients(exact: Generator, ws: Tensor, kind: str) -> None:
    rng = torch.Generator().manual_seed(3)
    maps = [torch.randn(size, size, dtype=torch.float64, generator=rng) for _, size in exact.noise_layout]
    source = {"w": [ws[:, 0]], "w+": [ws], "styles": exact.styles(ws), "noise": maps}[kind]
    for sides in SIDES[:4]:
        boxes = placed(*sides, 5, random.Random(sides[1]))
        weights = torch.randn(5, 3, *sides, dtype=torch.float64, generator=rng)
        gradients = []
        for together in (True, False):
            leaves = [leaf.clone().requires_grad_() for leaf in source]
            codes = ws if kind == "noise" else leaves if kind == "styles" else leaves[0]
            noise = leaves if kind == "noise" else None
            if together:
                images = exact.synthesis_boxes(codes, boxes, noise=noise)
            else:
                whole = exact.synthesis(codes, noise=noise)
                images = torch.stack([cut(whole[index], box) for index, box in enumerate(boxes)])
            gradients.append(torch.autograd.grad((images * weights).sum(), leaves))
        peak = max(float(gradient.abs().max()) for gradient in gradients[1])
        for found, expected in zip(*gradients, strict=True):
            assert float((found - expected).abs().max()) < 1e-12 * peak, boxes


@pytest.mark.float64
@pytest.mark.parametrize("block", BLOCKS)
def test_every_kind_of_block(block: str, device: torch.device) -> None:
    network = SynthesisNetwork(w_dim=16, img_resolution=32, channel_base=256, channel_max=8, block=block)
    rng = torch.Generator().manual_seed(1)
    for name, tensor in network.state_dict().items():
        if not name.endswith("resample_filter"):
            tensor.normal_(generator=rng)
    network.double().to(device).freeze()
    styles = network.styles(torch.randn(4, network.num_ws, 16, dtype=torch.float64, generator=rng))
    boxes = placed(9, 14, 4, random.Random(4), size=32)
    whole, together = network(styles), network(styles, Boxes(boxes))
    for index, box in enumerate(boxes):
        error = (together[index] - cut(whole[index], box)).abs().max()
        assert float(error) < 1e-12 * float(whole.abs().max())


def test_lower_outputs_and_noise_modes(exact: Generator, ws: Tensor) -> None:
    boxes = placed(5, 8, 5, random.Random(1), size=16)
    for settings in ({}, {"noise_mode": "none"}, {"noise_mode": "random"}):
        rngs = [torch.Generator().manual_seed(1) for _ in range(2)]
        whole = exact.synthesis(ws, out_resolution=16, rng=rngs[0], **settings)
        together = exact.synthesis_boxes(ws, boxes, out_resolution=16, rng=rngs[1], **settings)
        for index, box in enumerate(boxes):
            assert float((together[index] - cut(whole[index], box)).abs().max()) < 1e-12


def test_inputs_stay_as_they_are_and_inference_mode_works(exact: Generator, ws: Tensor) -> None:
    boxes, before = placed(10, 15, 5, random.Random(1)), ws.clone()
    expected = exact.synthesis_boxes(ws, boxes)
    with torch.inference_mode():
        assert torch.equal(exact.synthesis_boxes(ws, boxes), expected)
    assert torch.equal(ws, before)


def test_plans_hold_what_each_box_needs() -> None:
    for sides in SIDES:
        boxes = placed(*sides, 5, random.Random(6))
        for blocks, *alone in zip(
            plan_region(SIZE, Boxes(boxes)), *(plan_region(SIZE, box) for box in boxes), strict=True
        ):
            for field in ("conv0", "conv1", "rgb"):
                made = getattr(blocks, field)
                assert len({(box.height, box.width) for box in made}) == 1
                for box, single in zip(made, alone, strict=True):
                    needed = getattr(single, field)
                    assert box == box.clip(blocks.resolution)
                    assert needed.within(box) == needed.within(box).clip(max(box.height, box.width))


def test_batches_hold_every_box_once_and_inside_the_image(exact: Generator) -> None:
    for seed in range(20):
        boxes = random_boxes(9, seed)
        found = exact.batches(boxes)
        assert sorted(member for batch in found for member in batch.members) == list(range(9))
        for batch in found:
            assert len({(box.height, box.width) for box in batch.boxes}) == 1
            for member, box in zip(batch.members, batch.boxes, strict=True):
                inner = boxes[member]
                assert box == box.clip(SIZE)
                assert box.top <= inner.top and box.left <= inner.left
                assert box.bottom >= inner.bottom and box.right >= inner.right


def test_batches_make_what_was_asked_for(exact: Generator, ws: Tensor, whole: Tensor) -> None:
    boxes = random_boxes(5, seed=3)
    for batch in exact.batches(boxes):
        together = exact.synthesis_boxes(ws[torch.tensor(batch.members)], batch.boxes)
        for image, member, made in zip(together, batch.members, batch.boxes, strict=True):
            wanted = boxes[member]
            error = cut(image, wanted.within(made)) - cut(whole[member], wanted)
            assert float(error.abs().max()) < 1e-12


def test_small_boxes_are_united_and_large_ones_not(make_generator: Callable[..., Generator]) -> None:
    generator = make_generator(resolution=256, channel_base=4096, channel_max=192)
    small = placed(30, 40, 8, random.Random(1), size=256)
    assert len(generator.batches(small)) == 1
    assert generator.batches(small[:1]) == ((((0,), (small[0],))),)
    assert len(generator.batches([full_box(256)] * 2)) == 2
    assert generator.batches([]) == ()


def test_cost_and_relative_cost(make_generator: Callable[..., Generator]) -> None:
    generator = make_generator(resolution=256, channel_base=4096, channel_max=192)
    boxes = [Box(0, 0, side, side) for side in (256, 180, 128, 64, 16, 1)]
    costs, relative = [generator.cost(box) for box in boxes], [generator.relative_cost(box) for box in boxes]
    assert costs == sorted(costs, reverse=True) and relative == sorted(relative, reverse=True)
    assert generator.cost() == costs[0] and relative[0] == 1
    assert relative[-1] > 2 * costs[-1].macs / costs[0].macs  # because of what a pass takes at any size
    assert generator.cost(out_resolution=64) == generator.cost(full_box(64), 64) < generator.cost()
    assert generator.relative_cost(full_box(64), 64) == 1


@pytest.mark.float64
def test_stylegan3_makes_whole_pictures(device: torch.device) -> None:
    state = {
        name.removeprefix("state/"): tensor.double()
        for name, tensor in load_file(STYLEGAN3).items()
        if name.startswith("state/")
    }
    architecture = architecture_from({name: tuple(tensor.shape) for name, tensor in state.items()})
    generator = Generator(build_module(architecture, state, device, torch.float64))
    ws = generator.mapping(torch.ones(2, generator.z_dim, dtype=torch.float64), 0)
    boxes = [Box(0, 3, 9, 8), Box(7, 11, 16, 16)]
    assert generator.noise_layout == ()
    assert [batch.members for batch in generator.batches(boxes)] == [(0,), (1,)]
    assert generator.relative_cost(boxes[0]) == 1 and generator.cost(boxes[0]) == generator.cost()
    together, whole = generator.synthesis_boxes(ws, boxes, noise=()), generator.synthesis(ws)
    assert torch.equal(together, torch.stack([cut(whole[i], box) for i, box in enumerate(boxes)]))
    with pytest.raises(InvalidInputError, match="no noise"):
        generator.synthesis(ws, noise=[torch.zeros(4, 4)])


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([Box(0, 0, 4, 4)], "1 boxes and codes of 2"),
        ([Box(0, 0, 4, 4), Box(0, 0, 4, 5)], "one size"),
        ([Box(0, 0, 4, 4), Box(29, 0, 33, 4)], "leaves"),
        ([Box(0, 0, 0, 4)] * 2, "empty"),
    ],
)
def test_boxes_that_form_no_batch_are_refused(generator: Generator, boxes: list[Box], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        generator.synthesis_boxes(torch.zeros(2, generator.w_dim), boxes)


@pytest.mark.parametrize("size", [None, 16])
def test_a_plan_stands_for_its_boxes(exact: Generator, ws: Tensor, size: int | None) -> None:
    boxes = placed(7, 9, 5, random.Random(2), size=size or SIZE)
    plan = exact.plan(boxes, size)
    for _ in range(2):
        assert torch.equal(
            exact.synthesis_boxes(ws, plan), exact.synthesis_boxes(ws, boxes, out_resolution=size)
        )
    whole = plan_synthesis(SIZE, None)
    assert torch.equal(exact.module.synthesis(exact.styles(ws), whole), exact.synthesis(ws))


def test_a_planned_pass_works_nothing_out_about_boxes(
    exact: Generator, ws: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = exact.plan(placed(7, 9, 5, random.Random(2)))

    def refuse(*_: object) -> None:
        raise AssertionError("box geometry in a planned pass")

    for name in ("grow", "halved", "doubled", "clip", "within", "resized"):
        monkeypatch.setattr(Box, name, refuse)
    exact.synthesis_boxes(ws.clone().requires_grad_(), plan).sum().backward()


def test_a_plan_of_another_size_is_refused(exact: Generator, ws: Tensor) -> None:
    plan = exact.plan(placed(7, 9, 5, random.Random(2), size=16), 16)
    with pytest.raises(InvalidInputError, match="out_resolution is 32 and the plan is for 16"):
        exact.synthesis_boxes(ws, plan, out_resolution=32)
    with pytest.raises(InvalidInputError, match="out_resolution is 24"):
        exact.plan([Box(0, 0, 4, 4)], 24)
    with pytest.raises(InvalidInputError, match="another generator's"):
        exact.synthesis_boxes(ws, SynthesisPlan(SIZE, plan.boxes))
