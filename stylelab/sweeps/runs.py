"""Sweeps: runs that can be stopped and resumed, shared among workers, and end in one table."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from tqdm.auto import tqdm

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.files import check_writable, write_atomically, write_together
from stylelab.presets import PRESETS
from stylelab.recipes import Recipe
from stylelab.registry import GANS, METHODS, NETWORKS
from stylelab.sweeps.analysis import summarise
from stylelab.sweeps.grids import GridAxes, Run, grid
from stylelab.sweeps.table import collect, read_spec, status
from stylelab.sweeps.workers import start_workers
from stylelab.training.folders import LOCK, Busy, NotSaved, held
from stylelab.training.identity import Inputs
from stylelab.training.result import Damaged, Result, Unreadable, read_record
from stylelab.training.trainer import Training, train
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
    pool = start_workers(workers) if executor is None and workers > 1 else None
    if pool is not None:
        threads = threads or max(1, (os.cpu_count() or 1) // workers)
    bar = tqdm(total=len(keys), unit="run", disable=not progress)
    jobs: dict[Future[Any], str] = {}

    def finish(key: str, files: dict[str, bytes]) -> None:
        if files:
            names = sorted(files, key="result.json".__eq__)  # that one last
            write_together({out / key / n: files[n] for n in names}, out / key / "result.json")
        word, record = status(out / key)
        detail = record.get("error") or f"{record.get('seconds', 0):.0f} s"
        if progress:
            bar.write(f"{key} {word}: {detail}")
        bar.update()

    try:
        for key, run in keys.items():
            plan(run, out / key, retry_failed)
        todo = {key: run for key, run in keys.items() if status(out / key)[0] not in ENDED}
        bar.update(len(keys) - len(todo))
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
            except NotSaved:  # which is no fault of the run
                raise
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


def plan(run: Run, folder: Path, retry_failed: bool) -> None:
    """Write what a run is to its folder and, if it is to be tried again, forget how it failed."""
    if retry_failed and status(folder)[0] == "failed":
        # Busy: it is being tried again just now. Unreadable: it belongs to a newer version.
        with contextlib.suppress(Busy, Unreadable), held(folder):
            if status(folder)[0] == "failed":
                forget(folder)
    if read_spec(folder) is None:
        record = {"content": run.content, "style": run.style, "config": run.config.to_dict()}
        write_atomically(folder / "run.json", json.dumps(record, indent=1).encode())


def forget(folder: Path) -> None:
    """Take away what ends a failed run; what was interrupted then goes on."""
    try:
        read_record(folder)
    except Unreadable:
        raise
    except Exception:  # it is missing, or damaged
        (folder / "result.json").unlink(missing_ok=True)
    (folder / "error.json").unlink(missing_ok=True)


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
        with held(folder, wait=True):
            return {} if status(folder)[0] in ENDED or _make(run, folder, key) else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = _make(run, folder, key)
        return (
            {p.name: p.read_bytes() for p in folder.iterdir() if p.name != LOCK} if made else None
        )


def _make(run: Run, folder: Path, key: str) -> bool:
    changed = InputError(
        f"'{run.content}', '{run.style}' or a file of the settings changed since the sweep began; "
        "start it again"
    )
    try:
        result: Result
        if run.key_of(read := run.read()) != key:
            raise changed
        if isinstance(run.config, Config):
            result = stylize(cast(Inputs, read), (), run.config, folder, progress=False)
            return not result.interrupted

        def check(training: Training) -> None:
            """The pictures were read once more; some may have been left out for their size."""
            found = {sha for group in training.sets.pictures.values() for sha in group.values()}
            known = set(cast(list[str], read))
            if training.steps_done == 1 and found != known and (found - known or run.key != key):
                raise changed

        result = train(run.config, *run.sources, folder, check, progress=False)
        return not result.interrupted
    except NotSaved:
        raise
    except Exception as error:
        if isinstance(error, Damaged):  # else it would be no better the next time
            (folder / "state.pt").unlink(missing_ok=True)
        write_error(folder, error)
        return True


def write_error(folder: Path, error: BaseException) -> None:
    """Write the error that ended a run to its folder, as error.json."""
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    write_atomically(folder / "error.json", json.dumps({"error": text}).encode())
