"""Votes on pairs of pictures: the ranking that they give, and the metrics that agree with them.

`stylelab.widgets.ballot.Ballot` asks for votes and writes them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stylelab.errors import InputError, unknown
from stylelab.metrics import HIGHER_IS_BETTER, METRICS

COLUMNS = ("time", "left", "right", "better")
# Votes each way that every two have from the start, so that one who always wins has a strength.
PRIOR = 0.1


def read_votes(path: str | Path) -> pd.DataFrame:
    """The votes in a file: when, the two pictures by name, and the name of the better one.

    Raises:
        InputError: it cannot be read, or a line is no vote; the message names the line.
    """
    try:
        votes = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"votes '{path}': {reason}; name a file that a Ballot wrote") from None
    if tuple(votes) != COLUMNS:
        raise InputError(f"votes '{path}': the first line should be {','.join(COLUMNS)}")
    wrong = votes[(votes["better"] != votes["left"]) & (votes["better"] != votes["right"])]
    if len(wrong):
        line = int(wrong.index[0]) + 2
        raise InputError(f"votes '{path}', line {line}: better is neither left nor right")
    return votes


def rank_votes(
    votes: pd.DataFrame, labels: Mapping[str, object] | None = None, level: float = 0.95
) -> pd.DataFrame:
    """A ranking by the model of Bradley and Terry 1952, best first, with intervals.

    P(a is better than b) = 1 / (1 + exp(strength of b - strength of a)).

    Args:
        votes: as `read_votes` gives them.
        labels: what is ranked, for each picture: such as a column of `Sweep.table`, to rank the
            values of a setting over all pictures. Votes between equal labels do not count.
        level: of the intervals, from the curvature of the likelihood (each pair starts with 0.1
            votes each way).

    Returns:
        A row for each label: strength (in log odds; their mean is zero), low, high, wins, votes.

    Raises:
        InputError: there are no votes, a picture has no label, or choix is not installed.
    """
    from scipy.stats import norm  # here, because it takes 60 MB

    try:
        import choix
    except ImportError:
        raise InputError(
            "a ranking needs choix; install it with: pip install 'stylelab[votes]'"
        ) from None
    pairs = []
    for left, right, better in votes[["left", "right", "better"]].itertuples(index=False):
        worse = right if better == left else left
        for name in (better, worse):
            if labels is not None and name not in labels:
                raise InputError(f"the votes name '{name}', which has no label")
        pairs.append((better, worse) if labels is None else (labels[better], labels[worse]))
    pairs = [(a, b) for a, b in pairs if a != b]
    if not pairs:
        raise InputError("there are no votes between two different things; vote first")
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    won = np.zeros((len(names), len(names)))
    np.add.at(won, tuple(np.transpose([(names.index(a), names.index(b)) for a, b in pairs])), 1)
    start = PRIOR * (1 - np.eye(len(names)))
    strength = np.asarray(choix.ilsr_pairwise_dense(won + start))
    p = 1 / (1 + np.exp(strength - strength[:, None]))
    held = (won + won.T + 2 * start) * p * p.T  # what each pair says of the difference
    # Their mean has no curvature; one is added, which the centring takes away again.
    curvature = np.diag(held.sum(1)) - held + 1 / len(names)
    centre = np.eye(len(names)) - 1 / len(names)
    spread = np.sqrt(np.diag(centre @ np.linalg.inv(curvature) @ centre))
    half = norm.ppf(0.5 + level / 2) * spread
    strength = centre @ strength
    columns = {
        "strength": strength, "low": strength - half, "high": strength + half,
        "wins": won.sum(1).astype(int), "votes": (won + won.T).sum(1).astype(int),
    }  # fmt: skip
    return pd.DataFrame(columns, index=names).sort_values("strength", ascending=False)


def metric_agreement(
    table: pd.DataFrame, votes: pd.DataFrame, metrics: Sequence[str] = ()
) -> pd.DataFrame:
    """How far each metric agrees with the votes, best first.

    Metrics of which less is better are turned round, so that 1 is full agreement and -1 the
    opposite. A metric that is the same for all pictures has no correlation, NaN.

    Args:
        table: `Sweep.table`, or any with a row for each picture of the votes.
        metrics: columns; by default all metrics that the table has.

    Returns:
        A row for each metric: spearman and kendall, of its values with the pictures' strengths;
        agrees, the share of votes that it would have cast, ties counting a half, with its 95 %
        interval of Wilson, low and high; votes.

    Raises:
        InputError: a picture or a metric is not in the table.
    """
    from scipy.stats import binomtest, kendalltau, spearmanr

    usual = [name for name in METRICS if name in table]
    strengths = rank_votes(votes)["strength"]
    for name in strengths.index:
        if name not in table.index:
            raise InputError(f"the votes name '{name}', which the table does not have")
    rows = {}
    for metric in metrics or usual:
        if metric not in table:
            raise InputError(unknown("metric", metric, [str(c) for c in table]))
        values = table.loc[strengths.index, metric].astype(float)
        values = values if metric in HIGHER_IS_BETTER else -values
        better = votes["better"]
        worse = votes["left"].where(votes["left"] != better, votes["right"])
        gaps = values.loc[better].to_numpy() - values.loc[worse].to_numpy()
        agrees = (gaps > 0).mean() + (gaps == 0).mean() / 2
        interval = binomtest(round(agrees * len(gaps)), len(gaps)).proportion_ci(method="wilson")
        rows[metric] = {
            "spearman": spearmanr(values, strengths).statistic,
            "kendall": kendalltau(values, strengths).statistic,
            "agrees": agrees, "low": interval.low, "high": interval.high, "votes": len(gaps),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("agrees", ascending=False)
