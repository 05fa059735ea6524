"""Tables and words for a paper: CSV, Parquet and LaTeX, and the methods of a sweep as text."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stylelab.config import Config
from stylelab.errors import InputError, unknown
from stylelab.files import write_atomically
from stylelab.plots import value_text
from stylelab.sweeps.grids import flat
from stylelab.sweeps.runs import Sweep
from stylelab.sweeps.table import settings_of, varying
from stylelab.training.result import read_record

FORMATS = (".csv", ".parquet", ".tex")
# The settings that the paragraph names anyway, and those that change no picture.
SAID = (
    *("method", "size", "backbone", "weights", "normalise", "pooling", "padding", "content_layers"),
    *("style_layers", "content_weight", "style_weight", "tv_weight", "init", "steps", "optimizer"),
    *("learning_rate", "schedule", "projected", "seed", "precision", "memory", "device"),
)


def export(table: pd.DataFrame, path: str | Path, caption: str = "") -> Path:
    """Write the table of a sweep, of `summarise` or of `compare`, as .csv, .parquet or .tex.

    In LaTeX (booktabs) a metric and its interval share a column, "0.31 [0.28, 0.34]".

    Raises:
        InputError: the format is unknown, or Parquet's package is missing.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InputError(unknown("table format", path.suffix, FORMATS))
    if path.suffix == ".csv":
        content = table.to_csv().encode()
    elif path.suffix == ".tex":
        content = latex(table, caption).encode()
    else:
        buffer = io.BytesIO()
        try:
            table.to_parquet(buffer)
        except ImportError:
            reason = "Parquet needs pyarrow; run: pip install 'stylelab[parquet]'"
            raise InputError(reason) from None
        content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path


def latex(table: pd.DataFrame, caption: str = "", digits: int = 3) -> str:
    """A table as LaTeX for the package booktabs; numbers have ``digits`` significant digits."""

    def number(value: Any) -> str:
        if pd.isna(value):
            return ""
        return f"{value:.{digits}g}" if isinstance(value, float) else str(value)

    shown = pd.DataFrame(index=table.index)
    for name in map(str, table.columns):
        if name.endswith(("/low", "/high")) and name.rsplit("/", 1)[0] in table:
            continue
        column = table[name].map(number)
        if f"{name}/low" in table and f"{name}/high" in table:
            low, high = (table[f"{name}/{end}"].map(number) for end in ("low", "high"))
            between = " [" + low + ", " + high + "]"
            column += between.where(low != "", "")
        shown[name.replace("_", " ")] = column
    shown.index.names = [str(name).replace("_", " ") for name in shown.index.names]
    shown = shown.rename(index=value_text)
    return shown.to_latex(escape=True, caption=caption or None)


def methods_paragraph(sweep: Sweep) -> str:
    """A paragraph on how the complete runs of a sweep of transfers were made, for a paper.

    What all runs share is said once; what varies is given with its values. Read it before you use
    it: it knows the settings, not the reasons for them.

    Raises:
        InputError: no run is complete, or they are trainings.
    """
    table = sweep.table
    table = table[table["status"] == "complete"]
    if table.empty:
        raise InputError("no run of this sweep is complete; make its runs first")
    if "network" in table:
        raise InputError("this describes sweeps of transfers; these runs are trainings")
    pairs = table[["content", "style"]].drop_duplicates()
    records = [read_record(sweep.out / str(key), thorough=False) for key in table.index]

    def of(name: str) -> str:
        return _listed([value_text(v) for v in table[name].drop_duplicates()])

    def noted(name: str) -> str:
        found = [{**record, **record["versions"]}[name] for record in records]
        return _listed(list(dict.fromkeys(map(str, found))))

    many = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    usual = flat(Config().to_dict())
    settings = settings_of(table)
    varied = varying(table, settings)
    others = [
        f"{c} = {of(c)}"
        for c in settings
        if c not in (*varied, *SAID) and of(c) != value_text(usual.get(c))
    ]
    lines = [
        f"We stylised {many} of a content and a style picture in {len(table)} runs (method "
        f"{of('method')}) at {of('size')} pixels (height x width).",
        f"Features were those of the network {of('backbone')} with the weights {of('weights')} "
        f"(normalisation {of('normalise')}, {of('pooling')} pooling, {of('padding')} padding): "
        f"content at {of('content_layers')}, style at {of('style_layers')}.",
        f"The weights of content, style and total variation were {of('content_weight')}, "
        f"{of('style_weight')} and {of('tv_weight')}.",
        f"The initial image was {of('init')}; it was optimised for {of('steps')} steps "
        f"({of('optimizer')}, step size {of('learning_rate')}, schedule {of('schedule')}), "
        f"projected onto [0, 1] after each step: {of('projected')}; seed {of('seed')}.",
        f"The settings that varied: {_listed(varied)}." if varied else "No setting was varied.",
        *([f"Further settings: {_listed(others)}."] if others else []),
        "Every measure is of the picture as saved, in 8 bits.",
        f"Made with stylelab {noted('stylelab')} and PyTorch {noted('torch')} on "
        f"{noted('device')} in {noted('precision')}.",
    ]
    return " ".join(lines)


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
