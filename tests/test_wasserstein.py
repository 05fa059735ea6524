from dataclasses import replace

import pytest
import torch

from stylelab import InputError, Transfer, load_image, sample, stylize
from stylelab.maths.distances import RIDGE, Gaussian
from stylelab.maths.statistics import covariance, root, trace_of_root


@pytest.fixture
def own(small):
    return replace(small, method="wasserstein")


def features(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def distance(a, b):
    return float(Gaussian(b).distance(*covariance(a)))


def test_mean_and_covariance_are_those_of_the_library():
    maps = features(2, 3, 5, 7)
    mean, cov = covariance(maps)
    for i in range(2):
        torch.testing.assert_close(mean[i].double(), maps[i].mean((1, 2)))
        expected = torch.cov(maps[i].flatten(1), correction=0)
        torch.testing.assert_close(cov[i], expected)


def test_in_one_dimension_it_is_the_distance_of_means_and_deviations():
    """W^2 = (m - m_s)^2 + (s - s_s)^2: values 1 and 3 (2, 1) against 4 and 10 (7, 3)."""
    a = torch.tensor([1.0, 3, 1, 3], dtype=torch.float64).view(1, 1, 2, 2)
    b = torch.tensor([4.0, 10, 10, 4], dtype=torch.float64).view(1, 1, 2, 2)
    # The ridge is a thousandth of the style's variance of 9, on both sides.
    by_hand = 5**2 + ((1 + 9 * RIDGE) ** 0.5 - (9 + 9 * RIDGE) ** 0.5) ** 2
    assert distance(a, b) == pytest.approx(by_hand, rel=1e-6)
    assert by_hand == pytest.approx(25 + 4, rel=1e-3)


def test_in_two_dimensions_by_hand():
    """Along the axes, variances 1 and 9 against 4 and 4: (1 - 2)^2 + (3 - 2)^2, a channel: 1.

    Turned by 45 degrees, C = [[5, 4], [4, 5]] against 4 I: the same, as 4 I has no direction.
    """
    square = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1]], dtype=torch.float64)
    along = torch.tensor([[1.0, 0], [0, 3]], dtype=torch.float64) @ square
    turn = torch.tensor([[1.0, 1], [-1, 1]], dtype=torch.float64) / 2**0.5
    style = (2 * square).view(1, 2, 2, 2)
    for points in (along, turn @ along):
        assert distance(points.view(1, 2, 2, 2), style) == pytest.approx(1, rel=2 * RIDGE)
    _, cov = covariance((turn @ along).view(1, 2, 2, 2))
    torch.testing.assert_close(cov[0], torch.tensor([[5.0, 4], [4, 5]], dtype=torch.float64))


def test_equal_features_have_no_distance_and_the_order_of_positions_does_not_matter():
    a, b = features(1, 6, 5, 7), 1 + 2 * features(1, 6, 5, 7, seed=1)
    assert distance(a, a) == pytest.approx(0, abs=1e-6)
    assert distance(a, a.flip(3)) == pytest.approx(0, abs=1e-6)
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-2)  # but for the ridge
    assert distance(a, b) > 1


def test_roots_are_those_of_the_definition():
    x = features(1, 5, 5)
    matrix = x @ x.mT
    torch.testing.assert_close(root(matrix) @ root(matrix), matrix)
    assert trace_of_root(matrix).item() == pytest.approx(root(matrix)[0].trace().item())
    # Rank one: the one eigenvalue is |v|^2, and noise below it counts as none.
    v = torch.tensor([[[3.0], [4.0]]])
    assert trace_of_root(v @ v.mT).item() == pytest.approx(5)


def test_the_gradient_is_that_of_differences():
    style = Gaussian(1 + features(1, 4, 3, 5, seed=1))
    style.mean = style.mean.double()

    def of(maps):
        mean = maps.mean((2, 3))
        x = (maps - mean[:, :, None, None]).flatten(2)
        return style.distance(mean, x @ x.mT / x.shape[2])

    assert torch.autograd.gradcheck(of, features(1, 4, 3, 5).requires_grad_())


def test_fewer_positions_than_channels_leave_the_gradient_finite(own):
    maps = features(1, 64, 3, 4).float().requires_grad_()
    loss = Gaussian(features(1, 64, 5, 5, seed=1).float()).distance(*covariance(maps))
    loss.backward()
    assert maps.grad.isfinite().all()
    assert loss > 0


def test_the_shares_of_the_layers_are_relative_and_checked(own):
    pair = sample("chenonceau"), sample("night_cafe")
    terms = Transfer(*pair, own).evaluate(load_image(pair[0], own.size))
    doubled = replace(own, options={"shares": (512, 128, 32, 8, 2)})
    again = Transfer(*pair, doubled).evaluate(load_image(pair[0], own.size))
    assert again == pytest.approx(terms)
    alone = replace(own, options={"shares": (0, 0, 1, 0, 0)})
    only = Transfer(*pair, alone).evaluate(load_image(pair[0], own.size))
    assert only["style/relu3_1"] == pytest.approx(terms["style/relu3_1"] * 341 / 16, rel=1e-5)
    assert only["style/relu1_1"] == 0
    with pytest.raises(InputError, match="shares and style_layers differ in number"):
        replace(own, options={"shares": (1, 2)})
    with pytest.raises(InputError, match="all shares are 0"):
        replace(own, options={"shares": (0, 0, 0, 0, 0)})


def test_its_picture_is_nearer_to_the_style_than_that_of_gram_matrices(own):
    """At the same number of steps, by a distance of Gram matrices and by colours."""
    settings = {"size": (96, 144), "steps": 60, "optimizer": "pyramid", "schedule": "linear"}
    settings |= {"learning_rate": 0.15, "projected": True}
    pair = sample("chenonceau"), sample("cafe_terrace_at_night")
    found = [
        stylize(*pair, replace(own, method=name, **settings), progress=False).info["metrics"]
        for name in ("wasserstein", "gatys")
    ]
    for metric in ("style_distance", "colour_distance"):
        assert found[0][metric] < 0.8 * found[1][metric]
