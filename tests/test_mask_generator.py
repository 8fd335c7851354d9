"""Mask generators: what is learnt, that the short way to it is exact, going on, and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import chunky_core as cg
from chunky_core.boxes import Size
from chunky_core.errors import ChunkyError, InvalidInputError, UnsupportedCheckpointError, WrongGeneratorError
from chunky_core.generator.features import feature_layers, recorded_layers
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode, synthesis_input
from chunky_core.segments.mask_generator import (
    ExemplarConfig,
    MaskGenerator,
    MaskTrainingConfig,
    StopTraining,
    exemplar,
    labels_from_exemplar,
    load_mask_generator,
    save_mask_generator,
    train_mask_generator,
)
from chunky_core.segments.mask_generator import classifier as classifiers
from chunky_core.segments.mask_generator.classifier import (
    member_logits,
    resampled_rows,
    sampled_features,
    start_classifier,
)
from chunky_core.segments.mask_generator.record import segment_masks
from tests.rectangles import stylegan3

pytestmark = pytest.mark.single("files and gradients are in float32")
NAMES = ("dark", "bright")
QUICK = MaskTrainingConfig(num_steps=60, learning_rate=1e-2, batch=256, members=2, hidden=(16, 8), pixels=512)


def codes_of(generator: Generator, count: int, seed: int = 3) -> LatentCode:
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    return LatentCode("w", generator.mapping(z.to(generator.device))[:, 0])


def maps_of(generator: Generator, code: LatentCode) -> list[Tensor]:
    layers = feature_layers(generator)
    with recorded_layers(generator, layers) as maps:
        generator.synthesis(synthesis_input(generator, code))
    return [maps[name] for name in layers]


def thresholded(generator: Generator, codes: LatentCode) -> Tensor:
    """Labels that are a threshold of one feature: what a classifier of features can learn exactly."""
    feature = maps_of(generator, codes)[-1][:, :1]
    return (feature > feature.median())[:, 0].long().cpu()


@pytest.fixture(scope="module")
def learnt(generator: Generator) -> MaskGenerator:
    codes = codes_of(generator, 4)
    return train_mask_generator(generator, codes, thresholded(generator, codes), NAMES, QUICK)


def test_a_threshold_of_a_feature_is_learnt_for_unseen_codes(generator: Generator):
    seen = codes_of(generator, 4)
    longer = replace(QUICK, num_steps=250, pixels=2048)
    learnt = train_mask_generator(generator, seen, thresholded(generator, seen), NAMES, longer)
    codes = codes_of(generator, 3, seed=9)
    feature = maps_of(generator, seen)[-1][:, 0]
    truth = (maps_of(generator, codes)[-1][:, 0] > feature.median()).long()
    found = learnt.labels(generator, codes)
    assert (found == truth).float().mean() > 0.9  # of a guess half
    probabilities = learnt.probabilities(generator, codes)
    assert probabilities.shape == (3, 2, *generator.img_size)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones_like(probabilities[:, 0]))
    assert torch.equal(probabilities.argmax(dim=1), found)


@pytest.mark.parametrize("size", [Size(64, 64), Size(40, 40), Size(96, 96)])
def test_the_commuted_first_layer_equals_the_plain_one(
    generator: Generator, size: Size, monkeypatch: pytest.MonkeyPatch
):
    maps = maps_of(generator, codes_of(generator, 2))
    channels = sum(one.shape[1] for one in maps)
    rng = torch.Generator().manual_seed(0)
    mean, scale = torch.randn(channels, generator=rng), torch.rand(channels, generator=rng) + 0.5
    own = start_classifier(mean.to(maps[0]), scale.to(maps[0]), (16, 8), 3, members=2, seed=1)
    monkeypatch.setattr(classifiers, "BAND_VALUES", 1 << 14)  # several bands
    found = member_logits(own, maps, size)
    stack = torch.cat([F.interpolate(m, size, mode="bilinear", align_corners=False) for m in maps], dim=1)
    inputs = (stack.permute(0, 2, 3, 1).flatten(0, 2) - own.mean) / own.scale
    plain = own(inputs.expand(2, -1, -1)).view(2, 2, *size, 3).permute(1, 0, 4, 2, 3)
    torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-3)


def test_pixels_are_sampled_as_maps_are_up_sampled():
    one, size = torch.randn(1, 3, 5, 4, generator=torch.Generator().manual_seed(0)), Size(20, 16)
    whole = F.interpolate(one, size, mode="bilinear", align_corners=False)
    rows, columns = torch.tensor([0, 7, 19, 3]), torch.tensor([0, 15, 8, 2])
    torch.testing.assert_close(
        sampled_features({"a": one}, rows, columns, size), whole[0, :, rows, columns].T
    )
    torch.testing.assert_close(resampled_rows(one, size, (6, 11)), whole[:, :, 6:11])


def test_gradients_reach_the_code(generator: Generator, learnt: MaskGenerator):
    w = codes_of(generator, 1).tensor.detach()
    direction = torch.randn(w.shape, generator=torch.Generator().manual_seed(0)).to(w)
    direction /= direction.norm()

    def value(w: Tensor) -> Tensor:
        return learnt.probabilities(generator, LatentCode("w", w), (32, 32))[:, 0].square().mean()

    moving = w.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(moving), moving)
    step = 1e-2
    expected = (value(w + step * direction) - value(w - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(expected), rel=0.05, abs=1e-5)


def test_resumed_is_as_if_it_had_not_been_interrupted(generator: Generator, learnt: MaskGenerator):
    codes = codes_of(generator, 4)
    labels = thresholded(generator, codes)
    seen = []

    def stop(step: int, total: int, image: Tensor | None) -> None:
        seen.append((step, total, image is not None))
        if step == 20:
            raise StopTraining

    half = train_mask_generator(generator, codes, labels, NAMES, QUICK, callback=stop)
    assert half.training.step == 20 and seen[0] == (1, 60, True) and seen[1] == (2, 60, False)
    whole = train_mask_generator(generator, codes, labels, NAMES, QUICK, resume=half)
    assert whole.training.step == 60
    for one, other in zip(whole.classifier.weights, learnt.classifier.weights, strict=True):
        assert torch.equal(one, other)


def test_unlabeled_pixels_say_nothing(generator: Generator, learnt: MaskGenerator):
    codes = codes_of(generator, 4)
    labels = thresholded(generator, codes)
    labels[:, :32] = 255
    labels[:, 32:40] = -1
    found = train_mask_generator(generator, codes, labels, NAMES, QUICK)
    wrong = labels.clone()
    wrong[:, :32] = -1
    same = train_mask_generator(generator, codes, wrong, NAMES, QUICK)
    for one, other in zip(found.classifier.weights, same.classifier.weights, strict=True):
        assert torch.equal(one, other)


def test_uncertainty_is_none_for_networks_that_agree(generator: Generator, learnt: MaskGenerator):
    own = learnt.classifier
    twice = tuple(torch.cat([one[:1], one[:1]]) for one in own.weights)
    biases = tuple(torch.cat([one[:1], one[:1]]) for one in own.biases)
    agreeing = replace(learnt, classifier=replace(own, weights=twice, biases=biases))
    code = codes_of(generator, 1)
    assert agreeing.uncertainty(generator, code).max() < 1e-5
    opposed = tuple(torch.cat([one[:1], -one[:1]]) for one in own.weights[2:])
    sides = tuple(torch.cat([one[:1] * 50, -one[:1] * 50]) for one in own.biases[2:])
    last = torch.tensor([[[50.0, -50.0]], [[-50.0, 50.0]]]).to(own.mean)
    assert len(opposed) == len(sides) == 1
    quiet = replace(own, weights=(*twice[:2], opposed[0] * 0), biases=(*biases[:2], last))
    shown = replace(learnt, classifier=quiet).uncertainty(generator, code)
    assert shown.shape == (1, 1, *generator.img_size) and shown.min() > 0.99


def test_masks_are_segments_and_static(generator: Generator, learnt: MaskGenerator):
    code = codes_of(generator, 1)
    masks = learnt.masks(generator, code)
    assert masks.names == NAMES and not masks.static.any()
    kept = learnt.masks(generator, code, static=("dark",))
    assert kept.names == ("bright",)
    torch.testing.assert_close(kept.static, masks["dark"], atol=2e-6, rtol=0)
    with pytest.raises(InvalidInputError, match="static"):
        learnt.masks(generator, code, static=NAMES)


def test_a_stylegan3_is_learnt_too():
    generator = stylegan3()
    codes = codes_of(generator, 2)
    labels = thresholded(generator, codes)
    for one, signal in zip(maps_of(generator, codes), generator.architecture.signals(), strict=False):
        assert one.shape[-2:] == (signal.rate, signal.rate // 2)  # the margin is gone
    doubled = labels.repeat_interleave(2, 1).repeat_interleave(2, 2)
    found = train_mask_generator(generator, codes, doubled, NAMES, QUICK)
    assert (found.labels(generator, codes).cpu() == labels).float().mean() > 0.9


def test_an_exemplar_s_labels_go_to_where_its_features_went(generator: Generator):
    code = codes_of(generator, 1)
    labels = thresholded(generator, code)[0]
    config = ExemplarConfig(grid=32, margin=0.0)
    same = labels_from_exemplar(generator, code, labels, code, config)[0]
    assert torch.equal(
        same, labels
    )  # every place finds itself, and what is smaller than a place of the grid with it
    other = labels_from_exemplar(generator, code, labels, codes_of(generator, 2, seed=8), config)
    assert other.shape == (2, 64, 64) and set(other.unique().tolist()) <= {-1, 0, 1}
    labels[:, :32] = 255
    unknown = labels_from_exemplar(generator, code, labels, code, config)[0]
    assert bool((unknown[:, :32] == -1).all())


def test_lines_thinner_than_the_grid_move_with_their_places():
    plain = torch.randn(16, 12, 12, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(48, 48, dtype=torch.long)
    labels[21], labels[:, 30] = 1, 1  # one pixel of the four of a place
    moved = plain.roll((1, -2), dims=(1, 2))
    found = exemplar._carried(plain, labels, torch.zeros(12, 12, dtype=torch.long), moved, ExemplarConfig())
    inside = found[8:40, 8:36]
    assert torch.equal(inside, labels.roll((4, -8), dims=(0, 1))[8:40, 8:36])


def test_another_generator_is_refused_with_both_fingerprints(
    make_generator: Callable[..., Generator], generator: Generator, learnt: MaskGenerator, tmp_path: Path
):
    other = make_generator(seed=1)
    save_mask_generator(learnt, tmp_path / "own.safetensors")
    with pytest.raises(WrongGeneratorError, match=f"{generator.fingerprint[:12]}.*{other.fingerprint[:12]}"):
        learnt.probabilities(other, codes_of(other, 1))
    with pytest.raises(WrongGeneratorError):
        load_mask_generator(tmp_path / "own.safetensors", generator=other)
    codes = codes_of(other, 1)
    for ask in (learnt.labels, learnt.masks, learnt.uncertainty):
        with pytest.raises(WrongGeneratorError, match=other.fingerprint[:12]):
            ask(other, codes)
    with pytest.raises(WrongGeneratorError, match=other.fingerprint[:12]):
        train_mask_generator(other, codes, torch.zeros(1, 64, 64).long(), NAMES, QUICK, resume=learnt)


def test_saved_and_loaded_it_is_the_same_and_goes_on(
    generator: Generator, learnt: MaskGenerator, tmp_path: Path
):
    path = tmp_path / "own.safetensors"
    save_mask_generator(replace(learnt, figures={"iou": 0.5}), path)
    found = load_mask_generator(path, generator=generator)
    code = codes_of(generator, 1)
    assert torch.equal(found.probabilities(generator, code), learnt.probabilities(generator, code))
    assert (found.names, found.layers, dict(found.figures)) == (NAMES, learnt.layers, {"iou": 0.5})
    longer = replace(QUICK, num_steps=70)
    codes = codes_of(generator, 4)
    labels = thresholded(generator, codes)
    ends = [
        train_mask_generator(generator, codes, labels, NAMES, longer, resume=one) for one in (found, learnt)
    ]
    assert torch.equal(ends[0].classifier.weights[0], ends[1].classifier.weights[0])
    save_mask_generator(learnt, path, with_training=False)
    with pytest.raises(InvalidInputError, match="training"):
        train_mask_generator(generator, codes, labels, NAMES, longer, resume=load_mask_generator(path))


def test_damaged_files_end_in_one_error(learnt: MaskGenerator, tmp_path: Path):
    path = tmp_path / "own.safetensors"
    save_mask_generator(learnt, path)
    whole = path.read_bytes()
    start = int.from_bytes(whole[:8], "little") + 8
    damaged = [whole[:start], whole[: start + 100], whole[:20], b"", b"{}" * 50]
    damaged.append(whole[:start] + b"\xff" * (len(whole) - start))  # NaN everywhere
    rng = torch.Generator().manual_seed(0)
    for place in torch.randint(8, start, (60,), generator=rng).tolist():
        damaged.append(whole[:place] + b"7" + whole[place + 1 :])
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            load_mask_generator(path)
        except ChunkyError as error:
            assert isinstance(error, UnsupportedCheckpointError) and path.name in str(error)
            refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    "labels", [torch.zeros(3, 64, 64), torch.zeros(2, 64, 64).long(), torch.full((3, 64, 64), 2)]
)
def test_labels_that_do_not_fit_are_refused(generator: Generator, labels: Tensor):
    with pytest.raises(InvalidInputError, match=r"label"):
        train_mask_generator(generator, codes_of(generator, 3), labels, NAMES, QUICK)


def test_the_demo_generator_has_one():
    generator = cg.load_generator("demo")
    found = cg.load_mask_generator("demo", generator=generator)
    from chunky_core.demo.labeled_samples import labeled_samples

    codes, labels, names = labeled_samples(generator, 1, seed=12345)
    assert found.names == names and found.training is None
    shown = found.labels(generator, codes, (128, 128))
    assert (shown == labels[:, ::2, ::2]).float().mean() > 0.95


def test_stray_pixels_make_no_segment() -> None:
    probabilities = torch.full((3, 64, 64), 1e-6)
    probabilities[0, :, :32], probabilities[1, :, 32:], probabilities[2, 5, 5] = 1.0, 1.0, 2.0
    masks = segment_masks(probabilities, ("left", "right", "speck"), set())
    assert masks.names == ("left", "right")
    assert torch.allclose(masks.masks.sum(dim=0) + masks.static, torch.ones(1))
    probabilities[2, 5:7, 5:7] = 2.0  # four pixels of 4096 are enough
    assert segment_masks(probabilities, ("left", "right", "speck"), set()).names == ("left", "right", "speck")
