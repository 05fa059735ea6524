"""Minimising an objective: the loop with its one ``backward()``, and what it needs.

`transfer` optimises the pixels of one picture, `trainer` a style's parameters in a network.
"""

import lazy_loader

__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"transfer": ["Transfer", "stylize"], "loop": ["Diverged"]}
)
