import pytest
import torch

from stylelab.maths.lab import from_lab, grey_of, to_lab


def test_white_is_100_and_black_0_without_colour():
    ends = torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 3, 4, 4)
    lab = to_lab(ends)
    assert lab[:, 0, 0, 0].tolist() == pytest.approx([0, 100], abs=1e-3)
    assert lab[:, 1:].abs().max() < 0.01


def test_there_and_back_is_the_same():
    images = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(from_lab(to_lab(images)), images, atol=2e-3)


def test_lightness_and_hue_stay_where_a_colour_cannot_be_shown():
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    lab = to_lab(images)
    lab[:, 1:] *= 3  # far beyond what a screen shows
    found = to_lab(from_lab(lab))
    assert (found[:, 0] - lab[:, 0]).abs().max() < 0.2
    strong = found[:, 1:].norm(dim=1) > 10
    angles = [torch.atan2(x[:, 2], x[:, 1])[strong] for x in (found, lab)]
    apart = torch.remainder(angles[0] - angles[1] + torch.pi, 2 * torch.pi) - torch.pi
    assert apart.abs().max() < 0.03


def test_grey_of_a_lightness_is_its_colour_without_chroma():
    light = torch.linspace(0, 100, 32)[None, None, None]
    none = torch.cat([light, torch.zeros(1, 2, 1, 32)], 1)
    assert torch.allclose(grey_of(light), from_lab(none), atol=1e-3)
