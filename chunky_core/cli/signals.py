"""Ctrl-C, kill and a terminal that is closed end the program in order: work is kept, one line says how to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(BaseException):  # no Exception: whoever catches those would go on
    """A signal asks the program to end. number: of the signal; advice: how to go on later, or ""."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number, self.advice = number, ""


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Within, a signal raises `Stopped` at once."""
    with _handled_by(_stop):
        yield


@contextmanager
def delay_signals() -> Iterator[list[int]]:
    """Within, nothing interrupts; a signal that comes meanwhile is in the list, and raises `Stopped` at the end."""
    received: list[int] = []
    with _handled_by(lambda number, _frame: received.append(number)):
        yield received
    if received:
        raise Stopped(received[0])


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    """Only the main thread may set handlers, and a signal that is ignored (nohup) stays so."""
    replaced = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
        replaced = {number: one for number, one in before.items() if one not in (signal.SIG_IGN, None)}
    for number in replaced:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, one in replaced.items():
            signal.signal(number, one)
