import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stylelab import (
    InputError,
    compare,
    interaction,
    pareto,
    plot_effects,
    plot_front,
    plot_heatmap,
    plot_parallel,
    plot_tradeoff,
    summarise,
)
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
    failed = {**table.loc[0], "status": "failed", "style_distance": np.nan}
    table = pd.DataFrame([*table.to_dict("records"), failed])
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


def test_settings_are_compared_within_pairs():
    # Pairs lie far apart and the second setting is 1, 2 and 3 above the first: mean 2, deviation 1.
    table = table_of([0.0, 100, 200, 1, 102, 203], [1, 1, 1, 9, 9, 9], list("pqr") * 2)
    found = compare(table, "style_weight", metrics=["style_distance"])
    assert found.index.tolist() == ["style_weight = 9"]
    row = found.iloc[0]
    assert row["style_distance"] == 2
    assert row["style_distance/effect"] == 2
    assert row["style_distance/lower"] == 0
    back = compare(table, "style_weight", baseline=9).iloc[0]
    assert (back["style_distance"], back["style_distance/lower"]) == (-2, 1)
    assert back["content_distance"] == -1
    with pytest.raises(
        InputError, match=r"no complete run has the baseline \(5,\); there are: 1; 9"
    ):
        compare(table, "style_weight", baseline=5)


def test_settings_that_only_some_runs_have_are_compared():
    table = table_of([1.0, 5, 2, 7], [1, 1, 9, 9], ["p", "q", "p", "q"], method="adain")
    table["options.strength"] = pd.array([pd.NA, pd.NA, 0.5, 0.5], dtype="object")
    found = compare(table, ["style_weight", "options.strength"])
    assert found.index.tolist() == ["style_weight = 9, options.strength = 0.5"]


def test_each_size_has_its_line_in_the_trade_off():
    sizes = [f"{n}x{n}" for n in range(16, 25)]
    table = pd.concat([table_of([1.0], [1], ["p"], size=size) for size in sizes])
    assert len(plot_tradeoff(table.reset_index(drop=True)).get_legend().get_texts()) == 9


def test_a_comparison_takes_only_pairs_that_have_both_and_names_what_changed():
    table = table_of([1.0, 5, 2, 7], [1, 1, 9, 9], ["p", "q", "p", "r"], pooling="max", init="a")
    table.loc[2, "pooling"] = "avg"
    found = compare(table.drop(index=3), ["style_weight", "pooling", "init"])
    assert found.index.tolist() == ["style_weight = 9, pooling = avg"]
    assert found["units"].item() == 1
    assert found["style_distance"].item() == 1
    with pytest.raises(InputError, match="no pair of pictures has both"):
        compare(table.drop(index=2), "style_weight")


def test_paired_intervals_find_what_unpaired_ones_cannot():
    rng = np.random.default_rng(0)
    pairs = rng.normal(0, 10, 8)
    values = np.concatenate([pairs, pairs + 0.5 + rng.normal(0, 0.1, 8)])
    table = table_of(values, [1] * 8 + [9] * 8, list("abcdefgh") * 2)
    found = compare(table, "style_weight", metrics=["style_distance"]).iloc[0]
    assert 0.3 < found["style_distance/low"] < found["style_distance/high"] < 0.7
    apart = summarise(table, "style_weight", ["style_distance"])
    assert apart["style_distance/low"].loc[9] < apart["style_distance/high"].loc[1]


def test_an_interaction_by_hand():
    # At a: avg is 1 above max. At b: 4 above. The difference of the differences is 3.
    values = [0.0, 1, 10, 14, 5, 6, 15, 19]
    table = table_of(values, 1, ["p"] * 4 + ["q"] * 4)
    table["init"], table["pooling"] = ["a", "a", "b", "b"] * 2, ["max", "avg"] * 4
    found = interaction(table, "init", "pooling", "style_distance")
    assert found.loc[("b", "avg"), "style_distance"] == 3
    assert found["units"].item() == 2
    with pytest.raises(InputError, match="needs two values"):
        interaction(table, "init", "style_weight", "style_distance")


def test_the_front_by_hand():
    table = pd.DataFrame({"x": [1, 2, 3, 2, np.nan], "y": [3, 2, 1, 3, 0], "s": [1, 2, 3, 9, 9]})
    assert pareto(table, ["x", "y"]).tolist() == [True, True, True, False, False]
    assert pareto(table, ["x", "-s"]).tolist() == [True, False, False, True, False]
    with pytest.raises(InputError, match="column 'z'"):
        pareto(table, ["x", "z"])


@pytest.fixture
def crossed():
    values = [1.0, 2, 4, 5, 2, 3, 5, 6, 3, 4, 6, 7, 4, 5, 7, 8]
    table = table_of(values, [1, 1, 1000, 1000] * 4, np.repeat(list("pqrs"), 4))
    return table.assign(init=["content", "noise"] * 8)


def test_effects_are_drawn_with_their_intervals(crossed):
    found = compare(crossed, ["style_weight", "init"])
    figure = plot_effects(found, ["style_distance", "content_distance"])
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(found.index)
    assert left.containers[0].lines[0].get_xdata() == pytest.approx([1, 3, 4])
    assert right.get_xlabel() == "difference in content distance"


def test_a_heat_map_holds_the_means(crossed):
    ax = plot_heatmap(crossed, "init", "style_weight", "style_distance")
    assert [text.get_text() for text in ax.texts] == ["2.5", "5.5", "3.5", "6.5"]
    plt.close(ax.figure)


def test_parallel_coordinates_have_a_line_a_run_on_each_ones_range(crossed):
    ax = plot_parallel(crossed, ["init", "style_weight", "style_distance"], "style_weight")
    runs = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 3]
    assert len(runs) == len(crossed)
    assert runs[0].tolist() == [0, 0, 0]
    assert runs[-1].tolist() == [1, 1, 1]
    plt.close(ax.figure)


def test_the_front_is_drawn_through_its_runs(crossed):
    table = crossed.assign(ssim=crossed["style_distance"])
    ax = plot_front(table, ("style_distance", "-ssim"), "style_weight")
    assert len(ax.lines[1].get_xdata()) == 16  # better in one is worse in the other
    ax.figure.clear()
    ax = plot_front(table, ("style_distance", "ssim"), "style_weight")
    assert ax.lines[1].get_xdata().tolist() == [1]
    plt.close("all")
