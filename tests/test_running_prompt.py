"""What the nodes see of the prompt that runs, on the double of the host; tests/host asks the real one."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.pack_on_double import TINY, Pack

PROMPT: dict[str, Any] = {
    "1": {"class_type": "One", "inputs": {"number": 1}},
    "2": {"class_type": "Two", "inputs": {"given": ["1", 1], "text": "1"}},
    "3": {"class_type": "Three", "inputs": {"given": ["2", 0], "list.first": ["1", 2]}},
}


def test_an_output_is_used_where_another_node_is_linked_to_it(pack: Pack) -> None:
    with pack.running(PROMPT, "1"):
        assert [pack.host.output_is_used(index) for index in range(4)] == [False, True, True, False]
    with pack.running(PROMPT, "3"):
        assert not pack.host.output_is_used(0)


def test_where_the_prompt_is_not_known_every_output_counts_as_used(pack: Pack) -> None:
    assert pack.host.running_node() is None and pack.host.output_is_used(7)
    with pack.running(PROMPT, "1.0.0.5"):  # a node that another one put in while the prompt ran
        assert pack.host.running_node() is None and pack.host.output_is_used(7)


def a_graph(*nodes: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """A projection "p", nodes (id, kind, inputs) behind it, and an output node "out" behind the last of them."""
    prompt: dict[str, Any] = {"p": {"class_type": "ChunkyGAN_SegmentedProjection", "inputs": {}}}
    for id, kind, inputs in nodes:
        prompt[id] = {"class_type": f"ChunkyGAN_{kind}", "inputs": inputs, "_meta": {"title": f"My {kind}"}}
    prompt["out"] = {"class_type": "SaveImage", "inputs": {"images": [nodes[-1][0], 1]}}
    return prompt


def edit(source: str, segments: Any, enabled: Any = True) -> dict[str, Any]:
    return {"inversion": [source, 0], "segments": segments, "enabled": enabled}


def check(pack: Pack, prompt: dict[str, Any], *wanted: str) -> None:
    downstream = sys.modules[f"{pack.module.__name__}.nodes.downstream"]
    with pack.running(prompt, "p", *(wanted or ("out",))):
        (hosted,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
        downstream.check_later_nodes(("left_eye", "right_eye", "mouth"), hosted.generator)


def fill(source: str, segment: Any) -> dict[str, Any]:
    return {"inversion": [source, 0], "segment": segment}


WRONG = {
    "an edit": a_graph(("e", "LatentEdit", edit("p", "mouth, wings"))),
    "an edit behind others": a_graph(
        ("e", "LatentEdit", edit("p", "all")),
        ("r", "RefineBoundaries", {"inversion": ["e", 0], "names": "eyes"}),
        ("f", "LatentEdit", edit("r", "wings")),
    ),
    "refined": a_graph(("r", "RefineBoundaries", {"inversion": ["p", 0], "names": "wings"})),
    "filled": a_graph(("f", "FillRegion", fill("p", "wings"))),
    "filled elsewhere only": a_graph(
        ("f", "FillRegion", fill("p", "mouth")), ("e", "LatentEdit", edit("f", "mouth_fill, wings"))
    ),
}
RIGHT = {
    "known": a_graph(("e", "LatentEdit", edit("p", "eyes, mouth")), ("f", "LatentEdit", edit("e", " "))),
    "switched off": a_graph(("e", "LatentEdit", edit("p", "wings", enabled=False))),
    "known only when it runs": a_graph(
        ("e", "LatentEdit", edit("p", ["text", 0])),
        ("f", "LatentEdit", edit("e", "wings", enabled=["on", 0])),
    )
    | {"text": {"class_type": "String", "inputs": {}}, "on": {"class_type": "Boolean", "inputs": {}}},
    "filled before": a_graph(
        ("f", "FillRegion", fill("p", "mouth")),
        ("g", "FillRegion", fill("f", "mouth")),
        ("e", "LatentEdit", edit("g", "mouth_fill, mouth_fill_2")),
    ),
    "of an unknown node": a_graph(
        ("x", "Other", edit("p", "wings")), ("e", "LatentEdit", edit("x", "wings"))
    ),
    "with a widget that holds a list": a_graph(
        ("e", "LatentEdit", edit("p", "mouth") | {"pair": ["", ""], "files": ["a.png", "b.png"], "none": []})
    ),
    "an edit along what is found": a_graph(
        ("d", "FindDirections", {"layers": "2-9", "method": "SeFa", "shown_on": ["p", 0]}),
        ("l", "EditList", {"inversion": ["p", 0], "changes": "1: segments eyes\n1: layers 4-"}),
        ("e", "LatentEdit", edit("l", "mouth") | {"loaded_direction": ["d", 0]}),
    ),
    "not what the prompt runs for": a_graph(("e", "LatentEdit", edit("p", "mouth")))
    | {"loose": {"class_type": "ChunkyGAN_LatentEdit", "inputs": edit("p", "wings")}},
}


@pytest.mark.parametrize("prompt", WRONG.values(), ids=WRONG)
def test_a_wrong_name_in_a_later_node_is_found_at_once(pack: Pack, prompt: dict[str, Any]) -> None:
    with pytest.raises(
        pack.errors.InvalidInputError, match=r"^My \w+ \(node .\).*'wings'.*left_eye, right_eye, mouth"
    ):
        check(pack, prompt)


def test_a_direction_of_another_generator_is_found_at_once(pack: Pack) -> None:
    prompts = [
        a_graph(("e", "LatentEdit", edit("p", "mouth") | {"direction": name}))
        for name in (f"{TINY}/smile", "smile", f"{TINY}/none")
    ]
    check(pack, prompts[0])
    with pytest.raises(
        pack.errors.InvalidInputError,
        match="^My LatentEdit .node e. would fail: .*the direction 'smile' has 48 numbers, .* 32 .*fit it: ",
    ):
        check(pack, prompts[1])
    with pytest.raises(pack.errors.InvalidInputError, match="no direction 'none'"):
        check(pack, prompts[2])


def found_for(source: str, **inputs: Any) -> dict[str, Any]:
    """A Latent Edit along what Find Directions finds."""
    nodes = ("e", "LatentEdit", edit(source, "mouth") | {"loaded_direction": ["d", 0]})
    return a_graph(("d", "FindDirections", inputs), nodes)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (a_graph(("l", "EditList", {"inversion": ["p", 0], "changes": "1: segments wings"})), "'wings'"),
        (
            a_graph(("l", "EditList", {"inversion": ["p", 0], "changes": "1: layers 99"})),
            "line 1: the layers",
        ),
        (a_graph(("d", "FindDirections", {"shown_on": ["p", 0], "layers": "99"})), "there are 0 to 13"),
        (found_for("p", layers="10", method="SeFa"), "there are 0 to 9"),
        (a_graph(("c", "CalibrateEdit", {"inversion": ["p", 0], "segments": "wings"})), "'wings'"),
    ],
)
def test_what_is_set_in_later_nodes_is_judged_at_once(pack: Pack, prompt: dict[str, Any], said: str) -> None:
    with pytest.raises(pack.errors.InvalidInputError, match=rf"^My \w+ \(node .\) would fail: .*{said}"):
        check(pack, prompt)


@pytest.mark.parametrize("prompt", RIGHT.values(), ids=RIGHT)
def test_what_may_be_right_is_not_refused(pack: Pack, prompt: dict[str, Any]) -> None:
    check(pack, prompt)


def test_only_nodes_that_run_are_judged(pack: Pack) -> None:
    prompt = WRONG["an edit"] | {"other": {"class_type": "SaveImage", "inputs": {"images": ["p", 1]}}}
    check(pack, prompt, "other")  # the page can run a single output
    with pytest.raises(pack.errors.InvalidInputError, match="wings"):
        check(pack, prompt, "other", "out")
