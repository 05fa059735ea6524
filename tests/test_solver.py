"""The trained solver: what it descends, and what it is without its training."""

import pytest
import torch

from stylelab import NETWORKS, VGG19, load_image, sample
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch
from stylelab.networks.solver import (
    FINE,
    LAYERS,
    RATE,
    counts,
    halved,
    losses,
    read,
    read_targets,
)

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


def descended(network, image, style, rate, count):
    """By plain projected gradient descent, worked out anew."""
    targets = read_targets(network.encoder, image, style)
    x = image.clone()
    for _ in range(count):
        x = x.requires_grad_()
        found = losses(read(network.encoder, x), targets)
        weights = {"content": 1.0, "style": network.style_weight}
        total = torch.stack([weights[k.split("/")[0]] * v for k, v in found.items()]).sum()
        x = (x - rate * torch.autograd.grad(total, x)[0]).clamp(0, 1).detach()
    return x


def test_with_a_fixed_rate_it_is_projected_gradient_descent(network, pair):
    image, style = pair
    targets = read_targets(network.encoder, image, style)
    found = network.solve(image, targets, [lambda gradient, last: 0.05 * gradient] * 3)
    assert (found - image).abs().max() > 0.01
    assert torch.allclose(found, descended(network, image, style, 0.05, 3), atol=1e-5)


def test_steps_are_shared_out_to_three_sizes():
    assert [counts(n) for n in (1, 2, 3, 6, 12)] == [
        (1, 0, 0),
        (1, 0, 1),
        (2, 0, 1),
        (2, 1, 3),
        (4, 2, 6),
    ]


def test_untrained_it_descends_at_a_quarter_of_the_size_and_then_at_half_and_all(pair):
    def enlarged(change, like):
        return torch.nn.functional.interpolate(change, like.shape[2:], mode="bilinear")

    module = NETWORKS.load("solver")
    network = module.build(module.Options(steps=6), []).requires_grad_(False)
    pictures = [load_image(sample(n), (66, 92)) for n in ("chenonceau", "night_cafe")]
    change = torch.zeros(1, 3, 17, 23)
    for halvings, count, layers in ((2, 3, LAYERS), (1, 1, FINE), (0, 2, FINE)):
        image, style = pictures
        for _ in range(halvings):
            image, style = halved(image), halved(style)
        model = VGG19(layers)
        targets = read_targets(model, image, [(style, 1.0)])
        begun = (image + enlarged(change, image)).clamp(0, 1)
        rate = RATE * image[0, 0].numel()
        x = begun
        for _ in range(count):
            x = x.detach().requires_grad_()
            total = network.total(losses(read(model, x), targets)).sum()
            x = (x - rate * torch.autograd.grad(total, x)[0]).clamp(0, 1)
        change = x.detach() - image
    found = network(pictures[0], [(pictures[1], 1.0)])
    assert torch.allclose(found, x, atol=1e-4)
    assert not torch.allclose(found, begun, atol=1e-2)


def test_each_image_of_a_batch_has_its_own_objective_and_gradient(network, pair):
    image, style = pair
    both = torch.cat([image, image.flip(3)])
    content, grams = targets = read_targets(network.encoder, both.flip(2), style)
    objectives, gradients = network.descent(both, targets)
    for i in range(2):
        alone = content[i : i + 1], {k: v[i : i + 1] for k, v in grams.items()}
        objective, gradient = network.descent(both[i : i + 1], alone)
        assert torch.allclose(objectives[i], objective, rtol=1e-4)
        assert torch.allclose(gradients[i : i + 1], gradient, atol=1e-3 * gradient.abs().max())


def test_each_image_of_a_training_batch_has_a_style_of_its_own(network, pair):
    image, ((style, _),) = pair
    images, styles = torch.cat([image, image.flip(3)]), torch.cat([style, style.flip(1)])
    found = network(images, [(styles, 1.0)])
    for i in range(2):
        alone = network(images[i : i + 1], [(styles[i : i + 1], 1.0)])
        assert torch.allclose(found[i : i + 1], alone, atol=1e-3)


def test_what_a_training_watches_on_the_way_has_the_slope_of_the_objective(network, pair):
    image, style = pair
    targets, trace = read_targets(network.encoder, image, style), []
    x = image.clone().requires_grad_()
    network.solve(x, targets, [lambda gradient, last: 0 * gradient], trace=trace)
    objective, gradient = network.descent(image, targets)
    assert torch.allclose(trace[0], objective.log())
    (slope,) = torch.autograd.grad(trace[0].sum(), x)
    assert torch.allclose(slope, gradient / objective)


def test_nothing_to_descend_leaves_the_photograph_as_it_is(network, pair):
    image, style = pair
    for found in (network(image, style, 0.0), network(image, [(image, 1.0)])):
        assert torch.allclose(found, image, atol=1e-6)
    assert not torch.allclose(network(image, style), image, atol=1e-2)


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


def test_a_style_is_read_once_for_many_photographs(network, monkeypatch):
    photo, painting = (load_image(sample(n), (48, 64)) for n in ("chenonceau", "night_cafe"))
    whole, seen = VGG19.forward, []
    monkeypatch.setattr(VGG19, "forward", lambda own, x: seen.append(x) or whole(own, x))
    with torch.no_grad():
        first = network(photo, [(painting, 1.0)])
        count = len(seen)
        again = network(photo, [(painting.clone(), 1.0)])
    assert torch.equal(again, first)
    assert len(seen) == 2 * count - 3  # at each size
