"""The README's plot, drawn from the table in results.md: docs/results/speed.webp."""

import io
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sides import RESULTS, by_kind

from stylelab.plots import STYLE


def table(name: str) -> pd.DataFrame:
    """A section's table from results.md."""
    found = re.search(rf"<!-- {name} -->(.*?)<!--", RESULTS.read_text("utf-8"), re.DOTALL)
    lines = [line.strip("| ") for line in found[1].splitlines() if line.startswith("| ")]
    return pd.read_csv(io.StringIO("\n".join(lines)), sep=r"\s*\|\s*", engine="python")


def main() -> None:
    found = table(by_kind("objective"))
    found = found[found["size"] == "300x450"]
    slow, fast = (found[name].astype(float) for name in found.columns[[5, 8]])
    names = [pair.split(" / ")[0].replace("_", " ") for pair in found["pair"]]
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(7, 2.8), layout="constrained")
        ax = figure.subplots()
        rows = np.arange(len(names))
        for shift, values, label in (
            (-0.2, slow, "textbook loop, 500 steps"),
            (0.2, fast, "stylelab, preset fast"),
        ):
            bars = ax.barh(rows + shift, values, 0.38, label=label)
            ax.bar_label(bars, [f" {value:.0f} s" for value in values])
        ax.set_yticks(rows, names)
        ax.invert_yaxis()
        ax.grid(visible=False)
        ax.set(xlabel="seconds to the same objective at 300x450", xlim=(0, 1.12 * max(slow)))
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
    place = Path(__file__).parents[1] / "docs" / "results" / "speed.webp"
    figure.savefig(place, format="webp", dpi=110, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main()
