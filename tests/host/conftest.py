"""The host that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.comfyui import make_base, running_server


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder for the host, with the tiny generator and a copy of this pack."""
    return make_base(tmp_path_factory.mktemp("comfyui"))


@pytest.fixture(scope="session")
def server(base: Path) -> Iterator[str]:
    """The address of a running host."""
    with running_server(base) as address:
        yield address
