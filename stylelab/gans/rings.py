"""The game in two dimensions, where it can be seen: points on a ring of eight Gaussians.

The example on which unrolled GANs show collapse (Metz et al. 2017): real points gather at eight
places, and a generator that has collapsed makes points at few of them.
"""

import math

import torch
from torch import Tensor, nn

MODES, DEVIATION = 8, 0.05  # of the ring, whose radius is 1
NEAR = 3 * DEVIATION  # of a mode: what counts as one of its points
FEW = 0.25  # of a mode's even share of points: with fewer, it is missing


def ring(count: int, generator: torch.Generator) -> Tensor:
    """Real points, (count, 2): each near a mode that is drawn at random."""
    angle = 2 * math.pi / MODES * torch.randint(MODES, (count,), generator=generator)
    noise = DEVIATION * torch.randn(count, 2, generator=generator)
    return torch.stack([angle.cos(), angle.sin()], 1) + noise


def modes(points: Tensor) -> tuple[int, float]:
    """How many modes points (N, 2) reach, and the share of points that are near any.

    >>> import torch
    >>> modes(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    (1, 0.5)
    """
    angle = 2 * math.pi / MODES * torch.arange(MODES)
    centres = torch.stack([angle.cos(), angle.sin()], 1)
    near = torch.cdist(points.float(), centres) < NEAR  # (N, 8)
    least = FEW * len(points) / MODES
    return int((near.sum(0) >= max(1, least)).sum()), float(near.any(1).float().mean())


def perceptron(into: int, width: int, out: int) -> nn.Sequential:
    """Three layers, the generator's and the discriminator's shape."""
    return nn.Sequential(
        nn.Linear(into, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out)
    )
