from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from stylelab import Config, InputError, gram_matrix, style_loss, stylize
from stylelab.images import standardize
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch
from stylelab.maths.statistics import masked_gram
from stylelab.methods import photo
from stylelab.vgg.network import VGG19

TOP = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


@pytest.fixture
def config(small):
    return replace(small, method="photo")


@pytest.fixture(scope="module")
def maps():
    f, g = torch.randn(2, 1, 4, 6, 8, generator=torch.Generator().manual_seed(0)).double()
    return f, g


def test_one_full_mask_is_the_plain_style_loss(maps):
    f, g = maps
    full = torch.ones(1, 1, 6, 8, dtype=f.dtype)
    torch.testing.assert_close(masked_gram(g, full), gram_matrix(g))
    loss = photo.region_style_loss(f, full, [gram_matrix(g)])
    torch.testing.assert_close(loss, style_loss(f, gram_matrix(g)))


def test_the_gram_of_a_region_is_that_of_a_picture_of_it_alone(maps):
    f, _ = maps
    left = torch.zeros(1, 1, 6, 8, dtype=f.dtype)
    left[..., :4] = 1
    torch.testing.assert_close(masked_gram(f, left), gram_matrix(f[..., :4]))


def test_regions_count_by_their_part_of_the_picture(maps):
    f, g = maps
    masks = torch.zeros(2, 1, 6, 8, dtype=f.dtype)
    masks[0, ..., :2], masks[1, ..., 2:] = 1, 1
    targets = [masked_gram(g, mask[None]) for mask in masks]
    plain = [style_loss(f[..., :2], targets[0]), style_loss(f[..., 2:], targets[1])]
    loss = photo.region_style_loss(f, masks, targets)
    torch.testing.assert_close(loss, plain[0] / 4 + plain[1] * 3 / 4)


def run(content, style, config):
    model = VGG19(photo.layers(config))
    return photo.objective([(standardize(style), 1.0)], model, config)(standardize(content))


def test_nothing_is_left_to_do_where_image_content_and_style_are_one(config, content):
    terms = run(content, content, config)(standardize(content))
    assert [*terms][:2] == ["content/conv4_2", "style/relu1_1"]
    assert [*terms][-2:] == ["tv", "matting"]
    assert all(value < 1e-6 for name, value in terms.items() if name != "tv")


def test_a_region_takes_its_own_style_only(config, content):
    """Halves of one colour each: with regions the style's halves are already in place."""
    two = torch.zeros_like(content)
    two[:, 0, :24], two[:, 2, 24:] = 1, 1
    swapped = two.flip(2)
    polygons = {"content_polygons": (TOP,), "style_polygons": (TOP,)}
    guided = run(two, swapped, replace(config, options=polygons))(standardize(two))
    free = run(two, swapped, config)(standardize(two))
    assert free["style/relu1_1"] < 0.1 * guided["style/relu1_1"]


def test_regions_come_from_pictures_too(config, content, style, tmp_path):
    labels = np.zeros((48, 64), np.uint8)
    labels[:24] = 255
    Image.fromarray(labels).save(path := tmp_path / "labels.png")
    options = {"content_regions": str(path), "style_regions": str(path)}
    drawn = run(content, style, replace(config, options=options))(standardize(style))
    polygons = {"content_polygons": (TOP,), "style_polygons": (TOP,)}
    told = run(content, style, replace(config, options=polygons))(standardize(style))
    for name, value in drawn.items():
        torch.testing.assert_close(value, told[name])
    Image.fromarray(labels // 2).save(other := tmp_path / "other.png")
    options["style_regions"] = str(other)
    with pytest.raises(InputError, match=r"no label \(255, 255, 255\); they have \(0, 0, 0\)"):
        run(content, style, replace(config, options=options))


def test_a_region_that_hardly_shows_is_left_out(content):
    speck = ((0.0, 0.0), (0.02, 0.0), (0.02, 0.02), (0.0, 0.02))
    options = photo.Options(content_polygons=(TOP, speck), style_polygons=(TOP, TOP))
    masks, others = photo.find_regions(content, [content], options)
    assert len(masks) == len(others[0]) == 2  # the polygon of the upper half, and the rest


def test_a_run_keeps_the_edges_of_the_photo(config, content, style):
    config = replace(config, steps=20, options={"content_regions": "sky", "style_regions": "sky"})
    held = stylize(content, style, config, progress=False)
    free = stylize(content, style, replace(config, options={"smoothness": 0}), progress=False)
    laplacian = to_torch(matting_laplacian(content), content)
    bend = [matting_loss(result.image, laplacian) for result in (held, free)]
    assert bend[0] < 0.1 * bend[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"content_regions": "sky"}, "set both content_regions and style_regions"),
        ({"content_polygons": (TOP,)}, "differ in number: give pairs"),
        ({"smoothness": -1}, "smoothness"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(InputError, match=words):
        Config(method="photo", options=options)
