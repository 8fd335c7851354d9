"""Words for the page: on the running node, and as a short notice beside it. Without a page nothing happens."""

from __future__ import annotations

import logging
from typing import Any

from server import PromptServer

from .host import running_node

EVENT = "chunkygan.notice"  # web/js/notices.js shows it


def show_on_node(text: str) -> None:
    """Put `text` on the node that is being executed, in the place of what was there."""
    node, send = running_node(), _sender("send_progress_text")
    if node is not None and send is not None:
        send(text, node.id)


def show_notice(text: str, *, is_problem: bool = False) -> None:
    """Write `text` to the log and show it as a notice in the page that runs the prompt."""
    logging.log(logging.ERROR if is_problem else logging.WARNING, "%s", text)
    if (send := _sender("send_sync")) is not None:
        severity = "error" if is_problem else "info"
        page = getattr(PromptServer.instance, "client_id", None)
        send(EVENT, {"severity": severity, "text": text}, page)


def _sender(name: str) -> Any:
    """A method of the server; None where there is no server, or one that has it not."""
    return getattr(getattr(PromptServer, "instance", None), name, None)
