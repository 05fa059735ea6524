"""What the folders of a sweep hold, as one table."""

import contextlib
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.files import write_atomically
from stylelab.recipes import Recipe
from stylelab.sample_pictures import split_styles
from stylelab.sweeps.grids import flat
from stylelab.training.result import read_record


def status(folder: Path, thorough: bool = True) -> tuple[str, dict[str, Any]]:
    """One of complete, failed, interrupted, pending; and the record of the result or the error.

    A complete run has all files that it wrote, and, if ``thorough``, as it wrote them.
    """
    try:
        return "complete", read_record(folder, thorough)
    except FileNotFoundError:
        pass
    except (InputError, ValueError, TypeError, AttributeError, OSError) as error:
        words = f"the run in '{folder}' is damaged ({error}); retry the failed runs"
        return "failed", {"error": str(error) if isinstance(error, InputError) else words}
    try:
        record = json.loads((folder / "error.json").read_text("utf-8"))
        return "failed", {"error": str(record["error"])}
    except FileNotFoundError:
        return ("interrupted" if (folder / "state.pt").exists() else "pending"), {}
    except (ValueError, TypeError, LookupError):
        return "failed", {"error": f"'{folder / 'error.json'}' is damaged; retry the failed runs"}


def read_complete(folder: Path) -> dict[str, Any]:
    """The record of a run that ended well; InputError if it is damaged, or of a newer version."""
    word, record = status(folder)
    if word == "failed":
        raise InputError(record["error"])
    return record


def read_spec(folder: Path) -> dict[str, Any] | None:
    """What run.json says of a run, or None if it is missing or damaged."""
    try:
        spec = json.loads((folder / "run.json").read_text("utf-8"))
        kinds = [type(spec[name]) for name in ("content", "style", "config")]
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return spec if kinds == [str, str, dict] else None


def check_table(path: Path) -> None:
    """Raise InputError if ``path`` is a file that no sweep wrote, and that would be overwritten."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        if not file.read(100).startswith(b"run,status,"):
            raise InputError(f"'{path}' is no table of a sweep; name another folder")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV in which no text can be taken for a formula by a spreadsheet."""
    check_table(path)
    words = table.select_dtypes(include=["object", "string"]).columns
    safe = table.assign(**{c: table[c].map(_plain, na_action="ignore") for c in words})
    write_atomically(path, safe.to_csv().encode())


def _plain(value: object) -> object:
    return f"'{value}" if str(value).startswith(("=", "+", "-", "@", "\t", "\r")) else value


def measured(record: dict[str, Any]) -> dict[str, Any]:
    """The columns of a table that a run's record fills: losses, metrics, seconds and memory."""
    losses = {
        f"{kind}/{k}": v
        for kind in ("saved", "held_out", "last")
        for k, v in record.get(f"{kind}_losses", {}).items()
    }
    clipped = {"outside": record["outside"]} if "outside" in record else {}
    ends = {k: record.get(k) for k in ("seconds", "peak_memory_mb")}
    return {**losses, **clipped, **record.get("metrics", {}), **ends}


def collect(out: str | Path) -> pd.DataFrame:
    """The table of all runs in a folder, at any time; see `Sweep.table`."""
    rows: list[dict[str, Any]] = []
    transfers, trainings = Config().to_dict(), Recipe(network="johnson").to_dict()
    names: dict[str, None] = {}  # of all settings, in their order
    for path in Path(out).glob("*/run.json"):
        if (spec := read_spec(path.parent)) is None:
            warnings.warn(f"left out: '{path}' is damaged; make the sweep again", stacklevel=2)
            continue
        word, record = status(path.parent, thorough=False)
        usual = trainings if "network" in spec["config"] else transfers
        names |= dict.fromkeys(usual)
        settings = flat({**usual, **spec["config"]})  # which an earlier version did not all have
        pictures = {"content": Path(spec["content"]).stem}
        pictures["style"] = "+".join(Path(name).stem for name in split_styles(spec["style"]))
        rows.append({"run": path.parent.name, "status": word, **pictures, **settings})
        rows[-1] |= {**measured(record), "error": record.get("error")}
    if not rows:
        raise InputError(f"'{out}' holds no sweep; run one, or name another folder")
    table = pd.DataFrame(rows).set_index("run").convert_dtypes()
    own = sorted(str(column) for column in table if str(column).startswith("options."))
    known = ["content", "style", *(c for c in names if c in table), *own]
    order = varying(table, known)
    return table.sort_values(order, key=_sortable) if order else table


def settings_of(table: pd.DataFrame) -> list[str]:
    """The columns of such a table that are settings of its runs, beside the pictures."""
    known = {*flat(Config().to_dict()), *flat(Recipe(network="johnson").to_dict())}
    return [str(c) for c in table if c in known or str(c).startswith("options.")]


def varying(table: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Those of the columns that have more than one value."""
    return [c for c in columns if len(table[c].drop_duplicates()) > 1]


def _sortable(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.name != "size":
        return column
    sides = column.astype(str).str.split("x")  # by the number of pixels
    return sides.map(lambda pair: int(pair[0]) * int(pair[-1])).astype("int64")
