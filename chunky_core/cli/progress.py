"""A progress bar on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

FORMAT = "{desc:<22} [{bar:30}] {n}/{total}  {remaining_s:4.0f} s left"
SECONDS = 0.1  # between two looks of the bar


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int, Tensor | None], None]]:
    """A callback for `project`: one line that is redrawn in place, or one line at the end where stderr is a file."""
    from tqdm import tqdm

    live = sys.stderr.isatty()
    seconds = SECONDS if live else math.inf
    bar = tqdm(
        desc=label,
        file=sys.stderr,
        ascii=".#",
        bar_format=FORMAT,
        ncols=100,
        nrows=20,
        mininterval=seconds,
        delay=1e-9,
    )

    def show(step: int, total: int, _image: Tensor | None) -> None:
        if bar.total is None:  # a projection may go on from any step
            bar.total, bar.n, bar.initial = total, step - 1, step - 1
        bar.update(step - bar.n)

    try:
        yield show
    finally:
        bar.disable = bar.total is None or not (live or bar.n == bar.total)  # a file gets no unfinished bar
        bar.close()
