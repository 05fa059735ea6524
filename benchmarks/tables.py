"""Make the runs of the shipped grids that chapters read, and write their tables to data/sweeps.

    python benchmarks/tables.py [NAME...]

It goes on where it was stopped; all of it takes nearly two hours on one core. The tables hold what
varies, the metrics and those losses of the saved pictures that all runs have; runs/NAME holds the
rest. Where sizes vary, every picture is also reduced to the smallest of them and measured there, in
columns that begin with "reduced/".
"""

import argparse
from pathlib import Path

import pandas as pd

from stylelab import load_image, measure, read_grid, run_all
from stylelab.metrics import METRICS
from stylelab.sample_pictures import find
from stylelab.sweeps.grids import TABLES, Run

FOLDER = Path(__file__).parents[1] / "data" / "sweeps"


def reduced(runs: list[Run], folder: Path) -> pd.DataFrame:
    """Metrics of the pictures of runs, all at the smallest of their sizes."""
    size = min(run.config.size for run in runs)
    rows = {}
    for run in runs:
        pictures = (folder / run.key / "image.png", find(run.content), find(run.style))
        found = measure(*(load_image(path, size) for path in pictures))
        rows[run.key] = {f"reduced/{name}": value for name, value in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=TABLES, help=", ".join(TABLES))
    for name in parser.parse_args().names:
        runs, folder = read_grid(name), Path("runs", name)
        table = run_all(runs, folder).table
        losses = [c for c in table if c.startswith("saved/") and table[c].notna().all()]
        results = [*METRICS, *losses, "seconds"]
        settings = list(table.columns[: list(table.columns).index("saved/total")])
        varied = [c for c in settings if len(table[c].drop_duplicates()) > 1]
        kept = table[["status", *dict.fromkeys(["content", "style", "size", *varied]), *results]]
        if "size" in varied:
            kept = kept.join(reduced(runs, folder))
        FOLDER.mkdir(exist_ok=True)
        kept.to_csv(FOLDER / f"{name}.csv", float_format="%.4g")
        print(f"{FOLDER / name}.csv: {len(kept)} runs, {kept['seconds'].sum() / 60:.0f} minutes")


if __name__ == "__main__":
    main()
