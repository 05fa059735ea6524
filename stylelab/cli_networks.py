"""The commands ``stylelab train`` and ``stylelab paint``; see `stylelab.cli`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from stylelab.config import Size
from stylelab.errors import InputError
from stylelab.recipes import Recipe

Out = Annotated[Path, tyro.conf.arg(aliases=["-o"])]


def train(
    recipe: tyro.conf.OmitArgPrefixes[Recipe],
    out: Out,
    style: str = "",
    contents: tuple[str, ...] = (),
    readers: int = 2,
    memory_mb: float = 1000,
    plugin: Path | None = None,
) -> None:
    """Train a network that paints in a single pass; the same command goes on where it stopped.

    Args:
        recipe: The settings; their defaults are the network's.
        out: A folder for the run.
        style: Style pictures or a folder of them: paths or names of samples, joined by plus signs.
        contents: Photographs or folders of them; by default the kit's.
        readers: Threads that read pictures ahead.
        memory_mb: How many MB of decoded pictures are kept.
        plugin: A Python file with a network of your own, which is run first.
    """
    from stylelab.sample_pictures import split_styles
    from stylelab.training.trainer import train as run

    styles = split_styles(style) if style else []
    result = run(recipe, styles, contents, out, readers=readers, memory_mb=memory_mb)
    done = f"{out}: {len(result.history)} steps"
    if result.interrupted:
        print(f"interrupted: {done}; the same command goes on from there", file=sys.stderr)
        raise SystemExit(130)
    seconds, total = result.history["seconds"].iloc[-1], result.losses["total"]
    print(f"{done} in {seconds:.0f} s, a total of {total:.4g} on held-out pictures")


def paint(
    pictures: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")],
    network: Annotated[str, tyro.conf.arg(aliases=["-n"])],
    out: Out,
    style: str = "",
    size: Size | None = None,
    strength: float = 1.0,
    blend: tuple[float, ...] = (),
    colours: Literal["style", "luminance", "statistics"] = "style",
    style_scale: float = 1.0,
    mask: Path | None = None,
) -> None:
    """Paint pictures, folders of them or films with a trained network.

    Args:
        pictures: Paths, folders, or names of samples.
        network: A shipped checkpoint, or the folder or file of a training.
        out: A folder for the results.
        style: For a network of any style, pictures; for one of many, names; joined by plus signs.
        size: Height and width (300x450), or the longer side; by default each picture's own.
        strength: From 0, the picture, to 1, the full style.
        blend: Shares of several styles.
        colours: Whose colours the result has; luminance keeps the picture's.
        style_scale: Size of the style picture relative to the result.
        mask: A picture: white where the style goes, black where the picture stays.
    """
    from stylelab.applications.filters import paint_files
    from stylelab.networks.loading import load_network
    from stylelab.sample_pictures import find_styles

    if not pictures:
        raise InputError("there is no picture; name one or more")
    loaded = load_network(network)
    settings: dict[str, Any] = {"size": size, "strength": strength, "colours": colours}
    settings |= {"style_scale": style_scale, "mask": mask}
    given: Any = None
    if style and loaded.kind == "any":
        given, settings["blend"] = find_styles(style), blend
    elif style and loaded.kind == "many":
        names = style.split("+")
        shares = blend or (1.0,) * len(names)
        if len(shares) != len(names):
            raise InputError(f"blend has {len(shares)} shares for {len(names)} styles")
        given = dict(zip(names, shares, strict=True))
    elif style:
        given = style
    written = paint_files(loaded, pictures, out, given, **settings)
    print(f"{out}: {len(written)} painted")
