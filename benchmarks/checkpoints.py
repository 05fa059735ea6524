"""Trains the shipped networks again: data/checkpoints/, each with its card (`make checkpoints`).

Each is trained in `runs/checkpoints/NAME` with its network's own settings, and goes on from there
when it is interrupted. Its weights are shipped in float16. On two cores a step takes 0.3 to 0.8 s;
a GPU is used where there is one, and the card says what a network was trained on.
"""

import argparse
import csv
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch
from must_hold import CLAIMS

from stylelab import Trained, load_network, train
from stylelab.files import write_atomically
from stylelab.networks.loading import pack
from stylelab.training.trained import card

PLACE = Path(__file__).parents[1] / "data" / "checkpoints"
RUNS = Path("runs/checkpoints")
PICTURES = "data/training/CREDITS.csv, data/CREDITS.csv"
FOUR = ("church_at_auvers", "cafe_terrace_at_night", "harvest_at_la_crau", "night_cafe")
# What each is trained on; the settings are the network's own.
CHECKPOINTS: dict[str, tuple[str, ...]] = {
    "johnson": ("church_at_auvers",),
    "multistyle": FOUR,
    "texture": ("harvest_at_la_crau",),
    "adain": (),  # the kit's paintings, as for all that take any style
    "wct": (),
    "sanet": (),
    "aams": (),
    "solver": (),
}


def held_out(name: str) -> list[Path]:
    """The photographs that a checkpoint's training held out, as its card lists them."""
    (line,) = re.findall(r"- Held out: (.*)", (PLACE / f"{name}.md").read_text())
    return [PLACE.parent / "training" / "photographs" / file for file in line.split(", ")]


def publish(name: str, result: Trained) -> None:
    """Write the network in float16, and its card with the figures of what must hold."""
    r: Any = result.config
    content = pack(result.network, r.network, dict(r.options), result.info["styles"], torch.float16)
    write_atomically(PLACE / f"{name}.safetensors", content)
    text = card(result).rstrip()
    more = f"- Licence: MIT, as the kit; the pictures: CC0 or public domain ({PICTURES})\n"
    write_atomically(PLACE / f"{name}.md", f"{text}\n\n{more}".encode())
    claims = CLAIMS[name](load_network(name), held_out(name))
    lines = ["- What must hold, on pictures that it never learnt from:"]
    lines += [f"  - {claim}" for claim in claims]
    write_atomically(PLACE / f"{name}.md", "\n".join([text, "", *lines, "", more]).encode())


def write_hashes() -> None:
    """CREDITS.csv: the hash of each file."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "licence", "source", "sha256"])
    for path in sorted(PLACE.glob("*.safetensors")):
        made = "trained with the kit: make checkpoints"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        writer.writerow([path.name, "MIT", made, digest])
    write_atomically(PLACE / "CREDITS.csv", table.getvalue().encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(CHECKPOINTS), help="by default all")
    for name in parser.parse_args().names:
        result = train(name, CHECKPOINTS[name], out=RUNS / name)
        if result.interrupted:
            raise SystemExit(130)
        publish(name, result)
    write_hashes()


if __name__ == "__main__":
    main()
