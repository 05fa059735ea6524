import math

import pytest
import torch
from skimage.color import lab2rgb

from stylelab import (
    colour_distance,
    content_distance,
    detail_energy,
    enlarge,
    grain,
    load_image,
    measure,
    sample,
    ssim,
    style_distance,
)
from stylelab.maths.distances import similarity_divergence
from stylelab.maths.statistics import Cloud, covariance, divergence, transport
from stylelab.metrics import (
    SAME,
    STYLE_LAYERS,
    effectiveness,
    structure_distance,
    transport_distance,
    transport_distances,
)


@pytest.fixture(scope="module")
def image():
    return load_image(sample("chenonceau"), (64, 96))


@pytest.fixture(scope="module")
def other():
    return load_image(sample("night_cafe"), (64, 96))


def test_a_picture_against_itself(image):
    found = measure(image, image, image)
    assert found.pop("ssim") == pytest.approx(1)
    assert found.pop("detail_energy") > 0
    assert found.pop("effectiveness") == pytest.approx(-math.log(SAME))
    assert set(found) == {
        "content_distance", "style_distance", "colour_distance", "grain",
        "structure_distance", "transport_distance",
    }  # fmt: skip
    assert max(found.values()) == pytest.approx(0, abs=1e-6)


def test_distances_grow_with_what_they_measure(image, other):
    half = 0.5 * image + 0.5 * other
    for distance in (
        content_distance, style_distance, colour_distance, structure_distance, transport_distance,
    ):  # fmt: skip
        assert 0 < distance(half, image) < distance(other, image)
    assert effectiveness(half, image) > effectiveness(other, image)
    assert 1 > ssim(half, image) > ssim(other, image)


def test_style_and_colour_do_not_ask_where_things_are(image):
    turned = image.rot90(2, (2, 3))
    assert colour_distance(turned, image) == pytest.approx(0, abs=1e-9)
    assert style_distance(image.flip(3), image) < 0.3 * content_distance(image.flip(3), image)


def test_colour_distance_of_two_greys_by_hand():
    black, white = torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    # L* goes from 0 to 100, a* and b* stay at 0: the mean of the three is 100 / 3.
    assert colour_distance(black, white) == pytest.approx(100 / 3, abs=0.05)


def test_grain_is_the_variance_of_the_noise_in_the_colours():
    """White noise of deviation 3 in a* and b* alone, around a mid grey: 3 squared."""
    torch.manual_seed(0)
    lab = torch.cat([torch.full((1, 64, 96), 60.0), 3 * torch.randn(2, 64, 96)])
    noisy = torch.from_numpy(lab2rgb(lab.permute(1, 2, 0).numpy())).permute(2, 0, 1)[None].float()
    flat = torch.full((1, 3, 64, 96), 0.5)
    assert grain(noisy, flat) == pytest.approx(9, rel=0.05)
    assert grain(noisy, noisy) == grain(flat, noisy) == 0  # at most what the style has, too


def test_grain_ignores_edges_gradients_and_what_is_grey(image):
    red, grey = torch.zeros(1, 3, 32, 48), torch.rand(1, 1, 32, 48).expand(1, 3, 32, 48)
    red[:, 0, :, 20:] = 0.8
    slope = (
        torch.linspace(0.2, 0.8, 48).expand(32, 48) * torch.tensor([1.0, 0.5, 0.2])[:, None, None]
    )
    flat = torch.full((1, 3, 32, 48), 0.5)
    assert grain(red, flat) < 1e-6
    assert grain(slope[None], flat) < 1e-3
    assert grain(grey, flat) < 1e-3
    speck = flat.clone()
    speck[0, 0, 10, 10] = 1.0
    assert grain(speck, flat) > 0.1


def test_a_picture_that_changed_in_place_is_read_again(image, other):
    changed = image.clone()
    before = style_distance(changed, other)
    changed.clamp_(0, 0.5)
    assert style_distance(changed, other) != before


def test_no_weight_enters(image, other):
    """The yardstick sees pictures only: measuring twice gives the same, whatever came between."""
    first = measure(other, image, other)
    measure(image, other, image)
    assert measure(other, image, other) == first


def test_distances_to_several_styles_are_averaged_by_their_shares(image, other):
    third = image.flip(3).sqrt()
    one, two = (measure(image, image, style) for style in (other, third))
    both = measure(image, image, other, third, shares=[0.25, 0.75])
    for name in ("style_distance", "colour_distance"):
        assert both[name] == pytest.approx(0.25 * one[name] + 0.75 * two[name])
    assert measure(image, image, other, other) == pytest.approx(one)


def test_detail_energy_by_hand():
    flat, dot = torch.full((1, 3, 9, 9), 0.5), torch.zeros(1, 3, 9, 9)
    assert detail_energy(flat) == pytest.approx(0, abs=1e-6)
    dot[:, :, 4, 4] = 1
    # The dot keeps 1 - 1/4; its 4 neighbours get -1/8 and its 4 diagonal ones -1/16, of 81.
    assert detail_energy(dot) == pytest.approx((9 / 16 + 4 / 64 + 4 / 256) / 81 * 1e4, rel=1e-4)


def test_enlarging_adds_no_detail():
    noise = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    large = enlarge(noise, (40, 60))
    assert large.shape == (1, 3, 40, 60)
    assert detail_energy(large) < 0.5 * detail_energy(noise)


def test_each_layer_has_its_transport_distance(image, other):
    found = transport_distances(image, other)
    assert tuple(found) == STYLE_LAYERS
    assert min(found.values()) > 0
    assert transport_distance(image, other) == pytest.approx(sum(found.values()) / 5)


def cloud(points):
    """Points (P, C) as a map (1, C, 1, P)."""
    return Cloud.of(torch.tensor(points).mT[None, :, None])


def test_channels_that_depend_on_each_other_are_a_cloud():
    """As those of a calm picture, whose covariance, in float32, is not positive definite."""
    generator = torch.Generator().manual_seed(0)
    few = torch.randn(3, 720, generator=generator).relu() + 5
    features = (torch.rand(512, 3, generator=generator) @ few).view(1, 512, 24, 30)
    cov = covariance(features)[1][0].double()
    least = 1e-6 * cov.diagonal().mean() * torch.eye(512)
    assert torch.linalg.cholesky_ex(cov + least).info > 0
    cloud = Cloud.of(features)
    assert (cloud.factor.mT @ cloud.factor - cov).norm() < 1e-5 * cov.norm()
    assert transport(cloud, cloud) < 1e-9


def test_transport_by_hand():
    """Mean 2 and deviation 1 against 7 and 3: 25 + 4, over the 49 + 9 of the style."""
    values, style = [[1.0], [3]], [[4.0], [10], [10], [4]]
    assert transport(cloud(values), cloud(style)) == pytest.approx(29 / 58, rel=1e-3)
    # In two dimensions, variances 1 and 9 against 4 and 4: (1 - 2)^2 + (3 - 2)^2, over 8.
    square = [[1.0, 1], [1, -1], [-1, 1], [-1, -1]]
    along, even = [[a, 3 * b] for a, b in square], [[2 * a, 2 * b] for a, b in square]
    assert transport(cloud(along), cloud(even)) == pytest.approx(2 / 8, rel=1e-3)
    assert transport(cloud(even), cloud(even)) == pytest.approx(0, abs=1e-9)


def test_divergence_by_hand():
    """A variance of 4 and a shift of 1 from a variance of 1: (4 + 1 - 1 - log 4) / 2."""
    style = [[-1.0], [1]] * 8  # of 16 places an eighth, 2, is more than its one component
    image = [[-1.0], [3]] * 8
    assert divergence(cloud(image), cloud(style), 32) == pytest.approx(
        (4 + 1 - 1 - math.log(4)) / 2, rel=5e-3
    )
    assert divergence(cloud(style), cloud(style), 32) == pytest.approx(0, abs=1e-9)


def test_divergence_of_self_similarities_by_hand():
    """Two places without features, against one with a square of log 3: of the first row,

    (1/2, 1/2) from (3/4, 1/4) is log(4/3) / 2; the second row stays, and the mean is half of it.
    """
    content = torch.zeros(2, 1, dtype=torch.float64)
    image = torch.tensor([[math.log(3) ** 0.5], [0]], dtype=torch.float64)
    found = similarity_divergence(image, content).item()
    assert found == pytest.approx(math.log(4 / 3) / 4)
    assert similarity_divergence(image, image).item() == 0
