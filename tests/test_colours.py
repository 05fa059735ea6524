import pytest
import torch

from stylelab import load_image, luminance, match_luminance, match_statistics, sample
from stylelab import with_luminance as combine


@pytest.fixture(scope="module")
def content():
    return load_image(sample("chenonceau"), (48, 64))


@pytest.fixture(scope="module")
def style():
    return load_image(sample("night_cafe"), (40, 72))


def moments(image):
    pixels = image[0].flatten(1).double()
    return pixels.mean(1), pixels.cov(correction=0)


def test_luminance_by_hand():
    image = torch.tensor([1.0, 0.5, 0.0])[None, :, None, None]
    assert luminance(image).item() == pytest.approx(0.299 + 0.5 * 0.587)
    grey = torch.full((1, 3, 2, 2), 0.4)
    torch.testing.assert_close(luminance(grey), grey[:, :1])


def test_a_new_luminance_keeps_the_chroma(content, style):
    grey = luminance(content.flip(3))
    image = combine(content, grey)
    torch.testing.assert_close(luminance(image), grey)
    # I and Q of YIQ are differences of channels, whatever is added to all three.
    for a, b in ((0, 1), (1, 2)):
        torch.testing.assert_close(image[:, a] - image[:, b], content[:, a] - content[:, b])
    torch.testing.assert_close(combine(content, luminance(content)), content)


def test_the_luminance_of_the_style_gets_the_contents_mean_and_deviation(content, style):
    matched, reference = match_luminance(style, content), luminance(content)
    assert matched.shape == style.shape
    assert torch.equal(matched[:, 0], matched[:, 2])
    assert matched[:, 0].mean().item() == pytest.approx(reference.mean().item(), abs=1e-5)
    assert matched[:, 0].std().item() == pytest.approx(reference.std().item(), rel=1e-4)


def test_the_colours_of_the_style_get_the_contents_mean_and_covariance(content, style):
    matched = match_statistics(style, content)
    assert matched.shape == style.shape
    assert matched.dtype == style.dtype
    for found, wanted in zip(moments(matched), moments(content), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(match_statistics(content, content), content, rtol=0, atol=1e-6)


def test_statistics_of_independent_channels_by_hand():
    """Deviations 0.1 and 0.2 in each channel: the map only doubles what differs from the mean."""
    signs = torch.tensor([[1.0, 1, 1, 1, -1, -1, -1, -1], [1, 1, -1, -1] * 2, [1, -1] * 4])
    style, content = (0.5 + a * signs.view(1, 3, 2, 4) for a in (0.1, 0.2))
    torch.testing.assert_close(match_statistics(style, content), content)


@pytest.mark.parametrize("match", [match_luminance, match_statistics])
def test_pictures_without_colour_or_of_one_colour_are_taken(match, content):
    grey = luminance(content).expand(-1, 3, -1, -1)
    flat = torch.full_like(content, 0.3)
    for a, b in ((grey, content), (content, grey), (flat, content), (content, flat), (flat, flat)):
        assert match(a, b).isfinite().all()
        assert match(a, b).abs().max() < 10
