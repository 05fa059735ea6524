"""What must hold of each shipped network, on pictures it never learnt from, with its figure.

`make checkpoints` writes the figures into the cards, and a test checks them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from stylelab import (
    PRESETS,
    VGG19,
    gram_matrix,
    load_image,
    load_network,
    paint,
    sample,
    standardize,
    stylize,
)
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch
from stylelab.maths.statistics import moments
from stylelab.networks.blocks import Network
from stylelab.networks.loading import checkpoint_names
from stylelab.networks.solver import losses, read, read_targets
from stylelab.sample_pictures import data_folder

SIZE = (150, 225)
UNSEEN = ("chenonceau", "pont_du_gard", "mont_saint_michel")  # samples are in no training
NEW = ("cafe_terrace_at_night", "night_cafe")  # paintings that networks of any style never saw
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def held_out(name: str, what: str = "Held out") -> list[Path]:
    """The pictures that a checkpoint's training held out, as its card lists them."""
    card = (data_folder() / "checkpoints" / f"{name}.md").read_text()
    found = re.findall(rf"- {what}: (.*)", card)
    paths = {path.stem: path for path in data_folder().rglob("*.webp")}
    stems = [Path(file).stem for file in found[0].split(", ")] if found else []
    return [paths[stem] for stem in stems if stem in paths]  # faces are not shipped


@dataclass(frozen=True)
class Claim:
    words: str
    value: float
    limit: float
    above: bool = False
    """Whether the value must be above the limit; otherwise below."""

    @property
    def holds(self) -> bool:
        return self.value > self.limit if self.above else self.value < self.limit

    def __str__(self) -> str:
        word = "above" if self.above else "below"
        return f"{self.words}: {self.value:.3g} ({word} {self.limit:g})"


def picture(name: str) -> Tensor:
    return load_image(sample(name), SIZE)


@cache
def vgg() -> VGG19:
    return VGG19(LAYERS)


@dataclass(frozen=True)
class Statistics:
    """Of a picture's features, at four layers each: Gram matrices; means and deviations."""

    grams: list[Tensor]
    moments: list[Tensor]


@torch.no_grad()
def statistics(image: Tensor) -> Statistics:
    features = vgg()(standardize(image)).values()
    return Statistics([gram_matrix(f) for f in features], [m for f in features for m in moments(f)])


def gap(some: list[Tensor], others: list[Tensor]) -> float:
    return float(sum((a - b).square().mean() for a, b in zip(some, others, strict=True)))


def gram_loss(image: Tensor, style: Statistics) -> float:
    return gap(statistics(image).grams, style.grams)


def moments_loss(image: Tensor, style: Statistics) -> float:
    return gap(statistics(image).moments, style.moments)


def psnr(made: Tensor, image: Tensor) -> float:
    return float(-10 * torch.log10((made.clamp(0, 1) - image).square().mean()))


@torch.no_grad()
def reconstruction(
    same: Callable[[Tensor], Tensor], held_out: list[Path], least: float, words: str
) -> Claim:
    images = [load_image(path) for path in held_out[:6]]
    found = [psnr(same(image), image) for image in images]
    mean = sum(found) / len(found)
    return Claim(f"PSNR of six held-out photographs, {words}, dB", mean, least, True)


def painted(network: Network, *strengths: float) -> list[tuple[float, ...]]:
    """For each unseen photograph and painting the loss of moments: its own, and at strengths."""
    found = []
    for style in map(picture, NEW):
        wanted = statistics(style)
        for image in map(picture, UNSEEN):
            made = [paint(network, image, style, strength=s) for s in strengths]
            found.append(tuple(moments_loss(x, wanted) for x in (image, *made)))
    return found


def nearer(table: list[tuple[float, ...]]) -> Claim:
    """Statistics come nearer to a painting's that was never seen; its last column is painted."""
    worst = max(row[-1] / row[0] for row in table)
    words = "means and deviations, new paintings, against the photograph's, worst"
    return Claim(words, worst, 0.6)


def johnson(network: Network, held_out: list[Path]) -> list[Claim]:
    style = statistics(picture("church_at_auvers"))
    worst = max(
        gram_loss(paint(network, image), style) / gram_loss(image, style)
        for image in map(picture, UNSEEN)
    )
    return [Claim("style loss of unseen photographs against the unpainted, worst", worst, 0.3)]


def multistyle(network: Any, held_out: list[Path]) -> list[Claim]:
    styles = [statistics(picture(name)).grams for name in network.names]
    worst = 0.0
    for image in map(picture, UNSEEN):
        made = [statistics(paint(network, image, name)).grams for name in network.names]
        table = [[gap(x, style) for x in made] for style in styles]
        for i, row in enumerate(table):
            worst = max(worst, row[i] / min(v for k, v in enumerate(row) if k != i))
    return [Claim("style loss in its own style against the best of the others, worst", worst, 1)]


def texture(network: Any, held_out: list[Path]) -> list[Claim]:
    style = load_image(sample("harvest_at_la_crau"), (256, 384))
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(1, 3, 128, 128, generator=generator)
    free = {"init": "noise", "content_weight": 0, "tv_weight": 0}
    config = replace(PRESETS["fast"], size=(128, 128), steps=75, **free)
    optimised = stylize(noise, style, config, progress=False).image
    wanted = statistics(style)
    best = gram_loss(optimised, wanted)
    made = [network.sample(2, size, generator)[:, None] for size in ((128, 128), (200, 120))]
    found = max(gram_loss(one, wanted) for pair in made for one in pair)
    apart = min(float((one - other).abs().mean()) for one, other in made)
    return [
        Claim(
            "Gram loss of two sizes against noise's, worst", found / gram_loss(noise, wanted), 0.05
        ),
        Claim("the same against an optimised texture's, worst", found / best, 2),
        Claim("mean difference of two samples", apart, 0.05, True),
    ]


@torch.no_grad()
def even(network: Network, side: int = 144) -> Claim:
    """An even sky has strokes at all angles: a decoder by itself paints it with lines along axes.

    Power of frequencies from 1/6 to 0.45 a pixel along the axes over that at other angles.
    """
    light = torch.linspace(0.6, 0.85, side)[:, None].expand(side, side)
    sky = torch.stack([0.75 * light, 0.9 * light, light])[None]
    rows, columns = torch.meshgrid(*2 * [torch.fft.fftfreq(side).abs()], indexing="ij")
    radius = torch.hypot(rows, columns)
    fine, along = (radius > 1 / 6) & (radius < 0.45), torch.minimum(rows, columns) < 1 / 48
    window = torch.hann_window(side)
    found = []
    for name in NEW:
        grey = network(sky, [(picture(name), 1.0)])[0].mean(0)
        power = torch.fft.fft2((grey - grey.mean()) * window * window[:, None]).abs().square()
        found.append(float(power[fine & along].mean() / power[fine & ~along].mean()))
    return Claim("lines along the axes in an even sky, against other angles, worst", max(found), 5)


def adain(network: Network, held_out: list[Path]) -> list[Claim]:
    own = reconstruction(lambda x: network(x, [(x, 1.0)], 0.0), held_out, 22, "at strength 0")
    table = painted(network, 0.0, 0.5, 1.0)
    falls = max(max(half / none, full / half) for _, none, half, full in table)
    rises = Claim("the same at more strength against less, worst", falls, 1)
    return [own, nearer(table), rises, even(network)]


def wct(network: Any, held_out: list[Path]) -> list[Claim]:
    def decoder(layer: str) -> Callable[[Tensor], Tensor]:
        return lambda x: network.decode(layer, network.encode(layer, x), x)

    claims = [
        reconstruction(decoder(layer), held_out, least, f"decoder of {layer}")
        for layer, least in (("relu3_1", 20), ("relu2_1", 24))
    ]
    image = picture("chenonceau")
    same = psnr(paint(network, image, image), image)
    own = Claim("a picture in its own style against itself, PSNR, dB", same, 20, True)
    return [*claims, own, nearer(painted(network, 1.0)), even(network)]


def sanet(network: Network, held_out: list[Path]) -> list[Claim]:
    own = reconstruction(lambda x: network(x, [(x, 1.0)]), held_out, 20, "in their own style")
    tables = [painted(which, 1.0) for which in (network, load_network("adain"))]
    totals = [sum(row[-1] for row in table) for table in tables]
    return [
        own,
        Claim("style loss on new paintings against AdaIN's", totals[0] / totals[1], 1),
        nearer(tables[0]),
        even(network),
    ]


def aams(network: Network, held_out: list[Path]) -> list[Claim]:
    own = reconstruction(lambda x: network(x, [(x, 1.0)], 0.0), held_out, 22, "at strength 0")
    return [own, nearer(painted(network, 1.0))]


RATES = (12.0, 18.0, 22.0)  # among them, or close to one, is the best for a pair at 150x225
PAIRS = [(image, style) for image in UNSEEN for style in NEW]


class Plain(torch.nn.Module):
    """A step of plain descent, whose rate is for pictures of 150x225."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate / (150 * 225)

    def forward(self, gradient: Tensor, last: Tensor) -> Tensor:
        return self.rate * gradient[0, 0].numel() * gradient


@torch.no_grad()
def solver(network: Any, held_out: list[Path]) -> list[Claim]:
    network.compute_in(torch.float32)
    learnt, shares, against, slower = network.steps, [], [], []
    for number, (image, style) in enumerate((picture(a), picture(b)) for a, b in PAIRS):
        given = [(style, 1.0)]
        targets = read_targets(network.encoder, image, given)

        def objective(x: Tensor, targets: Any = targets) -> float:
            return float(network.total(losses(read(network.encoder, x), targets)))

        found = objective(network(image, given))
        shares.append(found / objective(image))
        descents = [[Plain(rate)] * len(learnt) for rate in RATES]
        plain = []
        for steps in descents:
            network.steps = torch.nn.ModuleList(steps)
            plain.append(objective(network(image, given)))
        network.steps = learnt
        against.append(found / min(plain))
        if number in (0, 3, 4):  # a photograph each; at the full size it takes long
            best = min(objective(network.solve(image, targets, steps)) for steps in descents)
            slower.append(found / best)
    image, given = picture("chenonceau"), [(picture("night_cafe"), 1.0)]
    laplacian = to_torch(matting_laplacian(image), image)
    plain = network(image, given)
    smooth = network(image, given, regularizer=lambda x: 2000 * matting_loss(x, laplacian))
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    before = network((image + 0.1 * noise).clamp(0, 1), given)  # the last frame, on grainy film
    still = network(image, given, regularizer=lambda x: 0.1 * (x - before).square().sum())
    energy = float(matting_loss(smooth, laplacian) / matting_loss(plain, laplacian))
    flicker = float((still - before).square().mean() / (plain - before).square().mean())
    return [
        Claim("objective after six steps against the photograph's, worst", max(shares), 0.3),
        Claim(
            "against as many of descent at these sizes, best rate, worst pair",
            max(against),
            1,
        ),
        Claim("against as many at full size, best rate, mean of three pairs", mean(slower), 1),
        Claim("matting energy with a matting term against without", energy, 0.7),
        Claim("difference of two frames with a temporal term against without", flicker, 0.7),
    ]


def claims_of(name: str) -> list[Claim]:
    """What must hold of a shipped checkpoint."""
    from must_hold_gans import GAN_CLAIMS  # which imports from here

    return {**CLAIMS, **GAN_CLAIMS}[name](load_network(name), held_out(name))


CLAIMS: dict[str, Callable[[Any, list[Path]], list[Claim]]] = {
    f.__name__: f for f in (johnson, multistyle, texture, adain, wct, sanet, aams, solver)
}


def main() -> None:
    for name in checkpoint_names():
        for claim in claims_of(name):
            print(f"{name}: {'' if claim.holds else 'FAILS: '}{claim}", flush=True)


if __name__ == "__main__":
    main()
