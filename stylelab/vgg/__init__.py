"""VGG-19, the feature extractor of all losses.

`network` gives named feature maps, `weights` reads its four sources of weights, `convolution` makes
it fast on the CPU, `memory` tells in advance what a run will take.
"""
