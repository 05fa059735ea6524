"""The archive of a sweep, read back by rocrate."""

import hashlib
import json
import sys
import zipfile

import pandas as pd
import pytest
import torch
from conftest import BASE
from rocrate.rocrate import ROCrate

import stylelab.sweeps.runs
from stylelab import InputError, Result, Sweep, crate, sweep
from stylelab.cli import main
from stylelab.training.identity import Inputs


@pytest.fixture
def done(tmp_path, monkeypatch):
    """Two runs, of which the one with seed 1 fails; made by no transfer."""

    def stylize(inputs: Inputs, _, config, folder, progress):
        if config.seed:
            raise InputError("no luck")
        history = pd.DataFrame({"step": [1], "seconds": [2.0], "total": [1.0]})
        versions = {"stylelab": "0.1.0", "torch": "2.6.0"}
        info = {"inputs": list(inputs.names), "versions": versions, "seconds": 2.0}
        picture = torch.full((1, 3, 16, 16), 0.5)
        result = Result(picture, history, config, {**inputs.identity, **info})
        result.save(folder)
        return result

    monkeypatch.setattr(stylelab.sweeps.runs, "stylize", stylize)
    style = "night_cafe+langlois_bridge"
    return sweep("chenonceau", style, {"seed": [0, 1]}, BASE, tmp_path / "runs", progress=False)


TERMS = {  # of RO-Crate 1.1 and of the profile: a validator refuses any other
    "@id", "@type", "about", "actionStatus", "author", "conformsTo", "contentSize",
    "datePublished", "description", "encodingFormat", "endTime", "error", "hasPart", "instrument",
    "license", "mentions", "name", "object", "result", "sha256", "softwareRequirements",
    "startTime", "url", "value", "version",
}  # fmt: skip


def test_an_archive_says_of_each_run_how_it_was_made(done, tmp_path):
    licence = "https://creativecommons.org/licenses/by/4.0/"
    path = crate(done, tmp_path / "new" / "sweep.zip", licence)
    read = ROCrate(path)
    assert read.root_dataset["conformsTo"].id == "https://w3id.org/ro/wfrun/process/0.5"
    assert read.root_dataset["license"].id == licence
    assert read.root_dataset["description"] == "A sweep of 2 runs, of which 1 failed."
    key, failed = done.table.index
    names = {f"{key}/{n}" for n in ("run.json", "result.json", "image.png", "history.csv")}
    names |= {f"{failed}/run.json", f"{failed}/error.json", "table.csv"}
    assert {entity.id for entity in read.data_entities} == names
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == names | {"ro-crate-metadata.json"}
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
        assert {term for entity in graph for term in entity} == TERMS
        for entity in read.data_entities:
            assert hashlib.sha256(archive.read(entity.id)).hexdigest() == entity["sha256"]
        assert archive.read(f"{key}/image.png") == (done.out / key / "image.png").read_bytes()
    run, other = read.root_dataset["mentions"]
    assert (run["instrument"]["name"], run["instrument"]["version"]) == ("stylelab", "0.1.0")
    (part,) = run["instrument"]["softwareRequirements"]
    assert (part.id, part["version"]) == ("https://pypi.org/project/torch/#2.6.0", "2.6.0")
    assert run["description"].startswith("Style transfer by the method gatys, ")
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    pictures = [thing for thing in run["object"] if thing.type == "CreativeWork"]
    assert pictures[0]["author"] == "Alf van Beem"
    assert [picture["sha256"][:8] for picture in pictures][:2] == ["4e414fc3", "ce4d535b"]
    assert len(pictures) == 3
    (seed,) = [thing for thing in run["object"] if thing.type == "PropertyValue"]
    assert (seed["name"], seed["value"]) == ("seed", 0)
    assert {thing.id for thing in run["result"]} == {n for n in names if key in n} - {
        f"{key}/run.json"
    }
    ended, began = (pd.Timestamp(run[name]) for name in ("endTime", "startTime"))
    assert (ended - began).total_seconds() == 2
    assert other["error"] == "InputError: no luck"


def test_the_same_folder_gives_the_same_bytes(done, tmp_path, capsys):
    first = crate(done, tmp_path / "a.zip").read_bytes()
    assert "No licence was given" in ROCrate(tmp_path / "a.zip").root_dataset["license"]
    main(["table", str(done.out), "--crate", str(tmp_path / "b.zip")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == first
    assert crate(done, tmp_path / "a.zip").read_bytes() == first  # over an earlier one


def test_what_cannot_be_archived_is_said_in_a_line(done, tmp_path, monkeypatch):
    mine = tmp_path / "mine.zip"
    mine.write_bytes(b"other")
    with pytest.raises(InputError, match="is no archive of a sweep"):
        crate(done, mine)
    assert mine.read_bytes() == b"other"
    with pytest.raises(InputError, match=r"should end in \.zip"):
        crate(done, tmp_path / "sweep.tar")
    (done.out / done.table.index[0] / "history.csv").write_text("cut")
    with pytest.raises(InputError, match=r"is damaged .*; retry the failed runs"):
        crate(done, tmp_path / "new.zip")
    monkeypatch.setitem(sys.modules, "rocrate.rocrate", None)
    (done.out / done.table.index[0] / "result.json").unlink()
    with pytest.raises(InputError, match=r"pip install 'stylelab\[crate\]'"):
        crate(done, tmp_path / "new.zip")
    assert not (tmp_path / "new.zip").exists()
    (done.out / done.table.index[1] / "error.json").unlink()
    with pytest.raises(InputError, match="no run of this sweep has ended"):
        crate(Sweep(done.out), tmp_path / "new.zip")
