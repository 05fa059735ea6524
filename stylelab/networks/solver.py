"""A trained solver for any style (after Puy and Perez 2019): few steps in place of hundreds.

Gradient descent on the loss of Gatys, Ecker and Bethge, x <- x - rate dL/dx, in which each step is
a small network of its own, x <- x - D_k(dL/dx). They are trained so that six steps go far: three at
a quarter of the size and one at half, which move what is large at little cost, and two at the full
size, for what is fine. The loss is no part of the networks: when it runs, regularisers of the
picture are added, x <- x - D_k(dL/dx) - grad R(x), with nothing trained again.

The authors' networks also take the place of VGG-19's adjoint. Here backpropagation carries the
gradient to the pixels, and learnt is what follows it.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Annotated, Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.losses import gram_matrix
from stylelab.networks.blocks import (
    Batch,
    Casting,
    Network,
    Pictures,
    check_image,
    clipped,
    convolution,
)
from stylelab.networks.decoders import StyleMemory, enlarged
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.vgg.network import VGG19

STYLES = "any"
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # the last holds the content, too
FINE = LAYERS[:3]  # read at half and at full size; what is coarser is moved at a quarter of it
RECIPE: dict[str, Any] = {
    "steps": 600,
    "batch": 1,  # of large crops, whose Gram matrices vary less
    "crop": 160,
    "side": 192,
    "style_side": 192,
    "learning_rate": 5e-4,
    "content_layers": LAYERS[-1:],
    "style_layers": LAYERS,
}
LEAST = 16  # pixels a side that VGG-19 takes; what would be smaller is not halved
RATE = 4e-4  # for each pixel of an image; plain descent diverges at about twice that

Features: TypeAlias = dict[str, Tensor]
Targets: TypeAlias = tuple[Tensor, Features]
"""The content's features at the last of the layers, and the styles' Gram matrices (B, C, C)."""
Step: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From the gradient at an image and the last step's change to what is subtracted from the image."""
Regularizer: TypeAlias = Callable[[Tensor], Tensor]


@checked
class Options:
    steps: Annotated[int, Field(ge=1, le=100)] = 6
    """From photograph to picture: half at a quarter of the size, a third of the others at half."""
    style_weight: Annotated[float, Field(gt=0)] = 1000.0
    """Weight of the style loss that the steps descend; the content's is 1."""


class Learned(Casting):
    """A step: plain descent, and what a U-Net of four sizes adds to it, at first nothing.

    Without biases: where there is no gradient and nothing was changed, nothing is changed.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = width

        def layers(*channels: tuple[int, int]) -> nn.ModuleList:
            return nn.ModuleList([convolution(*pair, bias=False) for pair in channels])

        self.down = layers((6, w), (w, 2 * w), (2 * w, 2 * w), (2 * w, 2 * w))
        self.up = layers((4 * w, 2 * w), (4 * w, 2 * w), (3 * w, w))
        self.rates = nn.Parameter(torch.tensor([1.0, 0.0]))  # of the gradient, and momentum
        self.output = convolution(w, 3, 5, bias=False)
        nn.init.zeros_(self.output.weight)
        self.to(memory_format=torch.channels_last)

    def forward(self, gradient: Tensor, last: Tensor) -> Tensor:
        """Both (B, 3, H, W), and so is what it subtracts."""
        plain = gradient * (RATE * gradient[0, 0].numel())
        x, maps = torch.cat([plain, last], 1).contiguous(memory_format=torch.channels_last), []
        for i, layer in enumerate(self.down):
            x = F.leaky_relu(layer(halved(x) if i else x), 0.2)
            maps.append(x)
        maps.pop()
        for layer in self.up:
            beside = maps.pop()
            # A convolution of both, of which the smaller is enlarged.
            own, others = torch.tensor_split(cast(Tensor, layer.weight), [beside.shape[1]], 1)
            x = enlarged(x, others)[:, :, : beside.shape[2], : beside.shape[3]]
            x = F.conv2d(F.pad(beside, (1, 1, 1, 1), mode="reflect"), own) + x
            x = F.leaky_relu(x, 0.2)
        rate, momentum = self.rates
        added = self.output(x).float()
        # A painting unlike those that were learnt could else lead it far away.
        most = (length(plain) + length(last)) / length(added)
        return cast(Tensor, rate * plain + momentum * last + most.clamp_max(1) * added)


class Solver(Network):
    """Calling it takes ``style`` as pairs of pictures and shares; strength mixes Gram matrices."""

    kind = STYLES

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.style_weight = options.style_weight
        self.encoder, self.encoder_fine = VGG19(LAYERS), VGG19(FINE)
        self.styles: list[StyleMemory[Features]] = [StyleMemory() for _ in range(3)]  # each size
        self.steps = nn.ModuleList(Learned() for _ in range(options.steps))

    def total(self, terms: Terms) -> Tensor:
        """The objective that the steps descend, of what `losses` found; (B,)."""
        weights = {"content": 1.0, "style": self.style_weight}
        return torch.stack([weights[k.split("/")[0]] * v for k, v in terms.items()]).sum(0)

    def descent(self, image: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Each image's objective, (B,), and its gradient, (B, 3, H, W)."""
        model = self.encoder if LAYERS[-1] in targets[1] else self.encoder_fine
        with torch.enable_grad():
            x = image.detach().requires_grad_()
            objective = self.total(losses(read(model, x), targets))
            return objective.detach(), torch.autograd.grad(objective.sum(), x)[0]

    def solve(
        self,
        image: Tensor,
        targets: Targets,
        steps: Sequence[Step],
        regularizer: Regularizer | None = None,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        """The image (B, 3, H, W) in [0, 1] after these steps, each projected onto [0, 1].

        ``trace`` collects the logarithm of each image's objective before each step, (B,). Its
        derivative is that at this image; how a step's gradient was found is not followed back.
        """
        last = torch.zeros_like(image)
        for step in steps:
            objective, gradient = self.descent(image, targets)
            if trace is not None:
                moved = (gradient * (image - image.detach())).sum((1, 2, 3))
                trace.append(objective.log() + moved / objective)
            change = step(gradient, last)
            if regularizer is not None:
                with torch.enable_grad():
                    x = image.detach().requires_grad_()
                    change = change + torch.autograd.grad(regularizer(x), x)[0]
            after = clipped(image - change)
            last, image = image - after, after
        return image

    def forward(
        self,
        image: Tensor,
        style: Pictures,
        strength: float = 1.0,
        regularizer: Regularizer | None = None,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        """``regularizer``: from an image to a scalar, which the steps at full size descend, too."""
        check_image(image, LEAST)
        steps = iter(cast(Sequence[Step], self.steps))
        sizes = [[image, *(picture for picture, _ in style)]]
        for _ in range(2):
            large = min(min(x.shape[2:]) for x in sizes[-1]) >= 2 * LEAST
            sizes.append([halved(x) for x in sizes[-1]] if large else sizes[-1])
        change = torch.zeros_like(sizes[-1][0])
        for i, count in reversed([*enumerate(counts(len(self.steps)))]):
            photo, *pictures = sizes[i]
            begun = clipped(photo + F.interpolate(change, photo.shape[2:], mode="bilinear"))
            given = [(x, share) for x, (_, share) in zip(pictures, style, strict=True)]
            model = self.encoder if i == 2 else self.encoder_fine
            targets = read_targets(model, photo, given, strength, self.styles[i])
            added = None if i else regularizer
            found = self.solve(begun, targets, [*islice(steps, count)], added, trace)
            change = found - photo
        return found


def counts(steps: int) -> tuple[int, int, int]:
    """How many steps at the full size, at half of it and at a quarter."""
    quarter, half = steps // 2, (steps + 1) // 2 // 3
    return steps - quarter - half, half, quarter


def length(change: Tensor) -> Tensor:
    """Root mean square of each image's change, (B, 1, 1, 1)."""
    return change.square().mean((1, 2, 3), keepdim=True).clamp_min(1e-16).sqrt()


def halved(image: Tensor) -> Tensor:
    """At half the size, rounded up."""
    return F.avg_pool2d(image, 2, ceil_mode=True)


def read(model: VGG19, image: Tensor) -> Features:
    """Features of images in [0, 1], (B, C, h, w)."""
    return cast(Features, model(standardize(image)))


def read_targets(
    model: VGG19,
    image: Tensor,
    style: Pictures,
    strength: float = 1.0,
    memory: StyleMemory[Features] | None = None,
) -> Targets:
    """What the steps descend to, by the shares of the styles and their strength."""
    styles = StyleMemory[Features]() if memory is None else memory
    own = read(model, image)

    def grams_of(picture: Tensor) -> Features:
        return {layer: gram_matrix(f) for layer, f in read(model, picture).items()}

    found = [(styles.read(model, picture, grams_of), share) for picture, share in style]
    sums = {k: torch.stack([share * of[k] for of, share in found]).sum(0) for k in own}
    grams = {k: v.expand(len(image), -1, -1) for k, v in sums.items()}
    if strength != 1:
        grams = {k: gram_matrix(own[k]).lerp(grams[k], strength) for k in own}
    return own[model.layers[-1]].float(), grams


def losses(features: Features, targets: Targets) -> Terms:
    """Content and style loss of each image, (B,)."""
    content, grams = targets
    last, deepest = [*features.items()][-1]
    found: Terms = {f"content/{last}": (deepest.float() - content).square().mean((1, 2, 3))}
    for layer, f in features.items():
        found[f"style/{layer}"] = (gram_matrix(f) - grams[layer]).square().mean((1, 2))
    return found


def build(options: Options, names: Sequence[str]) -> Solver:
    return Solver(options)


def short(gradient: Tensor) -> Tensor:
    """Cut to a length of one, if it is longer."""
    return cast(Tensor, gradient / gradient.norm().clamp_min(1))


def optimizer(parameters: Sequence[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    """Adam, ten times as fast for the rates; of short gradients: where one diverges, it is long."""
    for parameter in parameters:
        parameter.register_hook(short)  # type: ignore[no-untyped-call]
    rates = {"params": [p for p in parameters if p.ndim == 1], "lr": 10 * learning_rate}
    groups: list[dict[str, Any]] = [{"params": [p for p in parameters if p.ndim > 1]}, rates]
    return torch.optim.Adam(groups, learning_rate)


def layers(recipe: Recipe) -> tuple[str, ...]:
    return LAYERS


def loss_weights(recipe: Recipe) -> dict[str, float]:
    return {"descent": 1.0, "way": 1.0}


def objective(
    network: Solver, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    """Logarithms of the objective over the photograph's, at the end, and of that on the way.

    On the way, it is that of each step's size, over the one at the first step of this size. In
    logarithms all pairs count alike. The gradients that the steps are given are taken as
    constant: how the steps before change them is not followed back (Andrychowicz et al. 2016).
    """

    def terms(batch: Batch) -> Terms:
        trace: list[Tensor] = []
        # Six paintings are few: their colours are exchanged, so that more are seen.
        order = torch.randperm(3, generator=batch.generator).to(batch.styles.device)
        given = [(batch.styles[:, order], 1.0)]
        image = network(batch.contents, given, trace=trace)
        with torch.no_grad():
            targets = read_targets(model, batch.contents, given)
            before = network.total(losses(read(model, batch.contents), targets)).log()
        after = network.total(losses(read(model, image), targets)).log()
        seen = iter(trace)
        sizes = [[*islice(seen, n)] for n in reversed(counts(len(network.steps)))]
        way = [x - some[0].detach() for some in sizes for x in some]
        return {"descent": (after - before).mean(), "way": torch.stack(way).mean()}

    return terms
