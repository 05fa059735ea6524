"""Old writing, damaged and repaired, against the truth: by settings, docs/results/writing.webp.

`--render` writes the truth anew, data/writing/deer_park.webp: "Deer Park" by Wang Wei (8th century;
four lines of five signs, from right to left) in the brush font of Kouzan Aoyagi, which he gave into
the public domain (Debian package fonts-kouzan-mouhitsu), on paper and with ink made here.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from sides import RESULTS, report
from torch import Tensor

from stylelab import load_image, plot_images, repair, save_image
from stylelab.applications.damages import DAMAGES, damage, pixel_error, stroke_overlap
from stylelab.applications.repairs import DEFAULT, WRITING, fill_smoothly
from stylelab.config import Config
from stylelab.sample_pictures import data_folder

FONT = "/usr/share/fonts/truetype/kouzan-mouhitsu/kouzan-mouhitsu.ttf"
VERSE = "空山不見人", "但聞人語響", "返景入深林", "復照青苔上"
TRUTH = data_folder() / "writing" / "deer_park.webp"
SIZE = (240, 184)
SEEDS = 3
PAPER, INK = np.array([0.86, 0.77, 0.60]), np.array([0.11, 0.10, 0.10])


def noise(rng: np.random.Generator, size: tuple[int, int], scale: float | tuple) -> np.ndarray:
    """A smooth random field (H, W) of mean 0 and deviation 1; its spots are ``scale`` wide."""
    field = ndimage.gaussian_filter(rng.standard_normal(size), scale, mode="wrap")
    return (field - field.mean()) / field.std()


def render(font: str, size: tuple[int, int] = (600, 460)) -> Image.Image:
    """The verse as if brushed on old paper, drawn at twice the size (height, width)."""
    rng, h, w = np.random.default_rng(0), 2 * size[0], 2 * size[1]
    face, wet = ImageFont.truetype(font, round(0.205 * h)), np.zeros((h, w))
    for column, line in enumerate(VERSE):
        for row, sign in enumerate(line):
            x = w * (0.965 - 0.93 * (column + 0.5) / 4 + rng.normal(0, 0.006))
            y = h * (0.04 + 0.92 * (row + 0.5) / 5 + rng.normal(0, 0.004))
            canvas = Image.new("L", (w, h))
            ImageDraw.Draw(canvas).text((x, y), sign, 255, face, "mm")
            # The brush is dipped before each line, and has less ink from sign to sign.
            wet = np.maximum(wet, np.asarray(canvas) / 255 * (1 - 0.07 * row))
    places = [axis + 0.8 * noise(rng, (h, w), 4) for axis in np.mgrid[:h, :w]]  # an uneven edge
    wet = ndimage.gaussian_filter(ndimage.map_coordinates(wet, places, order=1), 1.2)
    fibres = noise(rng, (h, w), (1.2, 5)) + noise(rng, (h, w), (5, 1.2))
    depth = 0.93 + 0.05 * noise(rng, (h, w), 14) + 0.045 * fibres
    ink = np.clip(1.05 * wet, 0, 1) * np.clip(depth, 0, 1)
    tone = 0.025 * noise(rng, (h, w), 90) + 0.012 * noise(rng, (h, w), 18) + 0.012 * fibres
    tone += 0.008 * noise(rng, (h, w), 1)
    y, x = np.abs(np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j])
    edge = np.clip(np.maximum(y, x) + 0.05 * noise(rng, (h, w), 40) - 0.75, 0, 1)  # darker
    paper = PAPER * (1 + tone[..., None] * [0.8, 1.0, 1.35]) * (1 - 0.5 * edge[..., None])
    pixels = paper + ink[..., None] * (INK - paper)
    drawn = Image.fromarray((255 * np.clip(pixels, 0, 1)).round().astype(np.uint8))
    return drawn.resize((size[1], size[0]), Image.Resampling.LANCZOS)


def variants(quick: bool) -> dict[str, Config]:
    found = {
        "repair, default": DEFAULT,
        "repair, WRITING": WRITING,
        "WRITING with Gram matrices": replace(WRITING, style_weight=DEFAULT.style_weight),
    }
    return {n: replace(c, steps=2) if quick else c for n, c in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one seed at 96x80, printed only")
    parser.add_argument("--render", metavar="FONT", nargs="?", const=FONT, help="write the truth")
    options = parser.parse_args()
    if options.render:
        TRUTH.parent.mkdir(exist_ok=True)
        render(options.render).save(TRUTH, quality=90, method=6)
        return
    size = (96, 80) if options.quick else SIZE
    truth, seeds = load_image(TRUTH, size), 1 if options.quick else SEEDS
    rows, shown = [], {}
    for seed in range(seeds):
        for kind in DAMAGES:
            hole = damage(kind, size, seed)
            folder = Path("runs/bench/writing")
            mask = save_image(hole.expand(-1, 3, -1, -1), folder / f"{kind}-{seed}.png")
            damaged = torch.lerp(truth, torch.ones_like(truth), hole)
            found = {"smooth": fill_smoothly(damaged, hole)}
            for name, config in variants(options.quick).items():
                config = replace(config, size=size)
                found[name] = repair(damaged, mask, config, progress=False).image
            for name, image in found.items():
                rows.append({"damage": kind, "by": name, **judged(image, truth, hole)})
                print(seed, rows[-1], flush=True)
            if seed == 0:
                shown |= sheet(kind, damaged, found, truth)
    table = pd.DataFrame(rows).groupby(["damage", "by"], sort=False).mean().round(3).reset_index()
    words = (
        f"Means over {seeds} seeds at {size[0]}x{size[1]}, in the damaged pixels alone: the error, "
        "and intersection over union of the strokes (Otsu's threshold). The pictures: "
        "[docs/results/writing.webp](../docs/results/writing.webp)."
    )
    report("writing", "Old writing repaired", table, words, not options.quick)
    if not options.quick:
        saved = {"format": "webp", "dpi": 100, "pil_kwargs": {"quality": 82}}
        figure = plot_images(shown, 4, 4.0)
        figure.savefig(RESULTS.parents[1] / "docs" / "results" / "writing.webp", **saved)


def judged(image: Tensor, truth: Tensor, hole: Tensor) -> dict[str, float]:
    return {
        "error": pixel_error(image, truth, hole),
        "strokes": stroke_overlap(image, truth, hole),
    }


def sheet(kind: str, damaged: Tensor, found: dict[str, Tensor], truth: Tensor) -> dict[str, Tensor]:
    chosen = {"smooth": found["smooth"], "repaired": found["repair, WRITING"], "the truth": truth}
    return {kind: damaged} | {f"{kind}: {name}": image for name, image in chosen.items()}


if __name__ == "__main__":
    main()
