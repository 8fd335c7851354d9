"""How near each segment came to the photo, in words for the page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from ..chunky_core.inversion import Inversion, SegmentFit
from ..chunky_core.inversion.fits import fit_warnings
from .notices import show_notice, show_on_node

ON_NODE = 4  # segments that are named there, where there is room for few lines


class NodeText:
    """What stands on the running node: where the work stands, how near the photos so far came, and remarks."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def show(self, text: str) -> None:
        """Put `text` above the other lines, the last photo's first, in the place of what was there."""
        show_on_node("\n".join([text, *reversed(self._lines)]))

    def add_fit(self, record: Inversion, names: Sequence[str], which: str = "") -> None:
        """The fit of these segments of a record, to be shown from the next text on; said in a notice where one is poor.

        which: of several photos it is, or "".
        """
        record = replace(record, fits={name: fit for name, fit in record.fits.items() if name in names})
        label = f"{which}: " if which else ""
        if line := fit_line(record):
            self._lines.append(f"{label}{fit_line(record, ON_NODE)}")
            logging.info("%s%s", label, line)
        for warning in fit_warnings(record):
            show_notice(f"{label}{warning}", "warn")

    def add_remark(self, text: str, which: str = "") -> None:
        """A sentence to be shown from the next text on, and in a notice."""
        labeled = f"{which}: {text}" if which else text
        self._lines.append(labeled)
        show_notice(labeled, "warn")


def fit_line(record: Inversion, most: int | None = None) -> str:
    """'mouth 94% (41 -> 6), hair 40% (38 -> 22) of the detail (grey levels)', or "" where no fit was measured.

    most: of more segments than that, those whose ends are farthest from the photo are named, the others counted.
    """
    named, others = list(record.fits.items()), 0
    if most is not None and len(named) > most:
        others = len(named) - most
        named = sorted(named, key=lambda entry: entry[1].end, reverse=True)[:most]
    parts = [f"{name} {_figures(fit)}" for name, fit in named]
    parts += [f"{others} more nearer"] * bool(others)
    if not parts:
        return ""
    what = " of the detail" if any(fit.met is not None for _, fit in named) else ""
    return f"{', '.join(parts)}{what} (grey levels)"


def _figures(fit: SegmentFit) -> str:
    errors = f"{fit.start:.0f} -> {fit.end:.0f}"
    return errors if fit.met is None else f"{fit.met:.0%} ({errors})"
