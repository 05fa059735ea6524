"""The networks whose features the losses can read, and the names of their layers.

Like `stylelab.config`, this file does not import torch.
"""

from collections.abc import Sequence

from stylelab.errors import InputError, unknown


def _numbered(name: str, *counts: int) -> tuple[str, ...]:
    blocks = enumerate(counts, 1)
    return tuple(f"{name}{block}_{i}" for block, n in blocks for i in range(1, n + 1))


def _with_relus(convolutions: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for conv in convolutions for name in (conv, conv.replace("conv", "relu")))


CONVOLUTIONS = _numbered("conv", 2, 2, 4, 4, 4)
"""VGG-19's, in order."""
LAYERS = _with_relus(CONVOLUTIONS)

# By torchvision's names; layer2_1 of ResNet-50 is the first block of what torchvision calls layer2.
BACKBONES: dict[str, tuple[str, ...]] = {
    "vgg19": LAYERS,
    "vgg16": _with_relus(_numbered("conv", 2, 2, 3, 3, 3)),
    "resnet50": ("relu1", *_numbered("layer", 3, 4, 6, 3)),
    "convnext_tiny": ("stem", *_numbered("stage", 3, 3, 9, 3)),
    "squeezenet1_1": ("relu1", *(f"fire{i}" for i in range(2, 10))),
}
# For the first map and for the later ones of each block of VGG-19, a layer that stands for it.
# From the third block on it has the same stride; the first two, of strides 1 and 2, come earlier
# than these networks have maps of their size.
TWINS = {
    "resnet50": (
        ("relu1", "relu1"),
        ("layer1_1", "layer1_2"),
        ("layer1_3", "layer1_3"),
        ("layer2_1", "layer2_4"),
        ("layer3_1", "layer3_3"),
    ),
    "convnext_tiny": (
        ("stem", "stem"),
        ("stage1_1", "stage1_2"),
        ("stage1_3", "stage1_3"),
        ("stage2_1", "stage2_3"),
        ("stage3_1", "stage3_5"),
    ),
    "squeezenet1_1": (
        ("relu1", "relu1"),
        ("fire2", "fire2"),
        ("fire3", "fire3"),
        ("fire4", "fire5"),
        ("fire6", "fire7"),
    ),
}


def check_layer(name: str) -> str:
    """Return a name that some network has."""
    if not any(name in layers for layers in BACKBONES.values()):
        summary = "VGG-19 has conv1_1 ... conv5_4 and relu1_1 ... relu5_4"
        raise InputError(unknown("layer", name, LAYERS, summary))
    return name


def check_unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each layer may be named only once")
    return names


def layers_in(backbone: str, names: Sequence[str]) -> tuple[str, ...]:
    """The layers of a network that are meant by its own names, or by VGG-19's.

    A name of VGG-19 stands for the layer at its depth, so that settings chosen for VGG-19 go on to
    another network. Two that stand for the same layer become one.

    Raises:
        InputError: a name is neither's.
    """
    known, found = BACKBONES[backbone], []
    for name in names:
        if name in known:
            found.append(name)
        elif name not in LAYERS:
            summary = f"it has {known[0]}, {known[1]} ... {known[-1]}"
            raise InputError(f"backbone '{backbone}': {unknown('layer', name, known, summary)}")
        elif backbone == "vgg16":  # whose last three blocks have three convolutions, not four
            found.append(name[:-1] + "3")
        else:
            found.append(TWINS[backbone][int(name[4]) - 1][not name.endswith("_1")])
    return tuple(dict.fromkeys(found))
