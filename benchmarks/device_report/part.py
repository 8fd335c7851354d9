"""What the parts have in common: their options, and a file of results that grows as they go."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Part:
    """A part of the report at work. device: where; size: tiny, small or full; out: where its results go."""

    device: torch.device
    size: str
    out: Path

    def write(self, name: str, result: Any) -> None:
        """Keep a result, in the place of an earlier one of this name."""
        before = json.loads(self.out.read_text()) if self.out.is_file() else {}
        beside = self.out.with_suffix(".new")
        beside.write_text(json.dumps(before | {name: result}))
        beside.replace(self.out)  # whole at any time, also when the part is ended


def part_options(description: str | None) -> Part:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", required=True)
    parser.add_argument("--size", choices=("tiny", "small", "full"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    return Part(torch.device(options.device), options.size, options.out)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
