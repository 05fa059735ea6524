from dataclasses import replace

import pytest
import torch

from stylelab import (
    Config,
    InputError,
    StyleNetwork,
    camera_move,
    load_image,
    load_network,
    paint,
    read_frames,
    sample,
    style_distance,
    transition,
    warping_error,
    write_film,
)
from stylelab.applications.transitions import ramp

SIZE = (64, 96)
PAIR = sample("night_cafe"), sample("langlois_bridge")


@pytest.fixture(scope="module")
def clip():
    """Five frames, each moved by about two pixels, and their true flows."""
    return camera_move(sample("chenonceau"), SIZE, 5, (0.5, 0.45, 1.0), (0.5, 0.52, 0.97))


@pytest.fixture(scope="module")
def still():
    return [load_image(sample("chenonceau"), SIZE)] * 5


def apart(a, b):
    return float((a - b).abs().mean())


def test_a_ramp_by_hand():
    assert ramp(5) == [0, 0.25, 0.5, 0.75, 1]
    assert ramp(5, 0.25) == [0, 0, 0.5, 1, 1]
    assert ramp(1) == [0]
    for hold in (0, 0.1, 0.3):
        steps = ramp(24, hold)
        assert (steps[0], steps[-1]) == (0, 1)
        assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("network", "before", "after"),
    [(StyleNetwork, "3", "19"), (lambda: load_network("adain"), *PAIR)],
    ids=["many", "any"],
)
def test_it_begins_in_one_style_and_ends_in_the_other(network, before, after, still):
    network = network()
    painted = transition(still, network, before, after)
    assert torch.equal(painted[0], paint(network, still[0], before))
    assert torch.equal(painted[-1], paint(network, still[0], after))
    away = [apart(image, painted[0]) for image in painted]
    left = [apart(image, painted[-1]) for image in painted]
    assert away == sorted(away)
    assert left == sorted(left, reverse=True)
    assert len({*away}) == 5


def test_the_shares_sum_to_one_at_every_frame(still, monkeypatch):
    network, given = StyleNetwork(), []
    forward = network.forward
    monkeypatch.setattr(
        network, "forward", lambda x, style, s: given.append(style) or forward(x, style, s)
    )
    transition(still, network, "3", "19", hold=0.25)
    assert [list(style.values()) for style in given] == [[1, 0], [1, 0], [0.5, 0.5], [0, 1], [0, 1]]


def test_a_network_of_one_style_comes_out_of_the_photograph(clip):
    frames, network = clip[0], load_network("johnson")
    painted = transition(frames, network, strength=(0, 1))
    torch.testing.assert_close(painted[0], frames[0], atol=0.51 / 255, rtol=0)
    assert torch.equal(painted[-1], paint(network, frames[-1]))
    away = [apart(image, frame) for image, frame in zip(painted, frames, strict=True)]
    assert away == sorted(away)
    with pytest.raises(InputError, match="has learnt its one style"):
        transition(frames, network, "3", "19")


def test_the_same_style_twice_stays(still):
    painted = transition(still, StyleNetwork(), "3", "3")
    assert all(torch.equal(image, painted[0]) for image in painted)


def test_a_change_adds_little_to_the_flicker_and_the_film_is_saved(clip, tmp_path):
    frames, flows = clip
    network = StyleNetwork()
    changing = transition(frames, network, "3", "19")
    alone = [warping_error([paint(network, f, s) for f in frames], flows) for s in ("3", "19")]
    assert warping_error(changing, flows) < 3 * max(alone)
    assert len(read_frames(write_film(changing, tmp_path / "film.webp"))) == 5


def test_an_optimised_film_moves_from_style_to_style(clip):
    frames, flows = clip
    changes = {"optimizer": "pyramid", "learning_rate": 0.15, "schedule": "linear"}
    config = Config(size=SIZE, steps=12, precision="float32", device="cpu", **changes)
    used = []
    painted = transition(
        frames, config, *PAIR, flows=flows, on_frame=lambda i, t: used.append(t.config.blend)
    )
    assert used == [(1 - t, t) for t in ramp(5)]
    first = paint(config, frames[0], PAIR[0])
    torch.testing.assert_close(painted[0], first, atol=2 / 255, rtol=0)
    styles = [load_image(path, SIZE) for path in PAIR]
    gaps = [style_distance(x, styles[0]) - style_distance(x, styles[1]) for x in painted]
    assert gaps[0] < 0 < gaps[-1]
    assert gaps == sorted(gaps)
    short = replace(config, steps=2)
    fading = transition(frames[:2], short, PAIR[0], strength=(1, 0), flows=flows[:1])
    torch.testing.assert_close(fading[-1], frames[1], atol=0.51 / 255, rtol=0)


def test_bad_input_is_named(clip):
    frames, network = clip[0], StyleNetwork()
    faults = {
        "no frames": lambda: transition([], network, "3", "19"),
        "from 0 to 1": lambda: transition(frames, network, "3", strength=(0, 2)),
        "below 0.5": lambda: transition(frames, network, "3", "19", hold=0.5),
        "unknown style '99'": lambda: transition(frames, network, "3", "99"),
    }
    for words, act in faults.items():
        with pytest.raises(InputError) as error:
            act()
        assert words in str(error.value)
