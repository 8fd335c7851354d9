"""The demo domain's portraits and photos: determinism, labels, attributes that act, resolutions, extras."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import (
    ATTRIBUTES,
    EXTRAS,
    INDEX,
    LABEL,
    LABELS,
    PALETTE,
    PARTS,
    SHARED_ATTRIBUTES,
    draw_portraits,
)
from chunky_core.errors import InvalidInputError

REQUIRED = (
    "smile", "gaze_x", "gaze_y", "mouth_open", "age", "yaw", "beard", "glasses",
    "hair_length", "hair_colour", "skin",
)  # fmt: skip
ALWAYS_SEEN = ("background", "hair", "skin", "left_eye", "right_eye", "nose", "mouth", "neck", "cloth")


def people(count: int, seed: int = 0, spread: float = 1.0) -> Tensor:
    return spread * torch.randn(count, len(ATTRIBUTES), generator=torch.Generator().manual_seed(seed))


def test_vocabulary_is_complete() -> None:
    assert len(ATTRIBUTES) == len(set(ATTRIBUTES)) == 48
    assert set(REQUIRED) <= set(ATTRIBUTES) and set(SHARED_ATTRIBUTES) <= set(ATTRIBUTES)
    assert LABELS == PARTS + EXTRAS and len(PARTS) == 13
    assert PALETTE.shape == (len(LABELS), 3) and PALETTE.dtype == torch.uint8
    assert len(PALETTE.unique(dim=0)) == len(LABELS)


def test_same_numbers_give_the_same_picture_whatever_the_batch() -> None:
    u = people(9)
    before = u.clone()
    image, labels = draw_portraits(u, 128)
    alone, alone_labels = draw_portraits(u[5:6], 128)
    assert torch.equal(u, before)
    assert torch.equal(image[5:6], alone) and torch.equal(labels[5:6], alone_labels)
    assert image.shape == (9, 3, 128, 128) and image.dtype == torch.float32
    assert labels.shape == (9, 128, 128) and labels.dtype == torch.uint8
    assert float(image.min()) >= -1.0 and float(image.max()) <= 1.0


def test_every_part_has_its_label_and_no_other() -> None:
    _, labels = draw_portraits(people(24), 128)
    for name in ALWAYS_SEEN:
        assert bool((labels == LABEL[name]).flatten(1).any(1).all()), name
    assert set(labels.unique().tolist()) == {LABEL[name] for name in PARTS}


def test_left_and_right_are_those_of_the_picture() -> None:
    _, labels = draw_portraits(people(8), 128)
    columns = torch.arange(128.0)
    for name in ("eye", "brow"):
        left, right = ((labels == LABEL[f"{side}_{name}"]).float() for side in ("left", "right"))
        assert (
            float((left * columns).sum() / left.sum()) < 64.0 < float((right * columns).sum() / right.sum())
        )


def test_glasses_are_labelled_only_where_they_show() -> None:
    u = people(4)
    seen = []
    for strength in (-1.5, 1.5):
        u[:, INDEX["glasses"]] = strength
        seen.append(int((draw_portraits(u, 128)[1] == LABEL["glasses"]).sum()))
    assert seen[0] == 0 and seen[1] > 4 * 200


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attribute_acts_on_both_sides_of_its_mean(name: str) -> None:
    u = people(6, seed=5, spread=0.7)
    pictures = []
    for strength in (-1.5, 0.0, 1.5):
        u[:, INDEX[name]] = strength
        pictures.append(draw_portraits(u, 96)[0])
    below, above = (pictures[1] - pictures[0]).abs(), (pictures[2] - pictures[1]).abs()
    strongest = (pictures[2] - pictures[0]).abs().amax(1).flatten(1).topk(12).values.mean()
    assert float(strongest) > 0.09  # of 2: the pixels that change most change visibly
    assert 1 / 5 < float(above.mean() / below.mean()) < 5


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attribute_acts_smoothly(name: str) -> None:
    """Halving a small step about halves the change: no jumps that a network could not learn."""
    u = people(4, seed=6, spread=0.7)
    u[:, INDEX[name]] = 0.1
    centre = draw_portraits(u, 96)[0]
    changes = []
    for step in (0.02, 0.01):
        u[:, INDEX[name]] = 0.1 + step
        changes.append(float((draw_portraits(u, 96)[0] - centre).abs().mean()))
    assert 1.5 < changes[0] / changes[1] < 2.5


def test_resolutions_agree() -> None:
    u = people(4)
    image, labels = draw_portraits(u, 256)
    finer, finer_labels = draw_portraits(u, 512)
    assert float((F.avg_pool2d(finer, 2) - image).abs().mean()) < 0.005
    assert float((finer_labels[:, ::2, ::2] == labels).float().mean()) > 0.98


def test_equal_rows_per_part_are_one_person() -> None:
    u = people(3)
    image, labels = draw_portraits(u, 96)
    image_by_part, labels_by_part = draw_portraits(u[:, None].expand(-1, len(PARTS), -1), 96)
    assert torch.equal(image, image_by_part) and torch.equal(labels, labels_by_part)


def test_a_part_reads_only_its_own_row_and_the_shared_attributes() -> None:
    u = people(2)[:, None].repeat(1, len(PARTS), 1)
    image, labels = draw_portraits(u, 128)
    u[:, LABEL["mouth"]] += 2.0  # shared attributes of this row are not read
    changed = (draw_portraits(u, 128)[0] - image).abs().amax(1) > 1e-6
    near_mouth = F.max_pool2d((labels == LABEL["mouth"]).float()[:, None], 41, 1, 20)[:, 0] > 0
    assert bool(changed.any()) and not bool((changed & ~near_mouth).any())


@pytest.mark.parametrize("shape", [(48,), (1, 47), (1, 12, 48), (0, 48), (1, 13, 48, 1)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        draw_portraits(torch.zeros(shape), 64)


def test_numbers_that_are_not_finite_and_tiny_pictures_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="finite"):
        draw_portraits(torch.full((1, 48), torch.nan), 64)
    with pytest.raises(InvalidInputError, match="resolution 8"):
        draw_portraits(torch.zeros(1, 48), 8)


def test_photo_is_seeded_and_of_eight_bits() -> None:
    global_state = torch.random.get_rng_state()
    photo, again, other = (
        demo_photo(1, resolution=128),
        demo_photo(1, resolution=128),
        demo_photo(2, resolution=128),
    )
    assert torch.equal(torch.random.get_rng_state(), global_state)
    assert torch.equal(photo.image, again.image) and torch.equal(photo.labels, again.labels)
    assert not torch.equal(photo.image, other.image)
    assert photo.image.shape == (1, 3, 128, 128) and photo.labels.shape == (128, 128)
    levels = (photo.image + 1.0) * 127.5
    assert float((levels - levels.round()).abs().max()) < 1e-3


def test_plain_photo_is_the_render_of_its_attributes() -> None:
    photo = demo_photo(4, resolution=96, nuisances=False)
    image, labels = draw_portraits(photo.attributes[None], 96)
    assert float((photo.image - image).abs().max()) < 1.01 / 255
    assert torch.equal(photo.labels, labels[0])


def test_nuisances_and_deviating_parts_make_another_picture() -> None:
    photo = demo_photo(4, resolution=96)
    assert float((photo.image - draw_portraits(photo.attributes[None], 96)[0]).abs().mean()) > 0.02
    own = [index for index, name in enumerate(ATTRIBUTES) if name not in SHARED_ATTRIBUTES]
    shared = [INDEX[name] for name in SHARED_ATTRIBUTES]
    assert float(photo.attributes[:, own].std(0).mean()) > 0.5
    assert float(photo.attributes[:, shared].std(0).max()) < 1e-6
    assert float(demo_photo(4, resolution=96, part_deviation=0.0).attributes.std(0).max()) < 1e-6


@pytest.mark.parametrize("name", EXTRAS)
def test_extra_has_its_label_and_leaves_the_rest_alone(name: str) -> None:
    for seed in (1, 2):
        with_extra = demo_photo(seed, resolution=96, extras=(name,), nuisances=False)
        without = draw_portraits(with_extra.attributes[None], 96)[1][0]
        mine = with_extra.labels == LABEL[name]
        assert int(mine.sum()) >= 8
        assert torch.equal(with_extra.labels[~mine], without[~mine])


def test_a_changed_photo_is_the_same_person_with_the_change_only() -> None:
    photo, same, smiling = (
        demo_photo(3, resolution=64, changes=changes) for changes in (None, {}, {"smile": 2.0})
    )
    assert torch.equal(photo.image, same.image)
    moved = (smiling.attributes - photo.attributes).abs()
    assert torch.allclose(moved[:, INDEX["smile"]], torch.tensor(2.0)) and moved.sum() == pytest.approx(
        2.0 * len(moved), rel=1e-5
    )
    changed = (smiling.image != photo.image).any(dim=1)[0]
    assert changed.any() and not changed[photo.labels == LABELS.index("background")].any()
    with pytest.raises(InvalidInputError, match="attribute 'grin'"):
        demo_photo(3, resolution=64, changes={"grin": 1.0})


def test_unknown_extras_and_deviations_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="monocle"):
        demo_photo(0, extras=("monocle",))
    with pytest.raises(InvalidInputError, match="deviation"):
        demo_photo(0, part_deviation=-1.0)
