"""The presets for large pictures beside `fast`, on six pairs: docs/results/gallery-*.webp.

The first two scales of `gallery` are the whole of `painting`, so one run makes both pictures. They
are kept in `runs/bench/gallery`, which `make bench` removes first, so that pairs can be made one by
one (`--pairs 4 5`), each in ten to twenty minutes.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from sides import LARGE, NEW, PAIRS, RESULTS, TINY, report
from torch import Tensor

from stylelab import PRESETS, Config, Transfer, load_image, measure, save_image
from stylelab.sample_pictures import find

FOLDER = RESULTS.parents[1] / "docs" / "results"
KEPT = Path("runs/bench/gallery")
NAMES = ("fast", "painting", "gallery")
COLUMNS = ("style_distance", "content_distance", "colour_distance")


class Gallery(Transfer):
    """Saves its picture where `painting` ends, before it is enlarged for the last scale."""

    end: int
    place: Path

    def after_step(self) -> None:
        if self.steps_done == self.end:
            save_image(self.image, self.place)
        super().after_step()


def make(pair: tuple[str, str], settings: dict[str, Config], folder: Path) -> dict[str, Path]:
    """The pictures of a pair by preset; those that are in the folder are not made again."""
    places = {name: folder / f"{name}.png" for name in NAMES}
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [find(name) for name in pair]
    if not places["fast"].exists():
        transfer = Transfer(*pictures, settings["fast"])
        transfer.run(progress=False)
        save_image(transfer.image, places["fast"])
    if not places["gallery"].exists():
        transfer = Gallery(*pictures, settings["gallery"])
        transfer.end, transfer.place = settings["painting"].steps, places["painting"]
        transfer.run(progress=False)
        save_image(transfer.image, places["gallery"])
    return places


def sheet(pictures: list[dict[str, Tensor]]) -> Figure:
    """The whole of each gallery picture, then the same part of all three; a row for each pair."""
    figure = Figure(figsize=(11, 2.8 * len(pictures)), layout="constrained")
    axes = figure.subplots(len(pictures), 1 + len(NAMES), squeeze=False)
    for row, found in enumerate(pictures):
        for column, name in enumerate(("gallery", *NAMES)):
            image = found[name][0].permute(1, 2, 0).numpy()
            height, width = image.shape[:2]
            title = "gallery" if column == 0 else f"{name}, {height}x{width}"
            if column:
                side = round(0.3 * min(height, width))
                top, left = round(0.2 * height), round(0.55 * (width - side))
                image = image[top : top + side, left : left + side]
            ax = axes[row, column]
            ax.imshow(image, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            if row == 0 or column == 0:
                ax.set_title(title, fontsize=9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one pair, tiny, printed only")
    parser.add_argument("--pairs", type=int, nargs="*", help="numbers of the pairs, from 0")
    options = parser.parse_args()
    rows, pictures = [], []
    pairs = [*PAIRS, *NEW]
    for number in options.pairs or range(1 if options.quick else len(pairs)):
        pair = pairs[number]
        settings = {name: PRESETS[name] for name in NAMES}
        settings["fast"] = replace(settings["fast"], size=LARGE)
        if options.quick:
            settings = {
                name: replace(config, size=tuple(2**k * side for side in TINY), steps=steps)
                for k, ((name, config), steps) in enumerate(
                    zip(settings.items(), (6, 12, 14), strict=True)
                )
            }
        if pair == NEW[1]:
            settings = {name: replace(c, size=c.size[::-1]) for name, c in settings.items()}
        folder = Path(tempfile.mkdtemp()) if options.quick else KEPT / str(number)
        found = {n: load_image(place) for n, place in make(pair, settings, folder).items()}
        pictures.append(found)
        for name, image in found.items():
            content, style = (load_image(find(p), tuple(image.shape[2:])) for p in pair)
            figures = measure(image, content, style)
            row = {"pair": " / ".join(Path(p).stem for p in pair), "preset": name}
            row["size"] = f"{image.shape[2]}x{image.shape[3]}"
            row["grain"] = f"{figures['grain']:.2f}"
            first = rows[-1]["first"] if name != "fast" else figures["grain"]
            row["in that of fast"] = f"{figures['grain'] / first:.2f}"
            row |= {column.replace("_", " "): f"{figures[column]:.2f}" for column in COLUMNS}
            print(row, flush=True)
            rows.append({**row, "first": first})
    if not options.quick and len(pictures) < len(pairs):
        return
    table = pd.DataFrame(rows).drop(columns="first")
    words = (
        "Grain of the saved pictures; distances are at each picture's own size. Machu Picchu and "
        "the windmill were in no tuning, and their photographs have 256 and 232 pixels on the "
        "short side. The pictures: [docs/large.md](../docs/large.md)."
    )
    report("gallery", "Large pictures on six pairs", table, words, not options.quick)
    if not options.quick:
        place = FOLDER / "gallery.webp"
        sheet(pictures).savefig(place, format="webp", dpi=150, pil_kwargs={"quality": 84})


if __name__ == "__main__":
    main()
