"""The trained solver: what it descends, and what it is without its training."""

import pytest
import torch

from stylelab import NETWORKS, VGG19, load_image, sample
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch
from stylelab.networks.solver import LAYERS, losses, read, read_targets, true_adjoint

SIZE = (40, 56)


@pytest.fixture(scope="module")
def network():
    module = NETWORKS.load("solver")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return module.build(module.Options(steps=3), []).requires_grad_(False)


@pytest.fixture(scope="module")
def pair():
    """A photograph, a style with its share, and what a solution descends to."""
    image, style = load_image(sample("chenonceau"), SIZE), load_image(sample("night_cafe"), SIZE)
    return image, [(style, 1.0)]


def total(network, features, targets):
    found = losses(features, targets)
    weights = {"content": 1.0, "style": network.style_weight}
    return torch.stack([weights[k.split("/")[0]] * v for k, v in found.items()]).sum()


def test_the_gradients_at_the_features_are_those_of_the_loss(network, pair):
    image, style = pair
    targets = read_targets(network.encoder, image, style)
    features = read(network.encoder, image.flip(3))
    leaves = {k: v.clone().requires_grad_() for k, v in features.items()}
    total(network, leaves, targets).backward()
    for layer, found in network.gradients(features, targets).items():
        scale = leaves[layer].grad.abs().max()
        assert (found - leaves[layer].grad).abs().max() < 1e-4 * scale


def test_with_the_true_adjoint_it_is_projected_gradient_descent(network, pair):
    image, style = pair
    rate, model = 0.05, network.encoder
    targets = read_targets(model, image, style)
    found = network.solve(image, targets, true_adjoint(model, rate), model)
    x = image.clone()
    for _ in range(3):
        x = x.requires_grad_()
        (gradient,) = torch.autograd.grad(total(network, read(model, x), targets), x)
        x = (x - rate * gradient).clamp(0, 1).detach()
    assert (found - image).abs().max() > 0.01
    assert (found - x).abs().max() < 1e-4


def test_nothing_to_descend_leaves_the_photograph_as_it_is(network, pair):
    image, style = pair
    assert torch.equal(network(image, style, 0.0), image)
    assert torch.equal(network(image, [(image, 1.0)]), image)
    assert not torch.equal(network(image, style), image)


def test_a_regularizer_is_descended_when_it_runs(network, pair):
    image, style = pair
    laplacian = to_torch(matting_laplacian(image), image)
    plain = network(image, style)
    smooth = network(image, style, regularizer=lambda x: 200 * matting_loss(x, laplacian))
    assert matting_loss(smooth, laplacian) < 0.8 * matting_loss(plain, laplacian)


def test_several_styles_mix_their_gram_matrices(pair):
    image, style = pair
    model, other = VGG19(LAYERS, "random"), load_image(sample("langlois_bridge"), SIZE)
    first, second = (read_targets(model, image, [(x, 1.0)])[1] for x in (style[0][0], other))
    both = read_targets(model, image, [(style[0][0], 0.25), (other, 0.75)])[1]
    for layer in LAYERS:
        assert torch.allclose(both[layer], 0.25 * first[layer] + 0.75 * second[layer], atol=1e-6)
