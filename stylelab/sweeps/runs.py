"""Sweeps: runs that can be stopped and resumed, shared among workers, and end in one table."""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pebble
import torch
from filelock import FileLock
from tqdm.auto import tqdm

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.files import check_writable, write_atomically
from stylelab.presets import PRESETS
from stylelab.recipes import Recipe
from stylelab.registry import GANS, METHODS, NETWORKS
from stylelab.sample_pictures import find, find_styles, split_styles
from stylelab.sweeps.analysis import summarise
from stylelab.sweeps.grids import GridAxes, Run, flat, grid
from stylelab.training.result import Result
from stylelab.training.trainer import train
from stylelab.training.transfer import stylize

ENDED = ("complete", "failed")


@dataclass(frozen=True)
class Sweep:
    """The runs in a folder, finished or not."""

    out: Path

    @property
    def table(self) -> pd.DataFrame:
        """One row per run: pictures, settings, last losses, metrics, seconds, memory, status."""
        return collect(self.out)

    @property
    def histories(self) -> pd.DataFrame:
        """The histories of all complete runs in one table: a row per step, with its run's key."""
        table = self.table
        complete = [str(key) for key in table.index[table["status"] == "complete"]]
        tables = [pd.read_csv(self.out / k / "history.csv").assign(run=k) for k in complete]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def summary(
        self, by: str | Sequence[str], metrics: Sequence[str] = (), level: float = 0.95
    ) -> pd.DataFrame:
        """Means for each value of the settings ``by``, with intervals; see `summarise`."""
        return summarise(self.table, by, metrics, level)

    def result(self, key: str) -> Result:
        """The result of one run."""
        return Result.load(self.out / key)

    @classmethod
    def load(cls, out: str | Path) -> "Sweep":
        if not any(Path(out).glob("*/run.json")):
            raise InputError(f"'{out}' holds no sweep; run one, or name another folder")
        return cls(Path(out))


def sweep(
    content: str | Path,
    style: str | Path,
    axes: GridAxes | Iterable[Config | Recipe],
    base: Config | Recipe = PRESETS["paper"],
    out: str | Path = "runs/sweep",
    executor: Executor | None = None,
    workers: int = 1,
    threads: int | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> Sweep:
    """Make the runs of a grid that ``out`` does not hold yet.

    Complete runs are kept, interrupted ones resumed; failed ones stay in the table with their error
    unless ``retry_failed`` is true. A run that fails does not stop the others. Ctrl-C stops after
    the current steps, and the same call resumes.

    Args:
        content, style, axes, base: see `grid`.
        out: the folder of the run folders.
        executor: any PEP 3148 executor, such as Dask's ``Client.get_executor(pure=False)``.
        workers: processes on this machine, where no executor is given; one is this process.
        threads: of each worker; by default its share of the cores.
        retry_failed: whether runs that failed before are tried again.
        progress: whether to show a bar, and a line for each run.
    """
    runs = grid(str(content), str(style), axes, base)
    return run_all(runs, out, executor, workers, threads, retry_failed, progress)


def run_all(
    runs: Sequence[Run],
    out: str | Path,
    executor: Executor | None = None,
    workers: int = 1,
    threads: int | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> Sweep:
    """Make these runs; see `sweep`."""
    if workers < 1 or (threads is not None and threads < 1):
        raise InputError(f"workers={workers} and threads={threads} should be 1 or above")
    out, own_threads = Path(out), torch.get_num_threads()
    check_writable(out)
    keys = {run.key: run for run in runs}
    for key, run in keys.items():
        folder = out / key
        if retry_failed and status(folder)[0] == "failed":
            for name in ("error.json", "result.json"):
                (folder / name).unlink(missing_ok=True)
        record = {"content": run.content, "style": run.style, "config": run.config.to_dict()}
        if not (folder / "run.json").exists():
            write_atomically(folder / "run.json", json.dumps(record, indent=1).encode())
    todo = {key: run for key, run in keys.items() if status(out / key)[0] not in ENDED}
    bar = tqdm(total=len(keys), initial=len(keys) - len(todo), unit="run", disable=not progress)

    def finish(key: str, files: dict[str, bytes]) -> None:
        for name in sorted(files, key="result.json".__eq__):  # that one last
            write_atomically(out / key / name, files[name])
        word, record = status(out / key)
        detail = record.get("error") or f"{record.get('seconds', 0):.0f} s"
        if progress:
            bar.write(f"{key} {word}: {detail}")
        bar.update()

    pool = None
    if executor is None and workers > 1:
        threads = threads or max(1, (os.cpu_count() or 1) // workers)
        pool = pebble.ProcessPool(max_workers=workers, context=get_context("spawn"))
    jobs: dict[Future[Any], str] = {}
    try:
        for key, run in todo.items():
            own = [dict(registry.sources) for registry in (METHODS, NETWORKS, GANS)]
            arguments = (key, run, out.absolute(), threads, own)
            if pool is not None:
                jobs[pool.schedule(execute, arguments)] = key
            elif executor is not None:
                jobs[executor.submit(execute, *arguments)] = key
            elif (files := execute(*arguments)) is not None:
                finish(key, files)
            else:
                raise KeyboardInterrupt
        for job in as_completed(jobs):
            try:
                files = job.result() or {}
            except Exception as error:  # the worker died under the run
                write_error(out / jobs[job], error)
                files = {}
            finish(jobs[job], files)
    except BaseException as error:
        for job in jobs:
            job.cancel()
        if pool is not None:
            pool.stop()
        if not isinstance(error, KeyboardInterrupt):
            raise
        tqdm.write("interrupted; the same sweep goes on from there")
    finally:
        bar.close()
        torch.set_num_threads(own_threads)
        if pool is not None:
            pool.close()
            pool.join()
    return Sweep(out)


def execute(
    key: str,
    run: Run,
    out: Path,
    threads: int | None,
    sources: Sequence[Mapping[str, str]],
) -> dict[str, bytes] | None:
    """Make one run in its folder; this is what a worker calls.

    ``sources`` are those of the methods, networks and GANs that were registered in the process
    that started the sweep.

    Returns an empty mapping; the run's files by name if this machine does not see ``out``; None
    after Ctrl-C.
    """
    if threads:
        torch.set_num_threads(threads)
    for registry, own in zip((METHODS, NETWORKS, GANS), sources, strict=True):
        registry.install(own)
    folder = out / key
    if (folder / "run.json").exists():
        with FileLock(folder / "lock"):  # freed when the process dies, however it dies
            return {} if status(folder)[0] in ENDED or _make(run, folder) else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        return {p.name: p.read_bytes() for p in folder.iterdir()} if _make(run, folder) else None


def _make(run: Run, folder: Path) -> bool:
    try:
        result: Result
        if isinstance(run.config, Recipe):
            result = train(run.config, *run.sources, folder, progress=False)
        else:
            pictures = find(run.content), find_styles(run.style)
            result = stylize(*pictures, run.config, folder, progress=False)
        return not result.interrupted
    except Exception as error:
        write_error(folder, error)
        return True


def write_error(folder: Path, error: BaseException) -> None:
    """Write the error that ended a run to its folder, as error.json."""
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    write_atomically(folder / "error.json", json.dumps({"error": text}).encode())


def status(folder: Path) -> tuple[str, dict[str, Any]]:
    """One of complete, failed, interrupted, pending; and the record of the result or the error."""
    for name, word in (("result.json", "complete"), ("error.json", "failed")):
        try:
            return word, json.loads((folder / name).read_text("utf-8"))
        except FileNotFoundError:
            continue
        except ValueError:
            return "failed", {"error": f"{folder / name} is damaged; retry the failed runs"}
    return ("interrupted" if (folder / "state.pt").exists() else "pending"), {}


def collect(out: str | Path) -> pd.DataFrame:
    """The table of all runs in a folder, at any time; see `Sweep.table`."""
    rows: list[dict[str, Any]] = []
    transfers, trainings = Config().to_dict(), Recipe(network="johnson").to_dict()
    names: dict[str, None] = {}  # of all settings, in their order
    for path in Path(out).glob("*/run.json"):
        spec = json.loads(path.read_text("utf-8"))
        word, record = status(path.parent)
        usual = trainings if "network" in spec["config"] else transfers
        names |= dict.fromkeys(usual)
        settings = flat({**usual, **spec["config"]})  # which an earlier version did not all have
        pictures = {"content": Path(spec["content"]).stem}
        pictures["style"] = "+".join(Path(name).stem for name in split_styles(spec["style"]))
        ends = {k: record.get(k) for k in ("seconds", "peak_memory_mb", "error")}
        losses = {
            f"{kind}/{k}": v
            for kind in ("saved", "held_out", "last")
            for k, v in record.get(f"{kind}_losses", {}).items()
        }
        clipped = {"outside": record["outside"]} if "outside" in record else {}
        measured = record.get("metrics", {})
        rows.append({"run": path.parent.name, "status": word, **pictures, **settings, **losses})
        rows[-1] |= {**clipped, **measured, **ends}
    if not rows:
        raise InputError(f"'{out}' holds no sweep; run one, or name another folder")
    table = pd.DataFrame(rows).set_index("run").convert_dtypes()
    own = sorted(str(column) for column in table if str(column).startswith("options."))
    known = ["content", "style", *(c for c in names if c in table), *own]
    order = [c for c in known if len(table[c].drop_duplicates()) > 1]
    return table.sort_values(order, key=_sortable) if order else table


def _sortable(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.name != "size":
        return column
    sides = column.astype(str).str.split("x")  # by the number of pixels
    return sides.map(lambda pair: int(pair[0]) * int(pair[-1])).astype("int64")
