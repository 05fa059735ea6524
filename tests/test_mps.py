"""What Apple's GPUs cannot do is done on the CPU; a tensor that claims to be on one stands for it.

No test here runs on such a GPU.
"""

import pytest
import torch
import torch.nn.functional as F

from stylelab import load_image, sample
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch
from stylelab.maths.resizing import resize
from stylelab.training.gauge import gradient_lengths
from stylelab.training.pyramid import PyramidAdam

MPS = torch.device("mps")


class Apple(torch.Tensor):
    """Says that it is on an Apple GPU, and refuses what they lack."""

    @property
    def device(self):
        return MPS

    def cpu(self):
        return self.as_subclass(torch.Tensor)

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    @classmethod
    def __torch_function__(cls, function, types, given=(), named=None):
        named = named or {}
        if function is F.interpolate and named.get("antialias"):
            raise NotImplementedError("_upsample_bilinear2d_aa for the MPS device")
        return super().__torch_function__(function, types, given, named)


@pytest.fixture(autouse=True)
def apple(monkeypatch):
    real, sparse = torch.Tensor.to, torch.sparse_csr_tensor

    def to(self, where=None, *rest, **named):
        if where == MPS:
            return self.as_subclass(Apple)
        if isinstance(self, Apple) and isinstance(where, torch.device):
            return self.cpu()
        return real(self, where, *rest, **named)

    def csr(*given, device, **named):
        if torch.device(device).type == "mps":
            raise NotImplementedError("Could not run 'new_compressed_tensor' from 'mps'")
        return sparse(*given, device=device, **named)

    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch, "sparse_csr_tensor", csr)


def test_pictures_are_resized_with_a_filter_on_the_cpu():
    image = torch.rand(1, 3, 8, 8)
    for mode in ("bilinear", "bicubic"):
        found = resize(image.as_subclass(Apple), (4, 4), mode)
        assert isinstance(found, Apple)
        assert torch.equal(found.cpu(), resize(image, (4, 4), mode))
    with pytest.raises(NotImplementedError):
        F.interpolate(image.as_subclass(Apple), (4, 4), mode="bilinear", antialias=True)


def test_the_pyramid_makes_the_same_step():
    found = []
    for kind in (torch.Tensor, Apple):
        x = torch.linspace(0, 1, 3 * 16 * 16).reshape(1, 3, 16, 16).as_subclass(kind)
        x = x.requires_grad_()
        optimizer = PyramidAdam([x], levels=3)
        optimizer.step(lambda x=x: x.square().sum().backward())
        found.append(x.detach().as_subclass(torch.Tensor))
    assert torch.equal(*found)


def test_the_edges_of_a_photograph_are_kept_without_sparse_matrices_there():
    photo = load_image(sample("chenonceau"), (16, 24))
    values = []
    for kind in (torch.Tensor, Apple):
        image = (photo * 0.5).as_subclass(kind).requires_grad_()
        laplacian = to_torch(matting_laplacian(photo), image)
        assert laplacian.device.type == "cpu"
        loss = matting_loss(image, laplacian)
        loss.backward()
        values.append((float(loss.detach()), image.grad.as_subclass(torch.Tensor)))
    assert values[0][0] == pytest.approx(values[1][0], rel=1e-6)
    assert torch.allclose(values[0][1], values[1][1])


def test_lengths_of_gradients_need_no_float64_there():
    image = torch.ones(1, 3, 16, 16)
    found = [
        gradient_lengths(lambda x: {"tv": x.square().sum()}, image.as_subclass(kind))["tv"]
        for kind in (torch.Tensor, Apple)
    ]
    assert found == pytest.approx([2 * (3 * 16 * 16) ** 0.5] * 2)
