import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stylelab import InputError, plot_tradeoff, summarise
from stylelab.maths.intervals import mean_interval
from stylelab.metrics import METRICS


def table_of(style_distance, settings, pairs, **more):
    """A sweep's table with one run for each value given."""
    columns = {"style_weight": settings, "content": pairs, "style": "a", "size": "48x64", **more}
    content = np.asarray(style_distance) / 2
    rows = {**columns, "status": "complete", "style_distance": style_distance}
    return pd.DataFrame({**rows, "content_distance": content}).convert_dtypes()


def covered(draw, truth, n, times=1000):
    rng = np.random.default_rng(1)
    low, high = mean_interval(draw(rng, (n, times)), resamples=1999)
    return np.mean((low <= truth) & (truth <= high))


DRAWS = {
    "normal": (lambda rng, size: rng.normal(3, 2, size), 3),
    "skewed": (lambda rng, size: np.exp(0.4 * rng.normal(size=size)), np.exp(0.08)),
    "long tails": (lambda rng, size: rng.logistic(-1, 2, size), -1),
}


@pytest.mark.parametrize("n", [5, 8, 12])
@pytest.mark.parametrize("name", DRAWS)
def test_intervals_cover_the_truth_in_93_to_97_of_100_tables(name, n):
    assert 0.93 <= covered(*DRAWS[name], n) <= 0.97


def test_whole_pairs_are_drawn_not_runs():
    # Ten runs of each of six pairs, which differ: a pair's runs are no news about other pairs.
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(0, 1, (6, 100)), 10, axis=0) + rng.normal(0, 0.3, (60, 100))
    table = table_of(np.zeros(60), 1, np.repeat(list("uvwxyz"), 10))
    table[[f"m{i}" for i in range(100)]] = values
    found = summarise(table, "style_weight", [f"m{i}" for i in range(100)]).loc[1]
    low, high = (found.filter(like=end).to_numpy() for end in ("/low", "/high"))
    assert np.mean((low <= 0) & (high >= 0)) > 0.91
    low, high = mean_interval(values, resamples=999)
    assert np.mean((low <= 0) & (high >= 0)) < 0.7


def test_many_units_have_students_interval():
    values = np.random.default_rng(0).normal(size=400)
    low, high = mean_interval(values)
    wanted = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(wanted, abs=0.005)


def test_equal_units_have_no_width_and_three_have_no_interval():
    assert [*mean_interval([2.0] * 5)] == [2, 2]
    assert np.isnan(mean_interval([1.0, 2, 3])).all()
    low, high = mean_interval(np.array([[1.0, np.nan], [2, 1], [4, 2], [3, 4]]))
    assert low[0] < 2.5 < high[0]
    assert np.isnan([low[1], high[1]]).all()  # three have a value


def test_a_summary_by_hand():
    table = table_of([1.0, 3, 5, 2, 4, 6], [1, 1, 1, 9, 9, 9], ["p", "p#1", "q", "p", "q", "r"])
    table.loc[6] = {**table.loc[0], "status": "failed", "style_distance": None}
    found = summarise(table, by="style_weight")
    # Of the first setting, p and its crop are one pair with a mean of 2; and q has 5.
    assert found["style_distance"].tolist() == [3.5, 4]
    assert found["units"].tolist() == [2, 3]
    assert found["runs"].tolist() == [3, 3]
    assert "ssim" not in found
    assert np.isnan(found["style_distance/low"]).all()
    one = table[table["content"] == "p"].assign(seed=[0, 1, 2])
    assert summarise(one, ["style_weight", "size"])["units"].tolist() == [1, 1]


def test_a_wrong_column_and_a_sweep_without_a_result_are_named():
    table = table_of([1.0, 2], [1, 2], ["p", "q"])
    with pytest.raises(InputError, match=r"column 'style_wieght'.*'style_weight'"):
        summarise(table, by="style_wieght")
    with pytest.raises(InputError, match="no run of this sweep is complete"):
        summarise(table.assign(status="pending"), by="style_weight")


def test_the_trade_off_shows_means_with_bars_over_pairs():
    pairs, rng = list("abcdef"), np.random.default_rng(0)
    table = table_of(rng.uniform(1, 2, 12), [1] * 6 + [9] * 6, pairs * 2)
    ax = plot_tradeoff(table)
    assert [text.get_text() for text in ax.texts] == ["1", "9"]
    found = summarise(table, "style_weight")
    assert ax.lines[0].get_ydata() == pytest.approx(found["style_distance"])
    across, up = (bars.get_segments() for bars in ax.collections)
    assert [ends[:, 1].tolist() for ends in up] == pytest.approx(
        found[["style_distance/low", "style_distance/high"]].to_numpy()
    )
    assert across[0][:, 0] == pytest.approx(
        found.iloc[0][["content_distance/low", "content_distance/high"]].astype(float)
    )
    plt.close(ax.figure)


def test_the_metrics_are_named_in_their_order(tmp_path):
    import torch

    from stylelab import measure

    image = torch.rand(1, 3, 32, 48)
    assert tuple(measure(image, image, image)) == METRICS
