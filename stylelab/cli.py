"""The command ``stylelab``, whose options are the fields of `Config`.

Other files are imported where they are used, so that ``--help`` does not wait for torch.
"""

import argparse
import contextlib
import functools
import io
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from stylelab.cli_branches import branch
from stylelab.cli_networks import paint, train
from stylelab.cli_place import info, lab, samples
from stylelab.cli_runs import reproduce, rerun, table, tune
from stylelab.config import Config
from stylelab.errors import InputError, unknown
from stylelab.presets import PRESETS
from stylelab.recipes import Recipe, recipe
from stylelab.registry import METHODS, NETWORKS

ABOUT = "Neural style transfer experiments: give a photograph the style of a painting."


def transfer(
    content: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CONTENT")],
    style: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="STYLE")],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    config: tyro.conf.OmitArgPrefixes[Config],
    preset: Literal[tuple(PRESETS)] = "paper",  # type: ignore[valid-type]
    keep_every: int = 0,
    record: Path | None = None,
    record_every: int = 10,
    plugin: Path | None = None,
) -> None:
    """Give a photograph the style of a painting.

    Args:
        content: The photograph: a path or the name of a sample.
        style: The painting: a path or the name of a sample; several are joined by plus signs.
        out: A folder for the run, or an image file (.png, .jpg, .webp) for the picture alone.
        config: The settings; their defaults are the preset's.
        preset: Where the settings start from; options change them.
        keep_every: Keep the state every so many steps, for stylelab branch; 0 keeps none.
        record: A film of the process: a .gif, .webp or .mp4.
        record_every: Steps from one frame of the film to the next.
        plugin: A Python file with a method of your own, which is run first.
    """
    from stylelab.files import check_writable
    from stylelab.images import SUFFIXES, save_image
    from stylelab.sample_pictures import find, find_styles
    from stylelab.training.branches import keep_states
    from stylelab.training.folders import keep
    from stylelab.training.identity import read_inputs
    from stylelab.training.interrupts import deferred
    from stylelab.training.transfer import stylize

    picture_only = out.suffix.lower() in SUFFIXES and not out.is_dir()
    if out.suffix[1:].isalpha() and not picture_only and not out.is_dir():
        raise InputError(unknown("image format", out.suffix, SUFFIXES) + "; or name a folder")
    if keep_every and picture_only:
        raise InputError("keep_every keeps states in the run's folder; name a folder as out")
    inputs = read_inputs(find(content), find_styles(style), config)
    check_writable(out, inputs.paths)
    if record == out:
        raise InputError(f"'{out}' cannot be both the picture and the film; name two files")
    kept = keep_states(out, keep_every) if keep_every else None
    film: dict[str, Any] = {"record": record, "record_every": record_every}

    def save(place: Path) -> None:
        place = place / out.name if place.is_dir() else place
        save_image(result.image, place, result.text())

    shape, frame = inputs.content.size_at(None), inputs.content.size_at(config.size)
    ratio = shape[0] * frame[1] / (shape[1] * frame[0])  # of the formats
    if (kept_part := min(ratio, 1 / ratio)) < 0.7:
        words = f"{frame[0]}x{frame[1]} shows {kept_part:.0%} of '{content}'"
        print(f"{words}; --size {max(frame)} keeps its shape", file=sys.stderr)
    with deferred(signal.SIGTERM):  # the picture is saved before the process ends
        result = stylize(inputs, (), config, None if picture_only else out, kept, **film)
        if picture_only:
            keep(save, out, result)
    done = f"{out}: {len(result.history)} steps"
    if result.interrupted:
        again = "with a folder as -o it could go on" if picture_only else "the same command goes on"
        print(f"interrupted: {done}; {again} from there", file=sys.stderr)
        raise SystemExit(130)
    clipped = f", {found:.1%} of it clipped" if (found := result.info.get("outside", 0)) else ""
    seconds, total = result.history["seconds"].iloc[-1], result.losses["total"]
    print(f"{done} in {seconds:.0f} s, a total of {total:.4g} as saved{clipped}")


def _to_options(words: list[str]) -> dict[str, Any]:
    """Read ``--options strength=0.5 strokes=0.5,1,2`` as a mapping."""
    found = [word.partition("=") for word in words]
    if not all(name and value for name, _, value in found):
        raise ValueError("options are written name=value")
    return {name: _to_value(value) for name, _, value in found}


def _to_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # words without quotes, or several values without brackets
        return [_to_value(part) for part in text.split(",") if part] if "," in text else text


def _options_rule(kind: Any) -> Any:
    """Tell tyro how to read `Config.options`, whose values may have any type."""
    if kind.type != tuple[tuple[str, Any], ...]:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="[NAME=VALUE [...]]",
        instance_from_str=_to_options,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda pairs: [f"{name}={json.dumps(v)}" for name, v in pairs],
    )


def sweep(
    grid: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GRID")],
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    workers: int = 1,
    threads: int | None = None,
    dask: str | None = None,
    retry_failed: bool = False,
    dry_run: bool = False,
    plugin: Path | None = None,
) -> None:
    """Make the runs of a grid; the same command goes on where it was stopped.

    Args:
        grid: A grid file (TOML), or a shipped grid: weights, pairs, sizes, class and others.
        out: The folder of the run folders; by default runs/ and the name of the grid.
        workers: Processes on this machine.
        threads: Threads of each worker; by default its share of the cores.
        dask: The address of a Dask scheduler that does the runs instead.
        retry_failed: Try again what failed before.
        dry_run: Show the runs, and what time and disk they take, without making them.
        plugin: A Python file with a method of your own, which is run first.
    """
    from stylelab.sweeps.grids import estimate, read_grid, summary
    from stylelab.sweeps.runs import run_all
    from stylelab.sweeps.table import check_table, write_table

    runs = read_grid(grid)
    out = out or Path("runs") / Path(grid).stem
    if dry_run:
        print(summary(runs).to_string())
        seconds, size = estimate(runs)
        print(f"{len(runs)} runs: about {seconds / 60:.0f} minutes one by one, {size / 1e6:.0f} MB")
        return
    check_table(out / "table.csv")
    with contextlib.ExitStack() as stack:
        executor = None
        if dask is not None:
            executor = stack.enter_context(_dask(dask)).get_executor(pure=False)
        made = run_all(runs, out, executor, workers, threads, retry_failed)
    table = made.table
    write_table(table, out / "table.csv")
    print(f"{out / 'table.csv'}: {table['status'].value_counts().to_dict()}")
    found = set(table.loc[[run.key for run in runs], "status"])  # others may be in the folder
    if found & {"pending", "interrupted"}:
        raise SystemExit(130)
    if found == {"failed"}:
        raise InputError("all runs failed; the table's column 'error' says why")


def _dask(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise InputError("Dask is missing; run: pip install 'stylelab[dask]'") from None
    try:
        return Client(address, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler at {address} ({error}); check the address") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; bad input gives one line on standard error and exit status 2."""
    _open_streams()
    try:
        parse(sys.argv[1:] if arguments is None else arguments)()
        print(end="", flush=True)
    except InputError as error:
        print(f"stylelab: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("stylelab: interrupted; the same command goes on from there", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader has seen enough, as in: stylelab samples | head -3
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which Python flushes
        raise SystemExit(141) from None


def _open_streams() -> None:
    """Send what a closed stream would get to nowhere; escape what a stream cannot show."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file takes its number
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        if (stream := getattr(sys, name)) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def parse(arguments: Sequence[str]) -> Callable[[], None]:
    """The call that the arguments describe; tyro's complaint becomes a one-line InputError."""
    arguments = [x for a in arguments for x in (a.split("=") if "--size=" in a[:7] else [a])]
    pairs = zip(["", *arguments], arguments, strict=False)  # 300x450 is 300 450
    arguments = [x for before, a in pairs for x in (a.split("x") if before == "--size" else [a])]
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", nargs="?")
    finder.add_argument("--plugin", nargs="?")
    command, network = [*arguments, "", ""][:2]
    early = finder.parse_known_args(arguments)[0]
    if early.plugin is not None:  # first, because a setting may name what the plugin defines
        (NETWORKS if command == "train" else METHODS).load_file(Path(early.plugin))
    preset = PRESETS.get(early.preset, Config())
    all_commands = (
        *(transfer, branch, rerun, reproduce, sweep, tune, table),
        *(train, paint, samples, info, lab),
    )
    commands = {f.__name__: _deferred(f) for f in all_commands}
    commands["transfer"] = functools.partial(commands["transfer"], config=preset)
    usual = Recipe(network="johnson")
    if command == "train" and network not in ("", "-h", "--help"):
        if network[0] == "-":  # its settings are those of the network that is named
            raise InputError("name the network first, as in: stylelab train johnson -o FOLDER")
        usual = recipe(network)
    commands["train"] = functools.partial(commands["train"], recipe=usual)
    registry = tyro.constructors.ConstructorRegistry()
    registry.primitive_rule(_options_rule)

    def read() -> Callable[[], None]:
        with registry:
            call: Callable[[], None] = tyro.extras.subcommand_cli_from_dict(
                commands, prog="stylelab", description=ABOUT, args=arguments
            )
        return call

    printed = io.StringIO()  # no terminal: tyro writes plain text, a rule above and below the fault
    try:
        with (
            _columns(10_000),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            return read()
    except SystemExit as stopped:
        if not stopped.code:
            with _columns(max(60, shutil.get_terminal_size().columns)):  # tyro hangs in narrow ones
                return read()  # --help again, for the terminal
    fault, more = re.split(r"(?m)^ *-{3,} *$", printed.getvalue())[1:3]
    text = re.sub(r"^Error parsing __tyro-dummy-inner__\S*: ", "", " ".join(fault.split()))
    text = text.split(". Got errors: ")[0]  # why each of the types that it might be does not fit
    if text.startswith("Error parsing --size"):
        text = "write --size HEIGHT WIDTH, as in 300 450 or 300x450, or the longer side alone"
    if meant := re.match(r"\s*Perhaps you meant:\s+(--[\w-]+)", more):
        text += f"; did you mean {meant[1]}?"
    raise InputError(f"{text} (see stylelab {command + ' ' if command in commands else ''}--help)")


@contextlib.contextmanager
def _columns(count: int) -> Iterator[None]:
    """Whoever asks for the terminal's width is told this one."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(count)
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _deferred(command: Callable[..., None]) -> Callable[..., Any]:
    """A function of the same signature that only binds the arguments, to be called later."""

    @functools.wraps(command)
    def bind(*given: Any, **named: Any) -> Callable[[], None]:
        return functools.partial(command, *given, **named)

    return bind
