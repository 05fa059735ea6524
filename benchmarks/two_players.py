"""What the shipped GANs make, in one picture: docs/results/two_players.webp."""

import argparse
from pathlib import Path

import torch

from stylelab import load_image, load_network, paint, plot_images, sample
from stylelab.maths.fusion import fuse
from stylelab.widgets.child import parents

PLACE = Path(__file__).parents[1] / "docs" / "results" / "two_players.webp"


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small, and not written")
    quick = parser.parse_args().quick
    size = (64, 96) if quick else (300, 450)
    castle, bridge = (load_image(sample(n), size) for n in ("chenonceau", "langlois_bridge"))
    cyclegan, colourise, exposure = map(load_network, ("cyclegan", "colourise", "exposure"))
    faces = load_network("faces", "cpu", "float32")
    read = [faces.read(load_image(path), points) for path, points in parents().values()]
    pairs = [(read[i], read[i + 1]) for i in (0, 2)]
    family = [(faces.picture(a), faces.picture(b), faces.child(a, b)[0]) for a, b in pairs]
    views = {
        "cyclegan: a photograph, painted": paint(cyclegan, castle, "there"),
        "cyclegan: a painting, as a photograph": paint(cyclegan, bridge, "back"),
        "colourise: given in grey": paint(colourise, castle, strength=0),
        "colourise": paint(colourise, castle),
        "exposure: one photograph, fused": fuse(exposure.bracket(castle)),
        "faces: two parents and their child": torch.cat(
            [torch.cat([*row], 3) for row in family], 2
        ),
    }
    figure = plot_images(views, 3, 1.9)
    if not quick:
        figure.savefig(PLACE, format="webp", dpi=110, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
