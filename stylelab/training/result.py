"""The result of a run, and the folder that keeps it."""

import io
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stylelab.config import LOSS_WEIGHTS, Config
from stylelab.device import peak_memory_mb
from stylelab.errors import InputError
from stylelab.files import check_writable, write_atomically
from stylelab.images import load_image, save_image
from stylelab.objectives import by_group
from stylelab.presets import preset_name
from stylelab.recipes import Recipe
from stylelab.registry import GANS, METHODS, NETWORKS

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1  # of result.json
# The files that a run's folder may hold; those of the second line belong to sweeps.
PARTS = {"image.png", "history.csv", "result.json", "state.pt", "style.safetensors"}
PARTS |= {"run.json", "error.json", "lock"}
PARTS |= {"network.safetensors", "held_out.csv", "card.md"}  # of trainings


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

    def save(self, folder: str | Path, others: Mapping[str, bytes] | None = None) -> Path:
        """Write image.png, history.csv and, last, result.json, whose presence means "complete".

        An interrupted run gets state.pt instead, from which it can be resumed. ``others`` are
        further files of the run, by name.
        """
        folder = Path(folder)
        settings = self.config.to_dict()
        (folder / "result.json").unlink(missing_ok=True)  # an earlier run is not complete any more
        save_image(self.image, folder / "image.png", {"config": self.config.to_record()})
        write_atomically(folder / "history.csv", self.history.to_csv(index=False).encode())
        for name, content in (others or {}).items():
            write_atomically(folder / name, content)
        if self.state is not None:
            buffer = io.BytesIO()
            torch.save(self.state, buffer)
            write_atomically(folder / "state.pt", buffer.getvalue())
            return folder
        losses = self.history.drop(columns=["step", "seconds", *LOSS_WEIGHTS], errors="ignore")
        last = losses.iloc[-1].to_dict()
        record = {"schema": SCHEMA, "preset": preset_name(self.config), "config": settings}
        text = json.dumps({**record, **self.info, "last_losses": last}, indent=1) + "\n"
        write_atomically(folder / "result.json", text.encode())
        (folder / "state.pt").unlink(missing_ok=True)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "Result":
        """Read what `save` wrote, complete or interrupted; InputError if it holds no such run."""
        import pandas as pd

        folder = Path(folder)
        try:
            state, info = None, {}
            if (folder / "result.json").is_file():
                info = json.loads((folder / "result.json").read_text("utf-8"))
                config = _read_config(info.pop("config"), folder)
                own = {"schema", "preset", "last_losses"}
                info = {k: v for k, v in info.items() if k not in own}
            else:
                state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
                config = _read_config(state["config"], folder)
            history = pd.read_csv(folder / "history.csv")
            if history.empty or history.isna().to_numpy().any():
                raise ValueError("history.csv is cut short")
            return cls(load_image(folder / "image.png"), history, config, info, state)
        except FileNotFoundError:
            raise InputError(f"'{folder}' holds no run; name another folder") from None
        except UnknownMethod:
            raise
        except Exception as error:  # cut short, or edited by hand
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise InputError(
                f"the run in '{folder}' is damaged ({reason}); delete it and run it again"
            ) from None

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
        total = f"a total of {self.losses['total']:.3g} as saved"
        if self.info.get("outside", 0) >= 0.001:
            total += f", with {self.info['outside']:.1%} of the values clipped"
        curve = show(figure, f"Loss curves of the run, whose picture has {total}", total)
        flex = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start"
        changed = escape(str(self.config.changed()))
        settings = f"<p>Settings beside those of the preset paper: {changed}</p>"
        return f'<div style="{flex}">{picture.html}{curve.html}</div>{settings}'


class UnknownMethod(InputError):
    """The method of a saved run is not registered."""


def _read_config(values: dict[str, Any], folder: Path) -> Config | Recipe:
    if (network := values.get("network")) is not None:
        if network not in (*NETWORKS, *GANS):
            raise UnknownMethod(
                f"the run in '{folder}' is of network {network!r}; register it first"
            )
        return Recipe.from_dict(values)
    method = values.get("method", "gatys")
    if method not in METHODS:
        raise UnknownMethod(f"the run in '{folder}' is of method {method!r}; register it first")
    return Config.from_dict(values)


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
        InputError: the folder holds something else, or cannot be written.
    """
    check_writable(folder)
    if folder.is_file():
        raise InputError(f"'{folder}' is a file; name a folder for the run")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    leftovers = {name for name in names if name in PARTS or name.endswith(".part")}
    if names == leftovers and not names & {"result.json", "state.pt"}:
        return None  # nothing, or what a killed run left
    earlier = Result.load(folder)
    kept = earlier.state or earlier.info
    if earlier.config != config or any(kept.get(key) != value for key, value in identity.items()):
        raise InputError(f"'{folder}' holds another run; name another folder, or delete it")
    return earlier
