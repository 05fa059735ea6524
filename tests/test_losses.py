import pytest
import torch

from stylelab import content_loss, gram_matrix, style_loss, total_variation
from stylelab.losses import squared_variation
from stylelab.maths.statistics import covariance


def features(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_gram_of_a_2x2_example_by_hand():
    f = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 2.0]]]])
    # Products: 1+4+9+16 = 30, 2+8 = 10, 1+4 = 5; divided by C*H*W = 8.
    assert gram_matrix(f).tolist() == [[[30 / 8, 10 / 8], [10 / 8, 5 / 8]]]


def test_losses_by_hand():
    a, b = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert content_loss(a, b).item() == 30 / 4
    assert style_loss(b, torch.tensor([[[1.5]]])).item() == (30 / 4 - 1.5) ** 2
    # Down: 2 and 2; across: 1 and 1; half of the sum of both means.
    assert total_variation(b).item() == 0.5 * (2 + 1)


def test_squared_variation_by_hand():
    """Steps of 1 down only: 2 * (1/3 + 1/12 + 1/12) of them; a ramp across of 2: its square."""
    image = torch.arange(4.0)[:, None].expand(1, 3, 4, 5)
    assert squared_variation(image) == pytest.approx(2 * (1 / 3 + 2 / 12))
    across = 2 * torch.arange(5.0).expand(1, 3, 4, 5)
    assert squared_variation(across) == pytest.approx(4 * 2 * (1 / 3 + 2 / 12))
    assert squared_variation(torch.full((1, 3, 4, 5), 0.3)) == 0
    # Two gentle steps cost half of a steep one; absolute variation counts them alike.
    steep, gentle = (torch.tensor([v]).expand(1, 3, 2, 3) for v in ([0.0, 0, 1], [0.0, 0.5, 1]))
    assert squared_variation(gentle) == pytest.approx(0.5 * squared_variation(steep).item())
    assert total_variation(gentle) == total_variation(steep)


def test_a_constant_image_has_no_variation():
    assert total_variation(torch.full((1, 3, 5, 7), 0.3)).item() == 0


def test_the_gram_ignores_where_things_are():
    f = features(1, 4, 5, 6)
    shuffled = f.flatten(2)[:, :, torch.randperm(30)].view_as(f)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(f))
    assert torch.equal(gram_matrix(f), gram_matrix(f).mT)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_layout_changes_nothing(layout):
    f = features(2, 8, 5, 6).contiguous(memory_format=layout).requires_grad_()
    gram = gram_matrix(f)
    torch.testing.assert_close(gram, torch.einsum("bchw,bdhw->bcd", f, f) / (8 * 5 * 6))
    style_loss(f, torch.zeros(2, 8, 8, dtype=f.dtype)).backward()
    assert f.grad.is_contiguous(memory_format=layout) or layout == torch.contiguous_format


def test_a_batch_is_the_mean_of_its_singles():
    f, g = features(3, 4, 5, 6), features(3, 4, 5, 6).flip(0)
    gram = gram_matrix(g)
    pairs = [
        (content_loss(f, g), [content_loss(f[i : i + 1], g[i : i + 1]) for i in range(3)]),
        (style_loss(f, gram), [style_loss(f[i : i + 1], gram[i : i + 1]) for i in range(3)]),
        (total_variation(f), [total_variation(f[i : i + 1]) for i in range(3)]),
    ]
    for batch, singles in pairs:
        torch.testing.assert_close(batch, torch.stack(singles).mean())


def test_gradients_are_those_of_the_formulas():
    f, target = features(2, 3, 4, 5).requires_grad_(), features(2, 3, 4, 5).sin()
    gram = gram_matrix(target)
    assert torch.autograd.gradcheck(lambda x: content_loss(x, target), f)
    assert torch.autograd.gradcheck(gram_matrix, f)
    assert torch.autograd.gradcheck(lambda x: style_loss(x, gram), f)
    assert torch.autograd.gradcheck(total_variation, f)
    assert torch.autograd.gradgradcheck(gram_matrix, f)


def test_a_covariances_gradients_are_those_of_its_formula():
    f = features(2, 3, 4, 5).requires_grad_()
    for part in (0, 1):
        assert torch.autograd.gradcheck(lambda x, part=part: covariance(x)[part], f)
        assert torch.autograd.gradgradcheck(lambda x, part=part: covariance(x)[part].square(), f)


@pytest.mark.parametrize("statistic", [gram_matrix, lambda x: covariance(x)[1]])
def test_gradients_of_deeper_layers_are_computed_first(statistic):
    """So that no gradient as large as a shallow map waits in memory for them."""
    order = []
    shallow = features(1, 3, 4, 5).requires_grad_() * 2
    deep = shallow.sin()
    found = statistic(shallow)
    product = found.grad_fn
    while "SelfProduct" not in product.name():
        product = product.next_functions[0][0]
    deep.grad_fn.register_hook(lambda *_: order.append("deep"))
    product.register_hook(lambda *_: order.append("shallow"))
    (deep.sum() + found.sum()).backward()
    assert order == ["deep", "shallow"]


def test_a_gram_of_bfloat16_features_is_a_float32_sum():
    f = features(1, 64, 90, 100, dtype=torch.float32).relu().bfloat16()
    exact = gram_matrix(f.double())
    error = ((gram_matrix(f) - exact) / exact).abs().mean()
    rounded = ((f.flatten(2) @ f.flatten(2).mT / f[0].numel()).double() - exact) / exact
    assert gram_matrix(f).dtype == torch.float32
    assert error < 4e-4
    assert error < rounded.abs().mean() / 3
