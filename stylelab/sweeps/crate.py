"""A sweep as one archive for a repository of research data: an RO-Crate with its provenance."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from stylelab.errors import InputError
from stylelab.files import write_atomically
from stylelab.sample_pictures import data_folder
from stylelab.sweeps.runs import ENDED, Sweep
from stylelab.sweeps.table import read_complete, settings_of, varying

METADATA = "ro-crate-metadata.json"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # which has sha256
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
KINDS = {".png": "image/png", ".csv": "text/csv", ".json": "application/json"}


def crate(sweep: Sweep, path: str | Path, licence: str = "") -> Path:
    """Write the runs of a sweep that ended as an RO-Crate 1.1 (profile Process Run Crate 0.5).

    A ZIP archive with the table of the sweep, the files of each run, and a description that says
    of each how it was made: settings that vary, versions, and the pictures that it read, by hash
    and, for the kit's own, with their credits. The pictures themselves are not in it. The same
    folder gives the same bytes.

    Args:
        licence: of the archive, as an address: https://creativecommons.org/licenses/by/4.0/. An
            RO-Crate must have one; without it, the archive says that none was given.

    Raises:
        InputError: rocrate is missing, no run has ended, a run is damaged, or the file is no crate.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip":
        raise InputError(f"'{path}' should end in .zip")
    if path.exists() and not _is_crate(path):
        raise InputError(f"'{path}' is no archive of a sweep; name another file")
    files = _files(sweep)
    files[METADATA] = _describe(sweep, files, licence)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # of 1980, so that the same files are the same bytes
            entry.external_attr = 0o644 << 16
            packed = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], packed)
    write_atomically(path, buffer.getvalue())
    return path


def _is_crate(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return METADATA in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _files(sweep: Sweep) -> dict[str, bytes]:
    """The files of all runs that ended, by their path in the sweep's folder, and the table."""
    table = sweep.table
    ended = [str(key) for key in table.index[table["status"].isin(ENDED)]]
    if not ended:
        raise InputError("no run of this sweep has ended; make its runs first")
    files = {"table.csv": table.loc[ended].to_csv().encode()}
    for key in ended:
        names = ["run.json", "error.json"]
        if (sweep.out / key / "result.json").exists():
            names = ["run.json", "result.json", *read_complete(sweep.out / key).get("files", ())]
        found = {name: sweep.out / key / name for name in names}
        files |= {f"{key}/{n}": path.read_bytes() for n, path in found.items() if path.is_file()}
    return files


def _describe(sweep: Sweep, files: Mapping[str, bytes], licence: str) -> bytes:
    """The text of ro-crate-metadata.json."""
    try:
        made = import_module("rocrate.rocrate").ROCrate(version="1.1")
    except ImportError:
        raise InputError("an RO-Crate needs rocrate; run: pip install 'stylelab[crate]'") from None
    made.metadata.extra_contexts.append(TERMS)
    root, table, credits = made.root_dataset, sweep.table, _credits()
    root["conformsTo"] = _add(
        made, PROFILE, "CreativeWork", name="Process Run Crate", version="0.5"
    )
    root["license"] = (
        _add(made, licence, "CreativeWork", name=licence, description="Licence of this archive")
        if licence
        else "No licence was given: ask those who made the runs before using them."
    )
    for name, content in files.items():
        told = {"contentSize": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
        if Path(name).suffix in KINDS:
            told["encodingFormat"] = KINDS[Path(name).suffix]
        made.add_file(io.BytesIO(content), name, properties=told)
    made.get("table.csv")["name"] = "Settings, losses and metrics: a row a run"
    varied = varying(table, settings_of(table))
    keys = dict.fromkeys(name.split("/")[0] for name in files if "/" in name)
    ends = [
        _add_run(made, sweep.out / key, table.loc[[key], varied].iloc[0], credits) for key in keys
    ]
    failed = sum(f"{key}/result.json" not in files for key in keys)
    root["name"] = f"Runs of stylelab: {sweep.out.resolve().name}"
    root["description"] = f"A sweep of {len(keys)} runs, of which {failed} failed."
    root["datePublished"] = max(ends).isoformat()
    return json.dumps(made.metadata.generate(), indent=1, sort_keys=True).encode()


def _add(made: Any, identifier: str, kind: str, /, **properties: Any) -> Any:
    """The entity with that identifier, which is added where it is not there yet."""
    entity = import_module("rocrate.model.contextentity").ContextEntity
    return made.get(identifier) or made.add(entity(made, identifier, {"@type": kind, **properties}))


def _add_run(
    made: Any, folder: Path, settings: "pd.Series[Any]", credits: Mapping[str, dict[str, str]]
) -> datetime:
    """Add a run as an action, with what it read and made, and by what; returns when it ended."""
    key = folder.name
    complete = f"{key}/result.json" in made
    last = folder / ("result.json" if complete else "error.json")
    record = json.loads(last.read_text("utf-8"))
    end = datetime.fromtimestamp(int(last.stat().st_mtime), timezone.utc)
    action = _add(made, f"#{key}", "CreateAction", name=f"Run {key}", endTime=end.isoformat())
    config = json.loads((folder / "run.json").read_text("utf-8"))["config"]
    network = f"Training of the network {config.get('network')}"
    what = network if "network" in config else f"Style transfer by the method {config['method']}"
    action["description"] = f"{what}, {config['steps']} steps; run.json has all settings"
    read = [made.get(f"{key}/run.json")]
    for name, sha256 in _inputs(record):
        told = {"name": name, "sha256": sha256, **credits.get(sha256, {})}
        read.append(_add(made, f"#sha256-{sha256}", "CreativeWork", **told))
    for column, value in settings.dropna().items():
        setting = {"name": column, "value": value.item() if hasattr(value, "item") else value}
        read.append(_add(made, f"#{key}/{column}", "PropertyValue", **setting))
    action["object"] = read
    versions = dict(record.get("versions", {}))
    version = versions.pop("stylelab", "")
    parts = []
    for name, text in versions.items():
        page = (
            "https://www.python.org/" if name == "python" else f"https://pypi.org/project/{name}/"
        )
        told = {"name": name, "version": text, "url": page}
        parts.append(_add(made, f"{page}#{text}", "SoftwareApplication", **told))
    # A run that failed does not say of which version it was.
    name = f"#stylelab-{version}" if version else "#stylelab"
    kit = _add(made, name, "SoftwareApplication", name="stylelab")
    if version:
        kit["version"], kit["softwareRequirements"] = version, parts
    action["instrument"] = kit
    status = "Completed" if complete else "Failed"
    action["actionStatus"] = f"http://schema.org/{status}ActionStatus"
    if complete:
        began = end - timedelta(seconds=int(record.get("seconds", 0)))
        action["startTime"] = began.isoformat()
        names = ["result.json", *record.get("files", ())]
        action["result"] = [made.get(f"{key}/{name}") for name in names]
    else:
        action["error"] = str(record["error"])
    made.root_dataset.append_to("mentions", action)
    return end


def _inputs(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of each picture or weights file that a run read, as far as it says so."""
    for group in record.get("pictures", {}).values():  # of a training
        yield from group.items()
    if "pictures" not in record and "content_sha256" in record:
        sums = [record["content_sha256"], *record["style_sha256"].split("+")]
        yield from zip(
            record.get("inputs") or ["content", *["style"] * len(sums)], sums, strict=False
        )
        own = {"content_sha256", "style_sha256", "method_sha256", "state_sha256"}
        for name in sorted(k for k in record.keys() - own if k.endswith("_sha256")):
            yield name.removesuffix("_sha256"), record[name]


def _credits() -> dict[str, dict[str, str]]:
    """What is known of the kit's own pictures, by SHA-256."""
    found = {}
    for path in data_folder().rglob("CREDITS.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                told = {
                    "name": row.get("title") or row["file"],
                    "author": row.get("author", ""),
                    "url": row.get("source_url", ""),
                    "license": row.get("licence", ""),
                }
                found[row["sha256"]] = {k: v for k, v in told.items() if v}
    return found
