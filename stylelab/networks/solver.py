"""A trained solver for any style (after Puy and Perez 2019): few steps in place of hundreds.

Gradient descent on the loss of Gatys, Ecker and Bethge needs the gradient at the pixels, which is
the adjoint of VGG-19's derivative, applied to the gradient at the features. Here a small network
takes the place of the adjoint, x <- x - D(dL/dF), and is trained so that six such steps go far. The
loss is not part of the network: when it runs, regularisers of the picture are added,
x <- x - D(dL/dF) - grad R(x), with nothing trained again.

The shipped one brings the loss to a third of the photograph's. Gradient descent at the best rate,
which has to be found for each pair, gets farther in six steps, each of which costs twice as much.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.losses import gram_matrix, total_variation
from stylelab.networks.blocks import (
    Batch,
    Casting,
    Network,
    Pictures,
    check_image,
    clipped,
    convolution,
)
from stylelab.networks.decoders import CHANNELS
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.vgg.network import MIRRORED, VGG19

STYLES = "any"
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # the last holds the content, too
RECIPE: dict[str, Any] = {
    "steps": 800,
    "crop": 64,
    "learning_rate": 1e-3,
    "content_layers": LAYERS[-1:],
    "style_layers": LAYERS,
}

Features: TypeAlias = dict[str, Tensor]
Targets: TypeAlias = tuple[Tensor, Features]
"""The content's features at the last layer, and the styles' Gram matrices (B, C, C)."""
Adjoint: TypeAlias = Callable[[Tensor, Features], Tensor]
"""From an image and the loss's gradients at its features to what is subtracted from the image."""
Regularizer: TypeAlias = Callable[[Tensor], Tensor]


@checked
class Options:
    steps: Annotated[int, Field(ge=1, le=100)] = 6
    """Steps from the photograph to the picture."""
    style_weight: Annotated[float, Field(gt=0)] = 1000.0
    """Weight of the style loss that the steps descend; the content's is 1."""


class Learned(Casting):
    """In place of the adjoint: from gradients at features to one at pixels, coarse to fine.

    Without biases, as an adjoint has none: where there is no gradient, nothing is changed.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        widths = (16, 32, 48, 64)
        self.read = nn.ModuleList(
            [nn.Conv2d(c, w, 1, bias=False) for c, w in zip(CHANNELS[1:], widths, strict=True)]
        )
        self.join = nn.ModuleList(
            [
                convolution(w + above, w, bias=False)
                for w, above in zip(widths, (*widths[1:], 0), strict=True)
            ]
        )
        self.output = convolution(widths[0], 3, 5, bias=False)
        self.rates = nn.Parameter(torch.full((steps,), 0.02))

    def forward(self, gradients: Sequence[Tensor], step: int) -> Tensor:
        """Gradients (B, C, h, w), shallow to deep; (B, 3, H, W)."""
        x: Tensor | None = None
        for gradient, read, join in reversed([*zip(gradients, self.read, self.join, strict=True)]):
            found = read(gradient)
            if x is not None:
                above = F.interpolate(x, found.shape[2:], mode="nearest")
                found = torch.cat([found, above], 1)
            x = F.leaky_relu(join(found), 0.2)
        return self.rates[step] * cast(Tensor, self.output(x)).float()


class Solver(Network):
    """Calling it takes ``style`` as pairs of pictures and shares; strength mixes Gram matrices."""

    kind = STYLES

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.count, self.style_weight = options.steps, options.style_weight
        self.encoder = VGG19(LAYERS, padding="reflect")
        self.learned = Learned(options.steps)

    def gradients(self, features: Features, targets: Targets) -> Features:
        """The gradients of each image's weighted loss at its features, worked out by hand.

        For a layer of N = C h w values, G = F F^T / N: 4 w (G - A) F / (N C^2) of the style, and
        2 (F - content) / N of the content.
        """
        found, (content, grams) = {}, targets
        for layer, f in features.items():
            size, channels = f[0].numel(), f.shape[1]
            gap = 4 * self.style_weight / (size * channels**2) * (gram_matrix(f) - grams[layer])
            rows = f.permute(0, 2, 3, 1)  # positions before channels: in VGG-19's layout no copy
            product = rows.flatten(1, 2) @ gap.to(f.dtype)
            found[layer] = product.view(rows.shape).permute(0, 3, 1, 2)
        found[LAYERS[-1]] = found[LAYERS[-1]] + 2 * (f - content) / size
        return found

    def solve(
        self,
        image: Tensor,
        targets: Targets,
        adjoint: Adjoint,
        model: VGG19,
        regularizer: Regularizer | None = None,
    ) -> Tensor:
        """The image (B, 3, H, W) in [0, 1] after all steps, from the one given."""
        for _ in range(self.count):
            change = adjoint(image, self.gradients(read(model, image), targets))
            if regularizer is not None:
                with torch.enable_grad():
                    x = image.detach().requires_grad_()
                    change = change + torch.autograd.grad(regularizer(x), x)[0]
            image = clipped(image - change)
        return image

    def adjoint(self) -> Adjoint:
        """What was learnt, for one solution: it counts the steps, and scales their gradients.

        Each layer's are divided by their root mean square at the first step.
        """
        scales: Features = {}
        step = 0

        def apply(image: Tensor, gradients: Features) -> Tensor:
            nonlocal step
            for layer, gradient in gradients.items():
                if layer not in scales:
                    power = gradient.detach().float().square().mean((1, 2, 3), keepdim=True)
                    scales[layer] = power.clamp_min(1e-30).rsqrt()
            scaled = [gradients[layer] * scales[layer] for layer in LAYERS]
            step += 1
            change: Tensor = self.learned(scaled, step - 1)
            return change

        return apply

    def forward(
        self,
        image: Tensor,
        style: Pictures,
        strength: float = 1.0,
        regularizer: Regularizer | None = None,
    ) -> Tensor:
        """``regularizer``: from an image to a scalar, whose gradient each step descends, too."""
        check_image(image, MIRRORED + 1)
        targets = read_targets(self.encoder, image, style, strength)
        return self.solve(image, targets, self.adjoint(), self.encoder, regularizer)


def read(model: VGG19, image: Tensor) -> Features:
    """Features of images in [0, 1], (B, C, h, w)."""
    found: Features = model(standardize(image))
    return {layer: found[layer] for layer in LAYERS}


def read_targets(model: VGG19, image: Tensor, style: Pictures, strength: float = 1.0) -> Targets:
    """What the steps descend to, by the shares of the styles and their strength."""
    own, grams = read(model, image), {}
    found = [(read(model, picture), share) for picture, share in style]
    for layer, f in own.items():
        wanted = torch.stack([share * gram_matrix(of[layer]) for of, share in found]).sum(0)
        grams[layer] = gram_matrix(f).lerp(wanted, strength)
    return own[LAYERS[-1]].float(), grams


def losses(features: Features, targets: Targets) -> Terms:
    """Content and style loss, each averaged over the batch."""
    content, grams = targets
    found: Terms = {f"content/{LAYERS[-1]}": F.mse_loss(features[LAYERS[-1]].float(), content)}
    for layer in LAYERS:
        gap = gram_matrix(features[layer]) - grams[layer]
        found[f"style/{layer}"] = gap.square().mean()
    return found


def true_adjoint(model: VGG19, rate: float) -> Adjoint:
    """VGG-19's own, by backpropagation: gradient descent with a fixed rate, to compare with."""

    def apply(image: Tensor, gradients: Features) -> Tensor:
        with torch.enable_grad():
            x = image.detach().requires_grad_()
            values, given = [[of[k] for k in LAYERS] for of in (read(model, x), gradients)]
            change: Tensor = rate * torch.autograd.grad(values, x, given)[0]
        return change

    return apply


def build(options: Options, names: Sequence[str]) -> Solver:
    return Solver(options)


def layers(recipe: Recipe) -> tuple[str, ...]:
    return LAYERS


def loss_weights(recipe: Recipe) -> dict[str, float]:
    weight = Options(**dict(recipe.options)).style_weight
    return {"content": recipe.content_weight, "style": weight, "tv": recipe.tv_weight}


def objective(
    network: Solver, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    def terms(batch: Batch) -> Terms:
        with torch.no_grad():
            targets = read_targets(model, batch.contents, [(batch.styles, 1.0)])
        image = network.solve(batch.contents, targets, network.adjoint(), model)
        return {**losses(read(model, image), targets), "tv": total_variation(standardize(image))}

    return terms
