from dataclasses import replace

import pytest
import torch

from stylelab import (
    InputError,
    Transfer,
    gram_matrix,
    load_image,
    repair,
    sample,
    save_image,
    standardize,
    style_distance,
    stylize,
)
from stylelab.applications.repairs import DEFAULT, fill_smoothly
from stylelab.maths.patches import match, read_patches
from stylelab.maths.statistics import masked_gram
from stylelab.methods.repair import near, patch_loss, whole_patches

SIZE = (64, 96)


@pytest.fixture(scope="module")
def painting():
    return load_image(sample("harvest_at_la_crau"), SIZE)


@pytest.fixture(scope="module")
def hole():
    hole = torch.zeros(1, 1, *SIZE)
    hole[:, :, 42:56, 40:54] = 1
    return hole


@pytest.fixture
def mask(tmp_path, hole):
    return save_image(hole.expand(-1, 3, -1, -1), tmp_path / "mask.png")


@pytest.fixture
def config():
    return replace(DEFAULT, size=SIZE, steps=40, precision="float32", device="cpu")


def test_a_masked_gram_is_that_of_what_is_inside():
    f = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 6, 8)
    mask[:, :, 1:5, 2:6] = 1
    torch.testing.assert_close(masked_gram(f, mask), gram_matrix(f[:, :, 1:5, 2:6]))
    torch.testing.assert_close(masked_gram(f, torch.ones_like(mask)), gram_matrix(f))
    torch.testing.assert_close(masked_gram(f, mask / 2), masked_gram(f, mask))


def test_masks_grow_and_patches_are_inside_by_hand():
    mask = torch.zeros(1, 1, 4, 5)
    mask[0, 0, 0, 0] = 1
    assert near(mask, 0.2)[0, 0].tolist() == [[1, 1, 0, 0, 0]] * 2 + [[0] * 5] * 2
    assert whole_patches(1 - mask).tolist() == [False, True, True, True, True, True]


def test_the_loss_of_patches_and_its_gradient_are_those_of_the_formula():
    generator = torch.Generator().manual_seed(0)
    f = torch.rand(1, 2, 5, 6, generator=generator, dtype=torch.float64).requires_grad_()
    samples = torch.rand(7, 18, generator=generator, dtype=torch.float64)
    weight = torch.rand(1, 1, 5, 6, generator=generator, dtype=torch.float64)
    weight[..., :4] = 0  # so that the leftmost patches are left out
    patches, weights = read_patches(f), read_patches(weight)
    asked = weights.amax(1) > 0
    assert 0 < asked.sum() < 12
    squares = (patches - samples[match(patches, samples)[0]]).square().view(12, 9, 2)
    plain = (weights[..., None] * squares).sum() / (2 * weights.sum())
    loss = patch_loss(f, samples, weight)
    torch.testing.assert_close(loss, plain)
    gradients = [torch.autograd.grad(x, f)[0] for x in (loss, plain)]
    torch.testing.assert_close(*gradients)


def test_an_undamaged_picture_is_at_rest(painting, config):
    """Each patch is its own best match."""
    transfer = Transfer(painting, painting, replace(config, tv_weight=0))
    assert transfer.evaluate(painting)["total"] < 1e-6
    assert transfer.evaluate(painting.flip(3))["total"] > 0.1


def test_what_is_damaged_teaches_nothing(painting, hole, mask, config):
    """Whatever stands in the hole, the targets are the same."""
    config = replace(config, mask=str(mask))
    losses = []
    for filling in (0.0, 1.0):
        damaged = torch.lerp(painting, torch.full_like(painting, filling), hole)
        losses.append(Transfer(damaged, damaged, config).evaluate(painting))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    other = Transfer(painting.flip(3), painting, config).evaluate(painting)  # a whole example
    assert other != pytest.approx(losses[0], rel=1e-2)


def test_only_the_hole_is_painted_and_it_looks_more_like_the_painting(painting, hole, mask, config):
    damaged = torch.lerp(painting, torch.ones_like(painting), hole)
    result = repair(damaged, mask, config, progress=False)
    smooth = fill_smoothly(damaged, hole)
    assert ((1 - hole) * (result.image - smooth)).abs().max() < 1e-5
    assert (hole * (result.image - smooth)).abs().max() > 0.05
    assert DEFAULT.projected
    assert result.info["outside"] == 0
    patches = result.history["patches/relu3_1"]
    assert patches.iloc[-1] < 0.9 * patches.iloc[0]
    around = [x[:, :, 36:62, 34:60] for x in (result.image, smooth, painting)]
    assert style_distance(around[0], around[2]) < 0.9 * style_distance(around[1], around[2])


def test_the_smooth_filling_goes_on_from_the_edge():
    rows = torch.linspace(0.2, 0.8, 32)[:, None].expand(1, 3, 32, 48).clone()
    hole = torch.zeros(1, 1, 32, 48)
    hole[:, :, 10:16, 20:30] = 1
    torch.testing.assert_close(
        fill_smoothly(torch.lerp(rows, torch.ones_like(rows), hole), hole), rows, atol=1e-3, rtol=0
    )


def test_a_method_like_others_without_a_mask(painting, config):
    result = stylize(painting, sample("night_cafe"), replace(config, steps=3), progress=False)
    assert result.history["total"].iloc[-1] < result.history["total"].iloc[0]


def test_bad_masks_are_named(painting, hole, tmp_path, config):
    def save(values, name):
        return save_image(values.expand(1, 3, *SIZE), tmp_path / name)

    with pytest.raises(InputError, match="covers 0% of the picture"):
        repair(painting, save(torch.zeros(1, 1, *SIZE), "none.png"), config)
    with pytest.raises(InputError, match="covers 100% of the picture"):
        repair(painting, save(torch.ones(1, 1, *SIZE), "all.png"), config)
    with pytest.raises(InputError, match="does not exist"):
        repair(painting, tmp_path / "missing.png", config)
    black = replace(config, mask=str(tmp_path / "none.png"))
    with pytest.raises(InputError, match="the mask is black"):
        Transfer(painting, painting, black)
    with pytest.raises(InputError, match="leave colours and style_scale alone"):
        repair(painting, tmp_path / "none.png", replace(config, colours="luminance"))
    stripes = torch.zeros(1, 1, *SIZE)
    stripes[:, :, ::8] = 1
    with pytest.raises(InputError, match="leaves nothing undamaged at layer relu3_1"):
        repair(painting, save(stripes, "stripes.png"), config)


def test_features_of_the_hole_are_no_example(painting, hole, mask, config):
    """The loss of the patches cannot be zero by keeping what is in the hole."""
    config = replace(config, mask=str(mask))
    white = torch.lerp(painting, torch.ones_like(painting), hole)
    transfer = Transfer(white, white, config)
    terms = transfer.objective(standardize(white))
    assert terms["patches/relu3_1"] > transfer.objective(standardize(painting))["patches/relu3_1"]
