"""Grids of runs, from Python or from a TOML file."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pandas as pd
import tomli

from stylelab.config import Config
from stylelab.errors import InputError, unknown
from stylelab.presets import PRESETS
from stylelab.sample_pictures import find, find_styles
from stylelab.training.identity import read_inputs
from stylelab.training.optimizers import plan_scales
from stylelab.training.result import SCHEMA
from stylelab.training.transfer import Transfer

GridAxes = Mapping[str | tuple[str, ...], Sequence[Any]]


@dataclass(frozen=True)
class Run:
    """One cell of a grid: the pictures, as `find_styles` takes them, and the settings."""

    content: str
    style: str
    config: Config

    @property
    def key(self) -> str:
        """16 hexadecimal digits of all that the result depends on: the name of its folder."""
        inputs = read_inputs(find(self.content), find_styles(self.style), self.config)
        parts = [SCHEMA, self.config.to_record(), *inputs.identity.values()]
        text = json.dumps(parts, sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


def grid(content: str, style: str, axes: GridAxes | Iterable[Config], base: Config) -> list[Run]:
    """The runs of a grid, in order.

    Args:
        content, style: paths or names of samples; several styles are joined by plus signs.
        axes: a list of values for each setting; every combination becomes a run. "content" and
            "style" are settings, too, and "options.strength" is one of the method's own. A tuple
            of settings takes tuples of values, which change together. Or a list of configs.
        base: the values of all settings that no axis names.

    Raises:
        InputError: an unknown setting, a value that is not allowed, or an axis without values.
    """
    if not isinstance(axes, Mapping):
        return [Run(str(content), str(style), config) for config in axes]
    known = ["content", "style", *base.to_dict()]
    columns = []
    for names, values in axes.items():
        names = (names,) if isinstance(names, str) else tuple(names)
        for name in names:
            if name not in known and not name.startswith("options."):
                raise InputError(unknown("setting", name, known))
        values = (
            list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
        )
        if not values:
            raise InputError(f"axis {' '.join(names)} has no values; give a list of them")
        rows = [(value,) for value in values] if len(names) == 1 else [tuple(v) for v in values]
        if any(len(row) != len(names) for row in rows):
            raise InputError(f"axis {' '.join(names)}: each value must have {len(names)} parts")
        columns.append([dict(zip(names, row, strict=True)) for row in rows])
    runs = []
    for cells in product(*columns):
        changes: dict[str, Any] = {k: v for cell in cells for k, v in cell.items()}
        pictures = str(changes.pop("content", content)), str(changes.pop("style", style))
        own = {k.removeprefix("options."): changes.pop(k) for k in [*changes] if "." in k}
        if own:
            changes["options"] = {**dict(changes.get("options", base.options)), **own}
        runs.append(Run(*pictures, replace(base, **changes)))
    return list(dict.fromkeys(runs))


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `Config.to_dict` as a table row: one plain value per setting.

    Sizes are "150x225", lists are one string, options are "options.strength" and so on.
    """
    own = {f"options.{name}": value for name, value in settings.get("options", {}).items()}
    row = {name: value for name, value in settings.items() if name != "options"}
    between = {"size": "x"}
    return {
        name: between.get(name, " ").join(map(str, value)) if isinstance(value, list) else value
        for name, value in {**row, **own}.items()
    }


def summary(runs: Sequence[Run]) -> pd.DataFrame:
    """The runs of a grid as a table of the settings that differ between them."""
    rows = [{"content": r.content, "style": r.style, **flat(r.config.to_dict())} for r in runs]
    table = pd.DataFrame(rows)
    return table[[c for c in table if len(table[c].drop_duplicates()) > 1]]


def estimate(runs: Sequence[Run]) -> tuple[float, float]:
    """Seconds and bytes of all runs, made one after another; estimated by timing single steps."""
    measured: dict[Any, tuple[float, tuple[int, int]]] = {}
    seconds = size = 0.0
    for run in runs:
        c = run.config
        # What a step at full size takes depends on no loop setting but the optimiser.
        key = run.content, run.style, c.size, c.preparation_key(), c.optimizer
        if key not in measured:
            once = replace(c, steps=2, scales=1, stop_below=0.0)
            transfer = Transfer(find(run.content), find_styles(run.style), once)
            transfer.step()  # which is slower than the others
            before = transfer.seconds
            transfer.step()
            measured[key] = transfer.seconds - before, transfer.sizes[-1]
        step, full = measured[key]
        sizes, ends = plan_scales(full, c)
        pixels = [height * width for height, width in sizes]
        parts = [end - begin for begin, end in pairwise([0, *ends])]
        made = sum(n * count for n, count in zip(parts, pixels, strict=True)) / pixels[-1]
        seconds += step * made
        size += 3 * pixels[-1] + 150 * c.steps  # PNG saves little; a line a step
    return seconds, size


def shipped_grids() -> dict[str, Path]:
    """The grids that come with the kit, by name."""
    folder = Path(__file__).parent / "shipped"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_grid(source: str | Path) -> list[Run]:
    """The runs of a grid file, or of a shipped grid by its name.

    The file has ``content`` and ``style`` (paths or names of samples), optionally ``preset``, a
    table ``[base]`` of settings and a table ``[axes]`` with a list of values for each setting; a
    quoted key such as "content_weight style_weight" takes lists of values that move together,
    and options.strength is one of the method's own settings.

    Raises:
        InputError: the file cannot be read or is wrong; the message names the line.
    """
    path = shipped_grids().get(str(source), Path(source))
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        names = ", ".join(shipped_grids())
        reason = f"'{source}': {error.strerror}"
        raise InputError(f"{reason}; give a grid file, or a shipped grid: {names}") from None
    except UnicodeDecodeError:
        raise InputError(f"'{source}' is no text file; give a grid in TOML") from None
    try:
        values = tomli.loads(text)
        given = {"preset": "paper", "base": {}, "axes": {}, **values}
        for name in given.keys() - {"content", "style", "preset", "base", "axes"}:
            known = ("content", "style", "preset", "base", "axes")
            raise InputError(unknown("key", name, known))
        for name in ("content", "style"):
            if name not in given and name not in given["axes"]:
                raise InputError(f"{name} is missing; name a picture or a sample")
        if given["preset"] not in PRESETS:
            raise InputError(unknown("preset", given["preset"], PRESETS))
        base = Config.from_dict({**PRESETS[given["preset"]].to_dict(), **given["base"]})
        listed = dict(given["axes"])
        if isinstance(listed.get("options"), dict):  # options.strength = [...] makes a table
            own = listed.pop("options")
            listed |= {f"options.{name}": value for name, value in own.items()}
        axes: GridAxes = {tuple(re.split(r"[\s,]+", key)): value for key, value in listed.items()}
        return grid(given.get("content", ""), given.get("style", ""), axes, base)
    except tomli.TOMLDecodeError as error:
        raise InputError(f"{path.name}: {error}") from None
    except (InputError, AttributeError, TypeError) as error:
        line = _line_of(text, str(error))
        raise InputError(f"{path.name}{line}: {error}") from None


def _line_of(text: str, fault: str) -> str:
    """The line with the key or value that the fault names first, as ", line 3"."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("=")[0].strip().strip("\"'").removeprefix("options.")
        place = re.search(rf"\b{re.escape(key)}\b", fault) if "=" in line and key else None
        found += [(place.start(), number)] if place else []
    return f", line {min(found)[1]}" if found else ""
