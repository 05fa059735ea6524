"""Trains the shipped networks again: data/checkpoints/, each with its card (`make checkpoints`).

Each is trained in `runs/checkpoints/NAME` with the settings below, which are the network's own
where nothing is said, and goes on from there when it is interrupted. Its weights are shipped in
float16. On two cores a step takes 0.4 to 0.8 s; a GPU is used where there is one, and the card
says what a network was trained on.
"""

import argparse
import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from stylelab import Trained, train
from stylelab.files import write_atomically
from stylelab.networks.loading import pack
from stylelab.training.trained import card

PLACE = Path(__file__).parents[1] / "data" / "checkpoints"
RUNS = Path("runs/checkpoints")
PICTURES = "data/training/CREDITS.csv, data/CREDITS.csv"
# What each is trained on, and the settings that are not the network's own.
CHECKPOINTS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "johnson": ("johnson", ("night_cafe",), {}),
}


def publish(name: str, result: Trained) -> None:
    """Write the network in float16, and its card."""
    r: Any = result.config
    content = pack(result.network, r.network, dict(r.options), result.info["styles"], torch.float16)
    write_atomically(PLACE / f"{name}.safetensors", content)
    text = card(result)
    more = f"- Licence: MIT, as the kit; the pictures: CC0 or public domain ({PICTURES})\n"
    write_atomically(PLACE / f"{name}.md", (text.rstrip() + "\n\n" + more).encode())


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
        network, styles, settings = CHECKPOINTS[name]
        result = train(network, styles, out=RUNS / name, **settings)
        if result.interrupted:
            raise SystemExit(130)
        publish(name, result)
    write_hashes()


if __name__ == "__main__":
    main()
