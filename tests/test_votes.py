"""Votes, the ranking from them, and the metrics that agree."""

import math

import numpy as np
import pandas as pd
import pytest

from stylelab import Ballot, InputError, metric_agreement, rank_votes, read_votes, save_image

NAMES = ["a", "b", "c", "d", "e"]


def simulated(strengths, rounds, seed=0):
    """Votes on every pair, by the model of Bradley and Terry."""
    names, of = np.array(list(strengths)), np.array(list(strengths.values()))
    left, right = np.tile(np.triu_indices(len(of), 1), rounds)
    chance = 1 / (1 + np.exp(of[right] - of[left]))
    better = np.where(np.random.default_rng(seed).random(len(left)) < chance, left, right)
    columns = {"time": "", "left": names[left], "right": names[right], "better": names[better]}
    return pd.DataFrame(columns)


def test_the_ranking_recovers_a_known_order():
    true = dict(zip(NAMES, (0.0, 2.0, -1.0, 1.0, -2.0), strict=True))
    for seed in range(10):
        found = rank_votes(simulated(true, 60, seed))
        assert list(found.index) == ["b", "d", "a", "c", "e"]
        assert found["votes"].tolist() == [240] * 5
        assert found["strength"].mean() == pytest.approx(0, abs=1e-9)
        errors = (found["high"] - found["low"]) / 2 / 1.96
        assert errors.max() < 0.25
        # Of fifty, hardly ever is one off by three and a half standard errors.
        assert ((found["strength"] - pd.Series(true)).abs().loc[errors.index] < 3.5 * errors).all()


def test_its_intervals_cover_the_truth_as_often_as_they_say():
    """Twelve strengths in each of 200 rankings: the share within has a standard error of 0.5 %."""
    true = pd.Series(np.linspace(-1.5, 1.5, 12), [*"abcdefghijkl"])
    inside = []
    for seed in range(200):
        found = rank_votes(simulated(true.to_dict(), 6, seed)).loc[true.index]
        inside.append((found["low"] < true) & (true < found["high"]))
    assert 0.93 < np.mean(inside) < 0.97
    assert np.mean(inside, axis=0).min() > 0.9  # of each: those at the ends as well
    assert np.mean(inside, axis=0).max() < 1


def test_two_pictures_by_hand():
    """Three votes of four: log odds of log 3, half of it on each side of zero."""
    votes = simulated({"x": 0, "y": 0}, 400).assign(better=["x", "x", "x", "y"] * 100)
    found = rank_votes(votes)
    assert found["strength"].to_dict() == pytest.approx(
        {"x": math.log(3) / 2, "y": -math.log(3) / 2}, rel=0.01
    )
    # Of the log odds the variance is 1 / (n p q); half of them is the strength.
    half = 1.96 / math.sqrt(400 * 0.75 * 0.25) / 2
    assert found.loc["x", "high"] - found.loc["x", "strength"] == pytest.approx(half, rel=0.01)
    assert found["wins"].to_dict() == {"x": 300, "y": 100}
    half *= 0.6745 / 1.96  # the quartiles of the normal distribution
    narrow = rank_votes(votes, level=0.5)
    assert narrow.loc["x", "high"] - narrow.loc["x", "strength"] == pytest.approx(half, rel=0.01)


def test_labels_rank_a_setting_over_all_its_pictures():
    true = {"p1": 1.0, "p2": 1.0, "q1": 0.0, "q2": 0.0}
    found = rank_votes(simulated(true, 60), labels={n: n[0] for n in true})
    assert list(found.index) == ["p", "q"]
    assert found["votes"].tolist() == [240, 240]  # p1 against p2 says nothing of p and q
    with pytest.raises(InputError, match=r"the votes name 'p[12]', which has no label"):
        rank_votes(simulated(true, 1), labels={})


def test_each_metric_is_compared_with_the_votes():
    true = dict(zip(NAMES, (0.0, 2.0, -1.0, 1.0, -2.0), strict=True))
    votes = simulated(true, 60)
    strength = pd.Series(true)
    table = pd.DataFrame(
        {"style_distance": -strength, "ssim": strength, "grain": strength, "seconds": 0.0}
    )
    found = metric_agreement(table, votes)
    assert set(found.index) == {"style_distance", "ssim", "grain"}
    for name, sign in {"style_distance": 1, "ssim": 1, "grain": -1}.items():  # less grain is better
        assert found.loc[name, "spearman"] == pytest.approx(sign)
        assert found.loc[name, "kendall"] == pytest.approx(sign)
    cast = (votes["better"].map(true) == votes[["left", "right"]].map(true.get).max(axis=1)).mean()
    assert found.loc["ssim", "agrees"] == pytest.approx(cast)
    assert found.loc["grain", "agrees"] == pytest.approx(1 - cast)
    assert found.loc["ssim", "low"] < cast < found.loc["ssim", "high"]
    assert metric_agreement(table, votes, ["seconds"]).loc["seconds", "agrees"] == 0.5  # all ties
    with pytest.raises(InputError, match=r"unknown metric 'sism'.*mean 'ssim'"):
        metric_agreement(table, votes, ["sism"])


@pytest.fixture
def ballot(tmp_path, content, style):
    return Ballot(
        {"a": content, "b": style, "c": 1 - style}, tmp_path / "votes.csv", asks="Which <is> it?"
    )


def test_a_ballot_asks_for_every_pair_before_it_asks_again(ballot):
    seen = []
    for _ in range(3):
        seen.append(frozenset(ballot.pair))
        ballot.left.click()
    assert set(seen) == {frozenset(p) for p in (("a", "b"), ("a", "c"), ("b", "c"))}
    assert "3 votes; 3 of 3 pairs seen" in ballot.count.value
    votes = read_votes(ballot.out)
    assert (votes["better"] == votes["left"]).all()
    last = ballot.pair
    ballot.skip.click()
    assert frozenset(ballot.pair) != frozenset(last)
    ballot.right.click()
    votes = read_votes(ballot.out)
    assert len(votes) == 4
    assert votes["better"].iloc[-1] == votes["right"].iloc[-1]
    assert [picture.value[:2] for picture in ballot.shown] == [b"\xff\xd8"] * 2  # JPEG
    assert "&lt;is&gt;" in ballot.box.children[0].value


def test_a_ballot_goes_on_where_it_stopped(ballot, content, style):
    pair = frozenset(ballot.pair)
    ballot.vote(0)
    again = Ballot({"a": content, "b": style, "c": 1 - style}, ballot.out)
    assert again.votes[pair] == 1
    assert frozenset(again.pair) != pair
    again.vote(1)
    assert len(read_votes(ballot.out)) == 2


def test_a_vote_that_cannot_be_saved_is_asked_for_again(ballot):
    ballot.out.mkdir()
    pair = ballot.pair
    ballot.left.click()
    assert "Not saved" in ballot.count.value
    assert ballot.pair == pair
    ballot.out.rmdir()
    ballot.left.click()
    assert read_votes(ballot.out)["better"].tolist() == [pair[0]]


def test_what_is_no_ballot_and_no_file_of_votes_is_said_in_a_line(tmp_path, content):
    with pytest.raises(InputError, match="needs two pictures to compare"):
        Ballot({"a": content}, tmp_path / "votes.csv")
    with pytest.raises(InputError, match=r"votes 'none.csv': .*name a file that a Ballot wrote"):
        read_votes("none.csv")
    path = tmp_path / "votes.csv"
    path.write_text("time,left,right\n")
    with pytest.raises(InputError, match="first line should be time,left,right,better"):
        read_votes(path)
    path.write_text("time,left,right,better\n1,a,b,a\n2,a,b,c\n")
    with pytest.raises(InputError, match="line 3: better is neither left nor right"):
        read_votes(path)
    with pytest.raises(InputError, match="no votes between two different things"):
        rank_votes(pd.DataFrame(columns=["time", "left", "right", "better"]))


def test_runs_of_a_sweep_meet_those_of_the_same_pictures(tmp_path, monkeypatch, content):
    from stylelab import Sweep

    rows = {"k1": "x", "k2": "x", "k3": "y", "k4": "y", "k5": "y"}
    for key in rows:
        (tmp_path / key).mkdir()
        save_image(content, tmp_path / key / "image.png")
    table = pd.DataFrame({"content": rows, "style": "s", "status": "complete"})
    table.loc["k5", "status"] = "failed"
    monkeypatch.setattr(Sweep, "table", property(lambda _: table))
    ballot = Ballot(Sweep(tmp_path), tmp_path / "votes.csv")
    assert set(ballot.votes) == {frozenset(("k1", "k2")), frozenset(("k3", "k4"))}
