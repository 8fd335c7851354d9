"""The nodes of mask generators on the double of the host."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.node_scenes import interrupt_at
from tests.pack_on_double import NAME, SIZE, TINY, Pack

TRAIN, GENERATE = "ChunkyGAN_TrainMaskGenerator", "ChunkyGAN_GenerateMasks"
LOAD, SAVE, SAMPLE = "ChunkyGAN_LoadMaskGenerator", "ChunkyGAN_SaveMaskGenerator", "ChunkyGAN_SampleStyleGAN"
QUICK = {"steps": 60, "members": 2, "samples": 0}


@pytest.fixture(scope="module")
def tiny(pack: Pack) -> Any:
    return pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)[0]


@pytest.fixture(scope="module")
def drawn(pack: Pack, tiny: Any) -> tuple[torch.Tensor, Any]:
    """Pictures and codes of which what is bright is labelled."""
    return pack.run(SAMPLE, generator=tiny, seed=3, batch_size=3)


def bright(images: torch.Tensor) -> torch.Tensor:
    gray = images.mean(dim=-1)
    return (gray > gray.flatten(1).median(dim=1).values[:, None, None]).long()


@pytest.fixture(scope="module")
def trained(pack: Pack, tiny: Any, drawn: tuple[torch.Tensor, Any]) -> Any:
    images, code = drawn
    (found,) = pack.run(TRAIN, generator=tiny, code=code, labels=label_map(pack, bright(images)), **QUICK)
    return found


def label_map(pack: Pack, labels: torch.Tensor) -> Any:
    types = sys.modules[f"{NAME}.nodes.types"]
    return types.LabelMap(labels, {0: "dark", 1: "bright"})


def test_what_was_learnt_is_found_again(pack: Pack, tiny: Any, drawn: Any, trained: Any) -> None:
    images, code = drawn
    segments, masks, names, labels, uncertainty, given, shown = pack.run(
        GENERATE, generator=tiny, mask_generator=trained, source=code, static=""
    )
    assert trained.names == ("dark", "bright") and [one.names for one in segments] == [("dark", "bright")] * 3
    assert masks.shape == (6, SIZE, SIZE) and names == "dark, bright, dark, bright, dark, bright"
    assert labels.names == {0: "dark", 1: "bright"}
    assert (labels.labels == bright(images)).float().mean() > 0.8
    torch.testing.assert_close(masks.unflatten(0, (3, 2)).sum(dim=1), torch.ones(3, SIZE, SIZE))
    assert uncertainty.shape == (3, SIZE, SIZE) and 0 <= uncertainty.min() <= uncertainty.max() <= 1
    assert torch.equal(given.tensor, code.tensor) and shown.shape[0] == 3
    assert not any(one.is_inference() for one in (masks, uncertainty, labels.labels, segments[0].masks))


def test_static_classes_and_inversions(pack: Pack, tiny: Any, drawn: Any, trained: Any) -> None:
    code = replace(drawn[1], tensor=drawn[1].tensor[:1])
    given = {"generator": tiny, "mask_generator": trained, "static": "dark"}
    (first, *_), *_, codes, _ = pack.run(GENERATE, source=code, **given)
    assert first.names == ("bright",)
    one, _ = pack.run("ChunkyGAN_CodeToInversion", generator=tiny, code=codes)
    (again, *_), *_ = pack.run(GENERATE, source=one, **given)
    torch.testing.assert_close(again.masks, first.masks, atol=1e-3, rtol=0)
    with pytest.raises(pack.errors.InvalidInputError, match="eyes"):
        pack.run(GENERATE, source=code, **given | {"static": "eyes"})


def test_a_photo_is_fitted_first(pack: Pack, tiny: Any, drawn: Any, trained: Any) -> None:
    images, _ = drawn
    pack.sent.clear()
    given = {"generator": tiny, "mask_generator": trained, "source": images[:2], "static": ""}
    segments, _, _, few, *_ = pack.run(GENERATE, steps=1, **given)
    assert len(segments) == 2 and pack.sent
    _, _, _, many, _, code, _ = pack.run(GENERATE, steps=60, **given | {"source": images[1:2]})
    assert code.space == "w+" and len(code.tensor) == 1
    truth = bright(images[1:2])
    first, last = ((labels == truth).float().mean() for labels in (few.labels[1:2], many.labels))
    assert last > first > 0.5 and last > 0.65


def test_masks_and_segments_as_labels(pack: Pack, tiny: Any, drawn: Any) -> None:
    images, code = drawn
    light = bright(images).float()
    given = {"generator": tiny, "code": code, **QUICK, "steps": 2}
    (found,) = pack.run(TRAIN, labels=light, names="bright", **given)
    assert found.names == ("bright", "background")
    sets = tuple(
        pack.run(
            "ChunkyGAN_SegmentMasks", image=images[:1], masks=one[None], names="bright", grow=0, feather=0.0
        )[0][0]
        for one in light
    )
    (same,) = pack.run(TRAIN, labels=sets, **given)
    assert same.names == found.names
    for one, other in zip(same.classifier.weights, found.classifier.weights, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(pack.errors.InvalidInputError, match="3 masks for 3 codes and 2 names"):
        pack.run(TRAIN, labels=light, names="bright, dark", **given)
    with pytest.raises(pack.errors.InvalidInputError, match="2 pictures for 3 codes"):
        pack.run(TRAIN, labels=sets[:2], **given)


def test_one_exemplar(pack: Pack, tiny: Any) -> None:
    images, code = pack.run(SAMPLE, generator=tiny, seed=3)
    given = {"generator": tiny, "code": code, "labels": label_map(pack, bright(images)), **QUICK, "steps": 2}
    (alone,) = pack.run(TRAIN, **given)
    (found,) = pack.run(TRAIN, **given | {"samples": 1})
    assert found.names == ("dark", "bright")
    assert not torch.equal(found.classifier.mean, alone.classifier.mean)  # other pictures were looked at


def test_an_inversion_is_as_good_as_its_code(pack: Pack, tiny: Any, drawn: Any) -> None:
    images, code = drawn
    inversions = tuple(
        pack.run(
            "ChunkyGAN_CodeToInversion",
            generator=tiny,
            code=type(code)(code.space, code.tensor[index : index + 1]),
        )[0][0]
        for index in range(3)
    )
    given = {"generator": tiny, "labels": label_map(pack, bright(images)), **QUICK, "steps": 2}
    (by_code,), (by_inversion,) = (pack.run(TRAIN, code=one, **given) for one in (code, inversions))
    for one, other in zip(by_code.classifier.weights, by_inversion.classifier.weights, strict=True):
        torch.testing.assert_close(one, other)


def test_training_goes_on_after_an_interruption(
    pack: Pack, tiny: Any, drawn: Any, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, code = drawn
    given = {"generator": tiny, "code": code, "labels": label_map(pack, bright(images)), **QUICK}
    with monkeypatch.context() as patched:
        interrupt_at(pack, patched, 20)
        with pytest.raises(pack.management.InterruptProcessingException):
            pack.run(TRAIN, **given)
    begun, names = pack.run(LOAD, generator=tiny, name="unfinished.safetensors")
    assert names == "dark, bright" and begun.training.step == 20
    (found,) = pack.run(TRAIN, mask_generator=begun, **given)
    for one, other in zip(found.classifier.weights, trained.classifier.weights, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(pack.errors.InvalidInputError, match="60 steps already"):
        pack.run(TRAIN, mask_generator=found, **given)
    strange = pack.run(
        "ChunkyGAN_SegmentMasks", image=images, masks=bright(images)[:1].float(), names="hair"
    )[0]
    with pytest.raises(pack.errors.InvalidInputError, match="hair"):
        pack.run(TRAIN, mask_generator=found, **given | {"labels": strange, "steps": 90})


def test_saved_and_opened(pack: Pack, tiny: Any, trained: Any) -> None:
    (file,) = pack.run(SAVE, mask_generator=trained, file="faces/mine")
    (second,) = pack.run(SAVE, mask_generator=trained, file="faces/mine", keep_training=False)
    assert Path(second).name == "mine_2.safetensors"
    assert Path(second).stat().st_size < 0.5 * Path(file).stat().st_size
    (listed,) = (one for one in pack.schemas[LOAD].inputs if one.id == "name")
    assert (
        listed.widget["options"][0] == "demo (built in)"
        and "faces/mine.safetensors" in listed.widget["options"]
    )
    found, names = pack.run(LOAD, generator=tiny, name="faces/mine.safetensors")
    assert names == "dark, bright" and found.training is not None
    for one, other in zip(found.classifier.weights, trained.classifier.weights, strict=True):
        assert torch.equal(one, other)
    assert Path(file).parent == pack.base / "models" / "chunkygan" / "mask_generators" / "faces"
    before = pack.base / "models" / "stylegan_mask_generators" / "old.safetensors"  # where they were once
    before.parent.mkdir()
    Path(second).rename(before)
    assert pack.run(LOAD, generator=tiny, name="old.safetensors")[1] == names
    given = {"generator": None, "name": "faces/mine.safetensors"}  # as the host asks: None for what is linked
    known = pack.nodes[LOAD].fingerprint_inputs(**given)
    Path(file).touch()
    assert pack.nodes[LOAD].fingerprint_inputs(**given) != known
    with pytest.raises(pack.errors.WrongGeneratorError, match=tiny.generator.fingerprint[:12]):
        pack.run(LOAD, generator=tiny)  # the demo's
    said = pack.nodes[LOAD].validate_inputs(name="gone.safetensors")
    assert isinstance(said, str) and "gone.safetensors" in said
    assert "leads out" in pack.nodes[SAVE].validate_inputs(file="../mine")


def test_that_of_another_generator_is_refused_everywhere(
    pack: Pack, tiny: Any, drawn: Any, trained: Any
) -> None:
    images, code = drawn
    other = replace(trained, fingerprint="f" * 64)
    given = {"generator": tiny, "mask_generator": other}
    labels = {"code": code, "labels": label_map(pack, bright(images)), **QUICK, "steps": 90}
    for node, more in ((GENERATE, {"source": code}), (GENERATE, {"source": images[:1]}), (TRAIN, labels)):
        with pytest.raises(pack.errors.WrongGeneratorError, match=f"ffff.*{trained.fingerprint[:12]}"):
            pack.run(node, **given, **more)
