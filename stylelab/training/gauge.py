"""Loss weights from shares of the gradient, so that methods and networks can be compared.

From one size to another, loss weights carry over better than shares; docs/large.md has figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from stylelab.config import LOSS_WEIGHTS, Config
from stylelab.errors import InputError
from stylelab.images import standardize
from stylelab.objectives import TermsOf
from stylelab.registry import METHODS

_measured: "WeakKeyDictionary[TermsOf, dict[str, float]]" = WeakKeyDictionary()


def gradient_lengths(objective: TermsOf, image: Tensor) -> dict[str, float]:
    """The length (Euclidean norm) of each group's gradient at a standardised image (1, 3, H, W)."""
    image = image.detach().clone().requires_grad_()
    terms = objective(image)
    groups = dict.fromkeys(name.split("/")[0] for name in terms)
    found = {}
    for group in groups:
        total = torch.stack([v for k, v in terms.items() if k.split("/")[0] == group]).sum()
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, image, retain_graph=True)
            found[group] = float(gradient.cpu().double().norm())
    return found


def from_shares(
    config: Config, objective: TermsOf, pictures: Sequence[Tensor], device: torch.device
) -> dict[str, float]:
    """The loss weights with which the three groups have their shares of the gradient.

    At the content itself its loss has no gradient. So the lengths are measured half-way between
    content and style, the first two pictures (1, 3, H, W) in [0, 1]; once for each objective.
    Weights of other groups, such as matting, stay as they are; so that they keep their meaning, the
    three gradients together are as long as with the default weights.

    Raises:
        InputError: a group with a share has no gradient there.
    """
    if objective not in _measured:
        middle = standardize(torch.lerp(pictures[0], pictures[1], 0.5).to(device))
        _measured[objective] = gradient_lengths(objective, middle)
    lengths = _measured[objective]
    usual = {name: getattr(Config(), name) for name in LOSS_WEIGHTS}
    weights: dict[str, float] = METHODS.load(config.method).loss_weights(replace(config, **usual))
    return weights | share_out(config, weights, lengths)


def share_out(
    config: Config, usual: Mapping[str, float], lengths: Mapping[str, float]
) -> dict[str, float]:
    """Weights w with w |g| in the ratio of the shares, and the sum of ``usual`` weights times |g|.

    >>> config = Config(content_weight=1, style_weight=3, tv_weight=0)
    >>> share_out(config, {"content": 1, "style": 1, "tv": 1}, {"content": 2, "style": 6, "tv": 0})
    {'content': 1.0, 'style': 1.0, 'tv': 0.0}
    """
    shares = {name.removesuffix("_weight"): getattr(config, name) for name in LOSS_WEIGHTS}
    shares = {group: share for group, share in shares.items() if group in usual}
    for group, share in shares.items():
        if share and not lengths.get(group):
            raise InputError(
                f"the {group} loss has no gradient half-way between the pictures, so that it can "
                f"have no share of it; set {group}_weight to 0, or weigh to losses"
            )
    if not any(shares.values()):
        raise InputError(f"weigh='gradients' needs a weight above 0 among {', '.join(shares)}")
    total = sum(usual[group] * lengths.get(group, 0.0) for group in shares)
    whole = sum(shares.values())
    return {
        group: share / whole * total / lengths[group] if share else 0.0
        for group, share in shares.items()
    }
