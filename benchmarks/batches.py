"""Whether several pictures in one batch cost less each than one after the other."""

import statistics

import pandas as pd
import torch
from sides import LARGE, PAIRS, SMALL, alternate, make, ratio, report

from stylelab import Config, standardize
from stylelab.registry import METHODS

BATCH = 4


def main() -> None:
    rows = []
    for size in (SMALL, LARGE):
        config = Config(size=size)
        transfer = make("stylelab", PAIRS[0], config)
        content, style = (standardize(picture) for picture in transfer.pictures)
        content = content.repeat(BATCH, 1, 1, 1)
        method = METHODS.load("gatys")
        objective = method.objective([(style, 1.0)], transfer.model, config)(content)

        def act(image: torch.Tensor, terms: object, transfer=transfer) -> None:
            image.grad = None
            transfer.total(terms(image)).backward()

        one, many = content[:1].clone().requires_grad_(), content.clone().requires_grad_()
        acts = {
            "alone": lambda act=act, one=one, t=transfer: [
                act(one, t.objective) for _ in range(BATCH)
            ],
            "batch": lambda act=act, many=many, o=objective: act(many, o),
        }
        taken = alternate(acts, 9)
        rows.append(
            {
                "size": f"{size[0]}x{size[1]}",
                "one after the other, seconds a picture": (
                    f"{statistics.median(taken['alone']) / BATCH:.3f}"
                ),
                f"batch of {BATCH}": f"{statistics.median(taken['batch']) / BATCH:.3f}",
                "alone / batch": f"{ratio(taken, 'alone', 'batch'):.2f}",
            }
        )
    words = f"One evaluation and its gradient for {BATCH} pictures."
    report("batches", "Batches", pd.DataFrame(rows), words)


if __name__ == "__main__":
    main()
