"""A ComfyUI of our own for tests: its folders, a copy of the pack in it, its server, and what it answers.

COMFYUI_PATH names a checkout of ComfyUI, COMFYUI_PYTHON its Python if that is another one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pack_on_double import ROOT, write_tiny_models

HOST = os.environ.get("COMFYUI_PATH", "")
PYTHON = os.environ.get("COMFYUI_PYTHON", sys.executable)
PACK = "ComfyUI-ChunkyGAN"
SETTINGS = {"Comfy.TutorialCompleted": True}  # else a dialog covers the page

needs_comfyui = pytest.mark.skipif(not HOST, reason="COMFYUI_PATH names no ComfyUI checkout")


def make_base(folder: Path) -> Path:
    """A base folder for the host, with the tiny generator and the pack as a user would have copied it."""
    for name in ("custom_nodes", "input", "output", "temp", "user/default"):
        (folder / name).mkdir(parents=True)
    write_tiny_models(folder / "models", "chunky_core")
    (folder / "user/default/comfy.settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    copy_pack(folder / "custom_nodes" / PACK)
    return folder


def copy_pack(target: Path) -> None:
    """What a clone of the repository would hold, with what isn't committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():  # not so if it was deleted and that isn't committed yet
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


@contextmanager
def running_server(base: Path) -> Iterator[str]:
    """The address of a host that runs on a base folder; its log is server.log there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port)]
    command += ["--disable-auto-launch", "--base-directory", str(base), "--disable-api-nodes"]
    command += ["--database-url", "sqlite:///:memory:"]
    with (base / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=HOST, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(lambda: ask(f"{address}/system_stats"), 180, process)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


def ask(address: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_for(
    question: Callable[[], Any], seconds: float, process: subprocess.Popen[bytes] | None = None
) -> Any:
    """The first true answer; connection errors count as not yet. process: who must be alive to give it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and (process is None or process.poll() is None):
        try:
            if answer := question():
                return answer
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError("the host gave no answer in time")


def run_prompt(server: str, prompt: dict[str, Any], seconds: float = 300) -> dict[str, Any]:
    """The history of a prompt after its end."""
    sent = ask(f"{server}/prompt", {"prompt": prompt, "client_id": "test"})["prompt_id"]
    return wait_for(lambda: ask(f"{server}/history/{sent}"), seconds)[sent]


def run_in_executor(base: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs one after the other through the host's executor, without a server; see executor.py."""
    (base / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    program = Path(__file__).parent / "executor.py"
    done = subprocess.run(
        [PYTHON, str(program), str(base / "custom_nodes" / PACK), str(base), str(base / "jobs.json")],
        env=os.environ | {"COMFYUI_PATH": HOST},
        capture_output=True,
        text=True,
        cwd=base,
        timeout=600,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULTS ")]
    assert lines, done.stderr[-3000:]
    return json.loads(lines[-1].removeprefix("RESULTS "))
