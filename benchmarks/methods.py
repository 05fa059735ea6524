"""All methods on two pairs at 300x450: seconds and metrics, and docs/results/methods-*.webp."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from sides import LARGE, PAIRS, quick, report

from stylelab import PRESETS, plot_images, sample, stylize

STEPS = 100
FOLDER = Path(__file__).parents[1] / "docs" / "results"
OTHERS = {
    "gatys2016": {"method": "gatys2016", "pooling": "avg"},
    "wasserstein": {"method": "wasserstein"},
    "cnnmrf": {"method": "cnnmrf", "scales": 3},
    "photo": {"method": "photo", "options": {"content_regions": "sky", "style_regions": "sky"}},
} | {
    name: {"method": "inversion", "options": {"transform": name}}
    for name in ("adain", "wct", "sanet", "aams")
}


def main() -> None:
    short = quick()
    base = replace(PRESETS["fast"], size=LARGE, steps=STEPS)
    if short:
        base = replace(base, size=(96, 144), steps=7)  # the fewest for three scales
    settings = {"gatys": base} | {name: replace(base, **own) for name, own in OTHERS.items()}
    rows = []
    for number, pair in enumerate((PAIRS[0],) if short else (PAIRS[0], PAIRS[2]), 1):
        results = {
            name: stylize(*(sample(picture) for picture in pair), config)
            for name, config in settings.items()
        }
        if not short:
            images = {name: result.image for name, result in results.items()}
            figure = plot_images(images, columns=3, height=1.9)
            figure.savefig(
                FOLDER / f"methods-{number}.webp",
                format="webp",
                dpi=110,
                pil_kwargs={"quality": 80},
            )
        for name, result in results.items():
            seconds, metrics = result.info["seconds"], result.info["metrics"]
            rows.append(
                {
                    "pair": " / ".join(pair),
                    "method": name,
                    "seconds": f"{seconds:.0f}",
                    "it / gatys": f"{seconds / results['gatys'].info['seconds']:.2f}",
                    "content distance": f"{metrics['content_distance']:.2f}",
                    "style distance": f"{metrics['style_distance']:.2f}",
                    "similarity": f"{metrics['ssim']:.2f}",
                }
            )
    words = (
        f"The preset `fast` with {base.steps} steps, and each method as chapter 08 sets it "
        "(`photo` by sky and ground)."
    )
    report(
        "methods",
        f"Related methods at {base.size[0]}x{base.size[1]}",
        pd.DataFrame(rows),
        words,
        not short,
    )


if __name__ == "__main__":
    main()
