"""The sweep explorer: a slider for each setting that varies, and the run under them."""

import html
from collections.abc import Hashable
from typing import Any

import ipywidgets as widgets
import pandas as pd

from stylelab.config import Config
from stylelab.images import load_image
from stylelab.plots import value_text
from stylelab.sweeps.grids import flat
from stylelab.sweeps.runs import Sweep
from stylelab.widgets.cells import Shown, fault_words
from stylelab.widgets.page import on_page
from stylelab.widgets.pictures import LossCurve, Picture, curve_picture, put

NUMBERS = {  # columns of a sweep's table, and what they are
    "saved/total": "total loss of the saved picture",
    "last/total": "total loss at the last step",
    "content_distance": "content distance to the photograph",
    "style_distance": "style distance to the painting",
    "ssim": "structural similarity (SSIM) to the photograph",
    "colour_distance": "colour distance to the painting",
    "grain": "grain",
    "seconds": "seconds",
}


class SweepExplorer(Shown):
    """Sliders over the settings that vary in a sweep, with picture, curves and metrics of the run.

    Two runs can be pinned, to see them side by side.

    Args:
        sweep: its table is read once; make a new explorer when it has grown.
    """

    def __init__(self, sweep: Sweep) -> None:
        super().__init__()
        self.sweep, self.table = sweep, sweep.table
        self.sliders: dict[str, Any] = {}
        own = [str(c) for c in self.table if str(c).startswith("options.")]
        self.table[own] = self.table[own].astype(object).fillna("default")
        for name in ("content", "style", *flat(Config().to_dict()), *own):
            values = list(self.table[name].drop_duplicates())
            if len(values) > 1:
                mixed = any(isinstance(value, str) for value in values)
                values = values if mixed else sorted(values)
                self.sliders[name] = widgets.SelectionSlider(
                    options=[(value_text(value), value) for value in values],
                    description=words_of(name),
                    layout={"width": "30em", "max_width": "98%"},
                    style={"description_width": "9em"},
                )
        self.curves = LossCurve()
        self.picture = Picture(format="jpeg", tooltip="The picture of the run")
        self.curve = curve_picture("this run")
        self.numbers = widgets.HTML()
        self.pins = {side: _Pin(side) for side in ("left", "right")}
        for pin in self.pins.values():
            pin.button.on_click(lambda _, pin=pin: pin.take(self.picture, self._settings()))
        for slider in self.sliders.values():
            slider.observe(self._show, "value")
        seen = widgets.VBox([self.picture, widgets.HBox([p.button for p in self.pins.values()])])
        rows = [
            *self.sliders.values(),
            widgets.HBox([seen, self.numbers], layout={"flex_flow": "row wrap"}),
            self.curve,
            widgets.HBox([p.box for p in self.pins.values()], layout={"flex_flow": "row wrap"}),
        ]
        self.box = on_page(widgets.VBox(rows), "explorer")
        self._show()

    @property
    def run(self) -> str | None:
        """The key of the run under the sliders; None where the sweep has none."""
        rows = self.table
        for name, slider in self.sliders.items():
            rows = rows[rows[name] == slider.value]
        return str(rows.index[0]) if len(rows) else None

    def _settings(self) -> str:
        return ", ".join(f"{s.description} {value_text(s.value)}" for s in self.sliders.values())

    def _show(self, change: Any = None) -> None:
        key = self.run
        row: dict[Hashable, Any] = {} if key is None else self.table.loc[key].to_dict()
        complete = row.get("status") == "complete"
        words = row.get("status", "the sweep has no run with these settings")
        fault = row.get("error")
        words = words if fault is None or pd.isna(fault) else f"{words}: {fault}"
        if complete:
            try:
                self._show_run(str(key), row)
            except Exception as error:  # whatever has become of its files; the others can be seen
                complete, words = False, f"this run cannot be shown: {fault_words(error)}"
        for widget in (self.picture, self.curve, *(pin.button for pin in self.pins.values())):
            widget.layout.visibility = "visible" if complete else "hidden"
        if not complete:
            self.numbers.value = f"<p>{html.escape(str(words))}</p>"

    def _show_run(self, key: str, row: dict[Hashable, Any]) -> None:
        folder = self.sweep.out / key
        image = load_image(folder / "image.png")
        put(image, self.picture)
        self.curve.value = self.curves.draw(pd.read_csv(folder / "history.csv"))
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left;padding-right:1em">{words}'
            f'</th><td style="text-align:right">{float(row[name]):.4g}</td></tr>'
            for name, words in NUMBERS.items()
            if name in row
        )
        self.numbers.value = f"<table><caption>run {html.escape(key)}</caption>{cells}</table>"


def words_of(setting: str) -> str:
    """The name of a column of a sweep's table in words: "options.patch_size" is "patch size"."""
    return setting.removeprefix("options.").replace("_", " ")


class _Pin:
    """A place for a run that stays while the sliders move on."""

    def __init__(self, side: str) -> None:
        self.button = widgets.Button(
            description=f"Pin {side}", tooltip=f"Keep this run below, on the {side}"
        )
        self.picture = Picture(format="jpeg", tooltip=f"The run pinned on the {side}")
        self.picture.layout.visibility = "hidden"
        self.caption = widgets.Label()
        self.box = widgets.VBox([self.picture, self.caption])

    def take(self, picture: Any, caption: str) -> None:
        layout = self.picture.layout
        layout.width, layout.height = picture.layout.width, picture.layout.height
        layout.visibility = "visible"
        self.picture.value, self.caption.value = picture.value, caption
