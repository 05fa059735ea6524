from dataclasses import replace

import pytest
import torch

from stylelab import PRESETS, gram_matrix
from stylelab.images import standardize
from stylelab.methods import gatys2016
from stylelab.vgg.network import VGG19


def test_the_energy_is_a_quarter_of_the_mean_square_of_grams_by_positions():
    f, g = torch.randn(2, 1, 6, 5, 7, generator=torch.Generator().manual_seed(0)).double()
    sums = [x[0].flatten(1) @ x[0].flatten(1).T for x in (f, g)]
    published = (sums[0] - sums[1]).square().sum() / (4 * 6**2 * 35**2)
    quarter = (sums[0] / 35 - sums[1] / 35).square().mean() / 4
    energy = gatys2016.style_energy(gram_matrix(f), gram_matrix(g))
    torch.testing.assert_close(energy, published)
    torch.testing.assert_close(energy, quarter)


def test_the_energy_by_hand():
    f = torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])
    # G = [[5, 2], [2, 1]], A = 0, N = M = 2: (25 + 4 + 4 + 1) / (4 * 4 * 4).
    assert gatys2016.style_energy(gram_matrix(f), torch.zeros(1, 2, 2)).item() == 34 / 64


def test_the_energy_ignores_where_things_are():
    f = torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    shuffled = f.flatten(2)[:, :, torch.randperm(30)].view_as(f)
    assert gatys2016.style_energy(gram_matrix(shuffled), gram_matrix(f)) < 1e-12


@pytest.fixture
def config(small):
    return replace(small, method="gatys2016")


@pytest.fixture
def objective(config, content, style):
    model = VGG19(gatys2016.layers(config), pooling="avg")

    def make(*styles):
        pairs = [(standardize(s), 1 / len(styles)) for s in styles]
        return gatys2016.objective(pairs, model, config)(standardize(content))

    return make


def test_nothing_is_left_to_do_where_image_content_and_style_are_one(objective, content):
    terms = objective(content)(standardize(content))
    assert list(terms) == [
        "content/conv4_2",
        *(f"style/relu{block}_1" for block in range(1, 6)),
        "tv",
    ]
    assert all(value < 1e-9 for name, value in terms.items() if name != "tv")


def test_two_styles_cost_the_mean_of_both(objective, content, style):
    image = standardize(content.flip(3))
    one, two, both = (objective(*s)(image) for s in ((content,), (style,), (content, style)))
    for name, value in both.items():
        torch.testing.assert_close(value, (one[name] + two[name]) / 2)


def test_the_gradient_points_downhill(objective, style, content):
    terms, image = objective(style), standardize(content).requires_grad_()
    total = sum(terms(image).values())
    (gradient,) = torch.autograd.grad(total, image)
    with torch.no_grad():
        step = 1e-2 * gradient / gradient.norm()
        assert sum(terms(image - step).values()) < total < sum(terms(image + step).values())


def test_the_preset_is_as_published():
    preset = PRESETS["gatys"]
    assert (preset.method, preset.pooling, preset.optimizer) == ("gatys2016", "avg", "lbfgs")
    assert preset.content_weight / preset.style_weight == 1e-3
    assert preset.tv_weight == 0
