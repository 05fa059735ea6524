"""Kill a sweep of 24 runs with two workers 25 times at random moments, and count what is lost.

Prints the counts; exits with 1 if a completed run changed or was computed again, or if a row is
missing at the end. Takes about eight minutes on two cores.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stylelab import collect

KILLS, RUNS = 25, 24
GRID = """
content = "chenonceau"
style = "night_cafe"
[base]
size = [48, 72]
steps = 60
[axes]
style_weight = [10, 100, 1000, 10_000, 100_000, 1_000_000]
tv_weight = [0, 1, 10, 100]
"""


def complete(out: Path) -> dict[Path, tuple[str, int]]:
    """Hash and time of writing of each file of the complete runs."""
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for result in out.glob("*/result.json")
        for path in result.parent.iterdir()
        if path.name in ("image.png", "history.csv", "result.json")
    }


def main() -> None:
    rng = random.Random(0)
    changed = recomputed = kills = 0
    with tempfile.TemporaryDirectory() as folder:
        grid, out = Path(folder, "grid.toml"), Path(folder, "out")
        grid.write_text(GRID)
        command = [sys.executable, "-m", "stylelab", "sweep", str(grid)]
        command += ["--out", str(out), "--workers", "2"]
        while True:
            before = complete(out)
            for lock in out.glob("*/.stylelab"):  # free; a new one tells of a run
                lock.unlink()
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(command, start_new_session=True, **quiet)
            if kills < KILLS:
                # Some starts are killed in their first run, some after another is complete.
                wanted = len(before) // 3 + rng.choice([0, 0, 1])
                while process.poll() is None and not (
                    list(out.glob("*/.stylelab")) and len(complete(out)) // 3 >= wanted
                ):
                    time.sleep(0.02)
                time.sleep(rng.uniform(0, 1.5))
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    kills += 1
            process.wait()
            after = complete(out)
            changed += sum(after[path][0] != value[0] for path, value in before.items())
            recomputed += sum(after[path][1] != value[1] for path, value in before.items())
            done = len(after) // 3
            print(f"start {kills}: {done} of {RUNS} complete", flush=True)
            if done == RUNS:
                break
        rows = (collect(out)["status"] == "complete").sum()
    print(f"kills: {kills}; complete rows: {rows} of {RUNS}")
    print(f"files of completed runs that changed: {changed}; written again: {recomputed}")
    sys.exit(bool(changed or recomputed or rows != RUNS or kills != KILLS))


if __name__ == "__main__":
    main()
