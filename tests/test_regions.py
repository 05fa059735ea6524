import numpy as np
import pytest
import torch

from stylelab import InputError, load_image, sample
from stylelab.maths.regions import masks_at_layers, masks_of_labels, masks_of_polygons, sky_mask
from stylelab.vgg.network import VGG19


def test_labels_become_masks_that_sum_to_one():
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[:20], picture[20:, :45] = (0, 0, 255), 128
    masks = masks_of_labels(picture, (30, 45))
    assert set(masks) == {(0, 0, 255), (128, 128, 128), (0, 0, 0)}
    assert masks[0, 0, 255].mean().item() == pytest.approx(1 / 3, abs=0.01)
    assert torch.cat(list(masks.values())).sum(0).sub(1).abs().max() < 0.02


def test_labels_are_cropped_as_photos_are():
    picture = np.zeros((40, 80), np.uint8)
    picture[:, :20] = 255  # what a square crop cuts off, and nothing else
    masks = masks_of_labels(picture, (20, 20))
    assert masks[255, 255, 255].mean() < 0.01
    assert masks_of_labels(picture, (20, 20), "stretch")[255, 255, 255].mean() == pytest.approx(
        0.25, abs=0.01
    )


def test_a_photo_is_no_picture_of_labels():
    with pytest.raises(InputError, match="up to 16 flat greys"):
        masks_of_labels(sample("chenonceau"), (20, 30))


def test_polygons_by_hand():
    half = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    quarter = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5)]
    masks = masks_of_polygons([half, quarter], (4, 6))
    assert masks[0, 0].tolist() == [[1] * 6] * 2 + [[0] * 6] * 2
    assert masks[1, 0].tolist() == [[0] * 6] * 2 + [[1] * 3 + [0] * 3] * 2
    assert torch.equal(masks.sum(0), torch.ones(1, 4, 6))
    with pytest.raises(InputError, match="polygon 1 has 2 points; give three or more"):
        masks_of_polygons([[(0, 0), (1, 1)]], (4, 6))


@pytest.mark.parametrize(
    "outside",
    [
        [(1.2, 0), (1.5, 0), (1.5, 1)],
        [(0, -0.5), (1, -0.5), (1, -0.1)],
        [(0, 40), (9, 40), (9, 90)],
    ],
    ids=["below", "left", "pixels"],
)
def test_a_polygon_outside_the_picture_is_named_and_one_that_juts_out_is_cut(outside):
    square = [(0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)]
    with pytest.raises(InputError, match="polygon 2 lies outside the picture"):
        masks_of_polygons([square, outside], (4, 6))
    jutting = [(-1, -1), (0.5, -1), (0.5, 2), (-1, 2)]  # the upper half, and more
    assert masks_of_polygons([jutting], (4, 6))[0, 0].tolist() == [[1] * 6] * 2 + [[0] * 6] * 2


@pytest.mark.parametrize("name", ["chenonceau", "mont_saint_michel"])
def test_the_sky_is_above(name):
    mask = sky_mask(load_image(sample(name), (100, 150)))
    assert mask.unique().tolist() == [0, 1]
    assert mask[:, :, :10].mean() > 0.9
    assert mask[:, :, 80:].mean() < 0.1


def test_masks_have_the_size_of_their_layers_and_ones_stay_ones():
    layers = "relu1_1", "conv2_2", "relu3_1", "relu4_1", "relu5_1"
    found = masks_at_layers(torch.ones(2, 1, 50, 75), layers)
    maps = VGG19(layers, weights="random", normalise="none")(torch.zeros(1, 3, 50, 75))
    for name in layers:
        assert found[name].shape == (2, 1, *maps[name].shape[2:])
        torch.testing.assert_close(found[name], torch.ones_like(found[name]))


def test_a_mask_spreads_as_far_as_convolutions_see():
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 4, 4] = 1
    once = masks_at_layers(mask, ["relu1_1"])["relu1_1"]
    assert once[0, 0, 3:6, 3:6].flatten().tolist() == pytest.approx([1 / 9] * 9)
    assert once.sum().item() == pytest.approx(1)
