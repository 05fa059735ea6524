"""What the buttons named Save write, and how a page that shows them hands it over."""

import base64
import html
from itertools import count
from pathlib import Path

from stylelab.files import check_writable


def new_folder(out: Path) -> Path:
    """A new folder ``run-1``, ``run-2``... in ``out``, which only one of several labs gets."""
    check_writable(out)
    out.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = out / f"run-{number}"
        try:
            folder.mkdir()
            break
        except FileExistsError:
            continue
    return folder


def download_link(path: Path) -> str:
    """A link, as HTML, by which the browser saves a PNG file, wherever the kernel may be."""
    data = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(path.name, quote=True)
    return f'<a download="{name}" href="data:image/png;base64,{data}">Download the picture</a>'
