import pytest
import torch

from stylelab import InputError, load_image, sample
from stylelab.images import standardize
from stylelab.maths.attention import (
    attention,
    attention_rows,
    multi_stroke,
    saliency,
    stroke_weights,
)
from stylelab.maths.patches import lay, match, patch_places, read_patches, style_swap
from stylelab.maths.statistics import adain, coloured, moments, normalize, spectrum, wct
from stylelab.vgg.network import VGG19


def features(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    f = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return f * torch.linspace(0.5, 2, shape[1], dtype=f.dtype)[:, None, None] + 3


@pytest.fixture(scope="module")
def real():
    """relu3_1 of VGG-19 of a photo and of a painting, each with more positions than channels."""
    model = VGG19(["relu3_1"])
    names = "chenonceau", "cafe_terrace_at_night"
    images = [standardize(load_image(sample(name), (96, 144))) for name in names]
    return [model(image)["relu3_1"].double() for image in images]


def covariance(f):
    return f[0].flatten(1).cov(correction=0)


def test_adain_gives_the_mean_and_deviation_of_the_style(real):
    for content, style in (real, (features(1, 4, 5, 6), features(1, 4, 7, 3, seed=1))):
        for got, wanted in zip(moments(adain(content, style)), moments(style), strict=True):
            torch.testing.assert_close(got, wanted)


def test_adain_by_hand():
    content = torch.tensor([[[[0.0, 2.0]]]])  # mean 1, deviation 1
    style = torch.tensor([[[[10.0, 16.0]]]])  # mean 13, deviation 3
    assert adain(content, style).flatten().tolist() == [10, 16]


def test_wct_gives_the_mean_and_covariance_of_the_style(real):
    content, style = features(1, 8, 9, 7), features(1, 8, 6, 5, seed=1)
    torch.testing.assert_close(covariance(wct(content, style)), covariance(style))
    content, style = real
    got, wanted = covariance(wct(content, style)), covariance(style)
    assert (got - wanted).norm() / wanted.norm() < 1e-3
    torch.testing.assert_close(wct(content, style).mean((2, 3)), style.mean((2, 3)))


def test_weak_directions_are_cut_by_hand():
    strong, weak = torch.tensor([-10.0, 10.0]), torch.tensor([0.0, 0.5])  # variances 100, 1/16
    f = torch.stack([strong, weak]).view(1, 2, 1, 2)
    # Both rise together: one eigenvalue, 100 + 1/16, along (20, 0.5); a second map adds another.
    assert spectrum(f).roots.tolist() == pytest.approx([100.0625**0.5])
    square = torch.tensor([[[[-10.0, 10.0, -10.0, 10.0]], [[-1.0, -1.0, 1.0, 1.0]]]]).mT
    square = square.reshape(1, 2, 1, 4)
    assert spectrum(square).roots.tolist() == pytest.approx([1, 10])
    assert spectrum(square, cut=0.02).roots.tolist() == pytest.approx([10])
    # What is cut does not vary any more.
    style = 3 * square + 7
    assert wct(square, style)[0, 1].std() > 3
    found = wct(square, style, cut=0.02)
    assert found[0, 1].flatten().tolist() == pytest.approx([7] * 4)
    assert found[0, 0].flatten().tolist() == pytest.approx([-23, 37, -23, 37])


def test_colours_are_those_of_the_styles_by_their_shares():
    first, second, image = (
        load_image(sample(n), (32, 48)) for n in ("night_cafe", "church_at_auvers", "chenonceau")
    )
    for style in (first, second):
        found = wct(image, style, 1e-3)
        torch.testing.assert_close(found.mean((2, 3)), style.mean((2, 3)))
        torch.testing.assert_close(covariance(found), covariance(style), rtol=1e-2, atol=1e-4)
    singles = [wct(image, style, 1e-3) for style in (first, second)]
    spectra = [spectrum(style) for style in (first, second)]
    both = coloured(image, spectra, [0.25, 0.75], 1, 1e-3)
    torch.testing.assert_close(both, 0.25 * singles[0] + 0.75 * singles[1])
    half = coloured(image, spectra[:1], [1.0], 0.5, 1e-3)
    torch.testing.assert_close(half, (image + singles[0]) / 2)
    assert torch.equal(coloured(image, spectra, [0.25, 0.75], 0, 1e-3), image)
    twice = coloured(torch.cat([image, image]), spectra[:1], [1.0], 1, 1e-3)
    torch.testing.assert_close(twice, torch.cat([singles[0]] * 2))


@pytest.mark.parametrize("transform", [adain, wct, style_swap])
def test_a_picture_is_its_own_style(transform, real):
    for f in (features(1, 8, 9, 7), real[0]):
        assert (transform(f, f) - f).norm() / f.norm() < 1e-3


@pytest.mark.parametrize("temperature", [0.1, 1, 16])
def test_attention_is_a_mean_whose_shares_sum_to_one(temperature, real):
    queries, keys = (normalize(f)[0].flatten(1) for f in real)
    rows = attention_rows(queries, keys, temperature)
    assert rows.min() >= 0
    torch.testing.assert_close(rows.sum(1), torch.ones(len(rows), dtype=rows.dtype))
    style = real[1]
    got = attention(real[0], style, temperature)
    assert torch.all(got <= style.amax((2, 3), keepdim=True) + 1e-9)


def test_attention_by_hand():
    # Normalised, both are -1 and 1; products 1 and -1, so e : 1/e.
    f, style = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[10.0, 16.0]]]])
    share = 1 / (1 + torch.e**-2)
    wanted = [10 * share + 16 * (1 - share), 16 * share + 10 * (1 - share)]
    assert attention(f, style).flatten().tolist() == pytest.approx(wanted)


def test_attention_ignores_where_the_style_has_what(real):
    content, style = real
    order = torch.randperm(style[0, 0].numel(), generator=torch.Generator().manual_seed(0))
    shuffled = style.flatten(2)[:, :, order].view_as(style)
    torch.testing.assert_close(attention(content, shuffled), attention(content, style))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(3, 3), (5, 8), (6, 7)])
def test_patches_cover_each_position_and_lie_where_they_were(stride, size):
    f = features(1, 2, *size)
    mean, count = lay(read_patches(f, stride), f.shape, stride)
    torch.testing.assert_close(mean, f)
    assert count.min() >= 1
    assert int(count.sum()) == 9 * len(patch_places(*size, stride))


@pytest.mark.parametrize("size", [(10, 10), (13, 18), (15, 21)])
def test_patches_chosen_by_means_are_copied_whole(size):
    style = features(1, 3, *size)
    torch.testing.assert_close(style_swap(style, style, stride=2, side=5, coarse=2), style)
    # A map of the same means, each 2x2 positions upside down: the style's own detail is put in.
    even = style[:, :, : size[0] // 2 * 2, : size[1] // 2 * 2]
    turned = even.unflatten(2, (-1, 2)).flip(3).flatten(2, 3)
    assert not torch.allclose(turned, even)
    torch.testing.assert_close(style_swap(turned, even, stride=1, side=2, coarse=2), even)


def test_overlaps_are_averaged_by_a_window():
    patches = torch.tensor([[1.0, 1, 1], [5, 5, 5]]).repeat(1, 3)  # of 0 to 2 and of 1 to 3
    window = torch.tensor([1.0, 2, 1]).repeat(3)
    mean, weight = lay(patches, (1, 1, 3, 4), window=window)
    assert mean[0, 0, 0].tolist() == pytest.approx([1, 7 / 3, 11 / 3, 5])
    assert weight[0, 0, 0].tolist() == [1, 3, 3, 1]


def test_a_map_without_patches_is_refused_in_one_line():
    with pytest.raises(InputError, match="2x5 has no 3x3 patch; use a larger size"):
        read_patches(features(1, 2, 2, 5))


def test_a_patch_matches_the_one_in_its_direction_however_long():
    style = torch.tensor([[1.0, 0, 0], [0, 1, 0], [3, 4, 0]])
    index, correlation = match(torch.tensor([[0.6, 0.8, 0.0], [5, 1, 0]]), style)
    assert index.tolist() == [2, 0]
    assert correlation.tolist() == pytest.approx([1, 5 / 26**0.5])


def test_matches_are_the_same_in_pieces(monkeypatch, real):
    patches, known = (read_patches(f, 2) for f in real)
    whole = match(patches, known)
    monkeypatch.setattr("stylelab.maths.patches.CHUNK", 7 * len(known))
    assert torch.equal(match(patches, known)[0], whole[0])


def test_strokes_are_shared_out_by_attention(real):
    salience = saliency(real[0])
    assert (salience.min(), salience.max()) == (0, 1)
    weights = stroke_weights(salience, 3)
    torch.testing.assert_close(weights.sum(0), torch.ones_like(salience))
    assert weights[0].flatten()[salience.argmin()] > 0.8  # coarse
    assert weights[2].flatten()[salience.argmax()] > 0.8  # fine


def test_many_strokes_of_one_size_are_one_swap(real):
    content, style = real
    swapped = adain(style_swap(content, style), style)
    torch.testing.assert_close(multi_stroke(content, style, (1, 1)), swapped)
    for got, wanted in zip(moments(multi_stroke(content, style)), moments(style), strict=True):
        torch.testing.assert_close(got, wanted)
