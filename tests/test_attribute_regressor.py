"""The demo's attribute regressor: it holds its promises on people never drawn for training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from chunky_core.checkpoints import load_generator
from chunky_core.demo.portraits import ATTRIBUTES, INDEX, LABEL, draw_portraits
from chunky_core.demo.train_attributes import demo_readout
from chunky_core.demo.training.attribute_pictures import AttributePictures, make_pictures
from chunky_core.demo.training.attribute_regression import (
    READABLE,
    AttributeBatches,
    only_readable,
    r2_of,
    whole_attributes,
)
from chunky_core.demo.training.identity_head import pictures
from chunky_core.editing.scorers import DEMO_FILE, AttributeScorer, load_scorer
from chunky_core.losses.feature_network import FeatureNetwork, FeatureSizes

FIGURES = json.loads(DEMO_FILE.with_name("attribute_figures.json").read_text())
UNSEEN = 5_000_001
EDITED = ("smile", "age", "beard", "glasses")
pytestmark = pytest.mark.cpu("the demo's regressor is trained and measured on the CPU")


@pytest.fixture(scope="module")
def scorer() -> AttributeScorer:
    return load_scorer("demo")


@pytest.fixture(scope="module")
def drawn() -> AttributePictures:
    return make_pictures(load_generator("demo"), demo_readout(), 32, 12, UNSEEN, spread=1.0)


def test_the_file_is_small_and_offers_what_can_be_read(scorer: AttributeScorer) -> None:
    assert DEMO_FILE.stat().st_size <= 1 << 20
    assert list(scorer.names) == FIGURES["offered"] and set(EDITED) <= set(scorer.names)
    assert all(FIGURES["r2"]["generated"][name] >= READABLE for name in scorer.names)
    assert all(set(table) == set(ATTRIBUTES) for table in FIGURES["r2"].values())


def test_attributes_of_unseen_people_are_read(scorer: AttributeScorer, drawn: AttributePictures) -> None:
    columns = [INDEX[name] for name in scorer.names]
    for kind, images, rows in (
        ("renders", drawn.portraits, drawn.portrait_rows),
        ("generated", drawn.edited, drawn.edited_rows),
    ):
        found = torch.tensor(r2_of(scorer(pictures(images)), torch.from_numpy(rows)[:, columns])).mean()
        documented = np.mean([FIGURES["r2"][kind][name] for name in scorer.names])
        assert float(found) > documented - 0.2, kind


@pytest.mark.parametrize("name", EDITED)
def test_more_of_an_attribute_scores_higher(scorer: AttributeScorer, name: str) -> None:
    people = torch.randn(6, len(ATTRIBUTES), generator=torch.Generator().manual_seed(UNSEEN))
    scores = []
    for value in (-1.5, 0.5, 2.0):
        people[:, INDEX[name]] = value
        scores.append(scorer(draw_portraits(people, 128)[0])[:, scorer.names.index(name)].mean())
    assert scores[0] + 0.3 < scores[1] and scores[1] + 0.3 < scores[2]


def test_attributes_are_those_of_the_part_that_shows_them() -> None:
    rows = torch.zeros(1, len(LABEL), len(ATTRIBUTES))
    rows[0, LABEL["mouth"], INDEX["smile"]] = 2.0
    rows[0, LABEL["skin"], INDEX["smile"]] = -1.0
    rows[0, LABEL["left_eye"], INDEX["gaze_x"]] = 1.0
    found = whole_attributes(rows)[0]
    assert found[INDEX["smile"]] == 2.0 and found[INDEX["gaze_x"]] == 0.5


def test_batches_belong_to_their_step_and_edits_to_their_parts(drawn: AttributePictures) -> None:
    batches = AttributeBatches(drawn, 0)
    first, again, other = (batches.draw(step, 16) for step in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])
    assert first[0].shape == (16, 3, 128, 128) and first[1].shape == (16, len(ATTRIBUTES))
    images, rows = batches.edited_photos(np.random.default_rng(0), 64)
    assert images.min() >= -1 and images.max() <= 1
    known = torch.cat(
        [whole_attributes(torch.from_numpy(drawn.photo_rows)), torch.from_numpy(drawn.generated_rows)]
    )
    yaw = rows[:, INDEX["yaw"]]  # belongs to the head, which no edit turns here
    assert torch.isin(yaw, known[:, INDEX["yaw"]]).all()
    assert not torch.isin(rows[:, INDEX["smile"]], known[: len(drawn.photos), INDEX["smile"]]).all()


def test_what_cannot_be_read_is_not_offered() -> None:
    sizes = FeatureSizes("attributes", (4, 6), neck=3, grid=2, embedding=3, side=32, names=("a", "b", "c"))
    with torch.random.fork_rng(devices=[]):
        network = FeatureNetwork(sizes).requires_grad_(False)
    smaller = only_readable(network, {"generated": {"a": 0.9, "b": 0.49, "c": READABLE}})
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert smaller.sizes.names == ("a", "c")
    assert torch.allclose(smaller.scores(images), network.scores(images)[:, [0, 2]])
