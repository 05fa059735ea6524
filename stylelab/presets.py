"""Settings that go together, by name; ``dataclasses.replace`` makes variants."""

from dataclasses import replace

from stylelab.config import Config, Settings

# Reaches the objective of 500 plain steps in far fewer; docs/fast.md has the curves.
FAST = Config(
    size=(300, 450),
    optimizer="pyramid",
    learning_rate=0.15,
    schedule="linear",
    steps=120,
    projected=True,
)
# Pictures to hang: strokes without grain, by another objective; docs/large.md says how they were
# chosen.
PAINTING = replace(
    FAST, size=(600, 900), method="wasserstein", padding="reflect", steps=150, scales=2
)

PRESETS: dict[str, Config] = {
    "paper": Config(),
    "paper-large": Config(size=(300, 450)),
    "fast": FAST,
    "painting": PAINTING,
    "gallery": replace(PAINTING, size=(1200, 1800), scales=3, steps=175),
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


def preset_name(config: Settings) -> str | None:
    """The name of the preset that equals ``config``, or None."""
    return next((name for name, preset in PRESETS.items() if preset == config), None)
