"""The matting Laplacian (Levin, Lischinski and Weiss 2008): does a picture keep a photo's edges?

Its quadratic form is the least squared error, over all 3x3 windows, of writing a new channel as an
affine function of the photo's colours there. Recolouring costs nothing; bending an edge does.
"""

import warnings
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

PIXELS = 9  # of a window
AT_ONCE = 2**17  # windows, whose 9x9 tables take 85 MB


def matting_laplacian(image: Tensor, eps: float = 1e-7) -> scipy.sparse.csr_array:
    """The matting Laplacian of an image (1, 3, H, W) in [0, 1], in float64.

    L[i, j] = sum over the windows k that hold both pixels of
    delta_ij - (1 + (I_i - m_k)^T (S_k + eps / 9)^-1 (I_j - m_k)) / 9.

    Returns:
        (H*W, H*W), symmetric and positive semi-definite; each row sums to zero.
    """
    _, _, height, width = image.shape
    pixels = image[0].cpu().double().permute(1, 2, 0).reshape(-1, 3).numpy()  # (H*W, 3)
    corners = (np.arange(height - 2)[:, None] * width + np.arange(width - 2)).reshape(-1, 1)
    offsets = (np.arange(3)[:, None] * width + np.arange(3)).reshape(-1)
    windows = (corners + offsets).astype(np.int32)  # (K, 9): the pixels of each window
    shape = len(pixels), len(pixels)
    matrix = scipy.sparse.csr_array(shape)
    for some in np.array_split(windows, -(-len(windows) // AT_ONCE)):
        centred = pixels[some]
        centred = centred - centred.mean(1, keepdims=True)  # (k, 9, 3)
        covariance = centred.transpose(0, 2, 1) @ centred / PIXELS + eps / PIXELS * np.eye(3)
        likeness = centred @ np.linalg.solve(covariance, centred.transpose(0, 2, 1))  # (k, 9, 9)
        values = np.eye(PIXELS) - (1 + likeness) / PIXELS
        values = (values + values.transpose(0, 2, 1)) / 2
        rows = np.broadcast_to(some[:, :, None], values.shape)
        columns = np.broadcast_to(some[:, None, :], values.shape)
        places = rows.ravel(), columns.ravel()
        # Tables of rows add up what stands at the same place.
        matrix = matrix + scipy.sparse.coo_array((values.ravel(), places), shape=shape).tocsr()
    return matrix


def to_torch(matrix: scipy.sparse.csr_array, like: Tensor) -> Tensor:
    """A sparse matrix in the dtype of ``like``, on its device, but for MPS, which has none."""
    rows, columns = (torch.from_numpy(x.astype(np.int64)) for x in (matrix.indptr, matrix.indices))
    where = "cpu" if like.device.type == "mps" else like.device
    options: Any = {"dtype": like.dtype, "device": where, "check_invariants": False}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        values = torch.from_numpy(matrix.data)
        return torch.sparse_csr_tensor(rows, columns, values, matrix.shape, **options)


def matting_loss(image: Tensor, laplacian: Tensor) -> Tensor:
    """x^T L x, summed over the channels x of an image (1, C, H, W), per pixel."""
    x = image[0].flatten(1).mT  # (H*W, C)
    form: Tensor = _QuadraticForm.apply(x, laplacian)
    return form / len(x)


class _QuadraticForm(torch.autograd.Function):
    """The sum over columns of x^T L x, for a symmetric L; its gradient is 2 L x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, laplacian: Tensor) -> Tensor:
        product = (laplacian @ x.to(laplacian.device)).to(x.device)
        ctx.save_for_backward(product)
        return (x * product).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (product,) = ctx.saved_tensors
        return 2 * grad * product, None
