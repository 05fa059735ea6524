"""What removes the grain of a stylised picture: one idea at a time, docs/results/grain-*.webp.

Every run makes the same number of steps. The ideas that are no setting of the kit are written here,
on top of `Transfer`: other shares of the layers, averaged iterates, and scales sqrt(2) apart that
carry the optimiser's state along. Pictures are kept in `runs/bench/grain`, which `make bench`
removes first.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch.nn.functional as F
from matplotlib.figure import Figure
from sides import LARGE, PAIRS, RESULTS, TRAINING, report
from torch import Tensor

from stylelab import PRESETS, Config, Transfer, load_image, restore, sample, save_image
from stylelab.images import quantize
from stylelab.metrics import measure
from stylelab.training.optimizers import learning_rate

FOLDER = RESULTS.parents[1] / "docs" / "results"
CHOSEN = {  # by photograph; the last two were new to the kit
    "chenonceau": tuple(sample(name) for name in PAIRS[0]),
    "mont_saint_michel": tuple(sample(name) for name in PAIRS[2]),
    "neuschwanstein": (
        TRAINING / "photographs" / "neuschwanstein_castle.webp",
        TRAINING / "paintings" / "painter_on_the_road_to_tarascon.webp",
    ),
    "kutub_minar": (
        TRAINING / "photographs" / "kutub_minar.webp",
        sample("langlois_bridge"),
    ),
}
TALL = {"kutub_minar"}
SHARES = {"relu1_1": 256, "relu2_1": 64, "relu3_1": 16, "relu4_1": 4, "conv5_1": 1}
COLUMNS = ("grain", "style_distance", "content_distance", "colour_distance")
# Without effect at 300x450, or worse than the next, and so not painted at 600x900.
SMALL_ONLY = {"as before: not projected", "shallow layers", "average pooling"}
DECAY = 0.9  # of the mean of the iterates


class ShallowLayers(Transfer):
    """The layers' losses in the shares 256 : 64 : 16 : 4 : 1, with the sum of five equal ones."""

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        shares = {f"style/{name}": 5 * v / sum(SHARES.values()) for name, v in SHARES.items()}
        return {name: shares.get(name, 1) * value for name, value in super().terms(image).items()}


class Averaged(Transfer):
    """The picture is the running mean of the iterates, without the weight of the first one."""

    mean: Tensor | None = None

    def after_step(self) -> None:
        super().after_step()
        if self.mean is None or self.mean.shape != self.variable.shape:
            self.mean, self.weight = self.variable.detach() * 0, 0.0
        self.mean.lerp_(self.variable.detach(), 1 - DECAY)
        self.weight += (1 - DECAY) * (1 - self.weight)

    @property
    def image(self) -> Tensor:
        return quantize(restore(self.mean / self.weight)).cpu()


def plain(pair: tuple, config: Config, kind: type[Transfer] = Transfer) -> Transfer:
    transfer = kind(*pair, config)
    transfer.run(progress=False)
    return transfer


def climb(pair: tuple, config: Config, kind: type[Transfer] = Transfer) -> Transfer:
    """Three scales sqrt(2) apart; Adam's means go on to the next one, enlarged."""
    whole, before = kind(*pair, replace(config, steps=1)).sizes[-1], None
    parts = (2.0, 2**0.5, 1.0)
    steps = [round(config.steps * part) for part in (0.4, 0.33, 0.27)]
    done = 0
    for part, count in zip(parts, steps, strict=True):
        size = tuple(round(side / part) for side in whole)
        start = None
        if before is not None:
            start = F.interpolate(before.variable.detach(), size, mode="bicubic")
        transfer = kind(*pair, replace(config, size=size, steps=count), start)
        player, variable = transfer.players[0], transfer.variable
        factor = learning_rate(config, config.steps)
        player.scheduler.lr_lambdas = [lambda k, done=done, f=factor: f(k + done)]
        player.scheduler.base_lrs = [config.learning_rate]
        for group in player.optimizer.param_groups:
            group["lr"] = config.learning_rate * factor(done)
        if before is not None:
            carry(before.optimizer.state[before.variable], player.optimizer.state[variable], size)
        transfer.run(progress=False)
        before, done = transfer, done + count
    return transfer


def carry(old: Mapping, new: dict, size: tuple[int, int]) -> None:
    for name, value in old.items():
        if isinstance(value, Tensor) and value.ndim == 4:
            level = int(name.split("/")[1])
            sides = [-(-side // 2**level) for side in size]
            value = F.interpolate(value, sides, mode="bilinear", antialias=True)
        new[name] = value


def variants(steps: int) -> dict[str, tuple[Config, Callable, type[Transfer]]]:
    past = replace(PRESETS["fast"], projected=False, steps=steps)
    base = replace(past, projected=True)
    constant = replace(base, schedule="constant", learning_rate=0.05)
    moved = replace(base, method="wasserstein")
    return {
        "as before: not projected": (past, plain, Transfer),
        "projected": (base, plain, Transfer),
        "squared variation": (replace(base, options={"variation": "squared"}), plain, Transfer),
        "shallow layers": (base, plain, ShallowLayers),
        "averaged iterates": (constant, plain, Averaged),
        "average pooling": (replace(base, pooling="avg"), plain, Transfer),
        "scales sqrt(2) apart": (base, climb, Transfer),
        "wasserstein": (moved, plain, Transfer),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one pair at 64x96, printed only")
    parser.add_argument("--large", action="store_true", help="600x900, with the preset painting")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--only", nargs="*", default=list(CHOSEN), help="paint these pairs alone")
    options = parser.parse_args()
    size = (64, 96) if options.quick else (600, 900) if options.large else LARGE
    name, rows = f"{size[0]}x{size[1]}", []
    todo = variants(10 if options.quick else options.steps)
    if options.large:
        todo = {what: todo[what] for what in todo if what not in SMALL_ONLY}
        todo["the preset painting"] = PRESETS["painting"], plain, Transfer
    pictures: dict[str, dict[str, Tensor]] = {}
    for photograph in options.only[: 1 if options.quick else None]:
        pair, found = CHOSEN[photograph], pictures.setdefault(photograph, {})
        turned = size[::-1] if photograph in TALL else size
        content, style = (load_image(picture, turned) for picture in pair)
        for number, (what, (config, run, kind)) in enumerate(todo.items()):
            place = Path(f"runs/bench/grain/{name}-{options.steps}/{photograph}-{number}.png")
            if options.quick or not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                save_image(run(pair, replace(config, size=turned), kind).image, place)
            found[what] = load_image(place)
            figures = measure(found[what], content, style)
            rows.append({"what": what, "pair": photograph, **{c: figures[c] for c in COLUMNS}})
            print(rows[-1], flush=True)
    if len(pictures) < len(CHOSEN) and not options.quick:
        return
    table = pd.DataFrame(rows).pivot_table(index="what", columns="pair", values="grain")
    means = pd.DataFrame(rows).groupby("what").mean(numeric_only=True).drop(columns="grain")
    table = table.join(means).loc[list(todo)].round(2).reset_index()
    table.columns = [str(column).replace("_", " ") for column in table]
    own = f" ({PRESETS['painting'].steps} of `painting`)" if options.large else ""
    words = (
        f"Grain of the saved picture after {options.steps} steps{own}, by pair; then means over "
        "the pairs. The pictures: "
        f"[docs/results/grain-{name}.webp](../docs/results/grain-{name}.webp)."
    )
    report(f"grain-{name}", f"What removes the grain at {name}", table, words, not options.quick)
    if not options.quick:
        saved = {"format": "webp", "dpi": 100, "pil_kwargs": {"quality": 82}}
        sheet(pictures).savefig(FOLDER / f"grain-{name}.webp", **saved)


def sheet(pictures: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """A square of the upper middle of each picture, its pixels enlarged: pairs across."""
    names = list(next(iter(pictures.values())))
    figure = Figure(figsize=(2.9 * len(pictures), 3.1 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), len(pictures), squeeze=False)
    for column, (photograph, found) in enumerate(pictures.items()):
        for row, what in enumerate(names):
            image, ax = found[what], axes[row, column]
            height, width = image.shape[2:]
            side = round(0.45 * min(height, width))
            top, left = round(0.1 * height), (width - side) // 2
            part = image[0, :, top : top + side, left : left + side]
            ax.imshow(part.permute(1, 2, 0).numpy(), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.set_title(f"{what}\n{photograph}" if row == 0 else what, fontsize=9)
    return figure


if __name__ == "__main__":
    main()
