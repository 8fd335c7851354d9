"""Masks and codes optimized together: the gradient by the masks' code, going on, files, and masks that follow edits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.compositing import composite, mask_follower, with_followed_masks
from chunky_core.editing.edits import edited_code
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode, convert
from chunky_core.inversion import (
    Edit,
    Inversion,
    LossConfig,
    ProjectionConfig,
    StopProjection,
    fit_mask_code,
    load_inversion,
    project,
    save_inversion,
)
from chunky_core.inversion.generated_masks import SPACE, GeneratedMasks, code_of_masks, mask_code_start
from chunky_core.inversion.hooks import moving_masks
from chunky_core.inversion.loss_regions import PyramidLevel
from chunky_core.inversion.mask_code import MaskCode
from chunky_core.inversion.objectives import segment_objective
from chunky_core.inversion.single_fit import Judge, fitted_code
from chunky_core.losses import load_networks
from chunky_core.segments import SegmentMasks
from chunky_core.segments.mask_generator import MaskGenerator, MaskTrainingConfig, train_mask_generator
from tests.projection_tools import Interrupted, assert_same, photo_of_parts, stopping_at
from tests.test_mask_generator import codes_of, maps_of

pytestmark = pytest.mark.single("codes are optimized in float32")
NAMES = ("low", "middle", "high")
JOINT = ProjectionConfig(mode="joint", num_steps=10, dilation=0, coarse=0.0)
QUICK = MaskTrainingConfig(num_steps=40, learning_rate=1e-2, batch=256, members=2, hidden=(16, 8), pixels=512)


@pytest.fixture(scope="module", autouse=True)
def short_phases() -> Iterator[None]:
    """Few steps on the photo alone, and a plan at every third, so that ten steps go through all phases."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(moving_masks, "FIT", 3)
        patched.setattr(moving_masks, "EVERY", 3)
        yield


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def mask_generator(generator: Generator) -> MaskGenerator:
    """Three classes, by the values of one feature."""
    codes = codes_of(generator, 4)
    feature = maps_of(generator, codes)[-1][:, 0]
    limits = feature.flatten().quantile(torch.tensor([0.33, 0.67], device=feature.device))
    return train_mask_generator(generator, codes, torch.bucketize(feature, limits).long().cpu(), NAMES, QUICK)


def some_code(generator: Generator, seed: int) -> LatentCode:
    return convert(generator, codes_of(generator, 1, seed), SPACE)


def with_static_rows(masks: SegmentMasks) -> SegmentMasks:
    static = torch.zeros_like(masks.static)
    static[..., -6:, :] = 1
    static[..., :5, :] = 0.4
    return SegmentMasks(masks.names, masks.masks * (1 - static), static)


@pytest.fixture(scope="module")
def masks(generator: Generator, mask_generator: MaskGenerator) -> SegmentMasks:
    """Those of the mean code, with static rows."""
    return with_static_rows(mask_generator.masks(generator, mask_code_start(generator, None, 0)))


@pytest.fixture(scope="module")
def photo(generator: Generator, mask_generator: MaskGenerator) -> Tensor:
    """What the generator draws in segments by other masks than those of the mean code."""
    return photo_of_parts(generator, mask_generator.masks(generator, some_code(generator, 12)))


@pytest.fixture(scope="module")
def moved(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor
) -> Inversion:
    """A whole run with masks that move."""
    return project(generator, photo, masks, JOINT, mask_generator=mask_generator)


def stopped_at(
    step: int, generator: Generator, photo: Tensor, masks: SegmentMasks, mask_generator: MaskGenerator
) -> Inversion:
    """A joint projection that the user ends in a step."""
    stopping = stopping_at(step, StopProjection())
    return project(generator, photo, masks, JOINT, mask_generator=mask_generator, callback=stopping)


@torch.no_grad()
def test_generated_masks_divide_what_is_not_static(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks
) -> None:
    source = GeneratedMasks(generator, mask_generator, masks.names, masks.static)
    code = some_code(generator, 4)
    drawn = source.draw(code)
    assert (drawn.sum(dim=0) + masks.static[0] - 1).abs().max() < 1e-6
    plain = mask_generator.probabilities(generator, code)[0][:, None] * (1 - masks.static[0])
    assert (drawn - plain).abs().max() < 0.03  # but for what is faint
    two = GeneratedMasks(generator, mask_generator, masks.names[:2], masks.static)
    assert (two.draw(code).sum(dim=0) + masks.static[0] - 1).abs().max() < 1e-6


@torch.no_grad()
def test_classes_may_be_told_at_a_lower_size(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks
) -> None:
    source = GeneratedMasks(generator, mask_generator, masks.names, masks.static, longest=32)
    code = some_code(generator, 4)
    small = mask_generator.probabilities(generator, code, (32, 32))
    shares = source.shares(code)
    assert shares.shape == masks.masks.shape
    assert (torch.nn.functional.avg_pool2d(shares[:, 0], 2) - small[0]).abs().mean() < 0.1
    assert (source.draw(code).sum(dim=0) + masks.static[0] - 1).abs().max() < 1e-6


def test_joint_gradients_are_those_of_one_big_graph(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor
) -> None:
    """P2 eq. 2 and 3 with S = G^S(X^S), written out over whole pictures in one graph."""
    generator = generator.to(dtype=torch.float64)
    mask_generator = replace(mask_generator.to(dtype=torch.float64), fingerprint=generator.fingerprint)
    config = replace(JOINT, loss=LossConfig(l2=0.7, l1=0.3))
    doubles = SegmentMasks(masks.names, masks.masks.double(), masks.static.double())
    source = GeneratedMasks(generator, mask_generator, masks.names, doubles.static)
    start = LatentCode(SPACE, some_code(generator, 4).tensor.detach())
    own = MaskCode(source, start)
    own.margin = 64
    own.plan(0)
    level = PyramidLevel.full(photo.double(), own.planned_masks(), config)
    codes = [
        LatentCode(SPACE, some_code(generator, seed).tensor.detach().requires_grad_()) for seed in (5, 6, 7)
    ]
    leaves = [code.tensor for code in codes]
    networks = load_networks(config.loss)
    found = segment_objective(generator, level, config, networks, range(3), own)(codes, leaves, ())
    assert found.mask_grad is not None

    mask_leaf = start.tensor.clone().requires_grad_()
    weights = source.draw(LatentCode(SPACE, mask_leaf))
    pictures = [generator.synthesis(leaf) for leaf in leaves]
    static = doubles.static
    picture = static * level.photo + sum(w * image for w, image in zip(weights, pictures, strict=True))
    moving = (static < 1).double()
    difference = picture - level.photo
    errors = 0.7 * difference.square().mean(1) + 0.3 * difference.abs().mean(1)
    loss = (errors * moving[0]).sum() / moving.sum()
    *expected, by_masks = torch.autograd.grad(loss, [*leaves, mask_leaf])
    assert found.losses[0].item() == pytest.approx(loss.item(), rel=1e-12)
    assert by_masks.abs().max() > 0
    for one, other in zip([*found.grads, own.gradient(found.mask_grad)], [*expected, by_masks], strict=True):
        assert (one - other).abs().max() <= 1e-9 * other.abs().max()


def test_the_code_of_the_masks_is_fitted_to_the_photo_first(
    generator: Generator,
    mask_generator: MaskGenerator,
    masks: SegmentMasks,
    photo: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the loss of the run, and by what isn't static alone."""
    fits: list[tuple[float, float, float]] = []

    def recorded(judge: Judge, start: LatentCode, *rest: Any) -> LatentCode:
        found = fitted_code(judge, start, *rest)
        losses = [judge(LatentCode(SPACE, one.tensor.detach().requires_grad_()))[0] for one in (start, found)]
        fits.append((losses[0], losses[1], apart(found)))
        return found

    @torch.no_grad()
    def apart(code: LatentCode) -> float:
        difference, moving = generator.synthesis(code.tensor) - photo, 1 - masks.static
        errors = 0.7 * difference.square().mean(1, keepdim=True) + 0.3 * difference.abs().mean(
            1, keepdim=True
        )
        return ((errors * moving).sum() / moving.sum()).item()

    monkeypatch.setattr(moving_masks, "fitted_code", recorded)
    monkeypatch.setattr(moving_masks, "FIT", 10)
    config = replace(JOINT, loss=LossConfig(l2=0.7, l1=0.3), warmup_photo=False)
    for shown in (photo, torch.where(masks.static == 1, -photo, photo)):
        project(generator, shown, masks, config, mask_generator=mask_generator)
    assert fits[0] == fits[1]
    before, after, expected = fits[0]
    assert after < 0.9 * before
    assert after == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("losses", [[3.0, 1.0, 2.0, 5.0], [3.0, 1.0, float("nan"), 0.0]])
def test_a_fit_returns_its_best_code_and_ends_where_a_loss_is_not_finite(losses: list[float]) -> None:
    seen: list[Tensor] = []

    def judge(code: LatentCode) -> tuple[float, Tensor]:
        assert code.tensor.requires_grad
        seen.append(code.tensor.detach().clone())
        return losses[len(seen) - 1], torch.ones_like(code.tensor)

    start = LatentCode(SPACE, torch.zeros(1, 2, 3))
    found = fitted_code(judge, start, 3, 0.1)
    assert torch.equal(found.tensor, seen[1]) and not torch.equal(seen[1], seen[0])
    assert len(seen) == (4 if losses[2] == 2.0 else 3)
    assert not start.tensor.any()


def test_masks_stay_in_the_last_quarter(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor, moved: Inversion
) -> None:
    """X^S moves no more, the codes do; the masks are those of all networks at full size."""
    stopped = stopped_at(9, generator, photo, masks, mask_generator)
    assert moved.mask_code is not None
    assert stopped.mask_code is not None
    assert torch.equal(stopped.mask_code.tensor, moved.mask_code.tensor)
    assert torch.equal(stopped.masks.masks, moved.masks.masks)
    assert not torch.equal(stopped.segments[0].code.tensor, moved.segments[0].code.tensor)
    source = GeneratedMasks(generator, mask_generator, masks.names, masks.static)
    assert torch.equal(source.masks(moved.mask_code).masks, moved.masks.masks)


def test_masks_go_no_farther_than_their_plan(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks
) -> None:
    """X^S moves far between two plans: weights stay within reach, add up, and have gradients that are finite."""
    source = GeneratedMasks(generator, mask_generator, masks.names, masks.static)
    own = MaskCode(source, some_code(generator, 4))
    own.plan(0)
    reach = own.reach
    with torch.no_grad():
        own.latents.codes[0].copy_(some_code(generator, 9).tensor)
    drawn = own.draw(masks.size)
    assert not drawn[reach == 0].any()
    assert (drawn.sum(dim=0) + masks.static[0] - 1).abs().max() < 1e-5
    assert own.gradient(torch.randn_like(drawn)).isfinite().all()


def test_a_segment_that_vanishes_keeps_a_pixel_and_is_named(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor
) -> None:
    own = mask_generator.classifier
    bias = own.biases[-1].clone()
    bias[..., 1] -= 60  # of its logits
    without = replace(mask_generator, classifier=replace(own, biases=(*own.biases[:-1], bias)), training=None)
    source = GeneratedMasks(generator, without, masks.names, masks.static)
    drawn = source.masks(some_code(generator, 4))
    assert int((drawn["middle"] > 0).sum()) == 1
    with pytest.warns(UserWarning, match="'middle' vanished: '(low|high)' has its place"):
        found = project(generator, photo, masks, replace(JOINT, num_steps=4), mask_generator=without)
    assert found.stopped is None
    assert found.names == NAMES
    assert all(code.isfinite().all() for code in (segment.code.tensor for segment in found.segments))


@pytest.mark.parametrize("settings", [{}, {"warmup": 0.0, "coarse": 0.5}], ids=str)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    generator: Generator,
    mask_generator: MaskGenerator,
    masks: SegmentMasks,
    photo: Tensor,
    settings: dict,
    tmp_path: Path,
) -> None:
    """In the warm-up, while masks move, and when they have settled: codes, masks and X^S to the bit."""
    config = replace(JOINT, **settings)
    warnings.simplefilter("ignore")
    whole = project(generator, photo, masks, config, mask_generator=mask_generator)
    assert whole.mask_code is not None
    assert not torch.equal(whole.masks.masks, masks.masks)
    for at in (2, 5, 9) if not settings else (5,):
        kept = []
        with pytest.raises(Interrupted):
            project(
                generator,
                photo,
                masks,
                config,
                mask_generator=mask_generator,
                callback=stopping_at(at, Interrupted()),
                autosave=kept.append,
            )
        save_inversion(kept[0], tmp_path / "kept.safetensors")
        opened = load_inversion(tmp_path / "kept.safetensors")
        on = project(
            generator, photo, masks, config, start=opened, resume=True, mask_generator=mask_generator
        )
        assert_same(on, whole)
        assert on.mask_code is not None
        assert torch.equal(on.mask_code.tensor, whole.mask_code.tensor)
        assert torch.equal(on.masks.masks, whole.masks.masks)


def test_masks_that_move_fit_better_than_those_that_stay(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor
) -> None:
    config = replace(JOINT, num_steps=40, warmup=0.2)
    moved = project(generator, photo, masks, config, mask_generator=mask_generator)
    fixed = project(generator, photo, masks, config)
    assert min(moved.losses["together"]) < 0.95 * min(fixed.losses["together"])


def test_the_file_has_the_code_of_the_masks(moved: Inversion, tmp_path: Path) -> None:
    save_inversion(moved, tmp_path / "one.safetensors")
    opened = load_inversion(tmp_path / "one.safetensors")
    assert opened.mask_code is not None
    assert moved.mask_code is not None
    assert torch.equal(opened.mask_code.tensor, moved.mask_code.tensor)
    assert torch.equal(opened.masks.masks, moved.masks.masks)


@torch.inference_mode()
def test_a_run_in_inference_mode_and_one_that_is_stopped(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor
) -> None:
    own = mask_generator.classifier
    made_here = replace(own, mean=own.mean.clone(), weights=tuple(one.clone() for one in own.weights))
    assert made_here.mean.is_inference()
    found = project(
        generator,
        photo.clone(),
        masks,
        JOINT,
        mask_generator=replace(mask_generator, classifier=made_here, training=None),
        mask_code=some_code(generator, 4),
        callback=stopping_at(6, StopProjection()),
    )
    assert found.mask_code is not None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mode": "independent"}, "mode is 'joint'"),
        ({"optimizer": "lbfgs", "space": "w"}, "optimizer is 'adam'"),
        ({"refine_every": 3}, "refine_every is 0"),
    ],
)
def test_configs_that_cannot_move_masks(
    generator: Generator,
    mask_generator: MaskGenerator,
    masks: SegmentMasks,
    photo: Tensor,
    changed: dict,
    message: str,
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        project(generator, photo, masks, replace(JOINT, **changed), mask_generator=mask_generator)


def test_what_does_not_belong_together_is_refused(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor, moved: Inversion
) -> None:
    strange = replace(mask_generator, fingerprint="0" * 64)
    with pytest.raises(WrongGeneratorError, match="0000"):
        project(generator, photo, masks, JOINT, mask_generator=strange)
    with pytest.raises(WrongGeneratorError, match="0000"):
        fit_mask_code(generator, strange, masks)
    with pytest.raises(WrongGeneratorError, match="0000"):
        mask_follower(generator, strange)
    renamed = SegmentMasks(("nose", *masks.names[1:]), masks.masks, masks.static)
    with pytest.raises(InvalidInputError, match="no class 'nose'"):
        project(generator, photo, renamed, JOINT, mask_generator=mask_generator)
    with pytest.raises(InvalidInputError, match="without the mask generator"):
        project(generator, photo, masks, JOINT, mask_code=some_code(generator, 1))
    with pytest.raises(InvalidInputError, match="2 codes"):
        project(
            generator, photo, masks, JOINT, mask_generator=mask_generator, mask_code=codes_of(generator, 2)
        )
    plain = project(generator, photo, masks, JOINT, num_steps=2)
    with pytest.raises(InvalidInputError, match="without a mask generator"):
        project(generator, photo, masks, JOINT, start=plain, resume=True, mask_generator=mask_generator)
    with pytest.raises(InvalidInputError, match="go on with it"):
        project(generator, photo, masks, JOINT, start=moved, resume=True)


def test_a_code_is_found_for_given_masks(generator: Generator, mask_generator: MaskGenerator) -> None:
    """The masks of a hidden code: those of the code that is found are nearer to them than the mean code's."""
    wanted = mask_generator.masks(generator, some_code(generator, 12))
    found = fit_mask_code(generator, mask_generator, wanted, num_steps=30, learning_rate=0.1)
    assert (found.space, len(found.tensor)) == (SPACE, 1)
    source = GeneratedMasks(generator, mask_generator, wanted.names, wanted.static)
    least = torch.special.entr(wanted.masks).sum(dim=0).mean()

    def unlike(code: LatentCode) -> Tensor:
        """The mean Kullback-Leibler divergence of its masks from those wanted."""
        return -(wanted.masks * source.shares(code).detach().log()).sum(dim=0).mean() - least

    assert unlike(found) < 0.7 * unlike(mask_code_start(generator, None, 0))
    again = fit_mask_code(generator, mask_generator, wanted, num_steps=0, start=found)
    assert torch.equal(again.tensor, found.tensor)
    small = SegmentMasks(wanted.names, wanted.masks[..., ::2, ::2], wanted.static[..., ::2, ::2])
    with pytest.raises(InvalidInputError, match="32x32"):
        fit_mask_code(generator, mask_generator, small)


def test_masks_follow_an_edit_of_their_code(
    generator: Generator, mask_generator: MaskGenerator, moved: Inversion
) -> None:
    """X^S is moved in the same direction as the image code (P2 4.2); without an effective edit nothing changes."""
    found = moved
    assert found.mask_code is not None
    tensor = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(5))
    edit = Edit(Direction("any", "w", tensor), 1.5)
    follower = mask_follower(generator, mask_generator)
    edited = found.with_edits(edit)
    followed = with_followed_masks(generator, edited, follower).inversion
    code = edited_code(generator, found.mask_code, [edit])
    source = GeneratedMasks(generator, mask_generator, found.names, found.static_mask)
    expected = source.draw(code)
    assert (found.masks.masks - expected).abs().mean() > 0.05
    weights = {segment.name: segment.mask for segment in followed.segments}
    for name, mask in zip(found.names, expected, strict=True):
        assert (weights[name] - mask).abs().max() < 0.05
    picture = composite(generator, edited, follow=follower)
    assert picture.isfinite().all()
    assert with_followed_masks(generator, found, follower).inversion is found


def test_the_code_of_the_masks_sets_out_from_that_of_the_start(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor, moved: Inversion
) -> None:
    """Its X^S or, where it has none, the mean of its codes by area, fitted to the photo."""
    one_step = replace(JOINT, num_steps=1)
    again = project(generator, photo, moved.masks, one_step, start=moved, mask_generator=mask_generator)
    assert moved.mask_code is not None
    assert again.mask_code is not None
    assert torch.equal(again.mask_code.tensor, moved.mask_code.tensor)
    fixed = project(generator, photo, masks, one_step)
    areas = torch.stack([segment.mask.sum() for segment in fixed.segments])
    codes = torch.cat([convert(generator, segment.code, SPACE).tensor for segment in fixed.segments])
    mean = (codes * areas[:, None, None]).sum(dim=0, keepdim=True) / areas.sum()
    torch.testing.assert_close(code_of_masks(generator, fixed).tensor, mean)
    fitted = project(generator, photo, masks, one_step, start=fixed, mask_generator=mask_generator)
    assert fitted.mask_code is not None
    errors = [(generator.synthesis(code) - photo).square().mean() for code in (mean, fitted.mask_code.tensor)]
    assert errors[1] < 0.9 * errors[0]


def test_a_run_goes_on_with_its_own_mask_generator_alone(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, photo: Tensor
) -> None:
    stopped = stopped_at(5, generator, photo, masks, mask_generator)
    for other in (mask_generator.with_members(1), "demo"):
        with pytest.raises(InvalidInputError, match="another mask generator|load_mask_generator"):
            project(generator, photo, masks, JOINT, start=stopped, resume=True, mask_generator=other)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_steps": -1}, "num_steps"),
        ({"num_steps": 1.5}, "num_steps"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": 1e9}, "learning_rate"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_fits_that_cannot_be(
    generator: Generator, mask_generator: MaskGenerator, masks: SegmentMasks, changed: dict, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        fit_mask_code(generator, mask_generator, masks, **changed)
    for nothing in ((None, mask_generator), (generator, None)):
        with pytest.raises(InvalidInputError, match="generator"):
            fit_mask_code(*nothing, masks)


def test_an_edited_segment_that_is_no_class_cannot_follow(
    generator: Generator, mask_generator: MaskGenerator, moved: Inversion
) -> None:
    """Its mask would vanish in silence; unedited ones are left alone."""
    named = replace(moved, segments=[replace(moved.segments[0], name="hat"), *moved.segments[1:]])
    direction = Direction("any", "w", torch.ones(generator.w_dim))
    follower = mask_follower(generator, mask_generator)
    with pytest.raises(InvalidInputError, match="'hat' is no class"):
        with_followed_masks(generator, named.with_edits(Edit(direction, 1.0, ("hat", "high"))), follower)
    other = named.with_edits(Edit(direction, 1.0, ("high",)))
    assert with_followed_masks(generator, other, follower).inversion.names
