"""Whether torch.compile pays: the network compiled, against the plain and the packed path.

With zeros as padding, because compiling the gradient of replicated padding fails in PyTorch 2.15.
"""

import statistics

import pandas as pd
import torch
from sides import PAIRS, SMALL, alternate, make, ratio, report, seconds

from stylelab import Config, convolution


def main() -> None:
    transfer = make("stylelab", PAIRS[0], Config(size=SMALL, padding="zeros", steps=10_000))
    can_pack, plain = convolution.can_pack, transfer.model.forward
    compiled = torch.compile(plain)

    def step(forward: object, packed: bool) -> None:
        convolution.can_pack = can_pack if packed else lambda *_: False
        transfer.model.forward = forward
        transfer.step()

    first = seconds(lambda: step(compiled, False))
    acts = {
        "plain": lambda: step(plain, False),
        "packed (as it is)": lambda: step(plain, True),
        "compiled": lambda: step(compiled, False),
    }
    taken = alternate(acts, 15)
    rows = [
        {
            "path": name,
            "seconds a step": f"{statistics.median(taken[name]):.3f}",
            "in that of the plain path": f"{ratio(taken, name, 'plain'):.2f}",
        }
        for name in acts
    ]
    words = f"150x225, default precision. Compiling took {first:.0f} s."
    report("compile", "torch.compile", pd.DataFrame(rows), words)


if __name__ == "__main__":
    main()
