"""Processes that make the runs of a sweep."""

import os
import signal
import threading
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.connection import wait

import pebble

from stylelab.errors import InputError


def start_workers(count: int) -> pebble.ProcessPool:
    """Processes that end with this one, with what they have done saved.

    Raises:
        InputError: none can be started. Each new process runs the script that it comes from; where
            the sweep stands in it without a guard, it would begin again there.
    """
    if getattr(current_process(), "_inheriting", False):
        raise SystemExit(1)
    pool = pebble.ProcessPool(max_workers=count, context=get_context("spawn"), initializer=_follow)
    try:
        pool.schedule(os.getpid).result()
    except (pebble.ProcessExpired, BrokenProcessPool):
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()
        raise InputError(
            "workers cannot start, because each runs this script once more; put the sweep below "
            "if __name__ == '__main__': or leave workers at 1"
        ) from None
    return pool


def _follow() -> None:
    """In a worker: ask this process to end as soon as the one that started it is gone."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)  # as `deferred` takes it: the run is saved first

    threading.Thread(target=watch, daemon=True).start()
