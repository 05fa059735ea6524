"""What a notebook's cell shows: freed when it is closed, and when its cell runs again."""

import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ipywidgets as widgets

from stylelab.errors import InputError


class Shown:
    """A widget of the kit. ipywidgets keeps all widgets, and what they call, until they are closed.

    A cell that runs again closes what it made when it ran before; nothing else would free it, since
    notebooks keep what their cells gave.
    """

    box: widgets.Box
    closed = False

    def __init__(self) -> None:
        made_by_cell(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if self.closed:
            return {"text/plain": f"{type(self).__name__} (closed)"}
        return self.box._repr_mimebundle_(**kwargs)

    def close(self) -> None:
        """Take it off the page and free what it holds."""
        if not self.closed:
            self.closed = True
            close_widgets(self.box)

    def check_open(self) -> None:
        """InputError if it has been closed."""
        if self.closed:
            raise InputError(f"this {type(self).__name__} is closed; make a new one")


_made: dict[str, tuple[str, list["weakref.ref[Shown]"]]] = {}
"""By cell: which run of it was the last, and what that made."""


def made_by_cell(shown: Shown) -> None:
    """Close what an earlier run of the cell at hand made, and remember what this one makes."""
    found = running_cell()
    if found is None:
        return
    cell, run = found
    last, earlier = _made.get(cell, ("", []))
    if run != last:
        for reference in earlier:
            old = reference()
            if old is not None:
                old.close()
        earlier = []
    _made[cell] = (run, [*earlier, weakref.ref(shown)])


def running_cell() -> tuple[str, str] | None:
    """Names of the cell that runs and of this run of it; None outside of a notebook's cells."""
    module = sys.modules.get("ipykernel.kernelapp")
    if module is None or not module.IPKernelApp.initialized():
        return None
    request = module.IPKernelApp.instance().kernel.get_parent("shell")
    header = request.get("header", {})
    if header.get("msg_type") != "execute_request":  # a button's click, say
        return None
    # Not all pages say which cell it is; then it is known by its text.
    cell = request.get("metadata", {}).get("cellId") or request["content"]["code"]
    return str(cell), str(header["msg_id"])


def close_widgets(widget: widgets.Widget) -> None:
    """Close a widget with all that it is made of: children, layouts, styles."""
    if widget.comm is None:  # already
        return
    parts = [getattr(widget, name) for name in widget.keys]
    widget.unobserve_all()
    widget.close()
    for part in parts:
        for each in part if isinstance(part, (tuple, list)) else [part]:
            if isinstance(each, widgets.Widget):
                close_widgets(each)


class Worker:
    """A thread that does what there is to do, and ends when there is nothing left.

    Args:
        find: gives the next thing to do or None; `lock` is held while it is called.
        fail: is told what was done and what it raised; that ends nothing but this one thing.
    """

    def __init__(
        self,
        find: Callable[[], Callable[[], object] | None],
        fail: Callable[[Callable[[], object], BaseException], None],
    ) -> None:
        self.find, self.fail = find, fail
        self.lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """See to it that a thread looks for what there is to do."""
        with self.lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for all work to end, and return whether it has."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return self._thread is None

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except BaseException as error:  # SystemExit, too, of which a thread dies in silence
                with suppress(Exception):  # words that cannot be shown end nothing, either
                    self.fail(task, error)

    def _next(self) -> Callable[[], object] | None:
        with self.lock:
            task = self.find()
            if task is None:
                self._thread = None  # within the lock, so that nobody counts on it any more
            return task


def fault_words(error: BaseException) -> str:
    """What a panel says of a fault, in a line."""
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
