"""Runs in MLflow: a store in a file, without a network."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import BASE

import stylelab.sweeps.runs
from stylelab import InputError, Result, sweep, track
from stylelab.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One for all tests: MLflow takes seconds to make its tables."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A sweep of runs that are made by no transfer."""
    monkeypatch.chdir(tmp_path)

    def stylize(inputs, _, config, folder, progress):
        losses = {"total": [3.0, 2.5], "content/relu4_4": [1.0, 0.5]}
        history = pd.DataFrame({"step": [1, 2], "seconds": [0.5, 1.0], **losses})
        info = {"metrics": {"ssim": 0.25}, "saved_losses": {"total": 2.0}, "seconds": 1.0}
        result = Result(torch.full((1, 3, 16, 16), 0.5), history, config, info)
        result.save(folder)
        return result

    monkeypatch.setattr(stylelab.sweeps.runs, "stylize", stylize)

    def more(seeds):
        axes = {"seed": seeds}
        return sweep("chenonceau", "night_cafe", axes, BASE, tmp_path / "runs", progress=False)

    return more


def test_each_run_is_logged_once_with_its_settings_steps_and_picture(made, tmp_path, store):
    import mlflow

    done = made([0, 1])
    assert track(done, "castle", store) == 2
    client = mlflow.MlflowClient(tracking_uri=store)
    place = client.get_experiment_by_name("castle").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([place])}
    assert set(runs) == set(done.table.index)
    key = done.table.index[done.table["seed"] == 1][0]
    run = runs[key]
    assert (run.data.params["seed"], run.data.params["size"]) == ("1", "32x48")
    assert run.data.metrics["ssim"] == 0.25
    assert run.data.metrics["saved/total"] == 2
    assert run.info.end_time - run.info.start_time == 1000
    number = run.info.run_id
    history = client.get_metric_history(number, "content/relu4_4")
    assert [(point.step, point.value) for point in history] == [(1, 1), (2, 0.5)]
    picture = client.download_artifacts(number, "image.png", str(tmp_path))
    assert Path(picture).read_bytes() == (done.out / key / "image.png").read_bytes()

    assert track(done, "castle", store) == 0
    cut = client.create_run(place, tags={"stylelab.run": "0123456789abcdef"})  # by a kill
    assert track(made([0, 1, 2]), "castle", store) == 1
    runs = client.search_runs([place])
    assert len(runs) == 3
    assert cut.info.run_id not in {run.info.run_id for run in runs}
    assert track(done, "another", store) == 3


def test_the_command_logs_runs_and_says_how_many(made, store, monkeypatch, capsys):
    made([0])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    main(["table", "runs", "--track", "garden"])
    assert capsys.readouterr().out == "garden: 1 runs logged, 0 were there\n"
    main(["table", "runs", "--track", "garden"])
    assert capsys.readouterr().out == "garden: 0 runs logged, 1 were there\n"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://here")
    with pytest.raises(SystemExit) as stopped:
        main(["table", "runs", "--track", "garden"])
    assert stopped.value.code == 2
    assert "MLflow: " in capsys.readouterr().err


def test_without_mlflow_a_line_says_how_to_get_it(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"pip install 'stylelab\[track\]'"):
        track(made([0]), "castle")


def test_a_run_that_is_damaged_or_of_a_newer_version_is_said_in_a_line(made, store):
    done = made([0])
    folder = done.out / done.table.index[0]
    record = (folder / "result.json").read_text()
    history = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text(history.replace("3.0", "4.0"))  # as long as it was
    with pytest.raises(InputError, match=r"is damaged \(history.csv .*; retry the failed runs"):
        track(done, "damaged", store)
    (folder / "history.csv").write_text(history)
    (folder / "result.json").write_text(record.replace('"schema": 1', '"schema": 9'))
    assert done.table["status"].tolist() == ["failed"]  # and so it is left out
    assert track(done, "newer", store) == 0
