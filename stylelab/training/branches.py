"""A time machine for transfers: states that a run keeps on its way, and runs that branch off."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.files import check_writable, read_file, reason, visible_files, write_together
from stylelab.images import Source, encode_image
from stylelab.training.folders import check_folder, held, keep
from stylelab.training.identity import StyleSources
from stylelab.training.result import Result, begun, resume, unpack_state
from stylelab.training.transfer import Transfer

STATES = "states"  # the folder of a run's kept states, in the run's own


def keep_states(run: str | os.PathLike[str], every: int = 25) -> Callable[[Transfer], None]:
    """Keep a run's state and its picture in the run's folder, every so many steps and at the end.

    For ``stylize(..., out=run, on_step=keep_states(run, every=25))``. A state takes about three
    times the pixels in float32: 5 MB at 300x450.

    Args:
        run: the run's folder; ``states/step_000025.pt`` in it, say, and the same as ``.png``.
        every: steps from one state to the next.

    Raises:
        InputError: ``every`` is below 1, or the folder cannot be written, or, with the first step,
            is that of a complete run. A state that cannot be written later is a warning.
    """
    if every < 1:
        raise InputError(f"every={every} should be 1 or more steps")
    folder, first = Path(run), True
    check_writable(folder)
    check_folder(folder)

    def on_step(transfer: Transfer) -> None:
        nonlocal first
        done = transfer.steps_done
        if first:
            first = False
            if (folder / "result.json").exists():
                raise InputError(f"the run in '{folder}' is complete; name the folder of this one")
            for step, path in _states(folder).items():  # of a run that was killed
                if step >= done:
                    path.unlink()
                    path.with_suffix(".png").unlink(missing_ok=True)
        if done % every and not transfer.done:
            return
        buffer = io.BytesIO()
        torch.save(transfer.state_dict(), buffer)
        path = folder / STATES / f"step_{done:06d}.pt"
        picture = encode_image(transfer.image, ".png")
        try:
            with held(folder):  # as `stylize` does, so that another run is refused
                write_together({path.with_suffix(".png"): picture, path: buffer.getvalue()})
        except InputError as fault:  # a full disk should not end the run
            warnings.warn(f"step {done} is not kept: {fault}", stacklevel=2)

    return on_step


def kept_states(run: str | os.PathLike[str]) -> dict[int, Path]:
    """The states that a run has kept, by their steps; beside each is its picture, a .png.

    Raises:
        InputError: the folder holds none.
    """
    found = _states(Path(run))
    if not found:
        how = "keep_states, or --keep-every at a terminal"
        raise InputError(f"'{run}' holds no kept states; make the run with {how}")
    return found


def _states(run: Path) -> dict[int, Path]:
    folder = run / STATES
    files = visible_files(folder) if folder.is_dir() else []
    numbers = {path: path.stem.removeprefix("step_") for path in files if path.suffix == ".pt"}
    return {int(number): path for path, number in numbers.items() if number.isdecimal()}


def read_state(run: str | os.PathLike[str], step: int) -> dict[str, Any]:
    """The state after ``step`` steps, for `Transfer.load_state_dict`, with ``state_sha256``.

    Raises:
        InputError: it was not kept, or is damaged.
    """
    states = kept_states(run)
    if step not in states:
        there = ", ".join(map(str, states))
        raise InputError(f"'{run}' keeps no state of step {step}; it has those of {there}")
    path = states[step]
    try:
        content = read_file(path)
        state: dict[str, Any] = unpack_state(content)
        if not isinstance(state, dict) or len(state["rows"]) != step:
            raise ValueError("it is no state of that step")
    except Exception as error:  # cut short, or another file
        words = reason(error).splitlines()[0][:200]
        raise InputError(f"'{path}' is damaged ({words}); branch from another step") from None
    return {**state, "state_sha256": hashlib.sha256(content).hexdigest()}


def branch_off(
    content: Source,
    style: StyleSources,
    run: str | os.PathLike[str],
    step: int,
    steps: int | None = None,
    **weights: float,
) -> Transfer:
    """A `Transfer` at a kept state of a run, with other loss weights from there on.

    Args:
        content, style: the pictures of that run.
        run: its folder, see `keep_states`.
        step: after how many steps it branches.
        steps: up to which step, counted from the run's first; by default, up to the run's last.
        weights: content_weight, style_weight or tv_weight; others stay the run's.

    Raises:
        InputError: the state is not there, or of other pictures, or no step is left.
    """
    state = read_state(run, step)
    config = Config.from_dict(state["config"])
    if steps is not None and steps != config.steps:
        if config.schedule != "constant" or config.scales > 1:
            raise InputError("steps can change only with schedule='constant' and scales=1")
        config = replace(config, steps=steps)
    if step >= config.steps:
        raise InputError(f"the branch at step {step} ends at step {config.steps}; give more steps")
    transfer = Transfer(content, style, config)
    transfer.load_state_dict(state)
    transfer.set_weights(**weights)
    # A result says from what it began, and is never taken for a run with these weights throughout.
    transfer.identity = {
        **transfer.identity,
        "state_sha256": state["state_sha256"],
        "branched_at": str(step),
    }
    return transfer


def branch(
    content: Source,
    style: StyleSources,
    run: str | os.PathLike[str],
    step: int,
    out: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    on_step: Callable[[Transfer], None] | None = None,
    progress: bool = True,
    **weights: float,
) -> Result:
    """Go on from a kept state of a run with other loss weights, up to the end.

    Args:
        content, style, run, step, steps, weights: as for `branch_off`.
        out: a run folder of its own, as for `stylize`: what is complete in it is loaded, what was
            interrupted goes on.
        on_step: called after each step with the `Transfer`; `keep_states` lets branches branch.
        progress: whether to show a bar.

    Raises:
        InputError: what `branch_off` refuses, or ``out`` holds another run or the state.
        NotSaved, Diverged: as for `stylize`.
    """
    transfer = branch_off(content, style, run, step, steps, **weights)
    read = (*transfer.inputs.paths, kept_states(run)[step])
    with begun(out, transfer.config, transfer.identity, read) as earlier:
        if earlier is not None and not earlier.interrupted:
            return earlier
        resume(transfer, earlier, out)
        transfer.run(on_step, progress)
        result = transfer.result()
        keep(result.save, out, result)
    return result
