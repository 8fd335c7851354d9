"""Double of comfy_execution.progress: the prompt that runs."""

from __future__ import annotations

from typing import Any


class DynamicPrompt:
    def __init__(self, original_prompt: dict[str, Any]) -> None:
        self.original_prompt = original_prompt

    def get_original_prompt(self) -> dict[str, Any]:
        return self.original_prompt

    def get_display_node_id(self, node_id: str) -> str:
        return node_id


class ProgressRegistry:
    def __init__(self, prompt_id: str, dynprompt: DynamicPrompt) -> None:
        self.prompt_id, self.dynprompt = prompt_id, dynprompt


_state = ProgressRegistry("", DynamicPrompt({}))


def get_progress_state() -> ProgressRegistry:
    return _state


def reset_progress_state(prompt_id: str, dynprompt: DynamicPrompt) -> None:
    global _state
    _state = ProgressRegistry(prompt_id, dynprompt)
