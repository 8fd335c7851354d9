"""A progress bar on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

from torch import Tensor

WIDTH = 30


def progress_bar(label: str) -> Callable[[int, int, Tensor | None], None]:
    """A callback for `project`: one line that is redrawn in place, or one line at the end where stderr is a file."""
    start = monotonic()
    live = sys.stderr.isatty()

    def show(step: int, total: int, _image: Tensor | None) -> None:
        if not live and step < total:
            return
        done = int(WIDTH * step / total)
        left = (monotonic() - start) / step * (total - step)
        line = f"{label:<22} [{'#' * done}{'.' * (WIDTH - done)}] {step}/{total}  {left:4.0f} s left"
        print(f"\r{line}", end="\n" if step == total else "", file=sys.stderr, flush=True)

    return show
