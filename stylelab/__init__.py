"""Neural style transfer experiments: VGG-19, named losses and one loop in plain sight.

The names are listed in ``__init__.pyi``; each file is imported when a name of it is first used.
"""

from importlib.metadata import version

import lazy_loader

import stylelab.moved  # noqa: F401  (old module names)

__version__ = version("stylelab")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
