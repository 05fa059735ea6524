"""The presets for large pictures beside `fast`, on six pairs: docs/results/gallery.webp.

The first two scales of `gallery` are the whole of `painting`, so one run makes both pictures. They
are kept in `runs/bench/gallery`, which `make bench` removes first, so that pairs can be made one by
one (`--pairs 4 5`), each in ten to twenty minutes.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from sides import LARGE, NEW, RESULTS, TINY, asked_pairs, report
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
    pairs, short = asked_pairs()
    rows, pictures = [], []
    for number, pair in pairs.items():
        settings = {name: PRESETS[name] for name in NAMES}
        settings["fast"] = replace(settings["fast"], size=LARGE)
        if short:
            for k, (name, steps) in enumerate(zip(NAMES, (6, 12, 14), strict=True)):
                size = (TINY[0] * 2**k, TINY[1] * 2**k)
                settings[name] = replace(settings[name], size=size, steps=steps)
        if pair == NEW[1]:
            settings = {name: replace(c, size=c.size[::-1]) for name, c in settings.items()}
        folder = Path(tempfile.mkdtemp()) if short else KEPT / str(number)
        found = {n: load_image(place) for n, place in make(pair, settings, folder).items()}
        pictures.append(found)
        figures = {}
        for name, image in found.items():
            content, style = (load_image(find(p), tuple(image.shape[2:])) for p in pair)
            figures[name] = measure(image, content, style)
            grain = figures[name]["grain"]
            row = {
                "pair": " / ".join(Path(p).stem for p in pair),
                "preset": name,
                "size": f"{image.shape[2]}x{image.shape[3]}",
                "grain": f"{grain:.2f}",
                "in that of fast": f"{grain / figures['fast']['grain']:.2f}",
            }
            row |= {column.replace("_", " "): f"{figures[name][column]:.2f}" for column in COLUMNS}
            print(row, flush=True)
            rows.append(row)
    if not short and len(pictures) < 6:
        return
    words = (
        "Grain of the saved pictures; distances are at each picture's own size. Machu Picchu and "
        "the windmill were in no tuning, and their photographs have 256 and 232 pixels on the "
        "short side. The pictures: [docs/large.md](../docs/large.md)."
    )
    report("gallery", "Large pictures on six pairs", pd.DataFrame(rows), words, not short)
    if not short:
        place = FOLDER / "gallery.webp"
        sheet(pictures).savefig(place, format="webp", dpi=150, pil_kwargs={"quality": 84})


if __name__ == "__main__":
    main()
