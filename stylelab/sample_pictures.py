"""The sample pictures and their credits; finding a picture by name or path."""

import csv
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stylelab.errors import InputError, unknown

if TYPE_CHECKING:  # pandas takes up to 90 MB
    import pandas as pd


@cache
def data_folder() -> Path:
    """Where the sample pictures are, and what trainings read."""
    return shipped_folder("data")


def shipped_folder(name: str) -> Path:
    """A folder that is beside the modules when the kit is installed, else in the clone."""
    here = Path(__file__).parent
    return next(folder for folder in (here / name, here.parent / name) if folder.is_dir())


def samples() -> "pd.DataFrame":
    """The sample images and their credits: one row per image, indexed by name."""
    import pandas as pd

    table = pd.read_csv(data_folder() / "CREDITS.csv", dtype={"year": "Int64"})
    table.insert(0, "name", table["file"].str.removesuffix(".webp"))
    return table.set_index("name")


def sample_names() -> list[str]:
    """The names of the sample images."""
    with (data_folder() / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        return [row["file"].removesuffix(".webp") for row in csv.DictReader(file)]


def sample(name: str) -> Path:
    """The path of a sample image; for an unknown name, InputError lists those that exist.

    >>> sample("chenonceau").name
    'chenonceau.webp'
    """
    if name not in (names := sample_names()):
        raise InputError(unknown("sample", name, names))
    return data_folder() / f"{name}.webp"


def find(name: str) -> Path:
    """The path of a picture: ``name`` itself if it is a file, else the sample of that name.

    A path below the kit's data is found, too: "training/photographs/windmill.webp".
    """
    for path in (Path(name), data_folder() / name):
        if path.is_file() or (path.is_dir() and name not in sample_names()):
            return path
    # "photo.jpg" and "my/photo" can only be paths; the loader reports what is wrong with them.
    return Path(name) if not re.fullmatch(r"\w+", name) else sample(name)


def split_styles(names: str) -> list[str]:
    """Split the names of several style pictures at plus signs: "night_cafe+my/photo.jpg"."""
    return [names] if Path(names).is_file() else names.split("+")


def find_styles(names: str) -> list[Path]:
    """The paths of one style picture, or of several whose names are joined by plus signs."""
    return [find(name) for name in split_styles(names)]
