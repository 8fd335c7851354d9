"""Rows of measurements in files of JSON lines: one for each photo and arm, appended as soon as it is there, so that a
run can be stopped, started again and split over processes with a file each.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chunky_core.generator import Generator

ASSETS = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets"

Row = dict[
    str, Any
]  # "seed", "extras", "arm", "spec": what the arm is, "settings": what all arms share; and figures


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """The rows of those files that are there, one for each photo and arm: the last one of it."""
    rows = [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines()]
    check_rows(rows)
    return sorted({row_key(row): row for row in rows}.values(), key=lambda row: row["seed"])


def row_key(row: Row) -> tuple[int, tuple[str, ...], str]:
    """The photo and the arm."""
    return row["seed"], tuple(row["extras"]), row["arm"]


def check_rows(rows: Sequence[Row]) -> None:
    """Exit, with both settings, where rows can't be mixed: they share the settings, and all of an arm its spec."""
    for what, group in (("settings", lambda row: ""), ("spec", lambda row: row["arm"])):
        first: dict[str, Row] = {}
        for row in rows:
            other = first.setdefault(group(row), row)
            if row[what] != other[what]:
                sys.exit(
                    f"arm {row['arm']!r} of photo {row['seed']} belongs to {row[what]}, {other['arm']!r} of photo "
                    f"{other['seed']} to {other[what]}; these can't be mixed: use another file or name, or the same "
                    "options"
                )


def append_row(row: Row, path: Path | None) -> None:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def versions(generator: Generator) -> dict[str, str]:
    """What figures depend on, beside code and options: digests of the generator and of the demo networks."""
    networks = b"".join((ASSETS / f"{name}.safetensors").read_bytes() for name in ("perceptual", "identity"))
    return {
        "generator": generator.fingerprint[:12],
        "networks": hashlib.sha256(networks).hexdigest()[:12],
    }
