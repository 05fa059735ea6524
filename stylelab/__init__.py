"""Neural style transfer experiments: VGG-19, named losses and one loop in plain sight.

``__init__.pyi`` lists the public names; a file is imported when one of its names is first used.
"""

from importlib.metadata import version

import lazy_loader

import stylelab.moved  # noqa: F401  (old module names)

__version__ = version("stylelab")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
