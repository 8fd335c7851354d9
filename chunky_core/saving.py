"""How this package writes files: whole or not at all, and with one error where that can't be done."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from .deprecated.argument_order import content_then_path
from .errors import SaveError

_PREFIX, _SUFFIX = ".chunkygan-", ".part"  # the same for all, so that a long name gets no longer
_ABANDONED = 3600  # seconds after which an unfinished file is one that a killed process has left
_REASON = re.compile(r"(?:I/O error: )?(?P<reason>[^:]+) \(os error \d+\)")  # as safetensors words it


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a name in the folder of `path` to write to; what is written takes the place of `path` at the end.

    The old file stays until the new one is complete and on the disk. Where the body raises, `path` is as it was and
    nothing is left of the new file; what a killed process has left there is removed after an hour. Two processes that
    write one name don't meet: the later wins. A link is followed, so that it stays a link. The mode is that of any
    new file of the user, whatever the writer thinks of that.
    Raises SaveError where the folder or the disk doesn't take the file.
    """
    path = Path(path)
    try:
        target = path.resolve() if path.is_symlink() else path
        _remove_abandoned(target.parent)
        temporary, mode = _new_file(target.parent)
        try:
            yield temporary
            temporary.chmod(mode)
            _flush(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except SaveError:
        raise
    except OSError as error:
        raise _not_written(path, error.strerror or str(error)) from error


def save_bytes(content: bytes, path: str | os.PathLike[str]) -> None:
    """Writes a file. Raises SaveError. The order path, content goes with version 0.3."""
    content, path = content_then_path(content, path, "save_bytes")
    with replacing(path) as new:
        new.write_bytes(content)


def save_tensors(
    tensors: Mapping[str, Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str]
) -> None:
    """Writes tensors (contiguous, on the CPU, none sharing memory) and a header of texts as .safetensors.

    Raises SaveError. The order path, tensors goes with version 0.3.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors, path = content_then_path(tensors, path, "save_tensors")
    with replacing(path) as new:
        try:
            save_file(dict(tensors), new, dict(metadata))
        except SafetensorError as error:
            found = _REASON.search(str(error))
            raise _not_written(path, found["reason"] if found else str(error)) from error


def _not_written(path: str | os.PathLike[str], reason: str) -> SaveError:
    return SaveError(f"{path} can't be written ({reason}); free some space or choose another folder")


def _new_file(folder: Path) -> tuple[Path, int]:
    """An empty file of a name that no other process has, and its mode, which is what the user's umask gives."""
    temporary = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    os.close(descriptor)
    return temporary, stat.S_IMODE(temporary.stat().st_mode)


def _flush(file: Path) -> None:
    """A full network disk or a quota may be told of only here."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOSYS,
            errno.ENOTSUP,
        ):  # what disks say that can't be asked
            raise
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    before = time.time() - _ABANDONED
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()
