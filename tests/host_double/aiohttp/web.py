"""Double of the part of aiohttp.web that routes use."""

from __future__ import annotations

import json
from typing import Any


class Response:
    def __init__(self, text: str) -> None:
        self.text = text


def json_response(data: Any) -> Response:
    return Response(json.dumps(data))
