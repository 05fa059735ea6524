"""The painter: a trained network's picture under sliders, as fast as they move."""

from itertools import count
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import load_image, save_image
from stylelab.networks.blocks import Network
from stylelab.networks.loading import checkpoint_names, load_network
from stylelab.networks.multistyle import StyleNetwork
from stylelab.presets import PRESETS
from stylelab.sample_pictures import find, samples
from stylelab.training.painting import paint
from stylelab.widgets.live_lab import LiveLab
from stylelab.widgets.pictures import Picture, encode, message, shown_size

OWN, PACKAGED = "own network", "26 styles"


class Painter:
    """A network's picture that follows the sliders, and a start for the live lab.

    What can be chosen depends on the network: a style picture or a blend of two, styles that it has
    learnt, or nothing. "Polish" hands the picture to a `LiveLab` below, which goes on from it
    by optimising its pixels.

    Args:
        content: the name of a sample, or a path.
        network: a shipped checkpoint's name, "26 styles" for the packaged network, or a network.
        size: the longer side of the picture, in pixels.
        config: the settings with which "Polish" begins.
        out: the folder for what "Polish" starts from, and for what the lab saves.

    Raises:
        InputError: a picture or the network cannot be read.
    """

    def __init__(
        self,
        content: str | Path = "chenonceau",
        network: str | Network = "adain",
        size: int = 450,
        config: Config = PRESETS["fast"],
        out: str | Path = "runs/live",
    ) -> None:
        self.size, self.config, self.out = size, config, Path(out)
        self._networks: dict[str, Network] = {}
        names, chosen = [*checkpoint_names(), PACKAGED], str(network)
        if isinstance(network, Network):
            chosen = OWN
            self._networks[OWN] = network
            names = [OWN, *names]
        elif network not in names:
            names = [chosen, *names]
        wide: dict[str, Any] = {
            "layout": {"width": "30em"},
            "style": {"description_width": "9em"},
        }
        contents = list(dict.fromkeys([str(content), *samples().index]))
        self.content = widgets.Dropdown(options=contents, description="content", **wide)
        self.chosen = widgets.Dropdown(options=names, value=chosen, description="network", **wide)
        self.first, self.second = (
            widgets.SelectionSlider(options=[""], description=words, **wide)
            for words in ("style", "another style")
        )
        self.share, self.strength = (
            widgets.FloatSlider(value=value, max=1, step=0.05, description=words, **wide)
            for value, words in ((0, "its share"), (1, "strength"))
        )
        self.button = widgets.Button(
            description="Polish", tooltip="Go on from this picture in the live lab, below"
        )
        self.message = widgets.HTML()
        self.picture = Picture(format="jpeg", tooltip="The content as the network paints it")
        self.image: Tensor
        """What the picture shows, (1, 3, H, W) in [0, 1]."""
        self.lab: LiveLab | None = None
        """What "Polish" opened."""
        self._take_network()
        self.content.observe(self._take_content, "value")
        self.chosen.observe(self._take_network, "value")
        for control in (self.first, self.second, self.share, self.strength):
            control.observe(self._paint, "value")
        self.button.on_click(lambda _: self.polish())
        controls = self.content, self.chosen, self.first, self.second, self.share, self.strength
        rows = widgets.VBox([*controls, self.button, self.message])
        top = widgets.HBox([self.picture, rows], layout={"flex_flow": "row wrap"})
        self.box = widgets.VBox([top])
        self.box.add_class("stylelab-painter")

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)

    @property
    def network(self) -> Network:
        """The chosen network, which is read once."""
        name = self.chosen.value
        if name not in self._networks:
            self._networks[name] = StyleNetwork() if name == PACKAGED else load_network(name)
        return self._networks[name]

    def _take_network(self, change: Any = None) -> None:
        try:
            network = self.network
        except InputError as fault:
            self.message.value = message(str(fault), fault=True)
            if change is None:
                raise
            return
        paintings = list(samples().query("role == 'style'").index)
        names = network.names if isinstance(network, StyleNetwork) else paintings
        self._quiet = True
        for choice, value in ((self.first, names[0]), (self.second, names[-1])):
            kept = choice.value in names
            with choice.hold_sync():
                value = choice.value if kept else value
                choice.options, choice.value = names, value
        blends = network.kind != "one"
        self.first.description = "style" if blends else "polish towards"
        for control in (self.second, self.share):
            control.layout.display = "" if blends else "none"
        self._quiet = False
        self._take_content()

    def _take_content(self, change: Any = None) -> None:
        self._photograph = load_image(find(self.content.value), self.size)
        height, width = shown_size(self._photograph)
        self.picture.layout = {"width": f"{width}px", "height": f"{height}px"}
        self._paint()

    def _paint(self, change: Any = None) -> None:
        if self._quiet:
            return
        share, styles = self.share.value, [self.first.value, self.second.value]
        settings: dict[str, Any] = {"strength": self.strength.value}
        if self.network.kind == "any":
            settings["style"] = [find(name) for name in styles]
            settings["blend"] = (1 - share, share)
        elif self.network.kind == "many":
            settings["style"] = {styles[0]: 1.0}
            if share:
                settings["style"] = {styles[0]: 1 - share, styles[1]: share}
        self.image = paint(self.network, self._photograph, **settings)
        self.picture.value = encode(self.image)

    def polish(self) -> LiveLab:
        """Begin a run of the live lab that starts from the picture."""
        if self.lab is not None:
            self.lab.stop()
        self.out.mkdir(parents=True, exist_ok=True)
        path = next(path for n in count(1) if not (path := self.out / f"painted-{n}.png").exists())
        save_image(self.image, path)
        height, width = self.image.shape[2:]
        config = {**self.config.to_dict(), "size": (height, width), "init": str(path)}
        towards = self.first.value
        if isinstance(self.network, StyleNetwork) and towards not in samples().index:
            towards = str(samples().query("role == 'style'").index[0])
        self.lab = LiveLab(self.content.value, towards, Config.from_dict(config), self.out)
        self.box.children = (self.box.children[0], self.lab.panel.box)
        self.lab.run()
        return self.lab
