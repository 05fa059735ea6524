"""The commands ``stylelab rerun``, ``table`` and ``tune``; see `stylelab.cli`."""

import time
from pathlib import Path
from typing import Annotated

import tyro

OutFile = Annotated[Path | None, tyro.conf.arg(aliases=["-o"])]


def reproduce(
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("runs/reproduce"),
) -> None:
    """Run the paper's experiment at both sizes, with figures and a report.

    Args:
        out: The folder for the runs, the figures and report.html.
    """
    from stylelab.applications.reproduce import detail_ratio
    from stylelab.applications.reproduce import reproduce as run

    started = time.perf_counter()
    small, large = run(out)
    print(f"figure: {out / 'figure.png'}\nreport: {out / 'report.html'}")
    ratio = detail_ratio(small.image, large.image)
    print(f"fine detail, large against small enlarged: {ratio:.1f} times")
    print(f"took {time.perf_counter() - started:.0f} s")


def rerun(
    picture: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PICTURE")],
    out: OutFile = None,
    pictures: tuple[Path, ...] = (),
) -> None:
    """Make the run of a picture again, and say what differs.

    Args:
        picture: A PNG that stylelab saved; its text says how it was made.
        out: A folder for the new run.
        pictures: The photograph and the paintings, or folders to look for them.
    """
    from stylelab.applications.rerun import rerun as run

    print(run(picture, out, pictures))


def table(
    runs: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUNS")],
    out: OutFile = None,
    by: tuple[str, ...] = (),
    against_first: bool = False,
    methods: bool = False,
    crate: Path | None = None,
    track: str = "",
) -> None:
    """Show or export the table of a sweep, means with intervals, or comparisons within pairs.

    Args:
        runs: The folder of a sweep.
        out: A file to write instead: .csv, .parquet or .tex (LaTeX, booktabs).
        by: Settings; a row then is a value of them, with means over pairs of pictures.
        against_first: Whether the rows are differences from the first value, within pairs.
        methods: Whether to print, instead, how the runs were made, as a paragraph for a paper.
        crate: A .zip to write, instead: all runs as an RO-Crate, to publish or to keep.
        track: An experiment of MLflow, to which complete runs are logged, each once.
    """
    from stylelab.errors import InputError
    from stylelab.sweeps.analysis import compare
    from stylelab.sweeps.crate import crate as write_crate
    from stylelab.sweeps.export import export, methods_paragraph
    from stylelab.sweeps.runs import Sweep
    from stylelab.sweeps.track import track as log

    sweep = Sweep.load(runs)
    if crate:
        print(write_crate(sweep, crate))
        return
    if track:
        logged, ended = log(sweep, track), (sweep.table["status"] == "complete").sum()
        print(f"{track}: {logged} runs logged, {ended - logged} were there")
        return
    if methods:
        print(methods_paragraph(sweep))
        return
    if against_first and not by:
        raise InputError("--against-first needs --by: name the settings that are compared")
    found = sweep.table if not by else sweep.summary(by)
    if against_first:
        found = compare(sweep.table, by)
    print(export(found, out) if out else found.to_string())


def tune(
    search: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    out: OutFile = None,
    retry_failed: bool = False,
    plugin: Path | None = None,
) -> None:
    """Search the settings that make metrics best; the same command goes on where it was stopped.

    Args:
        search: A grid file (TOML) with a table [tune]: metrics, trials and seed.
        out: The folder of the run folders; by default runs/ and the name of the file.
        retry_failed: Try again what failed before.
        plugin: A Python file with a method of your own, which is run first.
    """
    from stylelab.errors import InputError
    from stylelab.sweeps.table import check_table, write_table
    from stylelab.sweeps.tuning import read_tuning
    from stylelab.sweeps.tuning import tune as run

    asked = read_tuning(search)
    out = out or Path("runs") / Path(search).stem
    for name in ("trials.csv", "table.csv"):
        check_table(out / name)
    found = run(**asked, out=out, retry_failed=retry_failed)
    if len(found.table):
        write_table(found.table, out / "trials.csv")
        write_table(found.sweep.table, out / "table.csv")
    if found.interrupted:
        raise SystemExit(130)
    if found.table["status"].eq("failed").all():
        raise InputError("all trials failed; the column 'error' of trials.csv says why")
    print(f"{out / 'trials.csv'}: {len(found.table)} trials; the best:\n{found.best.to_string()}")
