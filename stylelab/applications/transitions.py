"""Films whose style changes along the frames: from one style to another, or out of the photograph.

The shares of two styles lie where those of a blend lie: in the parameters of a network of many
styles (Dumoulin, Shlens and Kudlur 2016), in the features of one of any style (Huang and Belongie
2017), in the loss of an optimisation. Pixels are mixed only where there is nothing else to mix.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from stylelab.applications.films import film_frames
from stylelab.applications.frames import collect
from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import Source, load_image, quantize
from stylelab.networks.blocks import Network
from stylelab.training.painting import paint


def ramp(count: int, hold: float = 0.0) -> list[float]:
    """How far a change has come at each of ``count`` frames: from 0 at the first to 1 at the last.

    Even steps; before them and after them stands still a part ``hold`` of the way, below a half.

    >>> ramp(5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if not 0 <= hold < 0.5:
        raise InputError(f"hold={hold:g} should be from 0 to below 0.5, a part of the film")
    way = (i / max(1, count - 1) for i in range(count))
    return [min(1.0, max(0.0, (t - hold) / (1 - 2 * hold))) for t in way]


def transition(
    frames: Sequence[Source],
    painter: Network | Config,
    before: Any = None,
    after: Any = None,
    strength: tuple[float, float] = (1.0, 1.0),
    hold: float = 0.0,
    **settings: Any,
) -> list[Tensor]:
    """Paint the frames of a film while its style changes from ``before`` to ``after``.

    Args:
        frames: anything that `load_image` takes, each.
        painter: a network, which paints each frame alone, or a `Config`, with which each frame
            goes on from the last one, as in `film`, towards styles whose shares change.
        before, after: a style each, as `paint` takes it. Without ``after``, or for a network of
            one style, the style stays and only the strength changes.
        strength: at the first frame and at the last; (0, 1) leads from the photograph to the style.
        hold: the part of the film, below a half, that stands still at either end.
        settings: further ones of `paint` for a network, of `film` for a config.

    Returns:
        A picture (1, 3, H, W) in [0, 1] for each frame.

    Raises:
        InputError: no frames, a strength outside [0, 1], or what `paint` and `film` refuse.
        FilmStopped: a frame after the first one failed; the error has those before it.
    """
    if not isinstance(painter, (Network, Config)):
        raise InputError(f"painter={painter!r} should be a network, see load_network, or a Config")
    if len(frames) == 0:
        raise InputError("there are no frames; give one or more")
    two = isinstance(strength, Sequence) and len(strength) == 2
    if not two or not all(0 <= s <= 1 for s in strength):
        raise InputError(f"strength={strength} should be two numbers from 0 to 1")
    return collect(_frames(frames, painter, before, after, strength, hold, settings))


def _frames(
    frames: Sequence[Source],
    painter: Network | Config,
    before: Any,
    after: Any,
    strength: tuple[float, float],
    hold: float,
    settings: dict[str, Any],
) -> Iterator[Tensor]:
    shares = [(1 - t, t) for t in ramp(len(frames), hold)]
    strengths = [a * strength[0] + b * strength[1] for a, b in shares]
    if isinstance(painter, Config):
        styles = [before] if after is None else [before, after]
        blends = [] if after is None else shares
        painted = film_frames(frames, styles, painter, **{"blends": blends, **settings})
        pictures = (load_image(frame, painter.size, painter.fit) for frame in frames)
        for image, picture, s in zip(painted, pictures, strengths, strict=True):
            yield quantize(torch.lerp(picture, image, s))
        return
    named = all(isinstance(style, (str, int)) for style in (before, after))
    if after is not None and painter.kind == "many" and not named:
        raise InputError("before and after should be a style's name each; shares cannot change")
    for frame, blend, s in zip(frames, shares, strengths, strict=True):
        chosen: dict[str, Any] = {"style": before}
        if after is not None and painter.kind == "any":
            chosen = {"style": [before, after], "blend": blend}
        elif after is not None:
            chosen = {"style": after if before == after else {before: blend[0], after: blend[1]}}
        yield paint(painter, frame, strength=s, **chosen, **settings)
