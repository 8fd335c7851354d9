"""Find Directions on the double of the host."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.node_scenes import interrupt_at
from tests.pack_on_double import NAME, SIZE, TINY, Pack

FIND, SAMPLE = "ChunkyGAN_FindDirections", "ChunkyGAN_SampleStyleGAN"
TITLE = 22  # pixels above each picture


@pytest.fixture
def tiny(pack: Pack) -> Any:
    return pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)[0]


@pytest.mark.parametrize("method", ["SeFa", "SeFa whitened", "GANSpace W", "GANSpace features"])
def test_components_and_their_sheet(pack: Pack, tiny: Any, method: str) -> None:
    given = {"generator": tiny, "method": method, "layers": "2-3, 5", "components": 3, "samples": 20}
    direction, sheet = pack.run(FIND, component=2, **given)
    assert direction.layers == (2, 3, 5) and direction.unit == "sigma" and direction.space == "w"
    assert direction.source.endswith("layers 2-3, 5, component 2")
    assert direction.fingerprint == tiny.generator.fingerprint
    assert sheet.shape == (1, 3 * (SIZE + TITLE), 7 * SIZE, 3)
    assert not direction.tensor.is_inference() and not sheet.is_inference()
    again, _ = pack.run(FIND, component=2, name="mine", **given)
    assert again.name == "mine" and torch.equal(again.tensor, direction.tensor)


def test_the_direction_goes_into_latent_edit(pack: Pack, tiny: Any) -> None:
    """Each row of the sheet is what Latent Edit makes of the direction."""
    _, code = pack.run(SAMPLE, generator=tiny, seed=3)
    inversion, _ = pack.run("ChunkyGAN_CodeToInversion", generator=tiny, code=code)
    direction, sheet = pack.run(FIND, generator=tiny, components=1, shown_on=inversion, reach=2.0)
    edited, _ = pack.run(
        "ChunkyGAN_LatentEdit", generator=tiny, inversion=inversion, loaded_direction=direction, strength=2.0
    )
    picture, *_ = pack.run("ChunkyGAN_RenderInversion", generator=tiny, inversion=edited, keep_detail="off")
    torch.testing.assert_close(sheet[:, TITLE:, -SIZE:], picture, rtol=0, atol=0.01)


def test_groups_of_pictures_codes_and_inversions(pack: Pack, tiny: Any) -> None:
    images, code = pack.run(SAMPLE, generator=tiny, seed=3, batch_size=6)
    others, other = pack.run(SAMPLE, generator=tiny, seed=40, batch_size=4)
    inversions, _ = pack.run("ChunkyGAN_CodeToInversion", generator=tiny, code=code)
    given = {"generator": tiny, "method": "two groups", "samples": 30}
    by_codes, sheet = pack.run(FIND, examples_with=code, examples_without=other, **given)
    mixed, _ = pack.run(FIND, examples_with=inversions, examples_without=other, **given)
    assert by_codes.source == "6 against 4 pictures, in W" and by_codes.name == "groups"
    assert sheet.shape[1] == SIZE + TITLE
    torch.testing.assert_close(mixed.tensor, by_codes.tensor)
    by_pictures, _ = pack.run(FIND, examples_with=images, examples_without=others, layers="4-", **given)
    assert by_pictures.layers == tuple(range(4, tiny.generator.num_ws))
    half, _ = pack.run(FIND, examples_with=images, examples_without=other, **given)
    assert half.space == "w" and not torch.equal(half.tensor, by_pictures.tensor)


def test_written_scores(pack: Pack, tiny: Any) -> None:
    images, code = pack.run(SAMPLE, generator=tiny, seed=3, batch_size=4)
    given = {"generator": tiny, "method": "scores", "samples": 30}
    direction, _ = pack.run(FIND, scored=code, scores="1, 0\n0;1", **given)
    assert direction.source == "2 against 2 pictures, in W"
    direction, _ = pack.run(FIND, scored=images, scores=".1 .7 .2 .9", **given)
    assert direction.source == "scores of 4 pictures, in W"


def test_a_scorer_judges_random_pictures(pack: Pack, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Redness:
        names = ("red",)

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :1].mean(dim=(2, 3))

    monkeypatch.setattr(sys.modules[f"{NAME}.nodes.direction_search"], "load_scorer", lambda *_: Redness())
    given = {"generator": tiny, "method": "scores", "samples": 60}
    direction, sheet = pack.run(FIND, attribute=" red ", **given)
    assert direction.name == "red" and direction.source == "scores of 60 pictures, in W"
    red = sheet[0, TITLE:, :, 0].unflatten(1, (7, SIZE)).mean(dim=(0, 2))
    assert red[2] < red[3] < red[4]  # what grows along it is what was scored


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"component": 8}, "component is 8, and 8 are found"),
        ({"layers": "90"}, "there are 0 to"),
        ({"components": 64}, "there are 1 to 32"),
        ({"method": "two groups"}, "examples_with and examples_without"),
        ({"method": "scores", "scores": "1 0"}, "but of what"),
    ],
)
def test_what_is_missing_is_said(pack: Pack, tiny: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(pack.errors.InvalidInputError, match=said):
        pack.run(FIND, generator=tiny, **given)


def test_scores_must_be_numbers_and_as_many(pack: Pack, tiny: Any) -> None:
    _, code = pack.run(SAMPLE, generator=tiny, seed=3, batch_size=3)
    for scores, said in (("1 0", "2 scores were given for 3"), ("yes no no", "can't be read")):
        with pytest.raises(pack.errors.InvalidInputError, match=said):
            pack.run(FIND, generator=tiny, method="scores", scored=code, scores=scores)


def test_it_can_be_interrupted(pack: Pack, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(pack, monkeypatch, 2)
    with pytest.raises(pack.management.InterruptProcessingException):
        pack.run(FIND, generator=tiny, method="GANSpace features", samples=200, components=2)


def test_a_sheet_that_nobody_looks_at_is_not_drawn(pack: Pack, tiny: Any) -> None:
    prompt = {
        "1": {"class_type": FIND, "inputs": {}},
        "2": {"class_type": "ChunkyGAN_LatentEdit", "inputs": {"loaded_direction": ["1", 0]}},
    }
    with pack.running(prompt, "1", "2"):
        direction, sheet = pack.run(FIND, generator=tiny)
        unseen = pack.nodes[FIND].fingerprint_inputs(scorer="demo")
    assert sheet is None and direction.name == "sefa_0"
    prompt["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 1]}}
    with pack.running(prompt, "1", "2", "3"):
        assert pack.nodes[FIND].fingerprint_inputs(scorer="demo") != unseen


def test_a_scorer_that_is_gone_is_explained(pack: Pack, tmp_path: Path) -> None:
    assert pack.nodes[FIND].validate_inputs(scorer="demo") is True
    said = pack.nodes[FIND].validate_inputs(scorer="gone.onnx")
    assert isinstance(said, str) and "gone.onnx" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "SeFa", "component": 8, "components": 8}, "component is 8, and 8 are found"),
        ({"method": "two groups", "component": 8, "components": 8}, None),
        ({"component": 8, "components": 8}, None),  # the method is linked
        ({"components": 65}, "components is 65; expected 1 to 64"),
        ({"component": -1}, "component is -1; expected 0 to 63"),
        ({"method": "sefa"}, "method is 'sefa'; expected one of SeFa, "),
        ({"layers": "foo"}, "the layers are 'foo'"),
        ({"layers": "2-3, coarse"}, None),
        ({"method": "scores", "scores": "", "scorer": "demo", "attribute": "wings"}, "no attribute 'wings'"),
        ({"method": "scores", "scores": "1 0", "scorer": "demo", "attribute": "wings"}, None),
        ({"method": "scores", "scores": "1 0 x"}, "the scores can't be read"),
        ({"method": "SeFa", "scores": "x", "attribute": "wings"}, None),
    ],
)
def test_mistakes_are_found_before_the_run(pack: Pack, given: dict[str, Any], said: str | None) -> None:
    found = pack.nodes[FIND].validate_inputs(**given)
    assert found is True if said is None else said in str(found)


def test_a_component_that_does_not_count_is_told(pack: Pack, tiny: Any) -> None:
    _, code = pack.run(SAMPLE, generator=tiny, seed=3, batch_size=6)
    _, other = pack.run(SAMPLE, generator=tiny, seed=40, batch_size=4)
    prompt = {"1": {"class_type": FIND, "inputs": {}}}
    events = sys.modules["server"].PromptServer.instance.events
    events.clear()
    for component in (0, 3):
        with pack.running(prompt, "1"):
            pack.run(
                FIND,
                generator=tiny,
                method="two groups",
                component=component,
                examples_with=code,
                examples_without=other,
            )
    plain, told = (data["text"] for event, data in events if event == "chunkygan.text")
    assert told == f"{plain}\ncomponent 3 doesn't count: two groups gives one direction"
