"""Adversaries: networks that learn by playing against each other; one file each.

A GAN is a module with

- ``Options``: its own settings, a class decorated with `stylelab.config.checked`;
- ``RECIPE``: the settings of `stylelab.recipes.Recipe` that it is trained with by default;
- ``STYLES``: "set" if it learns between two sets of pictures, contents and styles; "none" if it
  learns from contents alone;
- ``DATA()``: the folders or pictures that are its contents by default; empty if there are none;
- ``build(options, names)``: a `stylelab.gans.blocks.Game`, with the networks of both players;
- ``loss_weights(recipe)``: the loss weight of each group of terms;
- ``players(game, recipe)``: for each player, in the order of their turns, a function from a
  `stylelab.networks.blocks.Batch` to its unweighted terms, ``{"group/part": scalar}``. A player's
  name is that of the game's attribute whose parameters it moves.

It may define

- ``prepare(path, pixels)``: what becomes of each picture, (3, h, w) uint8, before it is cropped;
- ``place(path)``: what a picture shows; pictures of one place are all trained on or all held out;
- ``begin(game, pictures)``: sets first values from the paths and pixels that are trained on;
- ``optimizer(parameters, learning_rate)``: instead of plain Adam.

`stylelab.registry.GANS` finds them by name; `stylelab.training.trainer` trains them.
"""
