"""Files that are written completely or not at all, and never over what is read."""

import contextlib
import errno
import os
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from stylelab.errors import InputError

PATIENCE = 2.0 if sys.platform == "win32" else 0.0  # seconds; a file that is open there is locked
MOST_BYTES = 2**30  # of a file that is read; the largest photograph that is allowed has less


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file of at most 1 GiB: a pipe would wait, a device never end.

    Raises:
        OSError: it is another kind of file, too large, or cannot be read; its ``strerror`` says so.
    """
    try:
        found = os.stat(path)
    except ValueError:
        raise OSError(errno.EINVAL, "no file has such a name") from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if found.st_size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES:,} bytes")
    return Path(path).read_bytes()


def visible_files(folder: Path, deep: bool = False) -> list[Path]:
    """The regular files of a folder, sorted; at any depth, if ``deep``.

    Without those whose names begin with a dot, such as what macOS writes beside each picture.
    """
    found = sorted(folder.rglob("*") if deep else folder.iterdir())
    parts = [path.relative_to(folder).parts for path in found]
    hidden = [any(name.startswith(".") for name in names) for names in parts]
    return [path for path, h in zip(found, hidden, strict=True) if not h and path.is_file()]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file completely or not at all, even if the process is killed meanwhile.

    Raises:
        InputError: the file cannot be written there.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, bytes], mark: Path | None = None) -> None:
    """Write files so that they are on the disk before any of them takes its place.

    Args:
        files: by path; they take their places in this order.
        mark: the file that says that the others are whole. An earlier one is taken away before
            any other file changes.

    Raises:
        InputError: a file cannot be written; unless it is the last step that fails, nothing has
            changed.
    """
    staged: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
            with staged[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else a name may outlive a power cut, and its bytes not
        if mark is not None:
            mark.unlink(missing_ok=True)
        for path, temporary in staged.items():
            _replace(temporary, path)
            _sync_folder(path.parent)
    except (OSError, ValueError) as error:
        for temporary in staged.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise InputError(f"cannot write '{path}': {reason(error)}; name another place") from None


def _replace(temporary: Path, path: Path) -> None:
    """Rename, and wait a little where somebody has the file open, as a viewer may on Windows."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return os.replace(temporary, path)
        except PermissionError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)


def _sync_folder(folder: Path) -> None:
    """Put names on the disk, too; does nothing where the system cannot."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def reason(error: Exception) -> str:
    """Why a file cannot be read or written, in words; a NUL in its name is a ValueError."""
    return getattr(error, "strerror", None) or str(error)


def check_writable(path: str | os.PathLike[str], inputs: Iterable[Path] = ()) -> None:
    """Raise InputError, before any work is done, if a file or folder cannot be written.

    ``inputs`` are files and folders that are read: none of the files may be ``path`` or lie in it,
    and it may not lie in one of the folders, whose pictures would be others the next time.
    """
    path = Path(path)
    try:
        if path.is_symlink() and not path.exists():
            raise InputError(f"'{path}' is a link to nothing; name another place")
        there = next(p for p in (path, *path.absolute().parents) if p.exists())
        tempfile.TemporaryFile(dir=there.parent if there.is_file() else there).close()
        if there.is_file() and there != path:
            raise NotADirectoryError(20, os.strerror(20))
        place = path.resolve()
        for name in inputs:
            source = name.resolve()
            if not source.exists() and source != place:  # the name of a sample, say
                continue
            if source.is_dir() and place.is_relative_to(source):
                raise InputError(f"'{path}' lies in '{name}', which is read; name a place outside")
            if source.is_relative_to(place):
                raise InputError(f"'{name}' is read and would be overwritten; name another place")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot write '{path}': {reason(error)}; name another place") from None
