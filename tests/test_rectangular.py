"""Pictures of unequal sides: what the tools draw, exact boxes, projection, composite, files, tuning, errors."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from chunky_core.boxes import Box, Size, full_box
from chunky_core.checkpoints.generators import load_generator, save_generator
from chunky_core.cli.photo import square_side
from chunky_core.compositing import COMPOSITE_MODES, composite, render
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.region_plan import plan_region
from chunky_core.generator.sampling import sample
from chunky_core.generator.spaces import Direction
from chunky_core.generator.stylegan3_layers import FourierFeatures
from chunky_core.images import from_uint8, to_uint8
from chunky_core.inversion import (
    Edit,
    Inversion,
    ProjectionConfig,
    TuningConfig,
    load_inversion,
    project,
    save_inversion,
    tune,
)
from chunky_core.inversion.tuning.layout import tunable_parameters
from chunky_core.inversion.validation import check_photo_size
from chunky_core.segments import SegmentMasks, segments_from_masks
from tests.checkpoint_writers import WRITERS, state_of
from tests.rectangles import W_DIM, stylegan2, stylegan3

CONSTANTS = {(4, 2): Size(32, 16), (3, 5): Size(24, 40), (5, 5): Size(40, 40), (1, 3): Size(8, 24)}
TOOLS = {
    "human_v2.pkl": Size(32, 16),
    "human_v2_converted.pt": Size(32, 16),
    "eps696_rect.pkl": Size(24, 40),
}


def codes(generator: Generator, count: int = 1, seed: int = 5) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    shape = (count, generator.num_ws, generator.w_dim)
    return torch.randn(shape, generator=rng, dtype=torch.float64).to(generator.dtype)


def random_boxes(size: Size, count: int, seed: int = 0) -> list[Box]:
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        top, bottom = sorted(rng.sample(range(size.height + 1), 2))
        left, right = sorted(rng.sample(range(size.width + 1), 2))
        found.append(Box(top, left, bottom, right))
    return found


def cut(image: Tensor, box: Box) -> Tensor:
    return image[..., box.top : box.bottom, box.left : box.right]


def largest(difference: Tensor) -> float:
    return float(difference.detach().abs().max())


@pytest.mark.parametrize("name", TOOLS)
def test_a_tools_pictures_are_what_the_tool_draws(name: str, shared: Path, tmp_path: Path) -> None:
    generator = load_generator(shared / "checkpoints" / "other_tools" / name)
    reference = Path(name).with_suffix(".safetensors")
    expected = load_file(shared / "checkpoints" / "other_tools" / reference)
    assert generator.img_size == TOOLS[name] == tuple(expected["image"].shape[-2:])
    assert largest(generator.mapping(expected["z"]) - expected["ws"]) < 1e-4
    assert largest(generator.synthesis(expected["ws"]) - expected["image"]) < 1e-4
    assert largest(generator.w_avg - expected["w_avg"]) < 1e-6
    save_generator(generator, tmp_path / "own.safetensors")
    own = load_generator(tmp_path / "own.safetensors")
    assert torch.equal(own.synthesis(expected["ws"]), generator.synthesis(expected["ws"]))


@pytest.mark.parametrize("const_size", CONSTANTS)
def test_a_box_is_the_crop_of_the_whole_picture(const_size: tuple[int, int]) -> None:
    generator = stylegan2(const_size).to(dtype=torch.float64)
    assert generator.img_size == CONSTANTS[const_size]
    ws = codes(generator, 2)
    whole = generator.synthesis(ws)
    assert tuple(whole.shape[-2:]) == generator.img_size
    for box in (full_box(generator.img_size), *random_boxes(generator.img_size, 25)):
        assert largest(generator.synthesis(ws, box) - cut(whole, box)) < 1e-12, box


@pytest.mark.parametrize("block", ["resnet", "orig"])
def test_a_box_of_the_other_block_kinds(block: str) -> None:
    generator = stylegan2((4, 2), block=block).to(dtype=torch.float64)
    ws = codes(generator)
    whole = generator.synthesis(ws)
    for box in random_boxes(generator.img_size, 8):
        assert largest(generator.synthesis(ws, box) - cut(whole, box)) < 1e-12, box


@pytest.mark.parametrize("const_size", [(4, 2), (3, 5)])
def test_gradients_and_noise_of_a_box(const_size: tuple[int, int]) -> None:
    generator = stylegan2(const_size).to(dtype=torch.float64)
    ws, rng = codes(generator), torch.Generator().manual_seed(1)
    maps = [
        torch.randn(*generator.size_at(r), generator=rng, dtype=torch.float64, requires_grad=True)
        for _, r in generator.noise_layout
    ]
    for box in random_boxes(generator.img_size, 6, seed=2):
        gradients = []
        for alone in (True, False):
            leaf = ws.clone().requires_grad_()
            part = generator.synthesis(leaf, box if alone else None, noise=maps)
            made = part if alone else cut(part, box)
            gradients.append(torch.autograd.grad(made.square().sum(), [leaf, *maps], allow_unused=True))
        for found, expected in zip(*gradients, strict=True):
            if expected is None:
                assert found is None
            else:
                assert largest(found - expected) < 1e-10 * (1 + largest(expected)), box


def test_boxes_of_several_samples_in_one_pass_and_random_noise() -> None:
    generator = stylegan2((3, 5)).to(dtype=torch.float64)
    ws = codes(generator, 3)
    boxes = [Box(0, 0, 9, 13), Box(15, 27, 24, 40), Box(7, 12, 16, 25)]
    together = generator.synthesis_boxes(ws, boxes)
    for index, box in enumerate(boxes):
        assert largest(together[index] - cut(generator.synthesis(ws[index : index + 1])[0], box)) < 1e-12
    whole, part = (
        generator.synthesis(ws, box, "random", torch.Generator().manual_seed(4)) for box in (None, boxes[2])
    )
    assert largest(part - cut(whole, boxes[2])) < 1e-12


def test_groups_of_boxes_stay_inside_and_a_small_box_costs_less() -> None:
    generator = stylegan2((4, 2), doublings=4)
    boxes = random_boxes(generator.img_size, 12, seed=3)
    members = []
    for batch in generator.batches(boxes):
        members += batch.members
        for index, made in zip(batch.members, batch.boxes, strict=True):
            inner = boxes[index]
            assert made == made.clip(generator.img_size)
            assert (made.height, made.width) == (batch.boxes[0].height, batch.boxes[0].width)
            assert made.top <= inner.top and made.left <= inner.left
            assert made.bottom >= inner.bottom and made.right >= inner.right
    assert sorted(members) == list(range(12))
    assert generator.cost() == generator.cost(full_box(generator.img_size))
    assert generator.relative_cost(full_box(generator.img_size)) == 1
    assert generator.cost(Box(0, 0, 4, 4)).macs < 0.3 * generator.cost().macs


def test_the_plan_of_every_resolution_lies_inside_it() -> None:
    for box in random_boxes(Size(24, 40), 30, seed=4):
        plan = plan_region((24, 40), box, (3, 5))
        assert [blocks.size for blocks in plan] == [(3, 5), (6, 10), (12, 20), (24, 40)]
        assert all(part == part.clip(blocks.size) for blocks in plan for part in blocks[2:])


def test_lower_resolutions_are_named_by_their_longer_side() -> None:
    generator = stylegan2((3, 5))
    assert generator.img_resolution == 40 and generator.out_resolutions == (5, 10, 20, 40)
    ws, box = codes(generator), Box(2, 3, 11, 19)
    small = generator.synthesis(ws, out_resolution=20)
    assert tuple(small.shape[-2:]) == (12, 20) == generator.size_at(20)
    assert largest(generator.synthesis(ws, box, out_resolution=20) - cut(small, box)) < 1e-5
    assert generator.noise_layout[:2] == (("b4.conv1", 5), ("b8.conv0", 10))
    with pytest.raises(InvalidInputError, match="out_resolution is 24; expected one of"):
        generator.synthesis(ws, out_resolution=24)


def test_boxes_beyond_the_shorter_side_and_other_plans_are_refused() -> None:
    tall, square = stylegan2((4, 2)), stylegan2((4, 4))
    with pytest.raises(InvalidInputError, match="leaves the 16x32 image"):
        tall.synthesis(codes(tall), (0, 0, 8, 17))
    plan = square.plan([Box(0, 0, 8, 8)])
    with pytest.raises(InvalidInputError, match="another generator's"):
        tall.synthesis_boxes(codes(tall), plan)


@pytest.mark.parametrize("make", [lambda: stylegan2((3, 5)), lambda: stylegan2((5, 5)), stylegan3])
def test_a_file_of_ours_draws_the_same_and_says_its_size(make, tmp_path: Path) -> None:
    generator, path = make(), tmp_path / "own.safetensors"
    save_generator(generator, path)
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["img_size"] == str(generator.img_size)
    own = load_generator(path)
    assert own.architecture == generator.architecture and own.fingerprint == generator.fingerprint
    assert torch.equal(own.synthesis(codes(own)), generator.synthesis(codes(own)))


def test_the_header_of_a_square_generator_is_as_it_was() -> None:
    header = stylegan2((4, 4)).architecture.as_metadata()
    assert set(header) == {
        *("architecture", "z_dim", "w_dim", "img_resolution", "img_channels"),
        *("channel_base", "channel_max", "mapping_layers"),
    }
    assert header["img_resolution"] == "32"


@pytest.mark.parametrize("kind", ["ada", "rosinality", "e4e", "whole", "plain"])
def test_other_containers_of_a_rectangular_generator(kind: str, tmp_path: Path) -> None:
    generator, path = stylegan2((4, 2)), tmp_path / "file"
    WRITERS[kind](generator, path)
    found = load_generator(path)
    assert found.img_size == (32, 16)
    assert torch.equal(found.synthesis(codes(found)), generator.synthesis(codes(found)))


def test_noise_that_a_file_lacks_is_drawn_in_the_layers_size(tmp_path: Path) -> None:
    generator = stylegan2((3, 5))
    state = {name: tensor for name, tensor in state_of(generator).items() if "noise_const" not in name}
    torch.save({"g_ema": state}, tmp_path / "bare.pt")
    found = load_generator(tmp_path / "bare.pt")
    assert found.module.state_dict()["synthesis.b8.conv0.noise_const"].shape == (6, 10)
    ws = codes(found)
    quiet = generator.synthesis(ws, noise_mode="none")
    assert torch.equal(found.synthesis(ws, noise_mode="none"), quiet)


def test_stylegan3_half_as_wide_is_known_by_its_layers_names() -> None:
    generator = stylegan3()
    assert generator.img_size == (32, 16) and not generator.supports_boxes
    assert generator.module.synthesis.layer_names[0].startswith("L0_12_")  # half of 16 + 2 x 4
    ws = codes(generator)
    whole = generator.synthesis(ws)
    assert tuple(whole.shape) == (1, 3, 32, 16)
    box = Box(3, 2, 20, 16)
    assert torch.equal(generator.synthesis(ws, box), cut(whole, box))
    with pytest.raises(InvalidInputError, match="leaves the 16x32 image"):
        generator.synthesis(ws, (0, 0, 8, 17))


def test_stylegan3_s_input_is_the_middle_of_a_square_one() -> None:
    narrow = stylegan3().module.synthesis.input
    square = FourierFeatures(narrow.signal._replace(size=Size(24, 24)), W_DIM)
    square.load_state_dict(narrow.state_dict())
    styles = torch.tensor([[1.0, 0.3, 0.1, -0.2]])
    assert narrow.signal.size == (24, 12)
    assert largest(narrow(styles) - square(styles)[..., 6:18]) < 1e-6


def parts(generator: Generator) -> SegmentMasks:
    """Two soft segments in a static ground."""
    height, width = generator.img_size
    masks = {name: torch.zeros(height, width) for name in ("upper", "lower")}
    masks["upper"][2 : height // 2, 2 : width - 3] = 1
    masks["lower"][height // 2 : height - 4, width // 4 : width - 2] = 1
    return segments_from_masks(masks, feather=0.8)


def photo_of(generator: Generator) -> Tensor:
    """A sampled picture, in whole gray levels as a photo has them."""
    images, _ = sample(generator, 3, truncation_psi=0.5)
    return from_uint8(to_uint8((images / images.abs().max()).clamp(-1, 1)).cpu().numpy())


FITTED = {
    "human": (
        lambda: stylegan2((4, 2)),
        ProjectionConfig(num_steps=12, dilation=1, coarse=0.5, optimize_noise=True),
    ),
    "wide, joint": (lambda: stylegan2((3, 5)), ProjectionConfig(num_steps=8, dilation=1, mode="joint")),
    "stylegan3": (stylegan3, ProjectionConfig(num_steps=6, dilation=1)),
}


@pytest.fixture(scope="module", params=FITTED)
def fitted(request: pytest.FixtureRequest) -> tuple[Generator, Inversion]:
    make, config = FITTED[request.param]
    generator = make()
    return generator, project(generator, photo_of(generator), parts(generator), config)


def test_a_projection_goes_down(fitted: tuple[Generator, Inversion]) -> None:
    for name in ("upper", "lower"):
        assert fitted[1].losses[name][-1] < 0.5 * fitted[1].losses[name][0]


def test_a_composite_keeps_what_is_not_edited_to_the_bit(fitted: tuple[Generator, Inversion]) -> None:
    generator, inversion = fitted
    assert torch.equal(composite(generator, inversion), inversion.photo)
    direction = Direction(
        "any", "w", torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(1))
    )
    edited = inversion.with_edits(Edit(direction, 2.0, ("upper",)))
    weight = next(segment.mask for segment in inversion.segments if segment.name == "upper").squeeze()
    for mode in COMPOSITE_MODES:
        picture = composite(generator, edited, mode=mode)
        changed = (picture != inversion.photo).any(dim=1)[0]
        assert changed.any() and not bool((changed & (weight == 0)).any()), mode


def test_a_saved_inversion_renders_the_same(fitted: tuple[Generator, Inversion], tmp_path: Path) -> None:
    generator, inversion = fitted
    save_inversion(inversion, tmp_path / "one.safetensors")
    reopened = load_inversion(tmp_path / "one.safetensors")
    assert torch.equal(render(generator, reopened), render(generator, inversion))
    assert tuple(render(generator, reopened).shape[-2:]) == generator.img_size


def test_tuning_and_its_layers(fitted: tuple[Generator, Inversion]) -> None:
    generator, inversion = fitted
    tuned = tune(generator, inversion, TuningConfig(num_steps=3, size=1.0))
    assert largest(render(generator, tuned) - render(generator, inversion)) > 0
    assert tuple(render(generator, tuned).shape[-2:]) == generator.img_size


def test_layers_below_16_pixels_are_not_tuned() -> None:
    names = tunable_parameters(stylegan2((8, 4), doublings=2))
    assert {name.split(".")[1] for name in names} == {"b8", "b16"}  # of 16x8 and 32x16 pixels


def test_a_photo_of_another_shape_is_refused_with_both_sizes() -> None:
    generator = stylegan2((4, 2))
    square = torch.zeros(1, 3, 32, 32)
    masks = segments_from_masks({"all": torch.ones(32, 32)})
    with pytest.raises(
        InvalidInputError, match="the photo is 32x32, the generator makes 16x32; crop the photo"
    ):
        project(generator, square, masks, ProjectionConfig(num_steps=1))
    with pytest.raises(InvalidInputError, match="the photo is 32x16, the generator makes 16x32"):
        check_photo_size((16, 32), generator.img_size)
    check_photo_size((32, 16), generator.img_size)


@pytest.mark.parametrize("psi", [float("nan"), float("inf"), "a"])
def test_a_truncation_that_is_no_number_is_refused(psi: Any) -> None:
    with pytest.raises(InvalidInputError, match="truncation_psi is"):
        sample(stylegan2((4, 2)), 0, truncation_psi=psi)


def test_a_face_wants_a_generator_of_square_pictures() -> None:
    assert square_side(Size(64, 64)) == 64
    with pytest.raises(InvalidInputError, match="24x40, the frame of a face is a square"):
        square_side(Size(40, 24))
