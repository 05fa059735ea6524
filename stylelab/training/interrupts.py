"""Ctrl-C and the request to end, handled between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Deferred:
    """A handler that only notes a signal; the second one acts at once."""

    def __init__(self, before: Any) -> None:
        self.before, self.flag = before, threading.Event()

    def __call__(self, signum: int, frame: object) -> None:
        if self.flag.is_set():
            signal.signal(signum, self.before)
            signal.raise_signal(signum)
        self.flag.set()


@contextmanager
def deferred(signum: signal.Signals) -> Iterator[threading.Event]:
    """Turn SIGINT (Ctrl-C) or SIGTERM into a flag, so that the current step is finished.

    SIGTERM is sent again at the end of the outermost block, which saves what there is before the
    process ends.
    """
    before = None
    if threading.current_thread() is threading.main_thread():  # others receive no signals
        before = signal.getsignal(signum)
    if before is None or isinstance(before, _Deferred):
        return (yield getattr(before, "flag", threading.Event()))
    handler = _Deferred(before)
    signal.signal(signum, handler)
    try:
        yield handler.flag
    finally:
        signal.signal(signum, before)
        if signum == signal.SIGTERM and handler.flag.is_set():
            signal.raise_signal(signum)
