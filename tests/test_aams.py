"""AAMS: strokes of several sizes, and the attention that chooses among them."""

import pytest
import torch

from stylelab import NETWORKS, InputError, load_image, sample
from stylelab.maths.statistics import covariance, spectrum, whiten
from stylelab.networks.aams import Style, fuse, salience, shares


@pytest.fixture(scope="module")
def network():
    module = NETWORKS.load("aams")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return module.build(module.Options(), []).requires_grad_(False)


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_whitened_features_have_no_covariance():
    # Three channels of which the third is the sum of the others: rank two.
    two = random(1, 2, 20, 30)
    white = whiten(torch.cat([two, two.sum(1, keepdim=True)], 1).double())
    mean, found = covariance(white)
    assert mean.abs().max() < 1e-6
    values = torch.linalg.eigvalsh(found[0].double())
    assert torch.allclose(values, torch.tensor([0.0, 1.0, 1.0]).double(), atol=1e-5)


def test_shares_sum_to_one_and_follow_the_salience():
    salience = torch.linspace(0, 1, 48).view(1, 1, 6, 8)
    found = shares(salience, 4)
    assert torch.allclose(found.sum(0), torch.ones(1, 1, 6, 8))
    assert found[0].flatten()[0] > 0.9  # least salient: the coarsest stroke
    assert found[3].flatten()[-1] > 0.9
    assert shares(torch.zeros(1, 1, 6, 8), 4).isfinite().all()  # a picture of one colour


def test_equal_strokes_fuse_to_themselves():
    stroke = random(1, 5, 6, 8)
    assert torch.allclose(fuse([stroke] * 4, random(1, 1, 6, 8, seed=1)), stroke, atol=1e-6)


def test_what_is_transformed_has_the_styles_covariance(network):
    content, style = random(1, 256, 24, 32), random(1, 256, 20, 30, seed=1)
    style = style[:, :16].repeat_interleave(16, 1) * torch.linspace(0.1, 1, 256).view(1, -1, 1, 1)
    read = Style(whiten(style), spectrum(style), [])
    found, wanted = (
        covariance(f) for f in (network.transform(content, read, random(1, 1, 24, 32)), style)
    )
    assert (found[0] - wanted[0]).abs().max() < 1e-3 * wanted[0].abs().max()
    assert (found[1] - wanted[1]).abs().max() < 1e-3 * wanted[1].abs().max()


def test_salience_is_from_zero_to_one():
    found = salience(random(2, 8, 9, 12) - 0.5)
    assert found.shape == (2, 1, 9, 12)
    assert (found.amin((2, 3)) == 0).all()
    assert (found.amax((2, 3)) == 1).all()


def test_too_small_a_style_is_refused(network):
    with pytest.raises(InputError, match="at least 24x24"):
        network(load_image(sample("chenonceau"), (32, 48)), [(torch.zeros(1, 3, 20, 40), 1.0)])


def test_what_attention_has_learnt_reaches_a_style_seen_before(network):
    photo, style = (load_image(sample(n), (48, 64)) for n in ("chenonceau", "night_cafe"))
    before = network(photo, [(style, 1.0)])
    for parameter in network.attention.parameters():
        parameter.mul_(1.5)
    after = network.eval()(photo, [(style, 1.0)])
    assert not torch.equal(after, before)
    network.styles.kept.clear()
    assert torch.equal(network(photo, [(style, 1.0)]), after)
