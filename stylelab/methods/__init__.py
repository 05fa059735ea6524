"""The methods: one file each, which says what makes a picture good.

A method is a module with

- ``Options``: the method's own settings, a class decorated with `stylelab.config.checked`;
  ``config.method_options`` returns an instance of it;
- ``layers(config)``: the names of the layers of VGG-19 that it reads;
- ``loss_weights(config)``: the loss weight of each group of terms, scaled so that the balance
  content : style : tv = 1 : 1000 : 10 gives a good picture;
- ``objective(styles, model, config)``: reads the styles once and returns a function of the content
  (B, 3, H, W), which returns a function from standardised images (B, 3, H, W) to their unweighted
  terms, ``{"group/layer": scalar}``. ``styles`` are pairs of a standardised image (1, 3, h, w)
  and its share; the shares sum to one.

`stylelab.registry` finds them by name and imports a method's file when it is first used.
"""

from stylelab.registry import METHODS as METHODS
from stylelab.registry import load_method as load_method
