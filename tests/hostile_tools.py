"""What the tests of hostile files share: good files to spoil, and the one way to refuse them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from chunky_core.checkpoints.generators import load_generator
from chunky_core.errors import UnsupportedCheckpointError

PICKLES = ("ada", "tensorflow")
ZIPS = ("rosinality", "e4e", "whole", "plain")


def refusal(path: Path) -> str:
    """The message of the error that loading a file raises."""
    with pytest.raises(UnsupportedCheckpointError) as caught:
        load_generator(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def with_member(path: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> Path:
    """The same zip with its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(*change(*member))
    return path
