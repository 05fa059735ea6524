"""Minimising an objective: the loop with its one ``backward()``, and what it needs.

`transfer` optimises the pixels of one picture, `trainer` the parameters of a network on many
pictures, `style_fit` a single style in a trained one.
"""

import lazy_loader

__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"transfer": ["Transfer", "stylize"], "loop": ["Diverged"]}
)
