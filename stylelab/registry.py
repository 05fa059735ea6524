"""The methods by name; each is a module in stylelab/methods."""

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
