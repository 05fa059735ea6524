"""Settings that go together, by name; ``dataclasses.replace`` makes variants."""

from stylelab.config import Config

PRESETS: dict[str, Config] = {
    "paper": Config(),
    "paper-large": Config(size=(300, 450)),
    # Reaches the objective of 500 plain steps in far fewer; docs/fast.md has the curves.
    "fast": Config(
        size=(300, 450),
        optimizer="pyramid",
        learning_rate=0.15,
        schedule="linear",
        steps=200,
        projected=True,
    ),
    # Large enough for a wall; docs/large.md compares it with a run at one scale.
    "gallery": Config(
        size=(1200, 1800),
        style_weight=15_000,
        tv_weight=150,
        pooling="avg",
        optimizer="pyramid",
        learning_rate=0.05,
        schedule="linear",
        steps=280,
        scales=3,
    ),
    # Gatys, Ecker and Bethge 2016, with their layers; init="noise" as in most of their figures.
    "gatys": Config(
        size=(300, 450),
        method="gatys2016",
        tv_weight=0,
        optimizer="lbfgs",
        learning_rate=1.0,
        pooling="avg",
    ),
}


def preset_name(config: Config) -> str | None:
    """The name of the preset that equals ``config``, or None."""
    return next((name for name, preset in PRESETS.items() if preset == config), None)
