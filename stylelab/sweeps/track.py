"""Finished runs in an experiment tracker: MLflow, on this machine or on a server."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from stylelab.errors import InputError
from stylelab.sweeps.grids import flat
from stylelab.sweeps.runs import Sweep
from stylelab.sweeps.table import measured, read_complete

KEY = "stylelab.run"  # the tag that names the run's folder
ARTIFACTS = ("image.png", "result.json")
PARAMS, METRICS = 100, 1000  # that MLflow takes at once


def track(sweep: Sweep, experiment: str, uri: str | None = None) -> int:
    """Log the complete runs of a sweep to an experiment of MLflow; those that it has are left out.

    Settings become parameters, each row of the history a step of its metrics, the metrics of the
    picture and the losses as saved further metrics; the picture and result.json are artefacts. The
    folders stay the truth: nothing is ever read back.

    Args:
        experiment: its name; it is made if there is none.
        uri: where MLflow keeps runs: ``sqlite:///mlflow.db``, or a server's address; by default
            what the variable MLFLOW_TRACKING_URI says, else MLflow's own default.

    Returns:
        How many runs were logged.

    Raises:
        InputError: MLflow is missing or cannot be reached, or a run is damaged.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would send how it is used
    try:
        mlflow = import_module("mlflow")
    except ImportError:
        raise InputError("tracking needs MLflow; run: pip install 'stylelab[track]'") from None
    table, count = sweep.table, 0
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        place = found.experiment_id if found else client.create_experiment(experiment)
        known = set()
        for run in list(_logged(client, place)):
            if run.info.status == "FINISHED":
                known.add(run.data.tags[KEY])
            else:  # its logging was cut short
                client.delete_run(run.info.run_id)
        for key in table.index[table["status"] == "complete"].difference(list(known)):
            _log(mlflow, client, place, sweep.out / str(key))
            count += 1
    except mlflow.exceptions.MlflowException as error:
        raise InputError(f"MLflow: {str(error).splitlines()[0]}") from None
    return count


def _logged(client: Any, place: str) -> Iterator[Any]:
    """The runs of an experiment that came from folders."""
    token = None
    while True:
        page = client.search_runs([place], f"tags.`{KEY}` != ''", page_token=token)
        yield from page
        if not (token := page.token):
            return


def _log(mlflow: Any, client: Any, place: str, folder: Path) -> None:
    record = read_complete(folder)
    entities, end = mlflow.entities, int((folder / "result.json").stat().st_mtime * 1000)
    start = end - int(1000 * record.get("seconds", 0))
    versions = {f"stylelab.{name}": text for name, text in record.get("versions", {}).items()}
    tags = {KEY: folder.name, **versions}
    run = client.create_run(place, start_time=start, tags=tags, run_name=folder.name)
    number = run.info.run_id
    params = [entities.Param(k, str(v)) for k, v in flat(record["config"]).items()]
    for first in range(0, len(params), PARAMS):
        client.log_batch(number, params=params[first : first + PARAMS])
    history = pd.read_csv(folder / "history.csv")
    names = history.columns.drop(["step", "seconds"], errors="ignore")
    metrics = [
        entities.Metric(
            str(name), float(row[name]), start + int(1000 * row["seconds"]), int(row["step"])
        )
        for _, row in history.iterrows()
        for name in names
        if pd.notna(row[name])
    ]
    last = int(history["step"].iloc[-1])
    ends = {k: v for k, v in measured(record).items() if not k.startswith("last/")}
    metrics += [entities.Metric(k, float(v), end, last) for k, v in ends.items() if pd.notna(v)]
    for first in range(0, len(metrics), METRICS):
        client.log_batch(number, metrics=metrics[first : first + METRICS])
    for name in ARTIFACTS:
        if (folder / name).exists():
            client.log_artifact(number, str(folder / name))
    client.set_terminated(number, end_time=end)
