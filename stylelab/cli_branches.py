"""The command ``stylelab branch``; see `stylelab.cli`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro


def branch(
    content: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CONTENT")],
    style: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="STYLE")],
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    step: int,
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    steps: int | None = None,
    content_weight: float | None = None,
    style_weight: float | None = None,
    tv_weight: float | None = None,
    keep_every: int = 0,
    plugin: Path | None = None,
) -> None:
    """Go on from a kept state of a run with other loss weights.

    Args:
        content: The photograph of that run: a path or the name of a sample.
        style: Its painting: a path or the name of a sample; several are joined by plus signs.
        run: Its folder, made with --keep-every.
        step: After how many steps the branch begins.
        out: A folder for the branch.
        steps: Up to which step, counted from the run's first; by default, up to the run's last.
        content_weight: By default, the run's.
        style_weight: By default, the run's.
        tv_weight: By default, the run's.
        keep_every: Keep the branch's own state every so many steps; 0 keeps none.
        plugin: A Python file with a method of your own, which is run first.
    """
    from stylelab.sample_pictures import find, find_styles
    from stylelab.training.branches import branch as go_on
    from stylelab.training.branches import keep_states

    given = {"content": content_weight, "style": style_weight, "tv": tv_weight}
    weights: dict[str, Any] = {
        f"{name}_weight": value for name, value in given.items() if value is not None
    }
    kept = keep_states(out, keep_every) if keep_every else None
    pictures = find(content), find_styles(style)
    result = go_on(*pictures, run, step, out, steps, kept, **weights)
    done = f"{out}: branched at step {step}, {len(result.history)} steps"
    if result.interrupted:
        print(f"interrupted: {done}; the same command goes on from there", file=sys.stderr)
        raise SystemExit(130)
    print(f"{done}, a total of {result.losses['total']:.4g} as saved")
