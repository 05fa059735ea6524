"""Random faults over transfers, sweeps, trainings and uploads at tiny sizes, for minutes or hours.

    python benchmarks/soak.py 60

Each round makes a run in a process of its own, which meets a fault: it is killed, interrupted or
asked to end, its disk is full, its pictures change or go, a second process works in the same
folder, or files of its folder were cut or changed. Then the same run is made without one, and what
is in the folders is compared with runs that met no fault. Between them, whole and damaged pictures
are uploaded to the lab and as the two parents of a child.

Prints runs, faults, losses and memory; exits with 1 if a completed run was lost or changed, a wrong
result was kept as right, an error was not in words, a run could not be made again, or memory grew
by more than 50 MB from the first half of the time to the second. Needs a system with ``fork``, such
as Linux or macOS.
"""

import argparse
import contextlib
import gc
import hashlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import torch

import stylelab.training.crops
from stylelab import (
    Config,
    InputError,
    Recipe,
    Result,
    grid,
    load_image,
    recipe,
    run_all,
    sample,
    save_image,
    stylize,
    train,
)
from stylelab.sweeps.table import status
from stylelab.widgets.child import OWN, ChildOfTwo
from stylelab.widgets.choices import Choices

TINY = {"weights": "random", "normalise": "none", "device": "cpu", "precision": "float32"}
LAYERS = {"content_layers": ("relu2_1",), "style_layers": ("relu1_1", "relu2_1")}
BASE = Config(size=(32, 48), steps=8, **TINY, **LAYERS)
VARIANTS = {
    "adam": {},
    "pyramid": {"optimizer": "pyramid", "schedule": "linear"},
    "scales": {"scales": 2, "steps": 9},
    "lbfgs": {"optimizer": "lbfgs", "learning_rate": 1.0},
}
TRAINING = {"crop": 32, "side": 40, "style_side": 40, "batch": 1, "every": 2, "steps": 6}
NETWORKS: dict[str, dict[str, Any]] = {
    "johnson": {**LAYERS, "method": BASE.method},  # cheaper than its own
    "adain": LAYERS,
    "gan": {"options": {"width": 4}},
    "cyclegan": {"options": {"width": 4, "blocks": 1}},
    "dualgan": {"options": {"widths": (4, 8)}},
    "colourise": {},
}
DAMAGES = ("cut", "empty", "gone", "changed")
FAULTS = (
    "kill", "kill", "kill", "end", "interrupt", "full disk", "other picture", "no picture",
    "two processes", "upload", "upload", *DAMAGES,
)  # fmt: skip
GROWTH = 50  # MB, from the first half of the time to the second


@dataclass
class Job:
    """One run, or one sweep, that is made again and again in its folder."""

    name: str
    out: Path
    make: Callable[[], object]
    seconds: float = 1.0
    """How long it takes without a fault."""

    def folders(self) -> list[Path]:
        inner = [path for path in self.out.glob("*/") if (path / "run.json").exists()]
        return inner or [self.out]


@dataclass
class Soak:
    place: Path
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    """Runs and faults, by kind."""
    wrong: Counter[str] = field(default_factory=Counter)
    kept: dict[Path, dict[str, str]] = field(default_factory=dict)
    """The SHA-256 sums of the files of each complete run."""
    expected: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of the picture of each run that met no fault, by what it depends on."""

    def __post_init__(self) -> None:
        self.photos, self.spare = self.place / "photos", self.place / "spare"
        for folder in (self.photos, self.spare, self.place / "tmp"):
            folder.mkdir()
        names = ("chenonceau", "eiffel_tower", "pont_du_gard", "mont_saint_michel")
        for i, name in enumerate(names):
            save_image(load_image(sample(name), 64), self.photos / f"{i}.png")
            save_image(load_image(sample(name), 48).flip(3), self.spare / f"{i}.png")
        save_image(load_image(sample("night_cafe"), 64), self.place / "style.png")
        self.versions = {}  # every picture that there ever is, by its hash
        for path in [*self.photos.iterdir(), *self.spare.iterdir(), self.place / "style.png"]:
            self.versions[_sum(path)] = path.read_bytes()
        self.photo, self.style = self.photos / "0.png", self.place / "style.png"
        self.jobs = [self._transfer(name, change) for name, change in VARIANTS.items()]
        self.jobs += [self._sweep(), *map(self._training, NETWORKS)]
        self.child, self.choices = ChildOfTwo(), Choices("chenonceau", "night_cafe")

    def _transfer(self, name: str, change: dict[str, Any]) -> Job:
        config = Config(**{**BASE.to_dict(), **change})
        out = self.place / name
        return Job(name, out, lambda: stylize(self.photo, self.style, config, out, progress=False))

    def _sweep(self) -> Job:
        out, axes = self.place / "sweep", {"style_weight": [10, 1000], "seed": [0, 1]}
        runs = grid(str(self.photo), str(self.style), axes, BASE)

        def make() -> None:
            run_all(runs, out, retry_failed=True, progress=False)
            states = [status(out / run.key) for run in runs]
            if unmade := [record.get("error") for word, record in states if word == "failed"]:
                raise InputError(str(unmade[0]))

        return Job("sweep", out, make)

    def _training(self, name: str) -> Job:
        settings, out = {**TRAINING, **TINY, **NETWORKS[name]}, self.place / name
        del settings["normalise"]
        style: Any = [self.style, *self.spare.iterdir()]
        if name in ("gan", "colourise"):
            style = ()
            del settings["style_side"]
        elif name == "johnson":
            style = self.style
        asked = recipe(name, **settings)
        return Job(
            name, out, lambda: train(asked, style, self.photos, out, progress=False, readers=0)
        )

    # What should hold.

    def complain(self, kind: str, words: object) -> None:
        self.wrong[kind] += 1
        print(f"{kind}: {words}", flush=True)

    def check(self, job: Job, damaged: bool = False) -> None:
        """No complete run has changed, and each complete run of this job is what it should be."""
        for folder, sums in list(self.kept.items()):
            if _sums(folder) != sums:
                self.complain("lost or changed", folder)
                del self.kept[folder]
        for folder in job.folders():
            if folder in self.kept or not (folder / "result.json").exists():
                continue
            try:
                result = Result.load(folder)
            except InputError as error:
                if not damaged:  # by a fault of ours
                    self.complain("half-written", error)
                continue
            expected = self.reference(result)
            if expected is not None and _digest(result) != expected:
                self.complain("wrong result", folder)
            self.kept[folder] = _sums(folder)

    def reference(self, result: Result) -> str | None:
        """The hash of the picture that a run of these settings and pictures makes by itself."""
        info, config = result.info, result.config
        names = ("content_sha256", "style_sha256", "pictures")
        key = repr([config.to_record(), *(info.get(name) for name in names)])
        if key not in self.expected:
            if isinstance(config, Recipe):  # of which only the usual pictures are made once more
                return None
            pair = (self.versions[info[name]] for name in names[:2])
            self.expected[key] = _digest(stylize(*pair, config, progress=False))
        return self.expected[key]

    def first(self, job: Job) -> None:
        """Make a run that meets no fault, as what later ones are compared with."""
        job.make()
        started = time.perf_counter()
        shutil.rmtree(job.out)
        job.make()  # the network is in memory now
        job.seconds = time.perf_counter() - started
        for folder in job.folders():
            result = Result.load(folder)
            if isinstance(result.config, Recipe):
                names = ("content_sha256", "style_sha256", "pictures")
                key = repr([result.config.to_record(), *(result.info.get(n) for n in names)])
                self.expected[key] = _digest(result)
        self.check(job)

    # Faults.

    def round(self) -> None:
        job = self.rng.choice(self.jobs)
        fault = self.rng.choice(FAULTS)
        if fault == "upload":
            self.counts[fault] += 1
            self._upload()
            return
        if fault in DAMAGES:
            if not self._damage(job, fault):
                return
        elif self.rng.random() < 0.7:
            self._begin_again(job)
        self.counts[fault] += 1
        if fault in DAMAGES:
            self._run(job)
        elif fault == "two processes":
            pids = [self._fork(job), self._fork(job)]
            for pid in pids:
                self._wait(pid, job)
        elif fault == "full disk":
            self._wait(self._fork(job, most=self.rng.randrange(100, 40_000)), job)
        else:
            pid = self._fork(job)
            time.sleep(self.rng.uniform(0, 1.1 * job.seconds))
            self._strike(fault, pid)
            self._wait(pid, job)
            for path in self.photos.iterdir():
                path.unlink()
            for i in range(4):
                content = next(v for k, v in self.versions.items() if k == self.usual[i])
                (self.photos / f"{i}.png").write_bytes(content)
        self.check(job, damaged=fault in DAMAGES)
        self.heal(job)
        self.check(job)

    def _upload(self) -> None:
        """Give a picture, most often a damaged one, to one of two upload buttons of a page."""
        content = self.rng.choice(list(self.versions.values()))
        if self.rng.random() < 0.8:
            content = _damaged(content, self.rng.choice(("cut", "empty", "changed")), self.rng)
        name = self.rng.choice(["own.png", "none", "", "two\nlines.png", "a$\\frac{.png"])
        file = {"name": name, "type": "", "size": len(content), "content": content}
        value = ({**file, "last_modified": datetime.now(timezone.utc)},)
        try:
            self.rng.choice((self._give_choices, self._give_parent))(value)
        except Exception:
            self.complain("raw error", traceback.format_exc())

    def _give_choices(self, value: tuple[dict[str, Any]]) -> None:
        """What is refused is said in a line and changes nothing; what is taken can be loaded."""
        faults: list[Exception] = []
        self.choices.on_fault = faults.append
        kept = dict(self.choices.sources)
        self.rng.choice([*self.choices.uploads.values()]).set_trait("value", value)
        for fault in faults:
            if "\n" in str(fault) or self.choices.sources != kept:
                self.complain("upload", f"{fault}; sources: {len(self.choices.sources)}")
        for source in self.choices.sources.values():
            load_image(source, 64)
        self.choices.sources = {k: v for k, v in kept.items() if isinstance(v, Path)}

    def _give_parent(self, value: tuple[dict[str, Any]]) -> None:
        """One parent's photograph and clicks leave no file behind, and the other parent alone."""
        index = self.rng.randrange(2)
        side, other = self.child.sides[index], self.child.faces[1 - index]
        side.choice.value = OWN
        side.upload.set_trait("value", value)
        if side.upload.value or not self.child.message.value:
            self.complain("upload", "kept, or no word of it")
        height, width = side.marks.size
        for _ in range(2):  # clicks, anywhere
            places = self.rng.uniform(0, height), self.rng.uniform(0, width)
            side.marks.points = [*side.marks.points[-1:], list(places)]
        if self.child.faces[1 - index] is not other:
            self.complain("upload", "the other parent has changed")
        if self.rng.random() < 0.2:
            side.choice.value = self.rng.choice(side.choice.options[:-1])

    def _begin_again(self, job: Job) -> None:
        for folder in [f for f in self.kept if f == job.out or job.out in f.parents]:
            del self.kept[folder]
        shutil.rmtree(job.out, ignore_errors=True)

    def _strike(self, fault: str, pid: int) -> None:
        kinds = {"kill": signal.SIGKILL, "end": signal.SIGTERM, "interrupt": signal.SIGINT}
        with contextlib.suppress(ProcessLookupError):
            if fault in kinds:
                os.kill(pid, kinds[fault])
        number = self.rng.randrange(4)
        if fault == "other picture":
            shutil.copy(self.spare / f"{number}.png", self.place / "next.png")
            os.replace(self.place / "next.png", self.photos / f"{self.rng.choice([0, number])}.png")
        elif fault == "no picture":
            (self.photos / f"{self.rng.choice([0, number])}.png").unlink()

    def _damage(self, job: Job, how: str) -> bool:
        folder = self.rng.choice(job.folders())
        names = ["image.png", "history.csv", "result.json", "state.pt", "run.json", "held_out.csv"]
        if how == "changed":  # sums are of what a complete run's record names, and of states
            names = names[:2] if (folder / "result.json").exists() else ["state.pt"]
        files = [folder / name for name in names if (folder / name).exists()]
        if not files:
            return False
        path = self.rng.choice(files)
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(_damaged(path.read_bytes(), how, self.rng))
        self.kept.pop(folder, None)
        return True

    def _run(self, job: Job) -> bool:
        """Make a run here; whether it is complete. Only errors in words are allowed."""
        self.counts["run"] += 1
        try:
            job.make()
            return True
        except InputError:
            return False
        except Exception:
            self.complain("raw error", traceback.format_exc())
            return False

    def heal(self, job: Job) -> None:
        """Make the run without a fault, as its messages advise: what is damaged is deleted."""
        for _ in range(3):
            if self._run(job):
                break
            if job.name != "sweep":
                self._begin_again(job)
        else:
            self.complain("not made again", job.name)
        for folder in job.folders():
            if job.name != "sweep" and not (folder / "result.json").exists():
                self.complain("not made again", folder)

    def _fork(self, job: Job, most: int | None = None) -> int:
        """Start a run in a process of its own, whose files have at most so many bytes."""
        self.counts["run"] += 1
        sys.stdout.flush()
        if pid := os.fork():
            return pid
        code = 1
        try:
            if most is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            job.make()
            code = 0
        except InputError:
            code = 3
        except KeyboardInterrupt:
            code = 4
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _wait(self, pid: int, job: Job) -> None:
        deadline = time.monotonic() + 60 + 20 * job.seconds
        while True:
            found, ended = os.waitpid(pid, os.WNOHANG)
            if found:
                break
            if time.monotonic() > deadline:
                self.complain("does not end", job.name)
                os.kill(pid, signal.SIGKILL)
                deadline += 60
            time.sleep(0.002)
        if os.waitstatus_to_exitcode(ended) == 1:
            self.complain("raw error", job.name)

    def run(self, minutes: float) -> bool:
        """Make rounds for that time; whether all held."""
        self.usual = {i: _sum(self.photos / f"{i}.png") for i in range(4)}
        for job in self.jobs:
            self.first(job)
        process, end = psutil.Process(), time.monotonic() + 60 * minutes
        memory: list[float] = []
        shown = time.monotonic()
        while time.monotonic() < end:
            self.round()
            gc.collect()  # optimisers and their schedules refer to each other
            memory.append(process.memory_info().rss / 1e6)
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"{self.summary(memory)}", flush=True)
            if len(memory) % 50 == 0:  # results that could not be saved where they should be
                shutil.rmtree(self.place / "tmp")
                (self.place / "tmp").mkdir()
        print(self.summary(memory))
        # Maxima, because the allocator keeps more after some jobs than after others.
        settled = memory[len(memory) // 10 :]
        half = len(settled) // 2
        if half and (grown := max(settled[half:]) - max(settled[:half])) > GROWTH:
            self.complain("memory", f"grew by {grown:.0f} MB")
        return not self.wrong

    def summary(self, memory: list[float]) -> str:
        faults = {k: n for k, n in sorted(self.counts.items()) if k != "run"}
        each = ", ".join(f"{name} {n}" for name, n in faults.items())
        lost, wrong = self.wrong["lost or changed"], self.wrong["wrong result"]
        others = sum(self.wrong.values()) - lost - wrong
        resting = f"{memory[len(memory) // 10]:.0f} to {memory[-1]:.0f} MB" if memory else "-"
        return (
            f"runs: {self.counts['run']}; faults: {sum(faults.values())} ({each}); complete runs "
            f"lost or changed: {lost}; wrong results kept: {wrong}; other complaints: {others}; "
            f"memory: {resting}"
        )


class Serial:
    """In place of a pool of threads, in which PyTorch does not work once the process was forked."""

    map = staticmethod(map)

    def __enter__(self) -> "Serial":
        return self

    def __exit__(self, *_: object) -> None: ...


def _damaged(content: bytes, how: str, rng: random.Random) -> bytes:
    """A file of which the end is missing, or all, or one bit is another."""
    place = rng.randrange(max(1, len(content)))
    if how == "changed" and content:
        other = bytes([content[place] ^ 1 << rng.randrange(8)])
        return content[:place] + other + content[place + 1 :]
    return content[: place if how == "cut" else 0]


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sums(folder: Path) -> dict[str, str]:
    """The sums of a complete run's files."""
    if not folder.is_dir():
        return {}
    return {p.name: _sum(p) for p in folder.iterdir() if p.name[0] != "." and p.name != "run.json"}


def _digest(result: Result) -> str:
    return hashlib.sha256(result.image.contiguous().numpy().tobytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("minutes", type=float, nargs="?", default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stylelab.training.crops.ThreadPoolExecutor = Serial
    torch.set_num_threads(1)  # processes with more than one thread cannot be forked safely
    warnings.simplefilter("ignore")  # damaged run.json files are left out with one
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        soak = Soak(place, random.Random(given.seed))
        tempfile.tempdir = str(place / "tmp")
        held = soak.run(given.minutes)
    print("all held" if held else f"FAILED: {dict(soak.wrong)}")
    sys.exit(not held)


if __name__ == "__main__":
    main()
