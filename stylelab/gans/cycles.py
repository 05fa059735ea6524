"""Two generators, there and back, and a discriminator of each set of pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stylelab.gans.blocks import (
    Game,
    Pool,
    by_shares,
    patch_distance,
    spread,
    tiled,
)
from stylelab.networks.blocks import Batch, mixed
from stylelab.objectives import Terms

Loss = Callable[[Tensor, bool], Tensor]
WAYS = ("there", "back")
KEPT = 50  # made pictures in each pool


class Cycles(Game):
    """Translates between two sets of pictures that are not paired: A, the contents, and B.

    Calling it translates ``style="there"``, from A to B, which is the default, or "back".

    Args:
        make: a generator, (B, 3, H, W) in [0, 1] to the same.
        judges: a discriminator, to scores of any shape.
        undecided: see `Game`, for the two of them together.
    """

    kind = "many"

    def __init__(
        self,
        make: Callable[[], nn.Module],
        judges: Callable[[], nn.Module],
        undecided: float | None,
    ) -> None:
        super().__init__()
        self.generators = nn.ModuleDict({way: make() for way in WAYS})
        self.discriminators = nn.ModuleDict({way: judges() for way in WAYS})
        self.undecided = undecided
        self.names = list(WAYS)

    def forward(
        self, image: Tensor, style: str | Mapping[str, float] = "there", strength: float = 1.0
    ) -> Tensor:
        ways = {way: self.generators[way] for way in WAYS}
        return mixed(image, by_shares(image, style, ways), strength)

    @torch.no_grad()
    def judge(self, batch: Batch) -> dict[str, float]:
        there, back = (self.generators[way] for way in WAYS)
        a, b = batch.contents, batch.styles
        made, unmade = there(a), back(b)
        cycle = ((back(made) - a).abs().mean() + (there(unmade) - b).abs().mean()) / 2
        patches = patch_distance(made, b), patch_distance(a, b)
        return {
            "total": float(cycle) + patches[0] / patches[1],
            "cycle": float(cycle),
            "patches": patches[0] / patches[1],
            "spread": spread(made, a),
        }

    @torch.no_grad()
    def sheet(self, batch: Batch) -> Tensor:
        """A row a pair: a content, there, and back again; a style, back, and there again."""
        there, back = (self.generators[way] for way in WAYS)
        a, b = batch.contents, batch.styles
        made, unmade = there(a), back(b)
        columns = (a, made, back(made), b, unmade, there(unmade))
        return tiled(torch.stack([x.float() for x in columns], 1)).clamp(0, 1)


@dataclass
class Rules:
    """How a game of cycles is played."""

    loss: Loss
    """Of scores, and whether they should say real."""
    crop: int
    identity: bool = False
    """Whether a picture of B should stay as it is on the way there, and one of A back."""
    penalty: Callable[[Any, Tensor, Tensor, torch.Generator], Tensor] | None = None
    """What a critic pays for slopes other than one, between real and made pictures."""
    pool: bool = True


def players(game: Cycles, rules: Rules) -> dict[str, Callable[[Batch], Terms]]:
    """The two players: generators first; the discriminators then see what these made."""
    pools = {way: Pool(KEPT, (3, rules.crop, rules.crop)) for way in WAYS}
    game.pools = nn.ModuleDict(pools)  # so that they are part of the state
    made: dict[str, Tensor] = {}

    def generators(batch: Batch) -> Terms:
        terms: Terms = {}
        sets = {"there": (batch.contents, batch.styles), "back": (batch.styles, batch.contents)}
        for way, other in (WAYS, WAYS[::-1]):
            image, target = sets[way]
            made[way] = game.generators[way](image)
            scores = game.discriminators[way](made[way])
            terms[f"adversarial/{way}"] = rules.loss(scores, True)
            again = game.generators[other](made[way])
            terms[f"cycle/{way}"] = (again - image).abs().mean()
            if rules.identity:
                same = game.generators[way](target)
                terms[f"identity/{way}"] = (same - target).abs().mean()
        return terms

    def discriminators(batch: Batch) -> Terms:
        terms: Terms = {}
        for way, real in zip(WAYS, (batch.styles, batch.contents), strict=True):
            critic, found = game.discriminators[way], made[way].detach()
            if rules.pool:
                found = pools[way].exchange(found, batch.generator)
            terms[f"real/{way}"] = rules.loss(critic(real), True)
            terms[f"made/{way}"] = rules.loss(critic(found), False)
            if rules.penalty is not None:
                terms[f"penalty/{way}"] = rules.penalty(critic, real, found, batch.generator)
        return terms

    return {"generators": generators, "discriminators": discriminators}
