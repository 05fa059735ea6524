"""The ballot: two pictures, of which the better one is chosen."""

import csv
import html
import io
import os
import random
from collections.abc import Mapping
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from stylelab.errors import InputError
from stylelab.files import check_writable, reason
from stylelab.images import Source, load_image
from stylelab.sweeps.runs import Sweep
from stylelab.sweeps.votes import COLUMNS, read_votes
from stylelab.widgets.pictures import Picture, message, put


class Ballot:
    """Two pictures at a time, and a button below each; every vote is a line of a file at once.

    Pairs with the fewest votes come first, in an order drawn from the seed, their sides by chance.
    Nothing says which picture is which. A ballot with the same file goes on where it stopped;
    `read_votes`, `rank_votes` and `metric_agreement` read what was given.

    Args:
        pictures: by name; or a sweep, of which runs with the same content and style are compared.
        out: the file of votes (CSV).
        asks: the question above the pictures.
        seed: of the order.

    Raises:
        InputError: there are no two pictures to compare, or the file is no file of votes.
    """

    def __init__(
        self,
        pictures: Sweep | Mapping[str, Source],
        out: str | Path,
        asks: str = "Which picture is better?",
        seed: int = 0,
    ) -> None:
        self.out, self.random = Path(out), random.Random(seed)
        groups: list[list[str]]
        if isinstance(pictures, Sweep):
            table = pictures.table
            done = table[table["status"] == "complete"]
            self.pictures: Mapping[str, Source] = {
                str(key): pictures.out / str(key) / "image.png" for key in done.index
            }
            groups = [
                [str(k) for k in rows.index] for _, rows in done.groupby(["content", "style"])
            ]
        else:
            self.pictures, groups = pictures, [list(pictures)]
        self.votes = {frozenset(p): 0 for group in groups for p in combinations(group, 2)}
        if not self.votes:
            raise InputError("a ballot needs two pictures to compare; give more, or run the sweep")
        check_writable(self.out)
        if self.out.exists():
            for row in read_votes(self.out).itertuples():
                pair = frozenset((str(row.left), str(row.right)))
                if pair in self.votes:
                    self.votes[pair] += 1
        self.shown = [
            Picture(format="jpeg", tooltip=f"The {side} one") for side in ("left", "right")
        ]
        buttons = [
            widgets.Button(description=words, tooltip=words)
            for words in ("The left one", "The right one", "Another pair")
        ]
        self.left, self.right, self.skip = buttons
        self.left.on_click(lambda _: self.vote(0))
        self.right.on_click(lambda _: self.vote(1))
        self.skip.on_click(lambda _: self.ask())
        self.count = widgets.HTML()
        # Side by side on a narrow page as well, where both shrink: left and right stay true.
        self.sides = [
            widgets.VBox([picture, button], layout={"flex": "0 1 auto", "min_width": "0"})
            for picture, button in zip(self.shown, buttons, strict=False)
        ]
        self.left.layout.width = self.right.layout.width = "auto"
        question = widgets.HTML(f"<b>{html.escape(asks)}</b>")
        self.box = widgets.VBox([question, widgets.HBox(self.sides), self.skip, self.count])
        self.box.add_class("stylelab-ballot")
        self.pair: tuple[str, str] = ("", "")
        self.ask()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)

    def ask(self) -> None:
        """Show one of the pairs with the fewest votes; another than the last, if there is one."""
        others = [p for p in self.votes if p != frozenset(self.pair)] or list(self.votes)
        fewest = min(self.votes[p] for p in others)
        chosen = self.random.choice([p for p in others if self.votes[p] == fewest])
        self.pair = tuple(self.random.sample(sorted(chosen), 2))  # type: ignore[assignment]
        for name, picture, side in zip(self.pair, self.shown, self.sides, strict=True):
            put(load_image(self.pictures[name]), picture)
            side.layout.width = picture.layout.width
            picture.layout.width, picture.layout.height = "100%", "auto"
        given = sum(self.votes.values())
        seen = sum(count > 0 for count in self.votes.values())
        votes = "1 vote" if given == 1 else f"{given} votes"
        self.count.value = message(f"{votes}; {seen} of {len(self.votes)} pairs seen.")

    def vote(self, side: int) -> None:
        """Write down that the left (0) or the right (1) picture is better, and ask on."""
        text = io.StringIO()
        write = csv.writer(text, lineterminator="\n").writerow
        try:
            if not self.out.exists():
                self.out.parent.mkdir(parents=True, exist_ok=True)
                write(COLUMNS)
            write([datetime.now().isoformat(timespec="seconds"), *self.pair, self.pair[side]])
            with self.out.open("a", encoding="utf-8", newline="") as file:
                file.write(text.getvalue())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.count.value = message(f"Not saved: {reason(error)}. Choose again.", fault=True)
            return
        self.votes[frozenset(self.pair)] += 1
        self.ask()
