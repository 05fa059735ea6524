"""The network WCT: what it does beside whitening and colouring."""

import pytest
import torch

from stylelab import load_image, load_network, sample
from stylelab.maths.statistics import spectrum


@pytest.fixture(scope="module")
def network():
    return load_network("wct", precision="float32")


@pytest.fixture(scope="module")
def style():
    return load_image(sample("night_cafe"), (96, 144))


@torch.no_grad()
def test_the_picture_has_the_colours_of_the_style(network, style):
    image = load_image(sample("chenonceau"), (96, 144))
    found, wanted, own = (spectrum(x) for x in (network(image, [(style, 1.0)]), style, image))
    # But for what is clipped.
    assert (found.mean - wanted.mean).abs().max() < 0.005
    assert (found.roots - wanted.roots).abs().max() < 0.005
    assert (own.mean - wanted.mean).abs().max() > 0.1


@torch.no_grad()
def test_an_even_sky_has_the_same_strokes_each_time_and_none_at_strength_zero(network, style):
    sky = torch.full((1, 3, 96, 144), 0.6)
    found = network(sky, [(style, 1.0)])
    assert found.std((2, 3)).min() > 0.02
    assert torch.equal(found, network(sky, [(style, 1.0)]))  # the same noise, for films
    plain = network(sky, [(style, 1.0)], 0.0)
    assert plain[:, :, 8:-8, 8:-8].std((2, 3)).max() < 0.01


@torch.no_grad()
def test_styles_are_mixed_by_their_shares(network, style):
    image, other = (load_image(sample(n), (96, 144)) for n in ("chenonceau", "church_at_auvers"))
    first, second = (network(image, [(x, 1.0)]) for x in (style, other))
    both = network(image, [(style, 0.5), (other, 0.5)])
    middle = (first + second).mean((0, 2, 3)) / 2
    assert (both.mean((0, 2, 3)) - middle).abs().max() < 0.03
