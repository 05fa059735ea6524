"""Files that are written completely or not at all."""

import contextlib
import os
import tempfile
import uuid
from pathlib import Path

from stylelab.errors import InputError


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
