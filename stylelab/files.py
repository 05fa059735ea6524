"""Files that are written completely or not at all."""

import contextlib
import errno
import os
import stat
import tempfile
import uuid
from pathlib import Path

from stylelab.errors import InputError

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
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(f"cannot write '{path}': {error.strerror}; name another place") from None


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise InputError, before any work is done, if ``path`` cannot be written."""
    there = next(p for p in (Path(path), *Path(path).absolute().parents) if p.exists())
    folder = there.parent if there.is_file() and there == Path(path) else there
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}; name another place") from None
