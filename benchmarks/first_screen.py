"""The README's strips, in docs/results: pairs, style weights, a film's frames, and the chapters.

    python benchmarks/first_screen.py [pairs] [weights] [film] [chapters]

`pairs` and `weights` take some minutes, the others some seconds.
"""

import base64
import io
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageOps
from sides import PAIRS
from torch import Tensor

from stylelab import PRESETS, Config, StyleNetwork, plot_images, samples, stylize, transition
from stylelab.applications.films import camera_move
from stylelab.images import load_image
from stylelab.sample_pictures import find

ROOT = Path(__file__).parents[1]
RESULTS, NOTEBOOKS = ROOT / "docs" / "results", ROOT / "notebooks"
STRIP = replace(PRESETS["fast"], size=(200, 300), steps=80)


def run(pair: tuple[str, str], config: Config) -> Tensor:
    """The picture of a run, (1, 3, H, W); runs/first_screen keeps it."""
    name = f"{Path(pair[0]).stem}-{config.method}-{config.style_weight:g}"
    out = Path("runs", "first_screen", name)
    return stylize(*map(find, pair), config, out).image


def strip(name: str, images: Mapping[str, Tensor], **layout: float) -> None:
    figure = plot_images(images, **{"height": 1.5, **layout})
    figure.savefig(RESULTS / f"{name}.webp", format="webp", dpi=110, pil_kwargs={"quality": 82})


def pairs() -> None:
    """Four photographs, each in the style of another painting, by the preset `painting`."""
    config = replace(PRESETS["painting"], size=(320, 480))
    made = {f"{title(a)}, {title(b)}": run((a, b), config) for a, b in PAIRS}
    strip("pairs", made, columns=2, height=2.6)


def title(name: str) -> str:
    return str(samples()["title"][name])


def weights() -> None:
    """The style weight over four decades."""
    values = (10, 100, 1000, 10_000, 100_000)
    made = {f"{v:,}": run(PAIRS[0], replace(STRIP, style_weight=v)) for v in values}
    strip("weights", made)


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


ALL = {"pairs": pairs, "weights": weights, "film": film, "chapters": chapters}

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        ALL[name]()
