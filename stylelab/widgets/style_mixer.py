"""The style mixer: 26 styles in one network, blended under sliders as fast as they move."""

from pathlib import Path
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from stylelab.images import load_image
from stylelab.networks.multistyle import StyleNetwork
from stylelab.sample_pictures import find, samples
from stylelab.widgets.pictures import Picture, encode, shown_size


class StyleMixer:
    """Sliders over the styles of a `StyleNetwork`, and the picture that it paints in a moment.

    Args:
        content: the name of a sample, or a path.
        network: one with fitted styles, for example; by default the packaged 26.
        size: the longer side of the picture, in pixels.

    Raises:
        InputError: the picture cannot be read, or the network is not installed.
    """

    def __init__(
        self,
        content: str | Path = "chenonceau",
        network: StyleNetwork | None = None,
        size: int = 300,
    ) -> None:
        self.network, self.size = network or StyleNetwork(), size
        wide = {"layout": {"width": "30em"}, "style": {"description_width": "9em"}}
        names = list(dict.fromkeys([str(content), *samples().index]))
        self.content = widgets.Dropdown(options=names, description="content", **wide)
        self.first, self.second = (
            widgets.SelectionSlider(options=self.network.names, description=words, **wide)
            for words in ("style", "another style")
        )
        self.second.value = self.network.names[-1]
        self.share, self.strength = (
            widgets.FloatSlider(value=value, max=1, step=0.05, description=words, **wide)
            for value, words in ((0, "its share"), (1, "strength"))
        )
        self.picture = Picture(format="jpeg", tooltip="The content in the blend of styles")
        self.image: Tensor
        """What the picture shows, (1, 3, H, W) in [0, 1]."""
        self._take_content()
        self.content.observe(self._take_content, "value")
        controls = self.first, self.second, self.share, self.strength
        for slider in controls:
            slider.observe(self._paint, "value")
        rows = widgets.VBox([self.content, *controls])
        self.box = widgets.HBox([self.picture, rows], layout={"flex_flow": "row wrap"})
        self.box.add_class("stylelab-mixer")

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)

    def _take_content(self, change: Any = None) -> None:
        self._photograph = load_image(find(self.content.value), self.size)
        height, width = shown_size(self._photograph)
        self.picture.layout = {"width": f"{width}px", "height": f"{height}px"}
        self._paint()

    def _paint(self, change: Any = None) -> None:
        share = self.share.value
        shares = torch.tensor([1 - share, share]) @ torch.stack(
            [self.network.shares(s.value) for s in (self.first, self.second)]
        )
        painted = self.network(self._photograph, shares)
        self.image = torch.lerp(self._photograph, painted, self.strength.value)
        self.picture.value = encode(self.image)
