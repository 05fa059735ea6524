"""The methods, by name: each file turns a content and some style images into an objective.

A method is a module with

- ``Options``, its own few settings, a class decorated with `stylelab.config.checked`, which
  ``config.method_options`` gives;
- ``layers(config)``: the names of the layers of VGG-19 that it reads;
- ``weights(config)``: the loss weight of each group of terms, scaled so that the balance
  content : style : tv = 1 : 1000 : 10 gives the method's good picture;
- ``objective(content, styles, model, config)``, which prepares the targets, once, and returns a
  function from the standardised image (1, 3, H, W) to its unweighted terms,
  ``{"group/layer": scalar}``. ``content`` is (1, 3, H, W); ``styles`` are pairs of an image
  (1, 3, h, w) and its share, which sum to one.

A method's file is imported when it is first used: this one imports neither torch nor `Config`.
"""

from importlib import import_module
from types import ModuleType

from stylelab.errors import unknown

METHODS = (
    "gatys",  # Gram matrices with total variation, as in the paper
    "gatys2016",  # Gram matrices as first published
    "cnnmrf",  # patches of the painting
    "photo",  # colours of another photo, by region, with all edges kept
    "inversion",  # feature transforms: AdaIN, WCT, SANet, AAMS
    "repair",  # a damaged part, painted like the rest
)


def check_method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(unknown("method", name, METHODS))
    return name


def load_method(name: str) -> ModuleType:
    """The module of a method."""
    return import_module(f"stylelab.methods.{check_method(name)}")
