"""Words for the page: on the running node, and as a short notice beside it. Without a page nothing happens."""

from __future__ import annotations

import logging
from typing import Literal

from server import PromptServer

from .host import running_node

NOTICE, TEXT = "chunkygan.notice", "chunkygan.text"  # events that web/js/notices.js shows
LEVELS = {"info": logging.WARNING, "warn": logging.WARNING, "error": logging.ERROR}  # of the log


def show_on_node(text: str) -> None:
    """Put `text` on the node that is being executed, in the place of what was there.

    Not by the host's own event: that finds nodes by their id alone, and another workflow may be open by now.
    """
    node = running_node()
    if node is not None:
        _send(TEXT, {"node": node.id, "type": node.prompt[node.id]["class_type"], "text": text})


def show_notice(text: str, severity: Literal["info", "warn", "error"] = "info") -> None:
    """Write `text` to the log and show it as a notice in the page that runs the prompt."""
    logging.log(LEVELS[severity], "%s", text)
    _send(NOTICE, {"severity": severity, "text": text})


class OnceEach:
    """Shows every text that it is called with as a notice, the first time alone.

    Not on the node: there it would stand after a run that has nothing to warn of.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, text: str) -> None:
        if text not in self.told:
            self.told.append(text)
            show_notice(text, "warn")


def _send(event: str, data: dict[str, str]) -> None:
    """To the page that runs the prompt, if there are a server and a page."""
    server = getattr(PromptServer, "instance", None)
    if (send := getattr(server, "send_sync", None)) is not None:
        send(event, data, getattr(server, "client_id", None))
