"""The methods, by name: each file turns a content and a style image into an objective.

A method is a module with three functions:

- ``layers(config)`` names the layers of VGG-19 that it reads;
- ``weights(config)`` gives the loss weight of each group of terms;
- ``objective(content, style, model, config)`` prepares the targets, once, and returns a function
  from the standardised image (1, 3, H, W) to its unweighted terms, ``{"group/layer": scalar}``.
"""

from stylelab.methods import gatys

METHODS = {"gatys": gatys}
