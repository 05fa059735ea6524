import numpy as np
import pytest
import torch

from stylelab import load_image, sample
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch


@pytest.fixture(scope="module")
def photo():
    return load_image(sample("chenonceau"), (32, 48))


@pytest.fixture(scope="module")
def laplacian(photo):
    return matting_laplacian(photo)


def test_a_constant_costs_nothing(laplacian):
    assert abs(laplacian @ np.ones(laplacian.shape[0])).max() < 1e-11


def test_it_is_symmetric_and_has_no_negative_eigenvalue(laplacian):
    dense = laplacian.toarray()
    np.testing.assert_allclose(dense, dense.T, atol=1e-14)  # but for the order of sums
    assert np.linalg.eigvalsh(dense).min() > -1e-12


def test_it_couples_pixels_of_one_window_only(laplacian):
    rows, columns = laplacian.nonzero()
    assert abs(rows // 48 - columns // 48).max() == 2
    assert abs(rows % 48 - columns % 48).max() == 2


def test_one_window_by_hand():
    # In a grey window of one colour nothing is explained: L = 1 - 1/9, the distance to the mean.
    flat = matting_laplacian(torch.full((1, 3, 3, 3), 0.5)).toarray()
    np.testing.assert_allclose(flat, np.eye(9) - 1 / 9, atol=1e-12)
    x = torch.arange(9.0).view(1, 1, 3, 3)  # squared distances to 4: 2 (16 + 9 + 4 + 1) = 60
    loss = matting_loss(x, to_torch(matting_laplacian(torch.full((1, 3, 3, 3), 0.5)), x))
    assert loss.item() == pytest.approx(60 / 9)


def test_recolouring_costs_next_to_nothing(photo, laplacian):
    change = torch.tensor([[0.5, 0.3, -0.2], [0.1, 0.7, 0.1], [0.0, -0.4, 0.9]])
    recoloured = torch.einsum("ij,bjhw->bihw", change, photo) + 0.1
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    matrix = to_torch(laplacian, photo)
    assert matting_loss(recoloured, matrix) < 1e-4 * matting_loss(noise, matrix)
    bent = photo.roll(1, 3)
    assert matting_loss(bent, matrix) > 100 * matting_loss(recoloured, matrix)


def test_the_gradient_is_that_of_the_formula():
    photo = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    matrix = to_torch(matting_laplacian(photo), photo)
    x = photo.flip(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: matting_loss(x, matrix), x)
