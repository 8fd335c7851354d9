"""Any device: a photo on the CPU or elsewhere, a generator elsewhere; and the simulated device of these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from chunky_core.compositing import COMPOSITE_MODES, composite, poisson_blend, render
from chunky_core.generator import Generator
from chunky_core.generator.sampling import sample
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.images import from_uint8, to_uint8
from chunky_core.inversion import Edit, Inversion, LossConfig, ProjectionConfig, project
from chunky_core.losses import load_networks
from chunky_core.segments import SegmentMasks
from chunky_core.segments.level_set import boundary_speed, refine_segments
from chunky_core.segments.mask_generator import MaskGenerator, MaskTrainingConfig, train_mask_generator
from tests.conftest import _make_generator
from tests.devices import tolerance
from tests.projection_tools import codes, photo_of_parts, pieces
from tests.simulated_device import DEVICE, DeviceTensor, simulated_device

GREY_LEVEL = 2 / 255
# Kernels whose sums CUDA adds up in any order, besides convolutions (torch.use_deterministic_algorithms lists them).
IN_ANY_ORDER = {
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d_backward",
    "bincount",
    "cumsum",
    "embedding_dense_backward",
    "grid_sampler_2d_backward",
    "histc",
    "index_add",
    "index_copy",
    "index_reduce",
    "index_select_backward",
    "kthvalue",
    "nll_loss2d_forward",
    "put",
    "reflection_pad2d_backward",
    "replication_pad2d_backward",
    "scatter",
    "scatter_add",
    "upsample_bicubic2d_aa_backward",
    "upsample_bicubic2d_backward",
    "upsample_bilinear2d_aa_backward",
    "upsample_bilinear2d_backward",
}
LOSSES = LossConfig(l2=1.0, l1=0.1, ms_ssim=0.1)


def moved(segments: SegmentMasks, device: torch.device | str) -> SegmentMasks:
    return SegmentMasks(segments.names, segments.masks.to(device), segments.static.to(device))


@pytest.fixture(scope="module")
def on_cpu() -> Generator:
    return _make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)


@pytest.fixture(scope="module")
def photo(on_cpu: Generator) -> Tensor:
    segments = moved(pieces(on_cpu.img_resolution), "cpu")
    return from_uint8(to_uint8(photo_of_parts(on_cpu, segments).clamp(-1, 1))).cpu()


@pytest.fixture(params=[True, False], ids=["float64", "no float64"])
def elsewhere(request: pytest.FixtureRequest, device: torch.device) -> Iterator[torch.device]:
    """The device asked for; where that is the CPU, the simulated one, with float64 and without."""
    if device.type != "cpu":
        if not request.param:
            pytest.skip("one device is enough")
        yield device
        return
    with simulated_device(request.param) as simulated:
        yield simulated


def agree(found: Tensor, expected: Tensor, bound: float) -> bool:
    """Within a bound; a closer one on the simulated device, which computes on the CPU in another memory layout."""
    if found.device == DEVICE:
        bound = min(bound, 1e-4 * max(1.0, float(expected.abs().max())))
    return bool((found.cpu() - expected).abs().max() <= bound)


def edited(generator: Generator, photo: Tensor, mode: str) -> Inversion:
    segments = moved(pieces(generator.img_resolution), "cpu")
    config = ProjectionConfig(
        mode=mode, num_steps=3, dilation=1, loss=LOSSES, optimize_noise=True, code_noise=0.1
    )
    direction = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(0)).cpu()
    return project(generator, photo, segments, config).with_edits(Edit(Direction("any", "w", direction), 1.0))


@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_a_photo_of_the_cpu_is_projected_elsewhere(
    on_cpu: Generator, photo: Tensor, elsewhere: torch.device, mode: str
) -> None:
    """And the record of it lies where the photo does."""
    found, expected = edited(on_cpu.to(elsewhere), photo, mode), edited(on_cpu, photo, mode)
    assert found.stopped is None and all(code.device.type == "cpu" for code in codes(found))
    assert found.static_mask.device.type == "cpu"
    for name, curve in expected.losses.items():
        assert found.losses[name] == pytest.approx(curve, rel=1e-5 if elsewhere == DEVICE else 1e-3)


def test_everything_elsewhere_stays_there(on_cpu: Generator, photo: Tensor, elsewhere: torch.device) -> None:
    generator, own = on_cpu.to(elsewhere), photo.to(elsewhere)
    found, expected = edited(generator, own, "joint"), edited(on_cpu, photo, "joint")
    assert all(code.device == elsewhere for code in codes(found)) and found.photo is not None
    assert found.photo.device == found.static_mask.device == elsewhere
    for mode in COMPOSITE_MODES:
        for between in (False, True):
            ways = {"mode": mode, "between": between}
            made, wanted = composite(generator, found, **ways), composite(on_cpu, expected, **ways)
            assert made.device == elsewhere and agree(made, wanted, 2 * GREY_LEVEL), ways
    assert agree(render(generator, found), render(on_cpu, expected), 1e-2)


def test_segments_and_colours_elsewhere(on_cpu: Generator, photo: Tensor, elsewhere: torch.device) -> None:
    picture, segments = photo.flip(3), moved(pieces(on_cpu.img_resolution), "cpu")

    def results(place: torch.device | str) -> list[Tensor]:
        own, shown, parts = photo.to(place), picture.to(place), moved(segments, place)
        speed = boundary_speed(own, shown)
        grown = refine_segments(parts, {"block": speed}, distance=2.0, signs=1, curvature=0.2)
        return [speed, grown.masks, grown.static, poisson_blend(own, shown, 1 - parts.static)]

    for found, expected in zip(results(elsewhere), results("cpu"), strict=True):
        assert found.device == elsewhere and agree(found, expected, GREY_LEVEL / 2)


def test_the_shipped_networks_see_the_same_everywhere(elsewhere: torch.device) -> None:
    config = LossConfig(l2=0.0, lpips=1.0, lpips_net="demo", identity=1.0, identity_net="demo")
    faces = (torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1).cpu()
    results = []
    for place in (elsewhere, torch.device("cpu")):
        networks, own = load_networks(config, place), faces.to(place)
        assert networks.perceptual is not None and networks.identity is not None
        results.append([*networks.perceptual.features(own), networks.identity.embed(own)])
    for found, expected in zip(*results, strict=True):
        assert found.device == elsewhere and agree(found, expected, 1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("noise_mode", ["const", "random"])
def test_samples_are_the_same_everywhere(on_cpu: Generator, elsewhere: torch.device, noise_mode: str) -> None:
    found, _ = sample(on_cpu.to(elsewhere), 5, 3, noise_mode=noise_mode)
    expected, _ = sample(on_cpu, 5, 3, noise_mode=noise_mode)
    assert found.device.type == "cpu" and (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_masks_that_were_learnt_on_the_cpu_are_learnt_further_elsewhere(
    on_cpu: Generator, elsewhere: torch.device
) -> None:
    z = torch.randn(2, on_cpu.z_dim, generator=torch.Generator().manual_seed(2)).cpu()
    codes = LatentCode("w", on_cpu.mapping(z)[:, 0])
    labels = (on_cpu.synthesis(codes.tensor).mean(dim=1) > 0).long()

    def learnt(generator: Generator, steps: int, resume: MaskGenerator | None = None) -> MaskGenerator:
        config = MaskTrainingConfig(num_steps=steps, batch=32, members=2, hidden=(8, 4), pixels=64)
        return train_mask_generator(generator, codes, labels, ("dark", "bright"), config, resume=resume)

    expected, found = (learnt(place, 4, resume=learnt(on_cpu, 2)) for place in (on_cpu, on_cpu.to(elsewhere)))
    assert found.device == elsewhere
    first, again = (one.classifier.weights[0].cpu() for one in (expected, found))
    assert (again - first).abs().max() < 1e-4 * first.abs().max()
    masks = found.masks(on_cpu.to(elsewhere), LatentCode("w", codes.tensor[:1]))
    assert masks.masks.device == elsewhere


def test_a_fingerprint_is_the_same_everywhere(on_cpu: Generator, elsewhere: torch.device) -> None:
    assert on_cpu.to(elsewhere).fingerprint == on_cpu.fingerprint


@pytest.mark.parametrize(
    "wrong",
    [
        lambda there: there + torch.ones(3),
        lambda there: torch.ones(3) * there.sum(),
        lambda there: torch.stack([there[0], torch.tensor(1.0)]),
        lambda there: torch.ones(3).add_(there),
        lambda there: torch.ones(3)[there > 0],
        lambda there: torch.ones(3).index_put_((there.long(),), torch.ones(3)),
        lambda there: there.index_put_((torch.tensor([0, 1]),), torch.ones(2)),
        lambda there: torch.nn.functional.mse_loss(there, torch.ones(3)),
        lambda there: torch.randn(3, generator=torch.Generator(), device=there.device),
    ],
)
@pytest.mark.cpu("about the simulated device itself")
def test_a_mixture_of_devices_is_refused(wrong: Callable[[Tensor], Tensor]) -> None:
    with simulated_device() as device, pytest.raises(RuntimeError, match="expected"):
        wrong(torch.zeros(3, device=device))


@pytest.mark.cpu("about the simulated device itself")
def test_numpy_and_missing_float64_are_refused() -> None:
    with simulated_device(float64=False) as device:
        there = torch.zeros(3, device=device)
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        for wrong in (lambda: there.double(), lambda: torch.ones(2, dtype=torch.float64).to(device)):
            with pytest.raises(TypeError, match="float64"):
                wrong()
        assert there.cpu().double().dtype == torch.float64


@pytest.mark.cpu("about the simulated device itself")
def test_what_a_gpu_takes_is_computed_there() -> None:
    with simulated_device() as device:
        there = torch.arange(6.0).view(2, 3).to(device)
        view = there[1:]
        view += torch.tensor(1.0)  # a number of the CPU, through a view
        assert isinstance(there, DeviceTensor) and there.tolist() == [[0, 1, 2], [4, 5, 6]]
        assert there[torch.tensor([1]), torch.tensor([2])].item() == 6  # an index of the CPU
        assert there[[1]].tolist() == [[4, 5, 6]]
        assert torch.tensor([1.0], device=device).device == there.new_tensor([1.0]).device == device
        leaf = there.clone().requires_grad_()
        (leaf.square().sum() + leaf.cpu().sum()).backward()
        assert leaf.grad is not None and leaf.grad.device == device
        assert torch.equal(leaf.grad.cpu(), 2 * there.cpu() + 1)


class _Kernels(TorchDispatchMode):
    """Notes the names of the kernels that are called, those of the backward pass, too."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func._schema.name.removeprefix("aten::").strip("_"))
        return func(*args, **(kwargs or {}))


@pytest.mark.cpu("about the names of kernels, which are the same everywhere")
@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_convolutions_alone_add_up_in_any_order(on_cpu: Generator, photo: Tensor, mode: str) -> None:
    """So that `torch.backends.cudnn.deterministic` is all that CUDA needs to give the same bits again."""
    with _Kernels() as called:
        inversion = edited(on_cpu, photo, mode)
        for way in COMPOSITE_MODES:
            composite(on_cpu, inversion, mode=way)
        composite(on_cpu, inversion, between=True)
    assert {"convolution", "avg_pool2d_backward", "leaky_relu_backward"} < called.names
    assert not called.names & IN_ANY_ORDER


@pytest.mark.cpu("about the names of kernels, which are the same everywhere")
def test_the_demos_networks_of_identity_add_up_in_any_order_too(on_cpu: Generator, photo: Tensor) -> None:
    found = {}
    for kind in ("lpips", "identity"):
        losses = LossConfig(**{"l2": 1.0, kind: 1.0, f"{kind}_net": "demo"})
        with _Kernels() as called:
            project(on_cpu, photo, moved(pieces(32), "cpu"), ProjectionConfig(num_steps=1, loss=losses))
        found[kind] = called.names & IN_ANY_ORDER
    assert found == {
        "lpips": set(),
        "identity": {"adaptive_avg_pool2d_backward", "upsample_bilinear2d_aa_backward"},
    }


def test_a_lower_precision_has_a_wider_tolerance() -> None:
    ordered = [tolerance(one) for one in (torch.float64, torch.float32, torch.float16, torch.bfloat16)]
    assert ordered == sorted(ordered) and ordered[0] < 1e-10 and ordered[-1] < 1
