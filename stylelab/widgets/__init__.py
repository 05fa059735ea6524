"""What a notebook shows to play with: the live lab, the sweep explorer, the style mixer.

`panel` has the live lab's widgets, `pictures` draws what is live; nothing else draws a widget.
"""
