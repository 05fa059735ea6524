from dataclasses import replace

import pytest
import torch

from stylelab import Config, InputError, Transfer, restore, sample, standardize
from stylelab.training.optimizers import PyramidAdam, learning_rate, plan_scales, project


def test_one_level_is_adam():
    torch.manual_seed(0)
    ours, theirs = (torch.zeros(1, 3, 8, 12, requires_grad=True) for _ in range(2))
    pyramid = PyramidAdam([ours], lr=0.1, levels=1, betas=(0.8, 0.9))
    adam = torch.optim.Adam([theirs], lr=0.1, betas=(0.8, 0.9))
    for _ in range(4):
        ours.grad = theirs.grad = torch.randn(1, 3, 8, 12)
        pyramid.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_levels_add_up_where_all_pixels_agree():
    """Adam's first step is the rate, whatever the gradient: 0.1 (1 + 0.5 + 0.25)."""
    image = torch.zeros(1, 3, 16, 24, requires_grad=True)
    image.grad = torch.full((1, 3, 16, 24), -7.0)
    PyramidAdam([image], lr=0.1, levels=3, ratio=0.5).step()
    torch.testing.assert_close(image.detach(), torch.full_like(image, 0.175))


def test_pixels_that_disagree_are_moved_by_the_finest_level_alone():
    image = torch.zeros(1, 1, 16, 16, requires_grad=True)
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1  # +1 and -1 in turns
    image.grad = board.expand(1, 1, 16, 16).clone()
    PyramidAdam([image], lr=0.1, levels=2, ratio=1e-3).step()
    torch.testing.assert_close(image.detach(), -0.1 * board.view(1, 1, 16, 16), atol=2e-4, rtol=0)


def test_sides_of_any_length_keep_their_size():
    image = torch.zeros(1, 3, 19, 33, requires_grad=True)
    image.grad = torch.randn(1, 3, 19, 33)
    optimizer = PyramidAdam([image], lr=0.1, levels=4)
    optimizer.step()
    assert optimizer.state[image]["mean/3"].shape == (1, 3, 3, 5)
    assert image.isfinite().all()


def test_the_linear_schedule_rises_for_ten_steps_and_falls_to_zero():
    factor = learning_rate(Config(schedule="linear", steps=100), 100)
    assert factor(0) == pytest.approx(0.1)
    assert factor(9) == pytest.approx(0.91)
    assert factor(50) == pytest.approx(0.5)
    assert factor(100) == 0
    assert learning_rate(Config(), 100)(99) == 1
    assert learning_rate(Config(schedule="linear"), 1)(0) == 1


def test_the_triangle_rises_for_half_of_the_first_scale_and_falls_to_zero():
    config = Config(schedule="triangle", steps=100)
    factor = learning_rate(config, 100)
    assert [factor(done) for done in (0, 24, 49, 50, 75, 100)] == pytest.approx(
        [0.02, 0.5, 1, 1, 0.5, 0]
    )
    later = learning_rate(config, 40, first=False)
    linear = learning_rate(replace(config, schedule="linear"), 40)
    assert [later(done) for done in range(41)] == [linear(done) for done in range(41)]
    assert learning_rate(config, 1)(0) == 1


def test_a_run_of_two_scales_rises_for_long_at_the_first_only(content, style, small):
    config = replace(small, schedule="triangle", scales=2, steps=30, learning_rate=0.1)
    transfer, rates = Transfer(content, style, config), []
    while not transfer.done:
        rates.append(transfer.optimizer.param_groups[0]["lr"])
        transfer.step()
    assert max(range(20), key=rates.__getitem__) in (9, 10)
    later = learning_rate(config, 10, first=False)
    assert rates[20:] == pytest.approx([0.1 * later(done) for done in range(10)])


def test_a_projection_moves_what_is_outside_to_the_nearest_colour():
    pixels = torch.tensor([[-0.5, 0.0, 0.25], [1.0, 1.7, 0.6]]).expand(1, 3, 2, 3)
    image = standardize(pixels).clone()
    project(image)
    torch.testing.assert_close(restore(image, clip=False), pixels.clamp(0, 1))
    torch.testing.assert_close(image[..., 2], standardize(pixels)[..., 2], rtol=0, atol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"init": "noise"},
        {"optimizer": "pyramid", "schedule": "linear"},
        {"optimizer": "pyramid", "scales": 2},
        {"colours": "luminance"},
        {"mask": str(sample("night_cafe"))},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_projected_it_is_in_range_at_every_step(small, changes):
    config = replace(small, projected=True, learning_rate=0.5, **changes)
    transfer = Transfer(sample("chenonceau"), sample("night_cafe"), config)
    for _ in [0, *transfer]:
        pixels = restore(transfer.variable.detach(), clip=False)
        assert pixels.min() > -1e-6
        assert pixels.max() < 1 + 1e-6
    assert transfer.outside == 0
    # Bold steps reach the borders, and the variable is moved no further than to them.
    assert (pixels < 1e-6).any()
    assert (pixels > 1 - 1e-6).any()


def test_without_a_projection_the_result_says_what_was_clipped(small):
    config = replace(small, learning_rate=0.5)
    transfer = Transfer(sample("chenonceau"), sample("night_cafe"), config)
    list(transfer)
    values = restore(transfer.variable.detach(), clip=False)
    outside = ((values < -0.5 / 255) | (values > 1 + 0.5 / 255)).float().mean()
    assert 0.01 < outside < 0.9
    assert transfer.result().info["outside"] == pytest.approx(float(outside), abs=1e-6)


def test_a_projection_of_lbfgs_is_refused(small):
    with pytest.raises(InputError, match="projected needs optimizer='adam' or 'pyramid'"):
        replace(small, projected=True, optimizer="lbfgs")


def test_scales_double_in_size_and_halve_in_steps():
    sizes, ends = plan_scales((301, 450), Config(scales=3, steps=700))
    assert sizes == [(76, 113), (151, 225), (301, 450)]
    assert ends == [400, 600, 700]
    assert plan_scales((150, 225), Config()) == ([(150, 225)], [500])
    with pytest.raises(InputError, match=r"scales=4 begins with 6x8 pixels.*use fewer scales"):
        plan_scales((48, 64), Config(scales=4))
    with pytest.raises(InputError, match="scales=3 needs at least 7 steps, not 6"):
        plan_scales((150, 225), Config(scales=3, steps=6))


def test_a_run_over_scales_ends_at_the_full_size_with_the_style_resized(small):
    config = replace(small, scales=2, steps=6)
    transfer = Transfer(sample("chenonceau"), sample("night_cafe"), config)
    shapes = [(tuple(transfer.image.shape[2:]), step) for step in transfer]
    assert shapes == [
        ((24, 32), 1), ((24, 32), 2), ((24, 32), 3),
        ((48, 64), 4), ((48, 64), 5), ((48, 64), 6),
    ]  # fmt: skip
    assert transfer.pictures[1].shape[2:] == (48, 64)
    assert transfer.history["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert transfer.result().image.shape == (1, 3, 48, 64)
