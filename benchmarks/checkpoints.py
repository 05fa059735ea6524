"""Trains the shipped networks again: data/checkpoints/, each with its card (`make checkpoints`).

Each is trained in `runs/checkpoints/NAME` with its network's own settings, and goes on from there
when it is interrupted. Its weights are shipped in float16. On two cores a step takes 0.3 to 0.8 s;
a GPU is used where there is one, and the card says what a network was trained on.
"""

import argparse
import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from faces import draw
from must_hold import claims_of
from must_hold_gans import persons, tones

from stylelab import Trained, load_network, train
from stylelab.files import write_atomically
from stylelab.networks.loading import pack
from stylelab.training.trained import card

PLACE = Path(__file__).parents[1] / "data" / "checkpoints"
RUNS = Path("runs/checkpoints")
PICTURES = "data/training/CREDITS.csv, data/CREDITS.csv"
FACES = (
    "Face Research Lab London Set, version 5 (DeBruine and Jones 2017), "
    "https://doi.org/10.6084/m9.figshare.5047666.v5, CC-BY 4.0, aligned by the eyes; all persons "
    "consented to their pictures being used in studies and to illustrate research"
)
FOUR = ("church_at_auvers", "cafe_terrace_at_night", "harvest_at_la_crau", "night_cafe")
# What each is trained on; the settings are the network's own.
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "johnson": {"style": "church_at_auvers"},
    "multistyle": {"style": FOUR},
    "texture": {"style": "harvest_at_la_crau"},
    "adain": {},  # the kit's paintings, as for all that take any style
    "wct": {},
    "sanet": {},
    "aams": {},
    "solver": {},
    "gan": {},
    "cyclegan": {},
    # A known change of colours, for which neither noise nor what is the same already is of use.
    "cyclegan_tones": {
        "network": "cyclegan",
        "options": {"identity": 0, "grain": False, "sees": "pixels", "adds_to": "picture"},
    },
    "dualgan": {},
    "exposure": {},
    "colourise": {},
    "faces": {},  # of persons, whose pictures are not shipped: --faces FOLDER
}


def plan(name: str, faces: Path | None) -> dict[str, Any]:
    """The arguments of `train` for a checkpoint."""
    arguments = {"network": name, **CHECKPOINTS[name]}
    if name == "cyclegan_tones":
        arguments["contents"], arguments["style"] = tones(RUNS / "pictures")
    elif name == "faces":
        arguments["contents"] = faces
    return arguments


def publish(name: str, result: Trained, folder: Path | None = None) -> None:
    """Write the network in float16, and its card with the figures of what must hold."""
    r: Any = result.config
    content = pack(result.network, r.network, dict(r.options), result.info["styles"], torch.float16)
    write_atomically(PLACE / f"{name}.safetensors", content)
    text = card(result).rstrip()
    more = f"- Licence: MIT, as the kit; the pictures: CC0 or public domain ({PICTURES})\n"
    if name == "faces":
        more = "- Licence: MIT, as the kit; only for fun: faces are not inherited like this\n"
    write_atomically(PLACE / f"{name}.md", f"{text}\n\n{more}".encode())
    lines = ["- What must hold, on pictures that it never learnt from:"]
    if name == "faces" and folder is not None:
        network: Any = load_network(name)
        draw(network)  # the parents of the kit
        unseen = persons(network, folder, result.info["pictures"]["held_out"])
        lines = [f"- Trained on: {FACES}", "- Of held-out persons, who are not shipped:"]
        lines += [f"  - {claim}" for claim in unseen]
        lines += ["- What must hold of the parents that come with the kit, whom it drew:"]
    lines += [f"  - {claim}" for claim in claims_of(name)]
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
    parser.add_argument("names", nargs="*", help="by default all")
    parser.add_argument("--faces", type=Path, help="a folder of faces and their landmarks.json")
    options = parser.parse_args()
    for name in options.names or [n for n in CHECKPOINTS if n != "faces" or options.faces]:
        result = train(**plan(name, options.faces), out=RUNS / name)
        if result.interrupted:
            raise SystemExit(130)
        publish(name, result, options.faces)
    write_hashes()


if __name__ == "__main__":
    main()
