"""Two estimates of optical flow against exact flows: error in pixels, CPU seconds a pair.

    python benchmarks/flow.py

DIS is OpenCV's (extra "flow"); the exact flows are those of `camera_move`.
"""

import time

import torch

from stylelab import camera_move, sample
from stylelab.maths.flow import optical_flow, visible

PICTURES = ("chenonceau", "pont_du_gard", "eiffel_tower")
SIZES = ((100, 150), (300, 450))
MOVES = {  # how fast the camera is, from its start to its end, over four frames
    "slow": ((0.5, 0.47, 1.0), (0.5, 0.50, 0.99)),
    "fast": ((0.5, 0.40, 1.0), (0.5, 0.52, 0.94)),
}


def main():
    print("| size | camera | pixels moved | method | mean error | 95 % below | CPU s a pair |")
    print("|---|---|---|---|---|---|---|")
    for size in SIZES:
        for move, (start, end) in MOVES.items():
            clips = [camera_move(sample(name), size, 4, start, end) for name in PICTURES]
            moved = torch.stack([flow.norm(dim=1).mean() for _, flows in clips for flow in flows])
            for method in ("tvl1", "dis"):
                errors, seconds = [], []
                for frames, flows in clips:
                    for last, frame, flow in zip(frames, frames[1:], flows, strict=False):
                        started = time.process_time()
                        found = optical_flow(frame, last, method)
                        seconds.append(time.process_time() - started)
                        apart = (found - flow).norm(dim=1, keepdim=True)
                        errors.append(apart[visible(flow) > 0])  # what was not there has no flow
                apart = torch.cat(errors)
                high = apart[torch.randperm(len(apart))[:100_000]].quantile(0.95)
                print(
                    f"| {size[0]}x{size[1]} | {move} | {moved.mean():.1f} | {method} "
                    f"| {apart.mean():.3f} | {high:.3f} | {sum(seconds) / len(seconds):.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
