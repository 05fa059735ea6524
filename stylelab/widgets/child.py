"""The child of two faces, feature by feature; only for fun."""

import json
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from stylelab.errors import InputError
from stylelab.gans.features import FEATURES
from stylelab.gans.heredity import Face, Faces
from stylelab.images import load_image
from stylelab.networks.loading import load_network
from stylelab.sample_pictures import data_folder
from stylelab.widgets.cells import Shown, fault_words
from stylelab.widgets.marks import Marks
from stylelab.widgets.page import on_page
from stylelab.widgets.pictures import Picture, encode, message

OWN = "own photograph"
SIDE = "230px"  # of the three pictures on the page
WORDS = (
    "Only for fun: faces are not inherited like this. The parents to choose from are nobody: the "
    "network made them. Own photographs stay in this notebook's memory, and no file of them is "
    "written; save the notebook without its widgets' state."
)
WHOSE = {"first": 0.0, "both": 0.5, "second": 1.0}
TOOLTIPS = ("of the first parent", "of both parents, averaged", "of the second parent")


def parents() -> dict[str, tuple[Path, Tensor]]:
    """The faces that come with the kit, which the network made: picture and landmarks (189, 2)."""
    folder = data_folder() / "faces"
    found = json.loads((folder / "landmarks.json").read_text("utf-8"))
    return {Path(k).stem: (folder / k, torch.tensor(v)) for k, v in sorted(found.items())}


class ChildOfTwo(Shown):
    """Two parents, whose features go to whom, and the child.

    For example ``ChildOfTwo()`` at the end of a cell. A parent is one of the faces that come with
    the kit, or an own photograph, on which the two eyes are marked. Where its other landmarks are,
    the network finds out.

    Args:
        network: the name of a checkpoint or a run's folder, or a network.
        first, second: the names of two of the kit's `parents`; by default the first two.

    Raises:
        InputError: there is no such network or parent.
    """

    def __init__(
        self, network: str | Path | Faces = "faces", first: str = "", second: str = ""
    ) -> None:
        super().__init__()
        found = network if isinstance(network, Faces) else load_network(network)
        if not isinstance(found, Faces):
            raise InputError(f"'{network}' draws no faces; name a network of faces")
        self.network, self._kit = found.eval(), parents()
        names = [*self._kit]
        self.faces: list[Face | None] = [None, None]
        """What the network has read of each parent."""
        self.image: Tensor | None = None
        """The child, (1, 3, 128, 128) in [0, 1]."""
        self.message = widgets.HTML()
        self.sides = [
            Parent(self, i, [*names, OWN], name or names[i])
            for i, name in enumerate((first, second))
        ]
        self.child = Picture(
            format="jpeg", tooltip="The child", layout={"width": SIDE, "height": SIDE}
        )
        self.even = widgets.Checkbox(
            value=True, description="all features evenly from both", indent=False
        )
        self.whose = {
            name: widgets.ToggleButtons(
                options=list(WHOSE),
                value="both",
                description=name,
                tooltips=[f"{name} {words}" for words in TOOLTIPS],
                style={"button_width": "5em", "description_width": "4em"},
                disabled=True,
            )
            for name in FEATURES
        }
        for control in (self.even, *self.whose.values()):
            control.observe(self._change, "value")
        note = widgets.HTML(message(WORDS))
        column = widgets.VBox([self.child, self.even, *self.whose.values()])
        row = {"flex_flow": "row wrap", "grid_gap": "1em"}
        rows = widgets.VBox(
            [note, widgets.HBox([self.sides[0].box, column, self.sides[1].box], layout=row),
             self.message]
        )  # fmt: skip
        self.box = on_page(rows, "child")
        for side in self.sides:
            side.take()

    @property
    def shares(self) -> dict[str, float]:
        """The second parent's share in each feature."""
        if self.even.value:
            return {}
        return {name: WHOSE[choice.value] for name, choice in self.whose.items()}

    def _change(self, change: Any = None) -> None:
        for choice in self.whose.values():
            choice.disabled = self.even.value
        self.draw()

    @torch.no_grad()
    def draw(self) -> None:
        """Draw the child of the two parents, once there are two."""
        first, second = self.faces
        if first is None or second is None:
            self.image, self.child.value = None, b""
            return
        self.image, _ = self.network.child(first, second, self.shares)
        self.child.value = enlarged(self.image)

    @torch.no_grad()
    def take(self, index: int, image: Tensor | None, landmarks: Tensor | None) -> bytes:
        """Read a parent, draw the child, and return what the network knows of the parent."""
        known = None
        if image is not None and landmarks is not None:
            known = self.network.read(image, landmarks)
        self.faces[index] = known
        self.draw()
        return b"" if known is None else enlarged(self.network.picture(known))


class Parent:
    """One of the two parents: a choice, and what is needed for an own photograph."""

    def __init__(self, panel: ChildOfTwo, index: int, names: list[str], chosen: str) -> None:
        if chosen not in names:
            raise InputError(f"no parent '{chosen}'; choose from {', '.join(names[:-1])}")
        self.panel, self.index = panel, index
        which = ("first", "second")[index]
        self.choice = widgets.Dropdown(
            options=names, value=chosen, description=f"{which} parent",
            style={"description_width": "8em"}, layout={"width": SIDE},
        )  # fmt: skip
        self.upload = widgets.FileUpload(
            accept="image/*", description="Photograph", tooltip="Take a photograph of your own"
        )
        self.marks = Marks(f"Photograph of the {which} parent; mark both eyes")
        self.picture = Picture(
            format="jpeg",
            tooltip=f"The {which} parent, as far as the network knows faces",
            layout={"width": SIDE, "height": SIDE},
        )
        self.own = widgets.VBox([self.upload, self.marks])
        self.box = widgets.VBox([self.choice, self.picture, self.own])
        self._image: Tensor | None = None
        self.choice.observe(self.take, "value")
        self.upload.observe(self._read, "value")
        self.marks.on_two(self._find)

    def take(self, change: Any = None) -> None:
        """Take the chosen face, or wait for a photograph."""
        own = self.choice.value == OWN
        self.own.layout.display = "" if own else "none"
        self._image = None
        self.marks.show(None)
        self.panel.message.value = message(
            "Give a photograph of a face seen from the front." if own else ""
        )
        if own:
            self.picture.value = self.panel.take(self.index, None, None)
        else:
            path, landmarks = self.panel._kit[self.choice.value]
            self.picture.value = self.panel.take(self.index, load_image(path), landmarks)

    def _read(self, change: Any) -> None:
        if not change.new:
            return
        file = change.new[0]
        self.upload.value = ()  # no part of the widget's state
        try:
            self._image = load_image(bytes(file["content"]))
        except InputError as fault:
            words = str(fault).replace("this image", f"'{file['name']}'")
            self.panel.message.value = message(words, fault=True)
            return
        self.picture.value = self.panel.take(self.index, None, None)
        self.marks.show(self._image)
        self.panel.message.value = message("Click on the middle of one eye, then of the other.")

    def _find(self) -> None:
        if self._image is None:
            return
        try:
            self.panel.message.value = message("Looking for nose, mouth and the rest...")
            eyes = torch.tensor(self.marks.found())
            landmarks = self.panel.network.fit(self._image, eyes)
            self.picture.value = self.panel.take(self.index, self._image, landmarks)
        except Exception as fault:
            words = f"{fault_words(fault)}; click on each eye"
            self.panel.message.value = message(words, fault=True)
            return
        self.panel.message.value = message("Not quite the eyes? Click again where they are.")


def enlarged(image: Tensor) -> bytes:
    """A picture of 128x128 as a JPEG file of twice its size."""
    twice = torch.nn.functional.interpolate(image, scale_factor=2.0, mode="bicubic")
    return encode(twice.clamp(0, 1))
