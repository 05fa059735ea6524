"""Ctrl-C, handled between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Turn Ctrl-C into a flag, so that the current step is finished; a second one interrupts it."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        return (yield flag)  # only the main thread receives signals

    def handle(signum: int, frame: object) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
