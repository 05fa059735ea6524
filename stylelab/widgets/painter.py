"""The painter: a photo filter with sliders, by a trained network or by optimising the pixels."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import load_image, quantize, save_image
from stylelab.networks.blocks import Network
from stylelab.networks.loading import load_network, painters
from stylelab.networks.multistyle import StyleNetwork
from stylelab.presets import PRESETS
from stylelab.sample_pictures import find, samples
from stylelab.training.painting import paint
from stylelab.training.transfer import Transfer
from stylelab.widgets.cells import Shown, Worker, fault_words
from stylelab.widgets.live_lab import LiveLab
from stylelab.widgets.page import on_page
from stylelab.widgets.pictures import Pace, Picture, encode, message, shown_size
from stylelab.widgets.saving import download_link

OWN, PACKAGED, OPTIMISED = "own network", "26 styles", "optimised"


class Painter(Shown):
    """A photo filter with a slider for its strength, and a start for the live lab.

    The choices depend on the painter: a style picture or a blend of two, one of the styles that a
    network has learnt, or nothing. "optimised" makes a run with the style picture, once, in a
    thread; the picture follows its steps and the sliders, and is kept. "Save" writes the picture
    as it is shown. "Polish" passes it to a `LiveLab` below, which continues by optimising its
    pixels.

    Args:
        content: the name of a sample, or a path.
        network: a shipped checkpoint's name, "26 styles" for the packaged network, "optimised", or
            a network.
        size: the longer side of the picture, in pixels.
        config: the settings of "optimised", and those with which "Polish" begins.
        out: the folder for what is saved, here and in the lab.

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
        super().__init__()
        self.size, self.config, self.out = size, config, Path(out)
        self._networks: dict[str, Network] = {}
        names, chosen = [*painters(), PACKAGED, OPTIMISED], str(network)
        if isinstance(network, Network):
            chosen = OWN
            self._networks[OWN] = network
            names = [OWN, *names]
        elif network not in names:
            names = [chosen, *names]
        wide: dict[str, Any] = {
            "layout": {"width": "30em", "max_width": "98%"},
            "style": {"description_width": "9em"},
        }
        contents = list(dict.fromkeys([str(content), *samples().index]))
        self.content = widgets.Dropdown(options=contents, description="content", **wide)
        self.chosen = widgets.Dropdown(
            options=names, value=chosen, description="painted by", **wide
        )
        self.first, self.second = (
            widgets.SelectionSlider(options=[""], description=words, **wide)
            for words in ("style", "another style")
        )
        self.share, self.strength, self.divide = (
            widgets.FloatSlider(value=value, max=1, step=0.05, description=words, **wide)
            for value, words in ((0, "its share"), (1, "strength"), (0, "before | after"))
        )
        self.divide.tooltip = "Left of the divide is the photograph, right of it the painting"
        self.buttons = {
            "save": widgets.Button(
                description="Save", tooltip="Write the picture at this strength"
            ),
            "polish": widgets.Button(
                description="Polish", tooltip="Go on from this picture in the live lab, below"
            ),
        }
        self.progress = widgets.IntProgress(
            layout={"width": "30em", "max_width": "98%", "display": "none"}
        )
        self.message = widgets.HTML()
        self.picture = Picture(format="jpeg", tooltip="The content as it is painted")
        self.image: Tensor
        """The picture at the chosen strength, (1, 3, H, W) in [0, 1]."""
        self.lab: LiveLab | None = None
        """What "Polish" opened."""
        # The worker's lock guards the fields from here on, for an instant at a time.
        self._worker = Worker(self._next, self._stumble)
        self._lock = self._worker.lock
        self._wanted: tuple[str, str] | None = None  # content and style of the run to be made
        self._making: tuple[str, str] | None = None  # and of the one that is made
        self._runs: dict[tuple[str, str], tuple[Tensor, bool]] = {}  # its picture; has it ended?
        self._take_network()
        for control, act in (
            (self.content, self._take_content),
            (self.chosen, self._take_network),
            *((c, self._paint) for c in (self.first, self.second, self.share, self.strength)),
            (self.divide, self._show),
        ):
            control.observe(lambda change, act=act: self._try(act), "value")
        self.buttons["save"].on_click(lambda _: self.save())
        self.buttons["polish"].on_click(lambda _: self.polish())
        controls = self.content, self.chosen, self.first, self.second, self.share, self.strength
        below = self.divide, widgets.HBox([*self.buttons.values()]), self.progress, self.message
        rows = widgets.VBox([*controls, *below])
        top = widgets.HBox([self.picture, rows], layout={"flex_flow": "row wrap"})
        self.below = widgets.VBox()
        self.box = on_page(widgets.VBox([top, self.below]), "painter")

    def _try(self, act: Callable[[], None]) -> None:
        """Do what a control asks for, and say in words if it cannot be done."""
        try:
            act()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.message.value = message(fault_words(error), fault=True)

    @property
    def network(self) -> Network | None:
        """The chosen network, which is read once; None if the pixels are optimised."""
        name = self.chosen.value
        if name == OPTIMISED:
            return None
        if name not in self._networks:
            self._networks[name] = StyleNetwork() if name == PACKAGED else load_network(name)
        return self._networks[name]

    def _take_network(self) -> None:
        network = self.network
        paintings = list(samples().query("role == 'style'").index)
        names = network.names if network is not None and network.kind == "many" else paintings
        self._quiet = True
        for choice, value in ((self.first, names[0]), (self.second, names[-1])):
            kept = choice.value in names
            with choice.hold_sync():
                value = choice.value if kept else value
                choice.options, choice.value = names, value
        blends = network is not None and network.kind != "one"
        self.first.description = "style" if blends or network is None else "polish towards"
        for control in (self.second, self.share):
            control.layout.display = "" if blends else "none"
        self._quiet = False
        self._take_content()

    def _take_content(self) -> None:
        with self._lock:
            self._wanted = None  # a run's picture may be of another size
            self._photograph = load_image(find(self.content.value), self.size)
        height, width = shown_size(self._photograph)
        layout = self.picture.layout
        layout.width, layout.height = f"{width}px", f"{height}px"
        self._paint()

    def _paint(self) -> None:
        if self._quiet:
            return
        self.message.value = ""
        network, styles = self.network, [self.first.value, self.second.value]
        optimised, share = network is None, self.share.value
        with self._lock:
            self._wanted = (self.content.value, styles[0]) if optimised else None
        self.progress.layout.display = "" if optimised else "none"
        if network is None:
            self._optimise()
            return
        settings: dict[str, Any] = {"strength": self.strength.value}
        if network.kind == "any":
            settings["style"] = [find(name) for name in styles]
            settings["blend"] = (1 - share, share)
        elif network.kind == "many":
            settings["style"] = {styles[0]: 1.0}
            if share:
                settings["style"] = {styles[0]: 1 - share, styles[1]: share}
        self.image = paint(network, self._photograph, **settings)
        self._show()

    def _show(self) -> None:
        with self._lock:  # both threads draw
            self.picture.value = encode(self.image, self._photograph, self.divide.value)

    # What is optimised: wanted on the main thread, made on a worker's.

    def _optimise(self) -> None:
        """Show what there is of the wanted run, and see to it that a thread makes the rest."""
        self.check_open()
        self._mix()
        self._worker.wake()

    def _mix(self) -> None:
        with self._lock:
            if self._wanted is None:
                return
            painted, ended = self._runs.get(self._wanted, (self._photograph, False))
            self.image = quantize(torch.lerp(self._photograph, painted, self.strength.value))
            if ended:
                self.progress.value = self.progress.max
            self._show()

    def _next(self) -> Callable[[], None] | None:
        if self._wanted is None or self._runs.get(self._wanted, (None, False))[1]:
            return None
        return self._run

    def _stumble(self, task: object, error: BaseException) -> None:
        with self._lock:
            if self._wanted == self._making:  # or it would be tried again and again
                self._wanted = None
        self._fail(error)

    def _run(self) -> None:
        """Make the wanted run as long as it is wanted."""
        with self._lock:
            wanted, photograph = self._wanted, self._photograph
            self._making = wanted
        if wanted is None:
            return
        height, width = photograph.shape[2:]
        config = replace(self.config, size=(height, width))
        transfer, pace = Transfer(photograph, find(wanted[1]), config), Pace(self._fail)
        self.progress.max, self.progress.value = config.steps, 0
        for _ in transfer:
            with self._lock:
                if self._wanted != wanted:
                    return
                image = transfer.image
                if image.shape != photograph.shape:  # at a coarse scale
                    image = F.interpolate(image, (height, width), mode="bilinear")
                self._runs[wanted] = image, transfer.done
            self.progress.value = transfer.steps_done
            pace.draw(self._mix)
        self._mix()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the wanted run, and return whether it has ended."""
        return self._worker.join(timeout)

    def close(self) -> None:
        """End the run after the step at hand, and free all but `image`."""
        with self._lock:
            self._wanted = None
        self.join()
        if self.lab is not None:
            self.lab.close()
        super().close()
        self._networks.clear()
        self._runs.clear()

    def save(self) -> Path:
        """Write the picture at the chosen strength as a PNG file under `out`."""
        try:
            path = self._write()
        except (InputError, OSError) as fault:
            self.message.value = message(str(fault), fault=True)
            raise
        self.message.value = message(f"saved as {path}", link=download_link(path))
        return path

    def _write(self) -> Path:
        self.out.mkdir(parents=True, exist_ok=True)
        path = next(path for n in count(1) if not (path := self.out / f"painted-{n}.png").exists())
        controls = self.content, self.chosen, self.first, self.second, self.share, self.strength
        return save_image(self.image, path, {c.description: c.value for c in controls})

    def polish(self) -> LiveLab:
        """Begin a run of the live lab that starts from the picture."""
        self.check_open()
        if self.lab is not None:
            self.lab.close()
        path = self._write()
        height, width = self.image.shape[2:]
        config = {**self.config.to_dict(), "size": (height, width), "init": str(path)}
        towards = self.first.value
        if towards not in samples().index:  # a way, such as "there", or a number
            towards = str(samples().query("role == 'style'").index[0])
        self.lab = LiveLab(self.content.value, towards, Config.from_dict(config), self.out)
        self.below.children = (self.lab.panel.box,)
        self.lab.run()
        return self.lab
