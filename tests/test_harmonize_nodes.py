"""Harmonize Segments on a double of the host."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.node_scenes import made_scene
from tests.pack_on_double import SIZE, TINY, Pack

HARMONIZE, EDIT, RENDER = "ChunkyGAN_HarmonizeSegments", "ChunkyGAN_LatentEdit", "ChunkyGAN_RenderInversion"
STEPS = 3
WIDGETS = {"steps": STEPS, "strength": 1.0, "segments": "", "hold": 0.5, "width": 24.0}


@pytest.fixture(scope="module")
def given(pack: Pack) -> dict[str, Any]:
    """A generator and two edited inversions of eyes and a mouth."""
    scene = made_scene(pack)
    links = {"generator": scene.generator, "image": scene.image, "segments": scene.segments}
    inversion, _ = pack.run("ChunkyGAN_SegmentedProjection", **links, steps=3)
    edited, _ = pack.run(
        EDIT,
        generator=scene.generator,
        inversion=inversion,
        direction=f"{TINY}/smile",
        segments="all",
        strength=4.0,
    )
    return {"generator": scene.generator, "inversion": edited}


@pytest.fixture(scope="module")
def harmonized(pack: Pack, given: dict[str, Any]) -> tuple[Any, Any]:
    pack.sent.clear()
    return pack.run(HARMONIZE, **given, **WIDGETS)


def test_every_photo_is_harmonized(pack: Pack, given: dict[str, Any], harmonized: tuple[Any, Any]) -> None:
    records, pictures = harmonized
    assert pictures.shape == (2, SIZE, SIZE, 3)
    for record, before in zip(records, given["inversion"], strict=True):
        assert record.edits[0] is before.edits[0] and len(record.edits) > 1
        assert all(edit.harmonizes and not edit.direction.tensor.is_inference() for edit in record.edits[1:])
    (rendered,) = pack.run(RENDER, generator=given["generator"], inversion=records, edited=True)
    assert torch.equal(rendered, pictures)


def test_each_step_of_each_photo_is_reported(pack: Pack, given: dict[str, Any]) -> None:
    pack.sent.clear()
    pack.run(HARMONIZE, **given, **WIDGETS)
    assert [value for value, _, _ in pack.sent] == list(range(1, 2 * STEPS + 1))


def test_changed_edits_leave_it_out_and_say_so(
    pack: Pack, given: dict[str, Any], harmonized: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    records = tuple(one.with_edit_replaced(0, replace(one.edits[0], strength=1.0)) for one in harmonized[0])
    plain = tuple(replace(one, edits=one.edits[:1]) for one in records)
    pack.server.events.clear()
    caplog.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the notice says it, and no warning beside it
        (found,) = pack.run(RENDER, generator=given["generator"], inversion=records, edited=True)
    assert sum("harmonize anew" in str(event) for event in pack.server.events) == 1
    assert sum("harmonize anew" in message for message in caplog.messages) == 1
    (expected,) = pack.run(RENDER, generator=given["generator"], inversion=plain, edited=True)
    assert torch.equal(found, expected)


def test_errors_say_what_to_do(pack: Pack, given: dict[str, Any]) -> None:
    with pytest.raises(pack.errors.InvalidInputError, match="nose"):
        pack.run(HARMONIZE, **given, **WIDGETS | {"segments": "nose"})


def test_an_interruption_reaches_the_host(
    pack: Pack, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack.management, "interrupted", True)
    with pytest.raises(pack.management.InterruptProcessingException):
        pack.run(HARMONIZE, **given, **WIDGETS)
