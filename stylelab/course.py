"""The course: where its chapters are, what belongs to each, and the copy that students work in."""

import base64
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

from stylelab.errors import InputError, unknown
from stylelab.sample_pictures import shipped_folder

AUTHORS_ONLY = ("quizzes", "*.py", ".ipynb_checkpoints", "__pycache__", "runs")


@dataclass(frozen=True)
class Question:
    """A multiple-choice question; ``right`` counts from 0."""

    asks: str
    options: tuple[str, ...]
    right: int
    why: str


@dataclass(frozen=True)
class Chapter:
    """What belongs to a chapter beside its text: ``notebooks/quizzes/NN.toml``."""

    exercises: dict[str, tuple[str, int]]
    """Difficulty and minutes of each exercise, by the name of its answer."""
    predictions: dict[str, str]
    """The key to each prediction, by some words of it."""
    questions: tuple[Question, ...]


def notebooks_folder() -> Path:
    """Where the chapters are."""
    return shipped_folder("notebooks")


def seal(right: int, why: str) -> str:
    """An answer and its reason, so that neither is read at a glance.

    >>> unseal(seal(2, "because"))
    (2, 'because')
    """
    return base64.b64encode(f"{why} {right}".encode()).decode()


def unseal(text: str) -> tuple[int, str]:
    """What `seal` has sealed."""
    why, _, right = base64.b64decode(text).decode().rpartition(" ")
    return int(right), why


def read_chapter(number: int | str) -> Chapter:
    """The quiz, predictions and exercises of a chapter by its number; InputError lists those.

    >>> len(read_chapter(5).questions)
    5
    """
    files = {path.stem: path for path in sorted((notebooks_folder() / "quizzes").glob("*.toml"))}
    name = f"{number:02}" if isinstance(number, int) else number
    if name not in files:
        raise InputError(unknown("chapter", name, files))
    found = tomli.loads(files[name].read_text("utf-8"))
    return Chapter(
        {answer: (word, minutes) for answer, (word, minutes) in found["exercises"].items()},
        {entry["asks"]: entry["key"] for entry in found["prediction"]},
        tuple(
            Question(entry["asks"], tuple(entry["options"]), *unseal(entry["sealed"]))
            for entry in found["question"]
        ),
    )


def copy_for_students(folder: Path) -> None:
    """Copy the course without what was computed, so that no answer stands before its prediction.

    The chapters lose their outputs; below each prediction stands its key, folded. Solutions and
    the page of the live lab are copied as they are.

    Args:
        folder: where the copy goes; it must not exist yet.
    """
    shutil.copytree(notebooks_folder(), folder, ignore=shutil.ignore_patterns(*AUTHORS_ONLY))
    for path in sorted(folder.glob("*.ipynb")):
        notebook = json.loads(path.read_text("utf-8"))
        without_outputs(notebook)
        with_keys(notebook, path.name[:2])
        path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", "utf-8")


def without_outputs(notebook: dict[str, Any]) -> None:
    """Remove outputs and execution counts, in place."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None


def with_keys(notebook: dict[str, Any], number: str) -> None:
    """Put the key to each prediction below it, folded, in place; where there is none, nothing."""
    if not (notebooks_folder() / "quizzes" / f"{number}.toml").exists():
        return
    for words, key in read_chapter(number).predictions.items():
        for cell in notebook["cells"]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown" and words in flat(text):
                folded = f"<details><summary>Key to the prediction</summary>\n\n{key}\n\n</details>"
                cell["source"] = f"{text}\n\n{folded}"


def flat(text: str) -> str:
    """A text whose lines are joined, so that words can be found across their ends."""
    return re.sub(r"\s+", " ", text)
