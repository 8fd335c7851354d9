"""Pivotal tuning: what it may change and what not, its size, its ends; the invariants of `tune`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from chunky_core.compositing import composite, render
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator import weight_deltas
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.generator.weight_deltas import delta_bytes
from chunky_core.inversion import (
    Edit,
    Inversion,
    LossConfig,
    ProjectionConfig,
    TuningConfig,
    load_inversion,
    project,
    save_inversion,
    tune,
)
from chunky_core.inversion.tuning.assembly import leaves_deltas_behind
from chunky_core.inversion.tuning.layout import layout_of, number_count
from chunky_core.segments import SegmentMasks, single_segment
from tests.devices import on_device
from tests.projection_tools import Interrupted, photo_of_parts, pieces, stopping_at
from tests.test_stylegan3 import RECORDED, made_from
from tests.tuning_tools import QUICK, deltas, same_deltas


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def segments(generator: Generator) -> SegmentMasks:
    return pieces(generator.img_resolution)


@pytest.fixture(scope="module")
def photo(generator: Generator, segments: SegmentMasks) -> Tensor:
    return photo_of_parts(generator, segments)


@pytest.fixture(scope="module")
def inversion(generator: Generator, photo: Tensor, segments: SegmentMasks) -> Inversion:
    return project(generator, photo, segments, ProjectionConfig(num_steps=12, dilation=1))


@pytest.fixture(scope="module")
def tuned(generator: Generator, inversion: Inversion) -> Inversion:
    return tune(generator, inversion, QUICK)


def error(generator: Generator, inversion: Inversion, name: str | None = None) -> float:
    """Mean squared error of the reconstruction, of the whole or of one segment."""
    masks = inversion.masks
    mask = 1 - masks.static if name is None else masks.masks[masks.names.index(name)][None]
    difference = (
        (render(generator, inversion, edited=False) - inversion.photo).square().mean(dim=1, keepdim=True)
    )
    return float((difference * mask).sum() / mask.sum())


def test_a_shared_delta_draws_all_segments_better(
    generator: Generator, inversion: Inversion, tuned: Inversion
) -> None:
    assert tuned.delta and not any(segment.delta for segment in tuned.segments)
    assert error(generator, tuned) < 0.8 * error(generator, inversion)
    for before, after in zip(inversion.segments, tuned.segments, strict=True):
        assert torch.equal(before.code.tensor, after.code.tensor) and torch.equal(before.mask, after.mask)
    assert tuned.is_tuned and "tuned" in repr(tuned) and not inversion.is_tuned


def test_what_the_record_says_of_it(generator: Generator, inversion: Inversion, tuned: Inversion) -> None:
    assert tuned.settings == {**inversion.settings, "tuning": QUICK.plain()}
    assert tuned.settings["tuning"]["num_steps"] == 12 and tuned.settings["tuning"]["segments"] == ["all"]
    for name in inversion.names:
        assert list(tuned.losses[name]) == list(inversion.losses[name])
        curve = tuned.losses[f"{name}, tuning"]
        assert len(curve) == 12 and min(curve) < curve[0]
        fit, earlier = tuned.fits[name], inversion.fits[name]
        assert fit.start == earlier.start and fit.end < earlier.end
        expected = 127.5 * error(generator, tuned, name) ** 0.5
        if name == "band":  # where no other segment shows through
            assert fit.end == pytest.approx(expected, rel=0.2)
    assert tuned.stopped is None and tuned.state is not None and tuned.state.is_tuning


@pytest.mark.parametrize("space", ["z", "w", "s"])
@pytest.mark.parametrize("shared", [True, False])
def test_any_space(
    generator: Generator, photo: Tensor, segments: SegmentMasks, space: str, shared: bool
) -> None:
    before = project(generator, photo, segments, ProjectionConfig(num_steps=4, space=space))
    after = tune(generator, before, QUICK, shared=shared, size=0.6)
    assert error(generator, after) < 0.95 * error(generator, before)


def test_a_stylegan3_is_tuned() -> None:
    generator = made_from(on_device(load_file(RECORDED)))
    size = generator.img_resolution
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(1))
    photo = generator.synthesis(generator.mapping(z.to(generator.device), 0)).clamp(-1, 1)
    before = project(generator, photo, single_segment((size, size)), ProjectionConfig(num_steps=3))
    after = tune(generator, before, num_steps=6, size=0.5)
    assert error(generator, after) < error(generator, before)


@pytest.mark.parametrize("shared", [True, False])
def test_the_bytes_of_all_deltas_together_stay_within_size(
    generator: Generator, inversion: Inversion, shared: bool
) -> None:
    for size in (0.12, 0.3, 1.0):
        record = tune(generator, inversion, QUICK, shared=shared, size=size, num_steps=1)
        own = deltas(record)
        assert all(one.dtype == torch.float16 for delta in own for one in delta.values())
        total = sum(map(delta_bytes, own))
        room = 2 * size * number_count(generator)
        assert 0.7 * room / (3 if size == 1 else 1) < total <= room or size == 1.0 and total <= room
    with pytest.raises(InvalidInputError, match="set size to at least"):
        tune(generator, inversion, QUICK, size=0.001)
    with pytest.raises(
        InvalidInputError, match=r"rank 6 of this generator can't be as small as 10.00% .* at least"
    ):
        tune(generator, inversion, QUICK, size=0.1, rank=6)


def test_a_wider_size_holds_all_that_a_narrower_one_does(generator: Generator) -> None:
    ranks = [layout_of(generator, size) for size in (0.1, 0.2, 0.4, 1.0)]
    for narrow, wide in zip(ranks, ranks[1:], strict=False):
        for name, rank in narrow.items():
            assert wide[name] == 0 or 0 < rank <= wide[name]
    assert set(ranks[-1].values()) == {0}


def test_only_what_lies_inside_the_masks_counts(generator: Generator, inversion: Inversion) -> None:
    """The photo outside the dilated masks of the segments that are tuned may be anything."""
    name = "block"
    mask = inversion.masks.masks[inversion.names.index(name)]
    far = torch.nn.functional.max_pool2d(mask, 5, stride=1, padding=2) == 0
    noise = torch.randn(inversion.photo.shape, generator=torch.Generator().manual_seed(5)).to(inversion.photo)
    other = replace(inversion, photo=torch.where(far, noise.clamp(-1, 1), inversion.photo))
    one, two = (tune(generator, record, QUICK, segments=name, size=0.5) for record in (inversion, other))
    assert same_deltas(one, two) and one.losses[f"{name}, tuning"] == two.losses[f"{name}, tuning"]
    inside = replace(inversion, photo=torch.where(far, inversion.photo, noise.clamp(-1, 1)))
    assert not same_deltas(one, tune(generator, inside, QUICK, segments=name, size=0.5))


def test_segments_tuned_apart_leave_a_third_alone_to_the_bit(
    generator: Generator, inversion: Inversion
) -> None:
    record = tune(generator, inversion, QUICK, segments=("block", "band"), shared=False)
    touched = inversion.masks.masks[[inversion.names.index(name) for name in ("block", "band")]].sum(dim=0)
    moved = (render(generator, record) != render(generator, inversion)).any(dim=1)
    assert moved.any() and not moved[touched == 0].any()
    assert not record.delta and not record.segments["rest"].delta
    for name in ("block", "band"):
        assert error(generator, record, name) < error(generator, inversion, name)
        alone = tune(generator, inversion, QUICK, segments=name, size=QUICK.size / 2)
        own, expected = record.segments[name].delta, alone.segments[name].delta
        assert all(torch.equal(own[key], expected[key]) for key in expected)


def test_some_segments_share_a_delta_that_is_theirs(
    generator: Generator, inversion: Inversion, tmp_path: Path
) -> None:
    record = tune(generator, inversion, QUICK, segments=("block", "band"))
    assert record.segments["block"].delta is record.segments["band"].delta and not record.delta
    save_inversion(replace(record, state=None), tmp_path / "some.safetensors")
    save_inversion(
        replace(tune(generator, inversion, QUICK, segments="block"), state=None), tmp_path / "one.safetensors"
    )
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("some", "one")]
    assert abs(sizes[0] - sizes[1]) < 0.2 * delta_bytes(record.segments["block"].delta)  # stored once
    opened = load_inversion(tmp_path / "some.safetensors")
    assert same_deltas(opened, record) and opened.segments["block"].delta is opened.segments["band"].delta
    assert torch.equal(render(generator, opened), render(generator, record))


def test_one_on_top_of_the_other(generator: Generator, inversion: Inversion, tuned: Inversion) -> None:
    """A segment's own delta comes on top of the shared one; a shared one takes the place of all."""
    more = tune(generator, tuned, QUICK, segments="block", size=0.5)
    assert more.delta is tuned.delta and more.segments["block"].delta
    assert error(generator, more, "block") < error(generator, tuned, "block")
    again = tune(generator, more, QUICK)
    assert same_deltas(again, tuned)


def test_weights_are_made_once_for_all_segments(
    generator: Generator, tuned: Inversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    whole = weight_deltas.with_parameters

    def counted(generator: Generator, tensors: dict[str, Tensor]) -> Generator:
        made.append(len(tensors))
        return whole(generator, tensors)

    monkeypatch.setattr(weight_deltas, "with_parameters", counted)
    edit = Edit(Direction("any", "w", torch.ones(generator.w_dim)), 0.5)
    for draw in (render, composite):
        made.clear()
        draw(generator, tuned.with_edits(edit))
        assert len(made) == 1
    made.clear()
    own = tune(generator, tuned, QUICK, segments="block", size=0.5, num_steps=1)
    made.clear()
    render(generator, own)
    assert len(made) == 2
    made.clear()
    render(generator, replace(own, delta={}))
    assert len(made) == 1


def test_files_hold_it(generator: Generator, tuned: Inversion, tmp_path: Path) -> None:
    save_inversion(tuned, tmp_path / "tuned.safetensors")
    opened = load_inversion(tmp_path / "tuned.safetensors")
    assert same_deltas(opened, tuned) and opened.settings["tuning"] == tuned.settings["tuning"]
    assert torch.equal(render(generator, opened), render(generator, tuned))


def test_another_generator_is_refused(
    generator: Generator, make_generator: Callable[..., Generator], tuned: Inversion
) -> None:
    other = make_generator(seed=2, resolution=64, channel_base=512, channel_max=16)
    for use in (render, tune):
        with pytest.raises(WrongGeneratorError) as caught:
            use(other, tuned)
        assert tuned.fingerprint[:12] in str(caught.value) and other.fingerprint[:12] in str(caught.value)


def test_a_projection_from_a_tuned_inversion_leaves_the_tuning_behind(
    generator: Generator, photo: Tensor, segments: SegmentMasks, inversion: Inversion, tuned: Inversion
) -> None:
    config = ProjectionConfig(num_steps=2, dilation=1)
    with pytest.warns(UserWarning, match="is left behind; tune the result again"):
        found = project(generator, photo, segments, config, start=tuned)
    expected = project(generator, photo, segments, config, start=inversion)
    assert not found.is_tuned
    assert torch.equal(render(generator, found), render(generator, expected))


def test_codes_may_move_beside_the_weights(generator: Generator, inversion: Inversion) -> None:
    moving = tune(generator, inversion, QUICK, tune_codes=True, learning_rate=0.005)
    assert error(generator, moving) < error(generator, tune(generator, inversion, QUICK, learning_rate=0.005))
    pairs = zip(inversion.segments, moving.segments, strict=True)
    assert all(not torch.equal(one.code.tensor, other.code.tensor) for one, other in pairs)


def test_the_locality_regularizer_keeps_what_other_codes_change(generator: Generator, photo: Tensor) -> None:
    size = generator.img_resolution
    inversion = project(generator, photo, single_segment((size, size)), ProjectionConfig(num_steps=12))
    records = [tune(generator, inversion, QUICK, num_steps=20, locality=weight) for weight in (0.0, 3.0)]
    pivot = inversion.segments[0].code.tensor
    z = torch.randn(6, generator.z_dim, generator=torch.Generator().manual_seed(9))
    ws = torch.lerp(pivot, generator.mapping(z.to(generator.device)).to(pivot), 0.5)

    def changes(own: Generator) -> Tensor:
        return own.synthesis(ws) - own.synthesis(pivot)

    untuned = changes(generator)
    free, held = (
        float((changes(weight_deltas.with_weight_deltas(generator, one.delta)) - untuned).square().mean())
        for one in records
    )
    assert held < 0.8 * free
    assert error(generator, records[1]) < error(generator, inversion)


def test_one_code_for_all_segments_is_drawn_in_one_piece(generator: Generator, inversion: Inversion) -> None:
    code = inversion.segments[0].code
    one_code = replace(inversion, segments=tuple(replace(one, code=code) for one in inversion.segments))
    record = tune(generator, one_code, QUICK)
    curves = [record.losses[f"{name}, tuning"] for name in record.names]
    assert curves[0] == curves[1] == curves[2]
    assert error(generator, record) < error(generator, one_code)


def test_segments_come_to_rest_each_by_itself(generator: Generator, inversion: Inversion) -> None:
    record = tune(
        generator, inversion, QUICK, num_steps=60, shared=False, plateau=4, learning_rate=0.1, size=0.6
    )
    lengths = [len(record.losses[f"{name}, tuning"]) for name in record.names]
    assert len({*lengths}) > 1 and max(lengths) <= 60
    assert record.stopped is None or record.stopped.startswith("came to rest after step")


def test_a_diverging_run_ends_with_good_weights_and_says_why(
    generator: Generator, inversion: Inversion
) -> None:
    record = tune(generator, inversion, QUICK, learning_rate=1e6)
    assert record.stopped is not None and record.stopped.startswith("diverged at step")
    assert all(one.isfinite().all() for one in record.delta.values())
    assert error(generator, record) <= error(generator, inversion) * 1.0001


@pytest.mark.parametrize("damage", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_keeps_the_best(
    generator: Generator, inversion: Inversion, monkeypatch: pytest.MonkeyPatch, damage: float, tmp_path: Path
) -> None:
    from chunky_core.losses.masked_loss import MaskedLoss

    healthy, calls = MaskedLoss.__call__, iter(range(10_000))
    monkeypatch.setattr(
        MaskedLoss, "__call__", lambda own, image: healthy(own, image) * (damage if next(calls) > 12 else 1.0)
    )
    record = tune(generator, inversion, QUICK)
    assert record.stopped is not None and record.stopped.startswith(
        "diverged at step 5 of 12: rest/band/block"
    )
    assert {len(record.losses[f"{name}, tuning"]) for name in record.names} == {4}
    save_inversion(record, tmp_path / "kept.safetensors")
    assert same_deltas(load_inversion(tmp_path / "kept.safetensors"), record)


def test_in_inference_mode_nothing_is_modified_and_nothing_global_moves(
    generator: Generator, inversion: Inversion, tuned: Inversion
) -> None:
    before = {name: one.clone() for name, one in generator.module.state_dict().items()}
    codes = [segment.code.tensor.clone() for segment in inversion.segments]
    rng = torch.get_rng_state().clone()
    with torch.inference_mode():
        record = tune(generator, inversion, QUICK)
    assert same_deltas(record, tuned)
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(one, before[name]) for name, one in generator.module.state_dict().items())
    assert all(
        torch.equal(one, segment.code.tensor) for one, segment in zip(codes, inversion.segments, strict=True)
    )
    assert not any(one.requires_grad for one in generator.module.parameters())


def test_a_callback_sees_every_step_and_the_last_picture(generator: Generator, inversion: Inversion) -> None:
    seen: list[tuple[int, int, Tensor | None]] = []
    part = tune(
        generator, inversion, QUICK, segments="block", size=0.5, num_steps=3, preview_seconds=0,
        callback=lambda *found: seen.append(found),
    )  # fmt: skip
    assert [(step, total) for step, total, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    first = seen[0][2]
    assert first is not None
    assert torch.allclose(first, render(generator, inversion, edited=False), rtol=0, atol=1e-5)
    outside = inversion.masks.masks[inversion.names.index("block")][None].expand_as(first) == 0
    last = seen[2][2]
    assert last is not None and torch.allclose(
        last[outside], render(generator, part)[outside], rtol=0, atol=1e-5
    )
    with pytest.raises(Interrupted):
        tune(generator, inversion, QUICK, callback=stopping_at(2, Interrupted()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps is 0; expected a whole number"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"size": 1.5}, "size is 1.5; expected a share"),
        ({"size": float("nan")}, "size is nan"),
        ({"locality": -1.0}, "locality is -1.0"),
        ({"shared": 1}, "shared is 1; expected True or False"),
        ({"segments": ()}, "segments is"),
        ({"segments": "nose"}, "nose.*rest"),
        ({"loss": 1}, "expected a LossConfig"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(
    generator: Generator, inversion: Inversion, options: dict, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tune(generator, inversion, **options)


def test_other_wrong_inputs(generator: Generator, inversion: Inversion) -> None:
    with pytest.raises(InvalidInputError, match="saved without its photo"):
        tune(generator, inversion.without_photo())
    with pytest.raises(InvalidInputError, match="expected Inversion"):
        tune(generator, generator)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no option 'steps'"):
        tune(generator, inversion, steps=3)
    first, *others = inversion.segments
    broken = replace(first, code=replace(first.code, tensor=first.code.tensor * float("nan")))
    with pytest.raises(InvalidInputError, match="holds NaN"):
        tune(generator, replace(inversion, segments=(broken, *others)))
    with pytest.raises(InvalidInputError, match="identity"):
        TuningConfig(loss=LossConfig(identity=-1.0))


def test_a_second_tuning_goes_on_from_the_first(
    generator: Generator, inversion: Inversion, tuned: Inversion, photo: Tensor
) -> None:
    """A step of nothing leaves the picture of the first; one of another size begins anew, and says so."""
    again = tune(generator, tuned, QUICK, num_steps=1, learning_rate=1e-12)
    assert torch.allclose(render(generator, again), render(generator, tuned), atol=1e-5)
    assert leaves_deltas_behind(generator, tuned, QUICK) is False
    other = replace(QUICK, size=0.3, num_steps=1, learning_rate=1e-12)
    assert leaves_deltas_behind(generator, tuned, other)
    with pytest.warns(UserWarning, match="left behind"):
        anew = tune(generator, tuned, other)
    assert torch.allclose(render(generator, anew), render(generator, inversion), atol=1e-5)


def test_a_photo_with_nan_is_refused_before_the_first_step(
    generator: Generator, inversion: Inversion, photo: Tensor
) -> None:
    spoiled = photo.clone()
    spoiled[0, 0, 3, 3] = torch.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        tune(generator, replace(inversion, photo=spoiled), QUICK)


@pytest.mark.parametrize(
    "delta", ["x", [1, 2], {3: torch.zeros(1)}, {"synthesis.b64.conv0.bias": "a"}], ids=str
)
def test_a_delta_of_another_kind_is_refused_where_it_is_made(inversion: Inversion, delta: object) -> None:
    with pytest.raises(InvalidInputError, match="delta"):
        replace(inversion, delta=delta)
