"""What loading a file must not do: an audit hook refuses it, and keeps a list of what was tried."""

from __future__ import annotations

import os
import sys

_PREFIXES = (
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "socket.",
    "shutil.",
    "tempfile.",
    "ctypes.",
    "pty.",
    "winreg.",
)
_EVENTS = {
    *(
        "subprocess.Popen",
        "os.system",
        "os.fork",
        "os.forkpty",
        "os.startfile",
        "os.kill",
        "signal.pthread_kill",
    ),
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "os.utime", "os.putenv", "os.unsetenv", "os.chdir"),
    *("exec", "compile", "code.__new__", "marshal.loads", "pickle.find_class", "import", "function.__new__"),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class ForbiddenError(BaseException):
    """Loading a file tried something it never needs; no `except Exception` swallows this."""


class Guard:
    """Refuses writing, processes, sockets, imports and new code while `armed`; hooks last until the process ends."""

    def __init__(self) -> None:
        self.armed = False
        self.violations: list[str] = []
        sys.addaudithook(self._check)

    def _check(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.armed:
            return
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
        if writes or event in _EVENTS or event.startswith(_PREFIXES):
            self.violations.append(f"{event} {str(arguments)[:200]}")
            raise ForbiddenError(self.violations[-1])
