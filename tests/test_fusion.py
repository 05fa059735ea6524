import cv2
import numpy as np
import pytest
import torch

from stylelab import InputError
from stylelab.maths.fusion import down, fuse, up, weights


def bracket(height, width):
    """Three exposures of a colourful scene with edges, no pixel of which is grey."""
    generator = torch.Generator().manual_seed(0)
    light = torch.nn.functional.interpolate(
        torch.rand(1, 3, 9, 9, generator=generator), (height, width), mode="bicubic"
    ).clamp(0.02, 1)
    light = light * torch.tensor([1.0, 0.7, 0.45])[:, None, None] + 0.01 * torch.rand(
        1, 3, height, width, generator=generator
    )
    return torch.cat([(light * 2.0**stop) for stop in (-1.5, 0, 1.5)]).clamp(0, 1)


def test_weights_sum_to_one():
    found = weights(bracket(40, 56))
    assert found.shape == (3, 1, 40, 56)
    assert torch.allclose(found.sum(0), torch.ones(1, 40, 56))


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (101, 33)])
def test_three_times_the_same_picture_is_that_picture(size):
    image = torch.rand(1, 3, *size)
    assert torch.allclose(fuse(image.expand(3, -1, -1, -1)), image, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (101, 33)])
def test_fusion_equals_that_of_opencv(size):
    images = (bracket(*size) * 255).round() / 255
    arrays = [(x.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8) for x in images]
    wanted = cv2.createMergeMertens(1, 1, 1).process(arrays).clip(0, 1)
    found = fuse(images)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - wanted).max() < 0.02
    assert np.abs(found - wanted).mean() < 1e-3


def test_a_part_comes_from_the_exposure_that_shows_it():
    dark, bright = torch.full((1, 3, 16, 32), 0.02), torch.full((1, 3, 16, 32), 0.98)
    pattern = torch.rand(1, 3, 16, 16) * 0.4 + 0.3
    dark[..., :16], bright[..., 16:] = pattern, pattern
    found = weights(torch.cat([dark, bright]))
    assert found[0, 0, 2:-2, 2:14].min() > 0.5
    assert found[1, 0, 2:-2, 18:-2].min() > 0.5


def test_constant_pictures_stay_constant_in_a_pyramid():
    image = torch.full((1, 3, 7, 10), 0.3)
    assert torch.allclose(down(image), torch.full((1, 3, 4, 5), 0.3))
    assert torch.allclose(up(down(image), (7, 10)), image)


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match="a bracket is"):
        fuse(torch.rand(3, 16, 16))
