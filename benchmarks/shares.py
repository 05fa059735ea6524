"""Where the time of a step at 300x450 goes, by PyTorch's profiler, in both precisions."""

import pandas as pd
from sides import LARGE, PAIRS, make, precisions, report
from torch.profiler import profile

from stylelab import Config

STEPS = 10
KINDS = {  # the operators of each, whose time holds that of all they call
    "convolutions": (
        "_Packed",
        "_PackedBackward",
        "aten::mkldnn_convolution",
        "aten::convolution_backward",
    ),
    "Gram matrices": ("_SelfProduct", "_SelfProductBackward"),
    "poolings": ("aten::max_pool2d_with_indices", "aten::max_pool2d_with_indices_backward"),
    "ReLU": ("aten::threshold_backward", "aten::clamp_min_"),
}


def shares(side: str) -> dict[str, float]:
    """The part of a step's time that each kind of operator takes."""
    transfer = make(side, PAIRS[0], Config(size=LARGE, steps=100_000))
    for _ in range(3):
        transfer.step()
    with profile() as profiler:
        for _ in range(STEPS):
            transfer.step()
    events = profiler.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    spent = {event.key: event.cpu_time_total / whole for event in events}
    found = {kind: sum(spent.get(name, 0) for name in names) for kind, names in KINDS.items()}
    found["convolutions"] -= spent["aten::threshold_backward"]  # which the packed ones call
    return {**found, "the rest": 1 - sum(found.values())}


def main() -> None:
    rows = []
    for side in precisions():
        found = {kind: f"{value:.0%}" for kind, value in shares(side).items()}
        rows.append({"precision": "default" if side == "stylelab" else "float32", **found})
    words = (
        "Forward and back. ReLU's forward pass is part of the convolutions, but where the map "
        "before it is kept. The rest is what adds up gradients, the losses, total variation, Adam "
        "and Python."
    )
    report("shares", "Where a step's time goes at 300x450", pd.DataFrame(rows), words)


if __name__ == "__main__":
    main()
