"""A run's folder: whose it is, who writes it, and what becomes of a result that it cannot take."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stylelab.errors import InputError
from stylelab.files import check_writable

LOCK = ".stylelab"  # held while a run is at work; it stays, and marks the folder as a run's
# What the first bytes of a run's files hold, for folders of version 0.1, which left no such mark.
TRACES = {
    "result.json": b'"schema"',
    "run.json": b'"config"',
    "state.pt": b"PK",
}
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini", ".directory"}  # of file managers


def own_weights(weights: str) -> list[Path]:
    """The file that a run reads its network's weights from; none for a choice such as "random"."""
    return [Path(weights)] if Path(weights).is_file() else []


class Busy(InputError):
    """Another run is at work in the folder."""


class NotSaved(InputError):
    """The result could not be saved where it should be; the attribute ``result`` holds it."""

    def __init__(self, words: str, result: Any = None) -> None:
        super().__init__(words)
        self.result = result

    def __reduce__(self) -> Any:  # a worker sends the words alone
        return NotSaved, (str(self),)


def check_folder(folder: Path) -> None:
    """Raise InputError unless the folder is a run's, or empty, or not there."""
    if folder.is_file():
        raise InputError(f"'{folder}' is a file; name a folder for the run")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    kept = {n for n in names - LITTER if not n.startswith("._") and not n.endswith(".part")}
    if kept and LOCK not in kept and not any(_has(folder / n, t) for n, t in TRACES.items()):
        raise InputError(f"'{folder}' holds no run; name another folder")


def _has(path: Path, trace: bytes) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return trace in file.read(4096)
    return False


@contextlib.contextmanager
def held(folder: Path, inputs: Iterable[Path] = (), wait: bool = False) -> Iterator[None]:
    """Keep a run's folder for this run alone; the system frees it when the process dies.

    Args:
        folder: it is made where it does not exist.
        inputs: files and folders that the run reads; see `check_writable`.
        wait: whether to wait while another run is at work there.

    Raises:
        Busy: another run is at work there.
        InputError: the folder holds something else, or an input, or cannot be written.
    """
    check_writable(folder, inputs)
    check_folder(folder)
    new, path = not folder.exists(), folder.resolve() / LOCK
    lock = FileLock(path, is_singleton=True)  # a sweep holds what its run holds once more
    try:
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=-1 if wait else 0)
            if path.exists():
                break
            lock.release()  # who held it before has just removed it, see below
    except Timeout:
        words = f"another run is at work in '{folder}'; wait for it, or name another folder"
        raise Busy(words) from None
    except OSError as error:
        raise InputError(f"cannot write '{folder}': {error.strerror}; name another place") from None
    try:
        for litter in folder.glob(".*.part"):  # of a run that was killed while it wrote
            litter.unlink(missing_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            if os.listdir(folder) == [LOCK]:  # nothing was made
                path.unlink()
                if new:
                    folder.rmdir()
        lock.release()


def keep(save: Callable[[Path], object], out: str | os.PathLike[str] | None, result: Any) -> None:
    """Save a result in its folder, if it has one, or, where that is not possible, elsewhere.

    Raises:
        NotSaved: the folder cannot be written; the message names the other place.
    """
    if out is None:
        return
    try:
        save(Path(out))
    except InputError as error:
        words = str(error)
        with contextlib.suppress(InputError, OSError):
            place = Path(tempfile.mkdtemp(prefix="stylelab-"))
            save(place)
            words = f"{words.rpartition(';')[0]}; the result is kept in '{place}'"
        raise NotSaved(words, result) from None
