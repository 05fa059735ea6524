"""Module names of version 0.1, so that notebooks written for it go on working.

Each name is looked up in the module's successors, which are imported only when it is used.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "colours": ("maths.colours",),
    "convolution": ("vgg.convolution",),
    "films": ("applications.films", "applications.frames", "maths.flow"),
    "grids": ("sweeps.grids", "sample_pictures"),
    "live_lab": ("widgets.live_lab",),
    "live_panel": ("widgets.panel",),
    "live_picture": ("widgets.pictures",),
    "matting": ("maths.matting",),
    "memory": ("vgg.memory",),
    "model": ("vgg.network", "vgg.weights"),
    "optimizers": ("training.optimizers",),
    "preparation": ("training.preparation",),
    "regions": ("maths.regions",),
    "reproduce": ("applications.reproduce",),
    "restoration": ("applications.repairs",),
    "result": ("training.result",),
    "style_mixer": ("widgets.painter",),
    "style_network": ("networks.multistyle", "training.style_fit"),
    "sweep_explorer": ("widgets.sweep_explorer",),
    "sweep_plots": ("sweeps.plots",),
    "transforms": ("maths.statistics", "maths.patches", "maths.attention"),
}


class MovedModules(MetaPathFinder, Loader):
    """Finds the old module names; Python asks it after all other finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        return ModuleSpec(name, self) if package == "stylelab" and module in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        places = MOVED[module.__name__.rpartition(".")[2]]

        def __getattr__(name: str) -> Any:
            for place in places:
                found = import_module(f"stylelab.{place}")
                if hasattr(found, name):
                    return getattr(found, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__dict__["__getattr__"] = __getattr__


sys.meta_path.append(MovedModules())
