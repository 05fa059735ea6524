"""The panel of the live lab: its widgets and their texts, without any computation."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd
from torch import Tensor

from stylelab.config import LOSS_WEIGHTS, Config
from stylelab.errors import InputError
from stylelab.presets import PRESETS, preset_name
from stylelab.registry import METHODS
from stylelab.widgets.choices import WIDE, Choices, fraction
from stylelab.widgets.page import on_page
from stylelab.widgets.pictures import (
    WIDTH,
    LossCurve,
    Picture,
    curve_picture,
    encode,
    message,
    shown_size,
)
from stylelab.widgets.saving import download_link

OWN = "own settings"
SIZES: dict[str, tuple[int, int] | int] = {
    "100x150": (100, 150),
    "150x225 (the paper's)": (150, 225),
    "200x300": (200, 300),
    "300x450 (the paper's)": (300, 450),
    "the photograph's shape, longer side 225": 225,
    "the photograph's shape, longer side 450": 450,
}
BUTTONS = {  # what they say, and which states they are for
    "run": ("Run", ("ready", "paused", "ended")),
    "pause": ("Pause", ("running",)),
    "step": ("Step", ("ready", "paused", "ended")),
    "stop": ("Stop", ("running", "paused")),
    "reset": ("Reset", ("running", "paused", "ended")),
    "save": ("Save", ("running", "paused", "ended")),
}


class Panel(Choices):
    """The widgets of a `LiveLab`.

    Args:
        content, style: names of samples, or paths.
        config: the settings that it shows first.
    """

    def __init__(self, content: str | Path, style: str | Path, config: Config) -> None:
        super().__init__(content, style)
        self.colours = widgets.Dropdown(
            options=[("the style's", "style")]
            + [(f"the content's, by {way}", way) for way in ("luminance", "statistics")],
            description="colours",
            **WIDE,
        )
        self.preset = widgets.Dropdown(
            options=[*PRESETS, OWN], value=OWN, description="preset", **WIDE
        )
        self.method = widgets.Dropdown(options=list(METHODS), description="method", **WIDE)
        self.size = widgets.Dropdown(description="size", **WIDE)
        self.steps = widgets.IntSlider(
            min=1, max=2000, description="steps", continuous_update=False, **WIDE
        )
        self.weights = {
            name: widgets.FloatLogSlider(
                min=-3,
                max=7,
                step=0.1,
                description=name.replace("_", " "),
                tooltip="Takes effect at the next step; at the far left the term is off",
                readout_format=".3r",
                **WIDE,
            )
            for name in LOSS_WEIGHTS
        }
        self.learning_rate = widgets.FloatLogSlider(
            min=-3, max=1, step=0.05, description="learning rate", readout_format=".3r", **WIDE
        )
        words = "Mixes the result with the photograph, at any time"
        self.strength = fraction(1, 0.01, "strength", words)
        words = "Left of the divide is the photograph, right of it the result"
        self.divide = fraction(0, 0.01, "before | after", words, readout=False)
        self.buttons = {
            name: widgets.Button(description=words, layout={"width": "auto", "flex": "1 1 4.6em"})
            for name, (words, _) in BUTTONS.items()
        }
        self.buttons["run"].button_style = "primary"
        fixed = {"margin": "0", "object_fit": "fill"}
        self.picture = Picture(format="jpeg", layout=fixed, tooltip="The image so far")
        self.curve = curve_picture("the run")
        self.caption, self.status = widgets.Label(), widgets.Label()
        self.progress = widgets.IntProgress(layout={"flex": "1 1 6em", "min_width": "6em"})
        self.message = widgets.HTML()
        self.curves = LossCurve()
        self.show_config(config)
        self.preset.observe(self._choose, "value")
        pictures = self.content, self.style, self.second, self.share, self.colours
        sliders = self.method, self.size, self.steps, self.learning_rate, *self.weights.values()
        for widget in (*pictures, *sliders):
            widget.observe(self._move, "value")
        self.box = self._arrange()

    def _arrange(self) -> widgets.Box:
        buttons = widgets.HBox(list(self.buttons.values()), layout={"flex_flow": "row wrap"})
        progress = widgets.HBox([self.progress, self.status], layout={"flex_flow": "row wrap"})
        seen = [self.picture, self.caption, self.divide]
        pressed = [buttons, progress, self.message]
        left = [*seen, self.curve]
        right = [
            self.strip,
            self.content,
            self.style,
            self.second,
            self.share,
            self.colours,
            self.preset,
            self.method,
            *self.weights.values(),
            self.learning_rate,
            self.size,
            self.steps,
            self.strength,
            *pressed,
        ]
        columns = (
            widgets.VBox(left, layout={"width": f"{WIDTH + 20}px"}),
            widgets.VBox(right, layout={"flex": "1 1 26em", "max_width": "40em"}),
        )
        for column in columns:
            column.add_class("stylelab-column")
        for place, rows in (("first", seen), ("second", pressed)):  # on a phone
            for row in rows:
                row.add_class(f"stylelab-{place}")
        layout = {"flex_flow": "row wrap", "grid_gap": "1em"}
        return on_page(widgets.HBox(columns, layout=layout), "panel")

    @property
    def config(self) -> Config:
        """The settings that the panel shows.

        Raises:
            InputError: they do not go together.
        """
        base, method = self._base, self.method.value
        return replace(
            base,
            method=method,
            options=base.options if method == base.method else (),
            blend=(1 - self.share.value, self.share.value) if self.second.value else (),
            colours=self.colours.value,
            size=self.size.value,
            steps=self.steps.value,
            learning_rate=self.learning_rate.value,
            **self.loss_weights,
        )

    @property
    def loss_weights(self) -> dict[str, Any]:
        """The three loss weights, by the names of their settings."""
        return {
            name: 0.0 if slider.value <= 10**slider.min else slider.value
            for name, slider in self.weights.items()
        }

    def show_config(self, config: Config) -> None:
        """Set the widgets to a config; settings without a widget are kept for the next run, too."""
        self._base, self._quiet = config, True
        size = config.size
        own = f"longer side {size}" if isinstance(size, int) else "x".join(map(str, size))
        # The page knows a choice by its number: those of the others stay as they are.
        known = [*SIZES.items(), *([(own, size)] if size not in SIZES.values() else [])]
        with self.size.hold_sync():  # or the page shows the first one for a moment
            self.size.options, self.size.value = known, size
        for name, slider in {**self.weights, "learning_rate": self.learning_rate}.items():
            value = getattr(config, name)
            if value:  # a slider silently clips its value to its range
                slider.max = max(slider.max, math.ceil(math.log10(value)))
                slider.min = min(slider.min, math.floor(math.log10(value) - 1e-9))
            slider.value = value or 10**slider.min
        self.method.value, self.colours.value = config.method, config.colours
        self.steps.max = max(self.steps.max, config.steps)
        self.steps.value = config.steps
        self.preset.value = preset_name(config) or OWN
        self._quiet = False
        self.on_change()

    def _choose(self, change: Any) -> None:
        if not self._quiet and change["new"] in PRESETS:
            self.show_config(PRESETS[change["new"]])

    def _move(self, change: Any) -> None:
        if self._quiet:
            return
        self._quiet = True
        try:
            self.preset.value = preset_name(self.config) or OWN
        except InputError:  # which is reported when the run begins
            self.preset.value = OWN
        finally:
            self._quiet = False
        self.on_change()

    def show_picture(self, image: Tensor, before: Tensor) -> None:
        """Show the image so far, with ``before`` left of the divide; both (1, 3, H, W)."""
        height, width = shown_size(image)
        layout = self.picture.layout
        if (layout.width, layout.height) != (f"{width}px", f"{height}px"):
            layout.width, layout.height = f"{width}px", f"{height}px"
        self.picture.value = encode(image, before, self.divide.value)

    def show_curve(self, history: pd.DataFrame) -> None:
        self.curve.value = self.curves.draw(history)

    def show_state(self, state: str, done: int, steps: int, pace: float | None) -> None:
        """Show the progress of the run; ``pace`` is in seconds per step, or None if unknown."""
        for name, (_, states) in BUTTONS.items():
            self.buttons[name].disabled = state not in states
        self.buttons["run"].description = "Resume" if state == "paused" else "Run"
        self.progress.max, self.progress.value = steps, done
        words = [f"{state}, step {done} of {steps}"]
        if pace is not None:
            left = round((steps - done) * pace)
            words += [f"{pace:.2f} s a step"]
            words += [f"{left // 60}:{left % 60:02} left"] if state in ("running", "paused") else []
        self.status.value = ", ".join(words)

    def show_words(self, words: str, fault: bool = False, download: Path | None = None) -> None:
        """Show a line of plain text under the buttons, and a link to a PNG file."""
        link = "" if download is None else download_link(download)
        self.message.value = message(words, fault, link)
