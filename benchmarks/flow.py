"""Two estimates of optical flow against exact flows: error in pixels, seconds of CPU a pair.

DIS is OpenCV's (extra "flow"); the exact flows are those of `camera_move`.
"""

import time

import pandas as pd
import torch
from sides import quick, report

from stylelab import camera_move, sample
from stylelab.maths.flow import optical_flow, visible

PICTURES = ("chenonceau", "pont_du_gard", "eiffel_tower")
SIZES = ((100, 150), (300, 450))
MOVES = {  # how fast the camera is, from its start to its end, over four frames
    "slow": ((0.5, 0.47, 1.0), (0.5, 0.50, 0.99)),
    "fast": ((0.5, 0.40, 1.0), (0.5, 0.52, 0.94)),
}
WORDS = (
    "Against the exact flows of `camera_move`, where the pixel was already visible; nine pairs of "
    "frames a row, from three photographs. Pixels, and seconds of CPU for each pair of frames."
)


def compare(clips, method):
    """Mean error, the value below which 95 % of the errors lie, and seconds of CPU a pair."""
    errors, seconds = [], []
    for frames, flows in clips:
        for last, frame, flow in zip(frames, frames[1:], flows, strict=False):
            started = time.process_time()
            found = optical_flow(frame, last, method)
            seconds.append(time.process_time() - started)
            apart = (found - flow).norm(dim=1, keepdim=True)
            errors.append(apart[visible(flow) > 0])  # what was not there has no flow
    apart, _ = torch.cat(errors).sort()
    return float(apart.mean()), float(apart[int(0.95 * len(apart))]), sum(seconds) / len(seconds)


def main(write=True):
    rows = []
    for size in SIZES[: None if write else 1]:
        for move, (start, end) in MOVES.items():
            clips = [camera_move(sample(name), size, 4, start, end) for name in PICTURES]
            moved = torch.stack([flow.norm(dim=1).mean() for _, flows in clips for flow in flows])
            for method in ("tvl1", "dis"):
                mean, high, seconds = compare(clips, method)
                found = f"{mean:.3f}", f"{high:.3f}", f"{seconds:.3f}"
                rows.append((f"{size[0]}x{size[1]}", move, f"{moved.mean():.1f}", method, *found))
    columns = ["size", "camera", "moved", "method", "mean error", "95 % below", "CPU s"]
    report("flow", "Optical flow", pd.DataFrame(rows, columns=columns), WORDS, write)


if __name__ == "__main__":
    main(write=not quick())
