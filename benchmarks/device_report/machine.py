"""The part "machine": what the report was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

import torch

from .part import part_options

GIB = 2**30


def main() -> None:
    part = part_options(__doc__)
    part.write("machine", describe(part.device))


def describe(device: torch.device) -> dict[str, Any]:
    """MACHINE of the schema, and CUDA's version and the processor's threads."""
    return {
        "device": str(device),
        "card": _card(device),
        "driver": _driver() if device.type == "cuda" else "none",
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory(device) / GIB, 1),
    }


def memory(device: torch.device) -> float:
    """Bytes that the device has in all; for the CPU and a shared memory the machine's, 0 where unknown."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows has none of these
        return 0.0


def _card(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.split("\n")[0].strip() or "unknown"


if __name__ == "__main__":
    main()
