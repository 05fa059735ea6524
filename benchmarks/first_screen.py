"""The README's pictures: docs/results/four.webp, the strips weights, scales and film, and chapters.

    python benchmarks/first_screen.py [four] [weights] [scales] [film] [chapters]

`four` takes about half an hour on two cores without bfloat16, the strips a few minutes each.
"""

import base64
import io
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageOps
from sides import NEW, PAIRS
from torch import Tensor

from stylelab import PRESETS, Config, StyleNetwork, plot_images, stylize, transition
from stylelab.applications.films import camera_move
from stylelab.images import load_image, to_pil
from stylelab.sample_pictures import find

ROOT = Path(__file__).parents[1]
RESULTS, NOTEBOOKS = ROOT / "docs" / "results", ROOT / "notebooks"
FOUR = [PAIRS[0], PAIRS[3], NEW[0], PAIRS[2]]
SIZE = (320, 480)
STRIP = replace(PRESETS["fast"], size=(200, 300), steps=80)


def run(pair: tuple[str, str], config: Config) -> Tensor:
    """The picture of a run, (1, 3, H, W); runs/first_screen keeps it."""
    out = Path("runs", "first_screen", f"{Path(pair[0]).stem}-{abs(hash(config)) % 10**8}")
    return stylize(*map(find, pair), config, out).image


def four() -> None:
    """Four pairs by the preset `painting`, each with its photograph and painting in a corner."""
    gap, (height, width) = 12, SIZE
    page = Image.new("RGB", (2 * width + gap, 2 * height + gap), "white")
    for i, pair in enumerate(FOUR):
        picture = to_pil(run(pair, replace(PRESETS["painting"], size=SIZE)))
        left = 8
        for name in pair:
            small = to_pil(load_image(find(name), 110))
            framed = Image.new("RGB", (small.width + 4, small.height + 4), "white")
            framed.paste(small, (2, 2))
            picture.paste(framed, (left, height - framed.height - 8))
            left += framed.width + 6
        page.paste(picture, ((width + gap) * (i % 2), (height + gap) * (i // 2)))
    page.save(RESULTS / "four.webp", "WEBP", quality=82)


def strip(name: str, images: Mapping[str, Tensor], **layout: float) -> None:
    figure = plot_images(images, **{"height": 1.5, **layout})
    figure.savefig(RESULTS / f"{name}.webp", format="webp", dpi=110, pil_kwargs={"quality": 82})


def weights() -> None:
    """The style weight over four decades."""
    values = (10, 100, 1000, 10_000, 100_000)
    made = {f"{v:,}": run(PAIRS[0], replace(STRIP, style_weight=v)) for v in values}
    strip("weights", made)


def scales() -> None:
    """The size of the strokes: the style picture at other sizes, by Wasserstein's distance."""
    usual = replace(STRIP, method="wasserstein", padding="reflect")
    made = {f"{v:g}": run(PAIRS[0], replace(usual, style_scale=v)) for v in (0.5, 1, 2)}
    strip("scales", made)


def film() -> None:
    """Five of 24 frames whose style changes along the film, by one network."""
    frames, _ = camera_move(find("mont_saint_michel"), (200, 300), 24)
    painted = transition(frames, StyleNetwork(), "7", "14", hold=0.1)
    strip("film", {f"frame {i + 1}": painted[i] for i in (0, 6, 12, 18, 23)})


# The picture of each chapter that its thumbnail shows, counted from 0.
SHOWN = (1, 0, 0, 0, 1, 4, 2, 0, 1, 5, 5, 2, 1, 4, 1)


def chapters() -> None:
    """A thumbnail of each chapter, from its committed outputs."""
    images = {}
    for path, at in zip(sorted(NOTEBOOKS.glob("*.ipynb")), SHOWN, strict=True):
        found = re.findall(r"data:image/webp;base64,([\w+/=]+)", path.read_text("utf-8"))
        picture = Image.open(io.BytesIO(base64.b64decode(found[at]))).convert("RGB")
        title = path.stem.replace("_", " ")
        images[title] = load_image(ImageOps.pad(picture, (480, 320), color="white"))
    strip("chapters", images, columns=5, height=1.5)


ALL = {"four": four, "weights": weights, "scales": scales, "film": film, "chapters": chapters}

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        ALL[name]()
