"""Running an objective: the loop with its one ``backward()``, and all around it.

`transfer` moves the pixels of one picture, `trainer` the numbers of a network.
"""

import lazy_loader

__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"transfer": ["Transfer", "stylize"], "loop": ["Diverged"]}
)
