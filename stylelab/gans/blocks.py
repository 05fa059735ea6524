"""What the GANs are made of: the game of two players, its losses, and a pool of made pictures."""

import csv
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.errors import InputError, unknown
from stylelab.networks.blocks import Batch, Network
from stylelab.sample_pictures import data_folder

WON = 0.1  # of an undecided discriminator's loss: below it, the generator is taught nothing more
ALIKE = 0.2  # of the spread of real pictures: below it, the made ones are all alike


class Game(Network):
    """The networks of a GAN. Its players are its attributes, such as ``generators``.

    What it paints, it paints by its generators; the discriminators are needed in training alone.
    """

    undecided: float | None = None
    """The discriminators' loss, real and made pictures added up, if they cannot tell them apart."""

    def learnt(self) -> dict[str, Tensor]:
        found = super().learnt().items()
        return {name: value for name, value in found if not name.startswith("discriminators")}

    @abstractmethod
    def judge(self, batch: Batch) -> dict[str, float]:
        """Figures of held-out pictures; "total" is the one to watch, the lower the better."""

    @abstractmethod
    def sheet(self, batch: Batch) -> Tensor:
        """What shows how far it has come, (1, 3, H, W) in [0, 1]."""

    def alarms(self, recent: Mapping[str, float], look: Mapping[str, float]) -> list[str]:
        """What goes wrong between the players, in words.

        Args:
            recent: the mean of each column of the history since the last look.
            look: what `judge` found.
        """
        found = []
        names = [k for k in recent if k.startswith(("discriminators real", "discriminators made"))]
        loss = sum(recent[name] for name in names)
        if self.undecided is not None and loss < WON * self.undecided:
            found.append(
                f"the discriminator has won (its loss is {loss:.2g}, that of a guess "
                f"{self.undecided:.2g}): nothing is left to learn from it; give it less to see, "
                "fewer channels or a lower learning rate"
            )
        if look.get("spread", 1.0) < ALIKE:
            found.append(
                f"the generator has collapsed: what it makes differs {look['spread']:.2g} times "
                "as much as real pictures do; lower the learning rate, or end before"
            )
        return found


def by_shares(
    image: Tensor,
    style: str | Mapping[str, float],
    generators: Mapping[str, Callable[[Tensor], Tensor]],
) -> Tensor:
    """What generators make of an image, mixed by shares.

    Args:
        image: (B, 3, H, W).
        style: the name of one, or the shares of several.

    Raises:
        InputError: an unknown name, or shares that are negative or all zero.
    """
    shares = {style: 1.0} if isinstance(style, str) else dict(style)
    for name in shares:
        if name not in generators:
            raise InputError(unknown("way", str(name), [*generators]))
    total = sum(shares.values())
    if min(shares.values(), default=0) < 0 or not total > 0:
        raise InputError("shares should be 0 or above, and one above 0")
    made = [value / total * generators[name](image) for name, value in shares.items() if value]
    return torch.stack(made).sum(0)


def photographs() -> list[Path]:
    """The folder of photographs to train on that comes with the kit."""
    return [data_folder() / "training" / "photographs"]


def tiled(pictures: Tensor) -> Tensor:
    """A sheet (1, 3, R H, C W) of pictures (R, C, 3, H, W) in rows and columns."""
    return torch.cat([torch.cat([*row], 2) for row in pictures], 1)[None]


def all_paintings() -> list[Path]:
    """The paintings among the samples, and those to train on."""
    with (data_folder() / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        paintings = [row["file"] for row in csv.DictReader(file) if row["role"] == "style"]
    extra = (data_folder() / "training" / "paintings").iterdir()
    return [*(data_folder() / name for name in paintings), *sorted(extra)]


def optimizer(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    """Adam with less momentum, as for DCGAN (Radford, Metz and Chintala 2015)."""
    return torch.optim.Adam(parameters, learning_rate, betas=(0.5, 0.999))


def normal(network: nn.Module) -> None:
    """First weights from N(0, 0.02), biases 0, as for DCGAN."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def least_squares(scores: Tensor, real: bool) -> Tensor:
    """Mean (score - 1)^2 if it should say real, score^2 if made (Mao et al. 2017); a scalar."""
    return (scores - float(real)).square().mean()


def cross_entropy(scores: Tensor, real: bool) -> Tensor:
    """-log D or -log(1 - D) with D = sigmoid(score) (Goodfellow et al. 2014); a scalar.

    For the generator, ``real=True``: the form that does not saturate.
    """
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def wasserstein(scores: Tensor, real: bool) -> Tensor:
    """Mean score, its sign so that a critic rates real above made (Arjovsky et al. 2017)."""
    return -scores.mean() if real else scores.mean()


def spread(made: Tensor, real: Tensor) -> float:
    """How much made pictures, (B, C, H, W), differ from each other, over how much real ones do."""
    return float(made.std(0).mean() / real.std(0).mean().clamp_min(1e-6))


@torch.no_grad()
def patch_distance(made: Tensor, real: Tensor, side: int = 8, directions: int = 64) -> float:
    """Sliced Wasserstein distance of patches of pictures, (B, 3, H, W) each (Rabin et al. 2011).

    The mean distance of sorted projections of ``side`` x ``side`` patches onto directions, which
    are always the same ones; 0 for pictures with the same patches.
    """
    generator = torch.Generator().manual_seed(0)
    d = torch.randn(3 * side * side, directions, generator=generator).to(made.device)
    d = d / d.norm(dim=0)
    quantiles = torch.linspace(0, 1, 101, device=made.device)
    found = []
    for x in (made, real):
        patches = F.unfold(x.float(), side, stride=side // 2)  # (B, 3 s s, P)
        projected = patches.transpose(1, 2).flatten(0, 1) @ d  # (B P, directions)
        found.append(projected.quantile(quantiles, 0))
    return float((found[0] - found[1]).abs().mean())


class Pool(nn.Module):
    """The last so many made pictures: a discriminator sees old ones, too (Shrivastava et al. 2017).

    Its pictures are part of a training's state.
    """

    pictures: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(size, *shape), persistent=False)
        self.register_buffer("count", torch.zeros((), dtype=torch.long), persistent=False)

    @torch.no_grad()
    def exchange(self, made: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures for the discriminator in place of those made, (B, ...).

        Until the pool is full, each is kept and given back; then half of them are exchanged for a
        kept one, drawn at random.
        """
        given = made.detach().clone()
        for i, picture in enumerate(made.detach()):
            if (kept := int(self.count)) < len(self.pictures):
                self.pictures[kept] = picture
                self.count += 1
            elif torch.rand((), generator=generator) < 0.5:
                k = int(torch.randint(kept, (), generator=generator))
                given[i] = self.pictures[k]
                self.pictures[k] = picture
        return given
