"""A run made again from its picture alone: the text chunks of a PNG hold how it was made."""

import json
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from stylelab.config import LOSS_WEIGHTS, Config
from stylelab.device import pick_device, pick_precision
from stylelab.errors import InputError
from stylelab.images import as_picture, load_image
from stylelab.sample_pictures import data_folder
from stylelab.training.identity import read_inputs
from stylelab.training.result import Result
from stylelab.training.transfer import stylize


@dataclass(frozen=True)
class Rerun:
    """A run that was made again, and how it differs from the first."""

    result: Result
    differences: dict[str, tuple[str, str]]
    """Pictures, weights, versions, precision or threads that are not as they were: then, now."""
    changed: float
    """The share of the picture's values that differ; 0 where both pictures are the same."""
    largest: int
    """The largest difference between two values, in levels of 0 to 255."""

    def __str__(self) -> str:
        lines = [
            f"{name}: then {then}, now {now}" for name, (then, now) in self.differences.items()
        ]
        same = "the same picture, byte for byte"
        words = f"{self.changed:.2%} of the values differ, by {self.largest} of 255 at most"
        return "\n".join(
            [*(lines or ["same pictures, weights and versions"]), words if self.changed else same]
        )


def rerun(
    picture: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    pictures: Sequence[str | os.PathLike[str]] = (),
    progress: bool = True,
) -> Rerun:
    """Make the run of a picture again: settings and hashes are read from the PNG's text chunks.

    Args:
        picture: a PNG that `stylize` or ``stylelab transfer`` saved.
        out: a folder for the new run, as for `stylize`.
        pictures: the content and the styles, or folders to look for them. Without it, they are
            looked for, by name and hash, beside the picture, in the working folder and among the
            kit's pictures.
        progress: whether to show the bar.

    Raises:
        InputError: the file holds no run, a picture is not found, or `stylize` refuses.
    """
    config, made = read_made(Path(picture))
    names, wanted = made["inputs"], [made["content_sha256"], *made["style_sha256"].split("+")]
    places = [*map(Path, pictures), Path(picture).parent, Path(), *_own_folders()]
    found = [_find(name, sha256, places) for name, sha256 in zip(names, wanted, strict=True)]
    precision = str(pick_precision(config.precision, pick_device(config.device)))
    if config.precision == "auto" and precision != f"torch.{made['precision']}":
        config = replace(config, precision=made["precision"])
    inputs = read_inputs(found[0], found[1:], config)
    threads = torch.get_num_threads()
    torch.set_num_threads(made["threads"])  # sums in another order differ in their last digits
    try:
        result = stylize(inputs, (), config, out, progress=progress)
    finally:
        torch.set_num_threads(threads)
    if result.interrupted:
        raise KeyboardInterrupt  # half a picture cannot be compared
    now = result.text()["made"]
    differences = dict(_differences(made, now))
    before, after = ((255 * image).round() for image in (load_image(picture), result.image))
    if before.shape != after.shape:
        raise InputError(f"'{picture}' was changed since it was saved; its size is another one")
    off = (before - after).abs()
    return Rerun(result, differences, float((off > 0).float().mean()), int(off.max()))


def read_made(path: Path) -> tuple[Config, dict[str, Any]]:
    """The settings in a PNG's text chunks, and how its run was made.

    Raises:
        InputError: it is no picture, or holds no run of this kit.
    """
    try:
        with Image.open(path) as image:
            text = dict(getattr(image, "text", {}))
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"'{path}' is no readable picture: {error}") from None
    try:
        config, made = json.loads(text["config"]), json.loads(text["made"])
        if "network" in config:
            raise InputError(f"'{path}' is the sheet of a training; stylelab train makes it again")
        if "state_sha256" in made:
            raise InputError(_of_branch(path, config, made))
        reason = ""
        if at := made.get("interrupted_at"):
            reason = f"its run was interrupted after step {at}"
        elif made.get("weights_changed"):
            reason = "its loss weights were changed on the way"
        elif "" in made["inputs"]:
            reason = "one of its pictures was no file"
        if reason:
            raise InputError(f"'{path}' cannot be made again: {reason}")
        made["content_sha256"], made["style_sha256"], made["threads"], made["precision"]
        return Config.from_dict(config), made
    except InputError:
        raise
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"'{path}' does not say how it was made; give a PNG that stylelab saved, unedited"
        ) from None


def _of_branch(path: Path, config: dict[str, Any], made: dict[str, Any]) -> str:
    """What a picture branched from, and the command that makes it again."""
    content, *styles = (name or "PICTURE" for name in made["inputs"])
    ran, at = Config.from_dict(config), made["branched_at"]
    weights = [
        part
        for name in LOSS_WEIGHTS
        for part in (f"--{name.replace('_', '-')}", f"{getattr(ran, name):g}")
    ]
    command = ["stylelab", "branch", content, "+".join(styles), "RUN", "--step", at, "-o", "OUT"]
    command += ["--steps", str(ran.steps), *weights]
    return (
        f"'{path}' is a branch of a run of {content} and {' + '.join(styles)}, from its state "
        f"after step {at} (SHA-256 {made['state_sha256'][:12]}); to make it again, name that run's "
        f"folder: {shlex.join(command)}"
    )


def _own_folders() -> Iterable[Path]:
    training = data_folder() / "training"
    return data_folder(), training / "photographs", training / "paintings"


def _find(name: str, sha256: str, places: Sequence[Path]) -> Path:
    """The file with these bytes; else the one of that name, whose hash then differs."""
    files = [place if place.is_file() else place / name for place in places]
    files = [file for file in files if file.is_file()]
    for file in files:
        if as_picture(file).sha256 == sha256:
            return file
    for file in files:
        if file.name == name:
            return file
    raise InputError(f"the picture '{name}' of this run is not found; give its path or its folder")


def _differences(
    then: dict[str, Any], now: dict[str, Any]
) -> Iterable[tuple[str, tuple[str, str]]]:
    names = {"content_sha256": then["inputs"][0], "style_sha256": " + ".join(then["inputs"][1:])}
    for key in ("precision", "threads", *(k for k in then if k.endswith(("_sha256", "_id")))):
        if then[key] != now.get(key):
            values = [str(value)[:12] for value in (then[key], now.get(key))]
            yield names.get(key, key.removesuffix("_sha256")), (values[0], values[1])
    for name, value in then.get("versions", {}).items():
        if value != now["versions"][name]:
            yield name, (value, now["versions"][name])
