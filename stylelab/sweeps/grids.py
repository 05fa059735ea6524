"""Grids of runs, from Python or from a TOML file."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice, pairwise, product
from math import prod
from pathlib import Path
from typing import Any, cast

import pandas as pd
import tomli

from stylelab.config import Config
from stylelab.decoding import named_faults
from stylelab.errors import InputError, unknown
from stylelab.files import reason
from stylelab.presets import PRESETS
from stylelab.recipes import Recipe, recipe, trainable
from stylelab.registry import METHODS
from stylelab.sample_pictures import data_folder, find, find_styles, split_styles
from stylelab.training.identity import Inputs, read_inputs
from stylelab.training.optimizers import plan_scales
from stylelab.training.result import SCHEMA
from stylelab.training.sets import pictures_of
from stylelab.training.trainer import Training
from stylelab.training.transfer import Transfer
from stylelab.vgg.weights import weights_id

MOST = 10_000  # runs of a grid, unless more are asked for
# The shipped grids whose tables are shipped, too; chapters and pages read them.
TABLES = ("pairs", "scale", "sizes", "ambiguities", "eyes")
GridAxes = Mapping[str | tuple[str, ...], Sequence[Any]]
Axes = dict[str | tuple[str, ...], Any]  # as they stand in a file


@dataclass(frozen=True)
class Run:
    """One cell of a grid: the pictures, as `find_styles` takes them, and the settings.

    Of a training, the content is a picture or a folder of them, or empty for the kit's.
    """

    content: str
    style: str
    config: Config | Recipe

    @property
    def key(self) -> str:
        """16 hexadecimal digits of all that the result depends on: the name of its folder."""
        return self.key_of(self.read())

    def read(self) -> Inputs | list[str]:
        """Read all pictures: those of a transfer; of a training, the hash of each file."""
        if isinstance(self.config, Recipe):
            found = pictures_of(self.config, *self.sources)
            return [_hash(path) for paths in found for path in paths]
        return read_inputs(find(self.content), find_styles(self.style), self.config)

    def key_of(self, read: Inputs | list[str]) -> str:
        """The key of this run with the pictures that `read` found."""
        c = self.config
        if isinstance(c, Recipe):
            own = (trainable(c.network).source_hash(c.network), METHODS.source_hash(c.method))
            identity = [*cast(list[str], read), weights_id(c.weights, c.seed), *own]
        else:
            identity = [*cast(Inputs, read).identity.values()]
        text = json.dumps([SCHEMA, c.to_record(), *identity], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    @property
    def sources(self) -> tuple[list[str], list[str]]:
        """Style pictures and photographs, as `train` takes them."""
        return (
            split_styles(self.style) if self.style else [],
            [self.content] if self.content else [],
        )


def _hash(path: Path) -> str:
    with named_faults(f"'{path}'"):
        return sha256(path.read_bytes()).hexdigest()


def grid(
    content: str,
    style: str,
    axes: GridAxes | Iterable[Config | Recipe],
    base: Config | Recipe,
    most: int = MOST,
) -> list[Run]:
    """The runs of a grid, in order.

    Args:
        content, style: paths or names of samples; several styles are joined by plus signs.
        axes: a list of values for each setting; every combination becomes a run. "content" and
            "style" are settings, too, and "options.strength" is one of the method's own. A tuple
            of settings takes tuples of values, which change together. Or a list of configs.
        base: the values of all settings that no axis names; with a `Recipe`, runs are trainings.
        most: how many runs there may be, so that a slip is no flood.

    Raises:
        InputError: an unknown setting, a value that is not allowed, an axis without values, or too
            many runs.
    """
    if not isinstance(axes, Mapping):
        return [Run(str(content), str(style), config) for config in axes]
    known = ["content", "style", *base.to_dict()]
    columns: list[list[dict[str, Any]]] = []
    for names, values in axes.items():
        names = (names,) if isinstance(names, str) else tuple(names)
        for name in names:
            if any(name in column[0] for column in columns):
                raise InputError(f"{name} is on two axes; put its values on one")
            if name not in known and not name.startswith("options."):
                raise InputError(unknown("setting", name, known))
        listed = isinstance(values, Iterable) and not isinstance(values, str)
        values = list(islice(values, most + 1)) if listed else []
        if not values:
            raise InputError(f"axis {' '.join(names)} has no values; give a list of them")
        rows = [(value,) for value in values] if len(names) == 1 else [tuple(v) for v in values]
        if any(len(row) != len(names) for row in rows):
            raise InputError(f"axis {' '.join(names)}: each value must have {len(names)} parts")
        columns.append([dict(zip(names, row, strict=True)) for row in rows])
    if (count := prod(map(len, columns))) > most:
        raise InputError(
            f"the grid has {count:,} runs or more, and more than {most:,} may be a slip; leave out "
            "values, or set most, in the grid file or in grid(), to allow it"
        )
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
    grouped = ("options", "method_options")
    own = {f"{k}.{name}": value for k in grouped for name, value in settings.get(k, {}).items()}
    row = {name: value for name, value in settings.items() if name not in grouped}
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
        if isinstance(c, Recipe):
            training = Training(c, *run.sources)
            training.step()  # which is slower than the others
            training.step()
            seconds += (training.seconds - training._seconds[0]) * c.steps
            size += sum(4 * p.numel() for p in training.players[0].parameters) + 150 * c.steps
            continue
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


def shipped_table(name: str) -> pd.DataFrame:
    """The table of a shipped grid, as ``benchmarks/tables.py`` made it: a row a complete run.

    It holds the settings that vary, the metrics, and the losses of the pictures as saved; the same
    runs are made by ``stylelab sweep NAME``.

    Raises:
        InputError: there is no table of that name.
    """
    if name not in TABLES:
        raise InputError(unknown("table of a shipped grid", name, TABLES))
    path = data_folder() / "sweeps" / f"{name}.csv"
    return pd.read_csv(path, index_col="run").convert_dtypes()


def read_grid(source: str | Path) -> list[Run]:
    """The runs of a grid file, or of a shipped grid by its name.

    The file has ``content`` and ``style`` (paths or names of samples), optionally ``preset``, a
    table ``[base]`` of settings and a table ``[axes]`` with a list of values for each setting; a
    quoted key such as "content_weight style_weight" takes lists of values that move together,
    and options.strength is one of the method's own settings. With ``network`` in place of a
    preset, the runs are trainings of that network, and the content may be missing. ``most`` allows
    more runs than 10,000.

    Raises:
        InputError: the file cannot be read or is wrong; the message names the line.
    """
    with grid_file(source) as (pictures, axes, base, given):
        return grid(*pictures, axes, base, given["most"])


@contextmanager
def grid_file(
    source: str | Path, *others: str
) -> Iterator[tuple[tuple[str, str], Axes, Config | Recipe, dict[str, Any]]]:
    """The pictures, axes and base of a grid file, and all its keys; ``others`` are allowed, too.

    What the block finds wrong in them becomes an error with the file's name and line.
    """
    path = shipped_grids().get(str(source), Path(source))
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"'{source}' is no text file; give a grid in TOML") from None
    except (OSError, ValueError) as error:
        names = ", ".join(shipped_grids())
        words = f"'{source}': {reason(error)}; give a grid file, or a shipped grid: {names}"
        raise InputError(words) from None
    try:
        values = tomli.loads(text)
        given = {"preset": "paper", "most": MOST, "base": {}, "axes": {}, **values}
        known = ("content", "style", "preset", "network", "most", "base", "axes", *others)
        for name in given.keys() - known:
            raise InputError(unknown("key", name, known))
        for name in ("base", "axes"):
            if not isinstance(given[name], dict):
                raise InputError(f"{name} is no table; write [{name}] above its settings")
        if not isinstance(given["most"], int):
            raise InputError(f"most={given['most']!r} should be a whole number")
        base: Config | Recipe
        if "network" in given:
            base = recipe(given["network"], **given["base"])
        elif given["preset"] not in PRESETS:
            raise InputError(unknown("preset", given["preset"], PRESETS))
        else:
            base = Config.from_dict({**PRESETS[given["preset"]].to_dict(), **given["base"]})
        listed = dict(given["axes"])
        varied = {name for key in listed for name in _names(key)}
        for name in ("content", "style") if isinstance(base, Config) else ():
            if name not in given.keys() | varied:
                raise InputError(f"{name} is missing; name a picture or a sample")
        if isinstance(listed.get("options"), dict):  # options.strength = [...] makes a table
            own = listed.pop("options")
            listed |= {f"options.{name}": value for name, value in own.items()}
        axes: Axes = {_names(key): value for key, value in listed.items()}
        yield (given.get("content", ""), given.get("style", "")), axes, base, given
    except tomli.TOMLDecodeError as error:
        raise InputError(f"{path.name}: {error}") from None
    except (ValueError, AttributeError, TypeError) as error:
        line = _line_of(text, str(error))
        raise InputError(f"{path.name}{line}: {error}") from None


def _names(key: str) -> tuple[str, ...]:
    """The settings that an axis of a grid file changes together."""
    return tuple(re.split(r"[\s,]+", key))


def _line_of(text: str, fault: str) -> str:
    """The line with the key or value that the fault names first, as ", line 3"."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("=")[0].strip().strip("\"'").removeprefix("options.")
        place = re.search(rf"\b{re.escape(key)}\b", fault) if "=" in line and key else None
        found += [(place.start(), number)] if place else []
    return f", line {min(found)[1]}" if found else ""
