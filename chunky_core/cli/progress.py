"""A progress bar on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from torch import Tensor

FORMAT = "{desc:<22} [{bar:30}] {n}/{total}  {remaining_s:4.0f} s left"
SECONDS = 0.1  # between two looks of the bar


def progress_bar(label: str) -> Callable[[int, int, Tensor | None], None]:
    """A callback for `project`: one line that is redrawn in place, or one line at the end where stderr is a file."""
    from tqdm import tqdm

    seconds = SECONDS if sys.stderr.isatty() else math.inf
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
        if step == total:
            bar.close()

    return show
