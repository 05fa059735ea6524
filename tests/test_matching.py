"""Distances between features as style losses, each by hand."""

import math
from dataclasses import replace
from typing import get_type_hints

import pytest
import torch

from stylelab import Config, stylize
from stylelab.maths.distances import DISTANCES, RIDGE, relaxed_transport, self_similarity, spread
from stylelab.methods.matching import CONTENT_SCALES, SCALES, Options

every_distance = pytest.mark.parametrize("name", DISTANCES)


def features(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def one_channel(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 2, 2)


@every_distance
def test_it_is_zero_for_the_styles_own_features_and_above_for_others(name):
    style = features(1, 4, 5, 6)
    style[..., 2] = 0  # places where no channel fires
    distance = DISTANCES[name](style)
    assert distance(style).item() == pytest.approx(0, abs=1e-9)
    assert distance(features(1, 4, 5, 6, seed=1)).item() > 0.01
    if name != "patches":  # the others do not ask where a feature is
        assert distance(style.flip(2, 3)).item() == pytest.approx(0, abs=1e-9)


@every_distance
def test_it_is_the_same_at_any_scale_of_the_features_and_any_size_of_the_style(name):
    style, image = features(1, 3, 5, 6), features(1, 3, 7, 5, seed=1)
    one, tenfold = DISTANCES[name](style)(image), DISTANCES[name](10 * style)(10 * image)
    assert one.item() == pytest.approx(tenfold.item(), rel=1e-6)
    both = torch.cat([image, features(1, 3, 7, 5, seed=2)])
    singles = [DISTANCES[name](style)(x[None]).item() for x in both]
    assert DISTANCES[name](style)(both).item() == pytest.approx(sum(singles) / 2)


@every_distance
def test_its_gradient_is_right(name):
    image = features(2, 2, 3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(DISTANCES[name](features(1, 2, 4, 3)), [image])


def test_by_hand_on_one_channel():
    """A style of 0, 0, 2, 2 (mean 1, deviation 1) and an image of 1, 1, 3, 3 (2 and 1)."""
    style, image = one_channel(0, 2, 0, 2), one_channel(3, 1, 3, 1)

    def found(name):
        return DISTANCES[name](style)(image).item()

    assert found("gram") == pytest.approx((5 - 2) ** 2 / 2**2)  # mean squares of 5 and 2
    assert found("moments") == pytest.approx((1 + 0) / (1 + 1))
    assert found("sorted") == pytest.approx(1 / 2)  # each value is off by 1, of a mean square of 2
    assert found("wasserstein") == pytest.approx(1 / 2, rel=2 * RIDGE)
    # Two zeros have no direction, and moving a unit to one costs a half; the mean is off by its
    # own size, the variance not.
    assert found("transport") == pytest.approx(0.5 * 0.5 + 1)


def test_moments_cannot_see_what_sorting_sees():
    """Both have mean 0 and deviation 1; sorted, -1 -1 1 1 and -r2 0 0 r2 differ."""
    style, image = one_channel(-1, -1, 1, 1), one_channel(0, 2**0.5, -(2**0.5), 0)
    assert DISTANCES["moments"](style)(image).item() == pytest.approx(0, abs=1e-12)
    expected = (2 * (2**0.5 - 1) ** 2 + 2) / 4
    assert DISTANCES["sorted"](style)(image).item() == pytest.approx(expected)


def test_sorting_reads_a_larger_style_at_the_pictures_quantiles():
    style = torch.arange(8.0, dtype=torch.float64).view(1, 1, 2, 4)
    image = one_channel(0.5, 2.5, 4.5, 6.5)  # the means of its pairs
    assert DISTANCES["sorted"](style)(image).item() == pytest.approx(0, abs=1e-12)


def test_patches_by_hand():
    """One patch of ones against one of twos: 1, over the style's mean square of 4."""
    ones = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    assert DISTANCES["patches"](2 * ones)(ones).item() == pytest.approx(1 / 4)


def test_relaxed_transport_by_hand():
    """Points along x, x and y against one along the diagonal, then against x alone.

    Each is 45 degrees off the diagonal. Against x, two have nowhere to go and one moves by 1; the
    other way x has nowhere to go, so that the better bound is a third.
    """
    points = torch.tensor([[1.0, 0], [3, 0], [0, 2]], dtype=torch.float64)
    diagonal, along = points.new_tensor([[1.0, 1]]), points.new_tensor([[2.0, 0]])
    found = relaxed_transport(points, diagonal).item()
    assert found == pytest.approx(1 - math.cos(math.pi / 4))
    assert relaxed_transport(points, along).item() == pytest.approx(1 / 3)
    assert relaxed_transport(along, points).item() == pytest.approx(1 / 3)


def test_transport_by_hand():
    """Values along x against the same along y: a cost of 1, means and covariances by their sizes.

    |m - m_s| / |m_s| = 2, and so is it for the covariances, whose places of 1 are different.
    """
    style = torch.tensor([[0.0, 0, 0, 0], [1, 1, 3, 3]], dtype=torch.float64).view(1, 2, 2, 2)
    assert DISTANCES["transport"](style)(style.flip(1)).item() == pytest.approx(1 + 2 + 2)


def test_self_similarity_by_hand():
    """Two places alike and a third at right angles, against a third that is opposite to both.

    Columns of distances: (0 0 1), (0 0 1), (1/2 1/2 0) for the content, and with distances of 2
    the same. Two at right angles to the first: (0 1/2 1/2), (1 0 0), (1 0 0), so that the columns
    differ by 1, 2 and 1: a mean of 4/3.
    """

    def at(*places):
        return torch.tensor(places, dtype=torch.float64).mT.reshape(1, 2, 1, 3)

    of = self_similarity(at([1.0, 0], [1, 0], [0, 1]))
    assert of(at([1.0, 0], [1, 0], [-1, 0])).item() == pytest.approx(0, abs=1e-12)
    assert of(at([0.0, 5], [0, 5], [-2, 0])).item() == pytest.approx(0, abs=1e-12)  # a turn
    assert of(at([1.0, 0], [0, 1], [0, 1])).item() == pytest.approx(4 / 3)
    image = features(1, 3, 2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(self_similarity(features(1, 3, 2, 3)), [image])


def test_places_are_spread_over_the_whole_map():
    f = torch.arange(12.0).view(1, 1, 3, 4)
    assert spread(f, 12).flatten().tolist() == list(range(12))
    assert spread(f, 5).flatten().tolist() == [0, 3, 6, 9]


BOTH = [(name, "features") for name in DISTANCES] + [("transport", "self_similarity")]


@pytest.mark.parametrize(("name", "content_as"), BOTH)
def test_a_transfer_lowers_its_loss(name, content_as, content, style, small):
    own = {"distance": name, "content": content_as}
    config = replace(small, method="matching", options=own, style_weight=1e5, steps=5)
    history = stylize(content, style, config, progress=False).history
    losses = history[[c for c in history if c.startswith("style/")]].sum(axis=1)
    assert losses.iloc[-1] < losses.iloc[0]
    layers = ["relu3_1", "relu4_1"] if name == "patches" else [f"relu{k}_1" for k in range(1, 6)]
    assert [c for c in history if c.startswith("style/")] == [f"style/{n}" for n in layers]


def test_every_distance_is_an_option_with_its_scale():
    choices = get_type_hints(Options)
    assert set(choices["distance"].__args__) == set(DISTANCES) == set(SCALES)
    assert set(choices["content"].__args__) == set(CONTENT_SCALES)
    assert Config(method="matching").method_options.distance == "gram"
