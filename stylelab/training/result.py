"""The result of a run, and the folder that keeps it."""

import hashlib
import io
import json
import os
import platform
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import torch
from torch import Tensor

from stylelab.config import LOSS_WEIGHTS, Config
from stylelab.device import peak_memory_mb
from stylelab.errors import InputError
from stylelab.files import read_file, write_together
from stylelab.images import encode_image, load_image
from stylelab.objectives import by_group
from stylelab.presets import preset_name
from stylelab.recipes import Recipe
from stylelab.registry import GANS, METHODS, NETWORKS
from stylelab.training.folders import check_folder, held
from stylelab.training.interrupts import deferred
from stylelab.training.loop import Loop

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1  # of result.json


@dataclass(repr=False)
class Result:
    """The result of a run: the picture, the losses of each step, and how to reproduce it."""

    image: Tensor
    """(1, 3, H, W) in [0, 1], in steps of 1/255, as saved."""
    history: "pd.DataFrame"
    """One row per step: step, seconds, total, and each unweighted term by layer, as the optimiser
    sees them: before the step's update, and before values outside [0, 1] are clipped."""
    config: Config | Recipe
    info: dict[str, Any] = field(default_factory=dict)
    """Hashes of the images and weights, versions, device, precision, threads, seconds, memory;
    ``outside``, the share of values that were clipped; ``saved_losses``, total and terms of the
    picture as saved; its ``metrics``."""
    state: dict[str, Any] | None = None
    """For an interrupted run: what `Transfer.load_state_dict` needs to resume it, else None."""

    @property
    def interrupted(self) -> bool:
        return self.state is not None

    @property
    def losses(self) -> dict[str, float]:
        """Total and unweighted terms, each group's layers added up, of the picture as saved.

        Of a training, those of held-out pictures. For a run of version 0.1, which did not record
        them, those of the last step.
        """
        columns = self.history.drop(columns=["step", "seconds", *LOSS_WEIGHTS], errors="ignore")
        found = self.info.get("saved_losses") or self.info.get("held_out_losses")
        found = found or columns.iloc[-1].to_dict()
        return by_group({str(name): float(value) for name, value in found.items()})

    def text(self) -> dict[str, Any]:
        """What the text chunks of its picture hold: the settings, and what `rerun` compares."""
        told = ("inputs", "precision", "threads", "versions", "branched_at")
        made = {k: v for k, v in self.info.items() if k in told or k.endswith(("_sha256", "_id"))}
        made |= {"interrupted_at": len(self.history)} if self.interrupted else {}
        weights = self.history.filter(LOSS_WEIGHTS)  # of the live lab
        made |= {"weights_changed": True} if (weights.min() < weights.max()).any() else {}
        return {"config": self.config.to_record(), "made": made}

    def save(self, folder: str | Path, others: Mapping[str, bytes] | None = None) -> Path:
        """Write image.png, history.csv and, last, result.json, whose presence means "complete".

        An interrupted run gets state.pt instead, from which it can be resumed. ``others`` are
        further files of the run, by name. InputError if the folder holds something else or cannot
        be written; what was there then stays.
        """
        folder = Path(folder)
        check_folder(folder)
        history = self.history.to_csv(index=False).encode()
        image = encode_image(self.image, ".png", self.text())
        parts = {"image.png": image, "history.csv": history, **(others or {})}
        complete, state = folder / "result.json", folder / "state.pt"
        files = {folder / name: content for name, content in parts.items()}
        if self.state is not None:
            buffer = io.BytesIO()
            torch.save(self.state, buffer)
            write_together({**files, state: buffer.getvalue()}, mark=complete)
            return folder
        losses = self.history.drop(columns=["step", "seconds", *LOSS_WEIGHTS], errors="ignore")
        record = {
            "schema": SCHEMA,
            "preset": preset_name(self.config),
            "config": self.config.to_dict(),
            **self.info,
            "last_losses": losses.iloc[-1].to_dict(),
            "files": {name: [len(x), hashlib.sha256(x).hexdigest()] for name, x in parts.items()},
        }
        files[complete] = (json.dumps(record, indent=1) + "\n").encode()
        write_together(files, mark=complete)
        state.unlink(missing_ok=True)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "Result":
        """Read what `save` wrote, complete or interrupted; InputError if it holds no such run."""
        import pandas as pd

        folder = Path(folder)
        try:
            state, info = None, {}
            if (folder / "result.json").is_file():
                info = read_record(folder)
                config = _read_config(info.pop("config"), folder)
                own = {"schema", "preset", "last_losses", "files"}
                info = {k: v for k, v in info.items() if k not in own}
            else:
                state = unpack_state(read_file(folder / "state.pt"))
                config = _read_config(state["config"], folder)
            history = pd.read_csv(folder / "history.csv")
            if history.empty or history.isna().to_numpy().any():
                raise ValueError("history.csv is cut short")
            return cls(load_image(folder / "image.png"), history, config, info, state)
        except FileNotFoundError:
            raise InputError(f"'{folder}' holds no run; name another folder") from None
        except Unreadable:
            raise
        except Exception as error:  # cut short, or edited by hand
            raise Damaged(folder, error) from None

    def __repr__(self) -> str:
        last, size = self.history.iloc[-1], "x".join(map(str, self.image.shape[2:]))
        words = "interrupted after" if self.interrupted else "after"
        return f"{size}, {words} {int(last['step'])} steps in {last['seconds']:.0f} s"

    def _repr_html_(self) -> str:
        import matplotlib  # here, because a run without a page needs neither
        from matplotlib.figure import Figure

        from stylelab.plots import STYLE, plot_losses, show

        with matplotlib.style.context(STYLE):
            figure = Figure(figsize=(5, 3.4), layout="constrained")
            plot_losses(self.history, figure.subplots())
        picture = show(self.image, "The stylised image", repr(self))
        total = f"total of the saved picture: {self.losses['total']:.3g}"
        if self.info.get("outside", 0) >= 0.001:
            total += f" ({self.info['outside']:.1%} of its values were clipped)"
        curve = show(figure, f"Loss curves of the run; {total}", total.capitalize())
        flex = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start"
        changed = escape(str(self.config.changed()))
        settings = f"<p>Settings that differ from the preset paper: {changed}</p>"
        return f'<div style="{flex}">{picture.html}{curve.html}</div>{settings}'


class Unreadable(InputError):
    """A saved run that is not damaged, and that this process cannot read."""


def unpack_state(content: bytes) -> Any:
    """What a state file holds, once its checksums were compared, which ``torch.load`` does not do.

    Raises whatever error shows that the file is damaged.
    """
    with ZipFile(io.BytesIO(content)) as parts:
        if changed := parts.testzip():
            raise ValueError(f"'{changed}' in it is not as it was written")
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


class Damaged(InputError):
    """A saved run that cannot be read; the reason is one line of the error behind it."""

    def __init__(self, folder: Path, error: Exception) -> None:
        words = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        super().__init__(f"the run in '{folder}' is damaged ({words}); delete it and run it again")


def read_record(folder: Path, thorough: bool = True) -> dict[str, Any]:
    """What result.json holds, once all files that it names are found to be there as written.

    Args:
        thorough: whether the files' hashes are compared, or their sizes alone.

    Raises:
        FileNotFoundError: there is no result.json.
        ValueError: it is damaged, or a file is missing or not the one that was written.
    """
    record = json.loads((folder / "result.json").read_text("utf-8"))
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise ValueError("result.json is no record of a run")
    newer = f"the run in '{folder}' was made by a newer version of stylelab; update stylelab"
    if record.get("schema", SCHEMA) != SCHEMA:
        raise Unreadable(newer)
    sums = record.get("files", dict.fromkeys(("image.png", "history.csv"), (0, "")))  # 0.1 has none
    for name, (size, sha256) in sums.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if size and (
            path.stat().st_size != size
            or (thorough and hashlib.sha256(path.read_bytes()).hexdigest() != sha256)
        ):
            raise ValueError(f"{name} is not what the run wrote")
    return record


def _read_config(values: dict[str, Any], folder: Path) -> Config | Recipe:
    kind: type[Config] | type[Recipe] = Config
    word, name, registered = "method", values.get("method", "gatys"), [*METHODS]
    if (network := values.get("network")) is not None:
        kind, word, name, registered = Recipe, "network", network, [*NETWORKS, *GANS]
    if name not in registered:
        raise Unreadable(f"the run in '{folder}' is of {word} {name!r}; register it first")
    if later := values.keys() - {f.name for f in fields(kind)}:
        raise Unreadable(
            f"the run in '{folder}' has a setting {min(later)!r}, which this version does not "
            "know; update stylelab"
        )
    return kind.from_dict(values)


def describe(seconds: float, seed: int, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """How a run was made: versions, device, precision, threads, seconds, peak memory in MB."""
    versions = {name: version(name) for name in ("stylelab", "torch", "torchvision", "pillow")}
    return {
        "seed": seed,
        "device": f"{device.type} ({platform.machine()}, {os.cpu_count()} cores)",
        "precision": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "versions": {**versions, "python": platform.python_version()},
        "seconds": round(seconds, 3),
        "peak_memory_mb": peak_memory_mb(device),
    }


def earlier_run(
    folder: Path, config: Config | Recipe, identity: Mapping[str, Any]
) -> Result | None:
    """The run with these settings and pictures that ``folder`` already holds, or None.

    Raises:
        InputError: the folder holds something else.
    """
    check_folder(folder)
    if not any((folder / name).exists() for name in ("result.json", "state.pt")):
        return None  # nothing, or what a killed run left
    earlier = Result.load(folder)
    kept = earlier.state or earlier.info
    for key, value in identity.items():
        if earlier.config == config and value is not None and key not in kept:
            raise Damaged(folder, KeyError(key))
    keys = {*identity, "state_sha256"}  # which a run has that began in the middle of another
    if earlier.config != config or any(kept.get(key) != identity.get(key) for key in keys):
        raise InputError(f"'{folder}' holds another run; name another folder, or delete it")
    return earlier


@contextmanager
def begun(
    out: str | os.PathLike[str] | None,
    config: Config | Recipe,
    identity: Mapping[str, Any],
    inputs: Iterable[Path],
) -> Iterator[Result | None]:
    """What every run does around its steps: hold its folder, if it has one, and look what is there.

    A request to end (SIGTERM) waits until the block has saved what there is. Raises what `held` and
    `earlier_run` do; ``inputs`` are the files and folders that are read.
    """
    folder = nullcontext() if out is None else held(Path(out), inputs)
    with deferred(signal.SIGTERM), folder:
        yield None if out is None else earlier_run(Path(out), config, identity)


def resume(loop: Loop, earlier: Result | None, out: str | os.PathLike[str] | None) -> None:
    """Let a loop go on from an earlier run that was interrupted, if there is one."""
    if earlier is None or earlier.state is None:
        return
    try:
        loop.load_state_dict(earlier.state)
    except InputError:
        raise
    except Exception as error:  # keys, types or shapes that are missing or wrong
        raise Damaged(Path(out or ""), error) from None
