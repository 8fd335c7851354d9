"""Run prompts one after the other through the real host's executor, in a process of its own.

    COMFYUI_PATH=<checkout> python executor.py PACK_FOLDER BASE_FOLDER JOBS.json

JOBS.json: a list of {"prompt": API-format prompt, "interrupt_at": step or null, "unload_first": bool}. Prints a
line RESULTS with a JSON list of {"success", "outputs", "executed", "errors", "interrupted", ...}; executed: the ids
of the nodes that ran, without those whose results were kept.
"""
# ruff: noqa: E402, I001  # the host must be set up before it is imported

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["COMFYUI_PATH"])  # the host first: its `nodes` must win over ours
import comfy.options

comfy.options.enable_args_parsing(False)
from comfy.cli_args import args

args.cpu = True  # before anything imports comfy.model_management
args.base_directory = sys.argv[2]

import comfy.model_management
import comfy.utils
import execution
import nodes
import server
import torch
from app.node_replace_manager import NodeReplaceManager


class Frontend:
    """What the executor needs of a server: somewhere to send its messages. Notes which nodes run."""

    client_id = last_node_id = last_prompt_id = None
    sockets_metadata: dict[str, Any] = {}

    def __init__(self) -> None:
        self.node_replace_manager = NodeReplaceManager()
        self.prompt_queue = self
        self.running: list[tuple[Any, ...]] = []
        self.executed: list[str] = []

    def get_current_queue_volatile(self) -> tuple[list[Any], list[Any]]:
        return self.running, []

    def send_sync(self, event: str, data: Any, sid: Any = None) -> None:
        if event == "executing" and data["node"] is not None:  # None = the prompt has ended
            self.executed.append(data["node"])

    def queue_updated(self) -> None:
        pass


class ProgressWatch:
    """Counts previews, and asks for the interruption at a given step, as a user would."""

    def __init__(self) -> None:
        self.interrupt_at: int | None = None
        self.asked_at: int | None = None
        self.previews = self.last_step = self.steps = 0

    def __call__(self, value: int, total: int, preview: Any = None, node_id: Any = None) -> None:
        self.previews += preview is not None
        self.last_step = value
        self.steps += 1
        if self.interrupt_at is not None and value >= self.interrupt_at:
            self.asked_at = self.asked_at or value
            comfy.model_management.interrupt_current_processing()


async def run(pack: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    frontend = server.PromptServer.instance = Frontend()
    await nodes.init_builtin_extra_nodes()
    if not await nodes.load_custom_node(pack):
        raise SystemExit(f"the host could not load {pack}")
    caches = {"lru": 0, "ram": 0, "ram_inactive": 0}
    executor = execution.PromptExecutor(frontend, cache_type=execution.CacheType.CLASSIC, cache_args=caches)
    return [await run_one(frontend, executor, f"prompt-{index}", job) for index, job in enumerate(jobs)]


async def run_one(frontend: Frontend, executor: Any, name: str, job: dict[str, Any]) -> dict[str, Any]:
    watch = ProgressWatch()
    watch.interrupt_at = job.get("interrupt_at")
    comfy.utils.set_progress_bar_global_hook(watch)
    if job.get("unload_first"):
        with torch.inference_mode():  # as when another node needs the memory in the middle of a prompt
            comfy.model_management.unload_all_models()
    valid, error, outputs, node_errors = await execution.validate_prompt(name, job["prompt"], None)
    if not valid:
        return {"success": False, "errors": [error, node_errors]}
    frontend.client_id, frontend.executed = "client", []
    frontend.running = [(0, name, job["prompt"], {}, outputs, {})]
    await executor.execute_async(job["prompt"], name, {"client_id": "client"}, outputs)
    events = dict(executor.status_messages)
    return {
        "success": executor.success,
        "outputs": executor.history_result.get("outputs", {}),
        "executed": frontend.executed,
        "errors": events.get("execution_error"),
        "interrupted": "execution_interrupted" in events,
        "previews": watch.previews,
        "last_step": watch.last_step,
        "steps": watch.steps,
        "asked_at": watch.asked_at,
    }


if __name__ == "__main__":
    done = asyncio.run(run(sys.argv[1], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))))
    print("RESULTS " + json.dumps(done, default=str))
