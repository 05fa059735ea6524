"""Interactive widgets for notebooks: the live lab, the sweep explorer, the style mixer.

`panel` holds the live lab's controls; `pictures` encodes the live pictures and loss curves.
"""
