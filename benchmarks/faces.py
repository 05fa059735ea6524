"""Makes the parents that come with the kit, data/faces/: faces of nobody, drawn from fixed seeds.

`python benchmarks/faces.py` after the network was trained (`make checkpoints`), then look at them.
"""

import argparse
import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from stylelab import load_network
from stylelab.files import write_atomically
from stylelab.images import save_image

PLACE = Path(__file__).parents[1] / "data" / "faces"
SEEDS = {
    "alder": 9,
    "birch": 27,
    "cedar": 59,
    "elm": 28,
    "hazel": 32,
    "linden": 55,
    "maple": 48,
    "rowan": 18,
}


def draw(network: Any) -> None:
    """Write the parents, their landmarks and their credits."""
    PLACE.mkdir(parents=True, exist_ok=True)
    table, points = io.StringIO(), {}
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "licence", "source", "sha256"])
    for name, seed in SEEDS.items():
        with torch.no_grad():
            face = network.sample(1, torch.Generator().manual_seed(seed))
            path = save_image(network.picture(face), PLACE / f"{name}.webp")
            (landmarks,) = network.landmarks(face).tolist()
        points[path.name] = [[round(value, 1) for value in point] for point in landmarks]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        writer.writerow([path.name, "MIT", f"drawn by the network of faces, seed {seed}", digest])
    text = json.dumps(points, separators=(",", ":"))
    write_atomically(PLACE / "landmarks.json", text.encode())
    write_atomically(PLACE / "CREDITS.csv", table.getvalue().encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network", nargs="?", default="faces", help="a checkpoint or a run")
    draw(load_network(parser.parse_args().network, "cpu", "float32"))


if __name__ == "__main__":
    main()
