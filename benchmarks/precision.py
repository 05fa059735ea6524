"""The final objective of a run in bfloat16 against float32, both judged in float32."""

from dataclasses import replace

import pandas as pd
from sides import LARGE, PAIRS, SMALL, Textbook, make, report

from stylelab import PRESETS


def main() -> None:
    rows = []
    for preset, size, number in [
        ("fast", SMALL, 0),
        ("fast", SMALL, 1),
        ("fast", LARGE, 0),
        ("paper", SMALL, 0),
    ]:
        config = replace(PRESETS[preset], size=size)
        judge, ends = Textbook(*PAIRS[number], config), {}
        for precision in ("float32", "bfloat16"):
            side = make("stylelab", PAIRS[number], replace(config, precision=precision))
            list(side)
            ends[precision] = judge.judge(side.image)
        rows.append(
            {
                "preset": preset,
                "size": f"{size[0]}x{size[1]}",
                "pair": " / ".join(PAIRS[number]),
                **{name: f"{value:.3f}" for name, value in ends.items()},
                "bfloat16 / float32": f"{ends['bfloat16'] / ends['float32']:.3f}",
            }
        )
    words = "Final objectives, by the textbook's own function in float32."
    report("precision", "bfloat16 against float32", pd.DataFrame(rows), words)


if __name__ == "__main__":
    main()
