"""What the page asks while a graph is drawn: which directions of the lists fit the file of Load StyleGAN."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, TypedDict

from server import PromptServer

from ..chunky_core.checkpoints.generators import read_checkpoint
from ..chunky_core.errors import ChunkyError
from ..chunky_core.generator.architecture import Architecture
from .direction_sources import fitting_choices
from .directions import fitting_files
from .generators import AUTO, listed_generators, path_of
from .model_files import stamp

if TYPE_CHECKING:
    from aiohttp import web

ROUTE = "/chunkygan/directions"  # web/js/direction_list.js asks it


class Fitting(TypedDict):
    """Entries of Latent Edit's list and of Load Direction's that fit; None = it can't be told."""

    directions: list[str] | None
    files: list[str] | None


def register_route() -> None:
    """Let the host's server, if there is one, answer the page."""
    routes = getattr(getattr(PromptServer, "instance", None), "routes", None)
    if routes is not None:
        routes.get(ROUTE)(answer)


async def answer(request: web.Request) -> web.Response:
    """?generator=ENTRY&upsampling=ENTRY, both as Load StyleGAN lists them -> `Fitting` as JSON."""
    from aiohttp import web

    asked = request.query
    fitting = await asyncio.to_thread(
        fitting_lists, asked.get("generator", ""), asked.get("upsampling", AUTO)
    )
    return web.json_response(fitting)


def fitting_lists(generator: str, upsampling: str = AUTO) -> Fitting:
    """What fits a generator of Load StyleGAN's list; no other file is opened."""
    if generator not in listed_generators():
        return {"directions": None, "files": None}
    try:
        path = str(path_of(generator))
        architecture = _architecture(path, stamp(path), None if upsampling == AUTO else upsampling)
        directions = fitting_choices(architecture)
        files = fitting_files(architecture)
    except ChunkyError:  # running the workflow says why
        return {"directions": None, "files": None}
    return {"directions": directions, "files": files}


@lru_cache(maxsize=64)
def _architecture(path: str, _stamp: str, upsampling: str | None) -> Architecture:
    with read_checkpoint(path, upsampling=upsampling) as checkpoint:
        return checkpoint.architecture
