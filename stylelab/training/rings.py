"""Two players on a ring of points: a training that takes seconds and shows what goes on in it."""

from typing import TYPE_CHECKING, Annotated, Literal

import matplotlib
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from stylelab.config import checked
from stylelab.gans.blocks import cross_entropy, least_squares, wasserstein
from stylelab.gans.blocks import optimizer as adam
from stylelab.gans.rings import modes, perceptron, ring
from stylelab.objectives import Terms
from stylelab.plots import STYLE
from stylelab.training.crops import seeded
from stylelab.training.loop import Loop, Player

if TYPE_CHECKING:
    import pandas as pd

REACH = 1.6  # of the picture, from the middle to each side
LOSSES = {
    "cross_entropy": cross_entropy,
    "least_squares": least_squares,
    "wasserstein": wasserstein,
}


@checked
class RingSettings:
    """Settings of a `RingGame`; one line names the value that is not allowed."""

    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """Turns of each player."""
    batch: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Points of each kind in a turn."""
    noise: Annotated[int, Field(ge=1, le=1024)] = 2
    """Numbers that a point is made of."""
    width: Annotated[int, Field(ge=1, le=4096)] = 128
    """Units in each of the two hidden layers."""
    loss: Literal["cross_entropy", "least_squares", "wasserstein"] = "cross_entropy"
    """Of the scores; Wasserstein's needs a critic that cannot grow steeper, and here it can."""
    generator_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Step size of the generator."""
    discriminator_rate: Annotated[float, Field(gt=0, le=10)] = 3e-3
    """Step size of the discriminator."""
    every: Annotated[int, Field(ge=1)] = 100
    """Turns between two looks."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class RingGame(Loop):
    """A GAN whose pictures are points; `TrainingView` shows it while it plays.

    For example ``game = RingGame(RingSettings(steps=500))``, then ``game.run()`` and
    ``game.held_out``.
    """

    def __init__(self, settings: RingSettings | None = None) -> None:
        s = self.config = settings or RingSettings()
        super().__init__((), s.steps, "lower the rates")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(s.seed)
            self.generator = perceptron(s.noise, s.width, 2)
            self.discriminator = perceptron(2, s.width, 1)
        loss, made = LOSSES[s.loss], torch.empty(0)

        def generators() -> Terms:
            nonlocal made
            made = self.sample(s.batch, seeded(s.seed, "noise", self.steps_done))
            return {"adversarial": loss(self.discriminator(made), True)}

        def discriminators() -> Terms:
            real = ring(s.batch, seeded(s.seed, "points", self.steps_done))
            return {
                "real": loss(self.discriminator(real), True),
                "made": loss(self.discriminator(made.detach()), False),
            }

        turns = (
            ("generators", self.generator, s.generator_rate, generators),
            ("discriminators", self.discriminator, s.discriminator_rate, discriminators),
        )
        for name, network, rate, terms in turns:
            parameters = [*network.parameters()]
            optimizer = adam(parameters, rate)
            scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
            weights = {"adversarial": 1.0, "real": 1.0, "made": 1.0}
            self.players.append(Player(parameters, optimizer, scheduler, weights, terms, name))
        self.looks: list[dict[str, float]] = []
        self.alarms: list[str] = []

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Made points, (count, 2); without a generator always the same ones."""
        generator = generator or torch.Generator().manual_seed(0)
        found: Tensor = self.generator(torch.randn(count, self.config.noise, generator=generator))
        return found

    def after_step(self) -> None:
        """Count the modes every so many turns, and at the end."""
        if self.steps_done % self.config.every == 0 or self.done:
            with torch.no_grad():
                count, share = modes(self.sample(2000))
            step = float(self.steps_done)
            missing = 1 - share + (8 - count)
            self.looks.append({"step": step, "total": missing, "modes": count, "near": share})

    @property
    def held_out(self) -> "pd.DataFrame":
        """One row for each look: modes that are reached, the share of points near one, and, as the
        total, modes that are missing plus points that are not near one."""
        import pandas as pd

        return pd.DataFrame(self.looks).astype({"step": int, "modes": int} if self.looks else {})

    @property
    def sheet(self) -> Tensor:
        """Real and made points over the discriminator's field, (1, 3, H, W) in [0, 1]."""
        with matplotlib.style.context(STYLE):
            figure = Figure(figsize=(4, 4), dpi=100)
            canvas = FigureCanvasAgg(figure)
            draw_field(self, figure.add_axes((0, 0, 1, 1)))
            canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def draw_field(game: RingGame, ax: "matplotlib.axes.Axes") -> None:
    """The discriminator's scores as colours, from made (violet) to real (green), and the points."""
    side = torch.linspace(-REACH, REACH, 81)
    grid = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1).reshape(-1, 2)
    scores = game.discriminator(grid).reshape(81, 81)
    scores = (scores - scores.mean()) / scores.std().clamp_min(1e-6)
    extent = (-REACH, REACH, -REACH, REACH)
    ax.imshow(scores, extent=extent, origin="lower", cmap="PRGn", vmin=-2.5, vmax=2.5, alpha=0.7)
    real, made = ring(300, seeded(0, "shown", 0)), game.sample(300)
    ax.plot(*real.T, ".", color="#0072b2", markersize=3)
    ax.plot(*made.T, "x", color="#d55e00", markersize=4)
    ax.set(xticks=[], yticks=[], xlim=(-REACH, REACH), ylim=(-REACH, REACH))
