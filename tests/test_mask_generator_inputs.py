"""What mask generators say of arguments of another kind, size or range, before any work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import chunky_core as cg
from chunky_core.compositing.followed_masks import check_follow
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.inversion import automatic_masks
from chunky_core.segments.mask_generator import (
    ExemplarConfig,
    MaskGenerator,
    MaskTrainingConfig,
    labels_from_exemplar,
    train_mask_generator,
)
from chunky_core.segments.mask_generator.pixels import checked_labels, derived_seed

pytestmark = pytest.mark.single("features are in float32")
NAN, NAMES = float("nan"), ("dark", "bright")
QUICK = MaskTrainingConfig(num_steps=1, learning_rate=1e-2, batch=8, members=2, hidden=(8, 8), pixels=32)
Taker = Callable[[Generator, MaskGenerator, Any], object]


def codes(generator: Generator, count: int = 1, value: float = 0.1) -> LatentCode:
    return LatentCode("w", torch.full((count, generator.w_dim), value, device=generator.device))


def halves() -> torch.Tensor:
    labels = torch.zeros(1, 64, 64, dtype=torch.long)
    labels[..., 32:] = 1
    return labels


@pytest.fixture(scope="module")
def learnt(generator: Generator) -> MaskGenerator:
    return train_mask_generator(generator, codes(generator), halves(), NAMES, QUICK)


def trained(generator: Generator, /, **other: Any) -> object:
    given = {"generator": generator, "codes": codes(generator), "labels": halves(), "names": NAMES}
    return train_mask_generator(**{**given, "config": QUICK, **other})


def carried(generator: Generator, /, **other: Any) -> object:
    given = {"generator": generator, "code": codes(generator), "labels": halves()[0]}
    return labels_from_exemplar(**{**given, "targets": codes(generator), **other})


BAD_CODES: dict[str, Callable[[Generator], Any]] = {
    "NaN": lambda g: codes(g, value=NAN),
    "infinite": lambda g: codes(g, value=float("inf")),
    "no code": lambda g: codes(g, 0),
    "whole numbers": lambda g: LatentCode("w", torch.zeros(1, g.w_dim, dtype=torch.long)),
    "None": lambda g: None,
    "a tensor": lambda g: codes(g).tensor,
}
TAKERS_OF_CODES: dict[str, Taker] = {
    "train": lambda g, m, bad: trained(g, codes=bad),
    "exemplar's code": lambda g, m, bad: carried(g, code=bad),
    "exemplar's targets": lambda g, m, bad: carried(g, targets=bad),
    "labels": lambda g, m, bad: m.labels(g, bad),
    "probabilities": lambda g, m, bad: m.probabilities(g, bad),
    "uncertainty": lambda g, m, bad: m.uncertainty(g, bad),
    "masks": lambda g, m, bad: m.masks(g, bad),
}


@pytest.mark.parametrize("kind", BAD_CODES)
@pytest.mark.parametrize("taker", TAKERS_OF_CODES)
def test_codes_that_are_none(generator: Generator, learnt: MaskGenerator, taker: str, kind: str) -> None:
    with pytest.raises(InvalidInputError):
        TAKERS_OF_CODES[taker](generator, learnt, BAD_CODES[kind](generator))


HANDED: dict[str, tuple[Taker, list[Any]]] = {
    "train, generator": (lambda g, m, odd: trained(g, generator=odd), [None, "demo"]),
    "train, names": (
        lambda g, m, odd: trained(g, names=odd),
        ["ab", None, 2, ("a",), ("a", 1), ("a", "a"), tuple(map(str, range(256)))],
    ),
    "train, labels": (
        lambda g, m, odd: trained(g, labels=odd),
        [None, [[0]], halves().float(), halves().to(torch.complex64), halves()[:0], halves() + 9, halves()[0]],
    ),
    "train, config": (lambda g, m, odd: trained(g, config=odd), [{}, 3, "quick"]),
    "train, resume": (lambda g, m, odd: trained(g, resume=odd), [3, "demo", {}, False]),
    "train, callback": (lambda g, m, odd: trained(g, callback=odd), [3, "x"]),
    "layers": (lambda g, m, odd: MaskTrainingConfig(layers=odd), ["b4.conv1", 4, None, (4,)]),
    "hidden": (lambda g, m, odd: MaskTrainingConfig(hidden=odd), [8, None, (8,), (8, 8, 8), "88", (8, 0)]),
    "learning_rate": (lambda g, m, odd: MaskTrainingConfig(learning_rate=odd), ["1", None, NAN, 0, True, 1j]),
    "exemplar, generator": (lambda g, m, odd: carried(g, generator=odd), [None, "demo"]),
    "exemplar, labels": (
        lambda g, m, odd: carried(g, labels=odd),
        [None, [[0]], halves()[0].float(), halves()[0].to(torch.complex64), halves(), torch.zeros(0, 0).long(),
         halves()[0] + 300, torch.full((64, 64), 255), torch.full((64, 64), -1), halves()[0] - 9],
    ),
    "exemplar, config": (lambda g, m, odd: carried(g, config=odd), [{}, 3, QUICK]),
    "grid": (lambda g, m, odd: ExemplarConfig(grid=odd), [0, 1, -1, 2.5, None, "64", 10**6, True]),
    "reach": (lambda g, m, odd: ExemplarConfig(reach=odd), [0, -1, NAN, None, "1", float("inf")]),
    "margin": (lambda g, m, odd: ExemplarConfig(margin=odd), [-0.1, 1.5, NAN, None]),
    "way": (lambda g, m, odd: ExemplarConfig(way=odd), [-1, NAN, None, float("inf")]),
    "mutual": (lambda g, m, odd: ExemplarConfig(mutual=odd), [NAN, None, "0", float("inf")]),
    "coarsest": (lambda g, m, odd: ExemplarConfig(coarsest=odd), [0, 1.5, None, 256]),
    "finest": (lambda g, m, odd: ExemplarConfig(finest=odd), [0, 1.5, None, 8]),
    "size": (
        lambda g, m, odd: m.labels(g, codes(g), odd),
        [0, -1, (0, 8), (8, -8), (8,), (8, 8, 8), 2.5, (8.0, 8), "8", (1, 16385), (10**9, 10**9)],
    ),
    "uncertainty, size": (lambda g, m, odd: m.uncertainty(g, codes(g), odd), [0, (1, 16385), "8"]),
    "probabilities, generator": (lambda g, m, odd: m.probabilities(odd, codes(g)), [None, "demo"]),
    "masks, codes": (lambda g, m, odd: m.masks(g, odd), [codes]),
    "static": (
        lambda g, m, odd: m.masks(g, codes(g), odd),
        [5, None, (5,), "nose", ["nose"], NAMES, "all", halves()],
    ),
    "with_members": (lambda g, m, odd: m.with_members(odd), [1.0, 0, 3, None, "1", True]),
    "dtype": (lambda g, m, odd: m.to(dtype=odd), [int, torch.int8, "float32", torch.complex64, float]),
    "device": (lambda g, m, odd: m.to(odd), ["nowhere", "cuda:99", "meta", 3.5]),
    "masks_of_photo, photo": (
        lambda g, m, odd: cg.masks_of_photo(g, m, odd, 1),
        [None, [1], torch.zeros(3, 64, 64), torch.full((1, 3, 64, 64), NAN), torch.zeros(2, 3, 64, 64)],
    ),
    "masks_of_photo, config": (lambda g, m, odd: of_photo(g, m, config=odd), [{}, 3, QUICK]),
    "masks_of_photo, static": (lambda g, m, odd: of_photo(g, m, static=odd), [5, NAMES, "all", "nose"]),
    "masks_of_photo, mask generator": (lambda g, m, odd: of_photo(g, odd), [None, "demo", codes]),
    "masks_of_photo, generator": (lambda g, m, odd: of_photo(odd, m), [None, "demo"]),
    "mask_follower": (lambda g, m, odd: cg.mask_follower(g, odd), [None, "demo"]),
    "mask_follower, generator": (lambda g, m, odd: cg.mask_follower(odd, m), [None, "demo"]),
    "follow": (lambda g, m, odd: check_follow(odd), ["yes", None, 1, halves()]),
}  # fmt: skip


def of_photo(generator: Any, mask_generator: Any, **other: Any) -> object:
    return cg.masks_of_photo(generator, mask_generator, torch.zeros(1, 3, 64, 64), 1, **other)


@pytest.mark.parametrize("taker", HANDED)
def test_odd_arguments_are_refused_in_words_of_ours(
    generator: Generator, learnt: MaskGenerator, taker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is drawn."""
    take, odd_ones = HANDED[taker]
    monkeypatch.setattr(automatic_masks, "project", lambda *_, **__: pytest.fail("it was fitted"))
    for odd in odd_ones:
        with pytest.raises(InvalidInputError):
            take(generator, learnt, odd)
            pytest.fail(f"{odd!r} was taken")


def test_a_mask_generator_as_follow_is_told_how(learnt: MaskGenerator, generator: Generator) -> None:
    with pytest.raises(InvalidInputError, match=r"mask_follower\(generator, mask_generator\)"):
        check_follow(learnt)
    check_follow(cg.mask_follower(generator, learnt))


def test_one_name_may_be_static_by_itself(generator: Generator, learnt: MaskGenerator) -> None:
    sure = learnt.classifier.biases[-1].new_zeros(2, 1, 2)
    own = replace(learnt.classifier, biases=(*learnt.classifier.biases[:-1], sure))
    found = replace(learnt, classifier=replace(own, weights=tuple(one * 0 for one in own.weights)))
    with pytest.raises(InvalidInputError, match="static"):
        found.masks(generator, codes(generator), "dark", size=8)  # all pixels are the first class
    assert found.masks(generator, codes(generator), "bright", size=8).names == ("dark",)
    assert found.masks(generator, codes(generator), size=(4, 8)).size == (4, 8)


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.int16, torch.int32, torch.bool])
def test_labels_of_any_whole_numbers(generator: Generator, kind: torch.dtype) -> None:
    labels = halves().to(kind)
    assert torch.equal(checked_labels(labels, 1, 2, generator.img_size), halves())
    config = ExemplarConfig(grid=8, margin=0.0)
    found = labels_from_exemplar(generator, codes(generator), labels[0], codes(generator), config)
    assert set(found.unique().tolist()) <= {-1, 0, 1}


def test_255_is_unknown_however_many_classes_there_are(generator: Generator) -> None:
    labels = torch.full((1, 64, 64), 255)
    labels[0, 0, 0] = 254
    found = checked_labels(labels, 1, 255, generator.img_size)
    assert found[0, 0, 0] == 254 and int((found == -1).sum()) == 64 * 64 - 1
    with pytest.raises(InvalidInputError, match="at most 255"):
        trained(generator, names=tuple(map(str, range(256))))


def test_a_code_that_is_optimized_is_its_optimizer_s_to_watch(
    generator: Generator, learnt: MaskGenerator
) -> None:
    lost = codes(generator, value=NAN).tensor.requires_grad_()
    with torch.no_grad():
        found = learnt.probabilities(generator, LatentCode("w", lost), 8)
    assert not found.isfinite().any()


@pytest.mark.parametrize("seed", [(1 << 47) + 1, (1 << 48) - 1, 1 << 48, (1 << 63) - 1])
def test_seeds_up_to_the_largest(generator: Generator, seed: int) -> None:
    def weights(seed: int) -> torch.Tensor:
        found = trained(generator, config=replace(QUICK, seed=seed))
        assert isinstance(found, MaskGenerator)
        return found.classifier.weights[0]

    assert torch.equal(weights(seed), weights(seed)) and not torch.equal(weights(seed), weights(seed - 1))


def test_seeds_of_draws_are_side_by_side_or_a_hash() -> None:
    assert (
        derived_seed(3, 16, 5) == (3 << 16) + 5
        and derived_seed((1 << 44) - 1, 20, 7) == ((1 << 64) - (1 << 20)) + 7
    )
    largest = [derived_seed((1 << 63) - 1 - one, 20, step) for one in range(8) for step in range(8)]
    assert len(set(largest)) == 64 and all(0 <= one < 1 << 64 for one in largest)
    with pytest.raises(InvalidInputError, match="seed"):
        MaskTrainingConfig(seed=1 << 63)


def test_knobs_that_fit() -> None:
    assert ExemplarConfig(reach=1, margin=0, way=0, mutual=-1, coarsest=4, finest=4).grid == 64
    assert MaskTrainingConfig(hidden=[8, 4], layers=["b4.conv1"]).hidden  # type: ignore[arg-type]
