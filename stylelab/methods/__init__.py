"""The methods: one file each, which says what makes a picture good.

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

`stylelab.registry` finds them by name and imports a method's file when it is first used.
"""

from stylelab.registry import METHODS as METHODS
from stylelab.registry import load_method as load_method
