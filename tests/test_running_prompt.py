"""What the nodes see of the prompt that runs, on the double of the host; tests/host asks the real one."""

from __future__ import annotations

from typing import Any

from tests.pack_on_double import Pack, pack  # noqa: F401  # pack is a fixture

PROMPT: dict[str, Any] = {
    "1": {"class_type": "One", "inputs": {"number": 1}},
    "2": {"class_type": "Two", "inputs": {"given": ["1", 1], "text": "1"}},
    "3": {"class_type": "Three", "inputs": {"given": ["2", 0], "list.first": ["1", 2]}},
}


def test_an_output_is_used_where_another_node_is_linked_to_it(pack: Pack) -> None:  # noqa: F811
    with pack.running(PROMPT, "1"):
        assert [pack.host.output_is_used(index) for index in range(4)] == [False, True, True, False]
    with pack.running(PROMPT, "3"):
        assert not pack.host.output_is_used(0)


def test_where_the_prompt_is_not_known_every_output_counts_as_used(pack: Pack) -> None:  # noqa: F811
    assert pack.host.running_node() is None and pack.host.output_is_used(7)
    with pack.running(PROMPT, "1.0.0.5"):  # a node that another one put in while the prompt ran
        assert pack.host.running_node() is None and pack.host.output_is_used(7)
