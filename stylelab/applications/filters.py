"""A trained network as a filter over files: pictures, folders of them, and films."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from stylelab.applications.frames import frame_seconds, read_frames, write_film
from stylelab.decoding import opened
from stylelab.errors import InputError
from stylelab.files import check_writable, read_file
from stylelab.images import save_image
from stylelab.networks.blocks import Network
from stylelab.training.crops import find_pictures
from stylelab.training.painting import paint
from stylelab.video import check_kind, check_own_film, is_video

FILMS = (".gif", ".webp", ".png")  # which may be animated


def paint_files(
    network: Network,
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    style: Any = None,
    progress: bool = True,
    **settings: Any,
) -> list[Path]:
    """Paint files one by one: pictures become .png, animated ones .webp, videos .mp4.

    Args:
        network, style, settings: as for `paint`.
        sources: paths or names of samples; of a folder, all pictures in it.
        out: the folder of the results, each of which has the name of its source.
        progress: whether to show a bar.

    Raises:
        InputError: a file cannot be read, two have the same name, or a file that the kit did not
            paint would be overwritten.
    """
    paths, folder = find_pictures(sources), Path(out)
    if folder.is_file():
        raise InputError(f"'{folder}' is a file; name a folder for the pictures")
    check_writable(folder)
    targets: dict[Path, Path] = {}
    named: dict[str, Path] = {}  # a file system may not tell large letters from small ones
    for path in paths:
        target = folder / f"{path.stem}{_suffix(path)}"
        if (other := named.setdefault(target.name.casefold(), path)) is not path:
            raise InputError(f"'{path}' and '{other}' have one name; paint them apart")
        if target.exists() and any(target.samefile(p) for p in paths if p.exists()):
            raise InputError(f"'{target}' would be overwritten; name another folder")
        if is_video(path):
            check_kind(target)
        check_own_film(target)
        targets[target] = path
    for target, path in tqdm(targets.items(), unit="picture", disable=not progress):
        if target.suffix != ".png":
            frames = [paint(network, f, style, **settings) for f in read_frames(path)]
            write_film(frames, target, frame_seconds(path))
        else:
            save_image(paint(network, path, style, **settings), target)
    return list(targets)


def _suffix(path: Path) -> str:
    """That of the result: what is wrong with a file is said when it is read."""
    if is_video(path):
        return ".mp4"
    if path.suffix.lower() in FILMS:
        with suppress(InputError, OSError), opened(read_file(path), "it") as image:
            return ".webp" if getattr(image, "n_frames", 1) > 1 else ".png"
    return ".png"
