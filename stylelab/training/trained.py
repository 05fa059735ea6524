"""The result of a training, and the folder that keeps it."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylelab.errors import InputError
from stylelab.networks.blocks import Network
from stylelab.networks.loading import FILE, load_network, pack
from stylelab.recipes import Recipe
from stylelab.training.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(repr=False, kw_only=True)
class Trained(Result):
    """The result of a training; its ``image`` is the sheet of held-out photographs."""

    network: Network
    held_out: "pd.DataFrame"
    """Losses of held-out pictures: one row for each look."""

    def save(self, folder: str | Path, others: Mapping[str, bytes] | None = None) -> Path:
        r: Any = self.config
        own = {
            FILE: pack(self.network, r.network, dict(r.options), self.info["styles"]),
            "held_out.csv": self.held_out.to_csv(index=False).encode(),
            "card.md": card(self).encode(),
        }
        return super().save(folder, {**own, **(others or {})})

    @classmethod
    def load(cls, folder: str | Path) -> "Trained":
        import pandas as pd

        found = Result.load(folder)
        if not isinstance(found.config, Recipe):
            raise InputError(f"'{folder}' holds a transfer, not a training; name another folder")
        held_out = pd.read_csv(Path(folder) / "held_out.csv")
        return cls(**vars(found), network=load_network(folder), held_out=held_out)


def card(result: Trained) -> str:
    """The model card of a training, in Markdown."""
    r: Any = result.config
    info, held_out = result.info, io.StringIO()
    columns = result.held_out.iloc[[0, -1]] if len(result.held_out) > 1 else result.held_out
    rows = [[f"{value:.4g}" for value in row] for row in columns.to_numpy().tolist()]
    writer = csv.writer(held_out, delimiter="|", lineterminator="\n")
    writer.writerows([["", *columns.columns, ""], ["", *["---"] * columns.shape[1], ""]])
    writer.writerows([["", *row, ""] for row in rows])
    shown = info["pictures"]
    pictures = {k: len(v) for k, v in shown.items()}
    lines = [
        f"# {': '.join([r.network, *([', '.join(info['styles'])] if info['styles'] else [])])}",
        "",
        f"- Made by: `stylelab train {r.network}`, {len(result.history)} of {r.steps} steps, "
        f"batch {r.batch}, crops of {r.crop} pixels, seed {r.seed}",
        f"- Settings beside the network's own: {r.changed() or 'none'}",
        f"- Took: {info['seconds'] / 60:.0f} minutes on {info['device']}, {info['threads']} "
        f"threads, {info['precision']}",
        f"- Pictures: {pictures['trained']} photographs trained on, {pictures['held_out']} held "
        "out, both named in result.json",
        f"- Held out: {', '.join(shown['held_out'])}",
        *(f"- Held-out styles: {', '.join(v)}" for k, v in shown.items() if k == "held_out_styles"),
        *(f"- Alarm: {words}" for words in info.get("alarms", [])),
        "- Losses of held-out pictures, first and last look, unweighted but for the total:",
        "",
        held_out.getvalue(),
    ]
    return "\n".join(lines)
