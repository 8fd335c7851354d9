"""The host that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.comfyui import make_base, running_server


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder for runs of the executor, with the tiny generator and a copy of this pack."""
    return make_base(tmp_path_factory.mktemp("executor"))


@pytest.fixture(scope="session")
def server_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The like for the server, which all tests of this folder share."""
    return make_base(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def server(server_base: Path) -> Iterator[str]:
    """The address of a running host."""
    with running_server(server_base) as address:
        yield address
