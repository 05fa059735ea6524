"""The pictures that a panel offers: their menus, uploads and thumbnails."""

from collections.abc import Callable
from itertools import count
from pathlib import Path, PurePath
from typing import Any

import ipywidgets as widgets

from stylelab.errors import InputError
from stylelab.images import load_image
from stylelab.sample_pictures import find, sample, samples
from stylelab.widgets.pictures import Picture, encode

THUMBNAIL = 64  # pixels of the page that a thumbnail is high
WIDE: dict[str, Any] = {"layout": {"width": "98%"}, "style": {"description_width": "9em"}}


class Choices:
    """Menus of content, style and a second style, with thumbnails and uploads.

    Args:
        content, style: names of samples, or paths.

    Raises:
        InputError: there is no such picture.
    """

    def __init__(self, content: str | Path, style: str | Path) -> None:
        self.sources: dict[str, Path | bytes] = {name: sample(name) for name in samples().index}
        self.on_change: Callable[[], None] = lambda: None
        self.on_fault: Callable[[Exception], None] = lambda fault: None
        self._quiet = False  # while a menu gets new entries, or a preset moves the sliders
        self._small: dict[str, bytes] = {}
        self.content = widgets.Dropdown(description="content", **WIDE)
        self.style = widgets.Dropdown(description="style", **WIDE)
        self.second = widgets.Dropdown(description="second style", **WIDE)
        self.share = fraction(
            0.5, 0.05, "its share", "How much of the style is the second picture's, from the next "
            "run on",
        )  # fmt: skip
        self.uploads = {
            role: widgets.FileUpload(
                accept="image/*", description=f"Own {role}", tooltip=words, layout={"width": "10em"}
            )
            for role, words in (
                ("content", "Take a picture of your own for the content"),
                ("style", "Take a picture of your own for the style"),
            )
        }
        for name in (str(content), str(style)):
            self.sources.setdefault(name, find(name))
        entries = [(name, name) for name in self.sources]
        self.content.options, self.content.value = entries, str(content)
        self.style.options, self.style.value = entries, str(style)
        # No file has an empty name; one may be called none.
        self.second.options, self.second.value = [("none", ""), *entries], ""
        self.thumbnails = {
            role: Picture(format="jpeg", layout={"height": f"{THUMBNAIL}px", "margin": "2px"})
            for role in ("content", "style", "second")
        }
        buttons = widgets.VBox([*self.uploads.values()])
        self.strip = widgets.HBox(
            [*self.thumbnails.values(), buttons],
            layout={"align_items": "center", "flex_flow": "row wrap"},
        )
        for role in self.thumbnails:
            getattr(self, role).observe(self._show_choice, "value")
        self._show_choice()
        for upload in self.uploads.values():
            upload.observe(self._upload, "value")

    @property
    def pictures(self) -> tuple[Path | bytes, list[Path | bytes]]:
        """The chosen content, and one style or two."""
        styles = [name for name in (self.style.value, self.second.value) if name]
        return self.sources[self.content.value], [self.sources[name] for name in styles]

    def _show_choice(self, change: Any = None) -> None:
        for role, picture in self.thumbnails.items():
            name = getattr(self, role).value
            if name:
                picture.tooltip = f"{getattr(self, role).description}: {name}"
                picture.value = self._thumbnail(name)
        hidden = "" if self.second.value else "none"
        self.thumbnails["second"].layout.display = self.share.layout.display = hidden

    def _thumbnail(self, name: str) -> bytes:
        """A small picture, which is read once; empty where it cannot be read, as a run will say."""
        if name not in self._small:
            try:
                self._small[name] = encode(load_image(self.sources[name], 2 * THUMBNAIL))
            except InputError:
                return b""
        return self._small[name]

    def _upload(self, change: Any) -> None:
        if not change["new"]:
            return
        own = self.content if change["owner"] is self.uploads["content"] else self.style
        name, picture = change["new"][0]["name"] or "own", bytes(change["new"][0]["content"])
        change["owner"].value = ()  # no part of the widget's state, which a notebook may keep
        try:
            small = encode(load_image(picture, 2 * THUMBNAIL))  # a bad one is refused at once
        except InputError as fault:
            self.on_fault(fault)
            return
        given, number = PurePath(name), count(2)
        while self.sources.get(name, picture) != picture:  # phones give all pictures one name
            name = f"{given.stem} ({next(number)}){given.suffix}"
        self.sources[name], self._small[name] = picture, small
        self._quiet = True  # new options make a choice fall back to the first for a moment
        for choice in (own,) if own is self.content else (own, self.second):
            with choice.hold_sync():
                chosen = name if choice is own else choice.value
                choice.options = [*dict.fromkeys([*choice.options, (name, name)])]
                choice.value = chosen
        self._quiet = False
        self._show_choice()
        self.on_change()


def fraction(
    value: float, step: float, description: str, tooltip: str, **looks: Any
) -> widgets.FloatSlider:
    """A slider from 0 to 1."""
    looks = {**WIDE, **looks}
    return widgets.FloatSlider(
        value=value, min=0, max=1, step=step, description=description, tooltip=tooltip, **looks
    )
