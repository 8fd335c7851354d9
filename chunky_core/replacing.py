"""Files that are whole or not there: the old one stays until the new one is complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a name beside `path` to write to; what is written takes the place of `path` at the end.

    Where the body or the replacement raises, `path` is as it was and nothing is left of the new file. Its mode is
    that of any new file, whatever the writer thinks of that.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
