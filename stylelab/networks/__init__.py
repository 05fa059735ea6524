"""Feed-forward networks, which paint in a single pass: one file each.

A network is a module with

- ``Options``: its own settings, a class decorated with `stylelab.config.checked`;
- ``RECIPE``: the settings of `stylelab.recipes.Recipe` that it is trained with by default;
- ``STYLES``: "one", "many" or "any", the style pictures that it is trained for; "any" networks are
  given the picture when they paint;
- ``build(options, names)``: the untrained network, a `stylelab.networks.blocks.Network` whose
  ``kind`` is ``STYLES``, for the styles of these names;
- ``layers(recipe)``: the layers of VGG-19 that its losses read;
- ``loss_weights(recipe)``: the loss weight of each group of terms;
- ``objective(network, styles, model, recipe)``: reads the style pictures, tensors (1, 3, h, w)
  in [0, 1], and returns a function from a `stylelab.networks.blocks.Batch` to the unweighted
  terms, ``{"group/layer": scalar}``.

`stylelab.registry.NETWORKS` finds them by name; `stylelab.training.trainer` trains them.
"""
