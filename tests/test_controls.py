"""Controls that work with every method: weights of layers, a mask for each style, shares."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from stylelab import (
    METHODS,
    InputError,
    Transfer,
    gram_matrix,
    grid,
    recipe,
    standardize,
    style_loss,
    stylize,
)
from stylelab.training.gauge import gradient_lengths, share_out
from stylelab.training.trainer import Training


def layered(config, content, style):
    """The style terms of the content's picture, by layer."""
    transfer = Transfer(content, style, config)
    terms = transfer.terms(standardize(content))
    return {k: float(v) for k, v in terms.items() if k.startswith("style/")}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_takes_a_weight_for_each_of_its_style_layers(content, style, small, method):
    config = replace(small, method=method, weights="random")
    plain = layered(config, content, style)
    weights = tuple(float(i) for i in range(len(plain)))
    found = layered(replace(config, style_layer_weights=weights), content, style)
    wanted = {name: w * value for w, (name, value) in zip(weights, plain.items(), strict=True)}
    assert found == pytest.approx(wanted)
    with pytest.raises(InputError, match=rf"has 9 weights for {len(plain)} style layers \(.*give"):
        layered(replace(config, style_layer_weights=(1.0,) * 9), content, style)


def test_a_content_layer_counts_by_its_weight(content, style, small):
    config = replace(small, content_layers=("relu1_1", "relu2_1"), weights="random")
    image = standardize(style)
    plain = Transfer(content, style, config).terms(image)
    config = replace(config, content_layer_weights=(0, 3))
    found = Transfer(content, style, config).terms(image)
    assert float(found["content/relu1_1"]) == 0
    assert float(found["content/relu2_1"]) == pytest.approx(3 * float(plain["content/relu2_1"]))
    assert float(found["tv"]) == float(plain["tv"])


def test_weights_of_layers_are_an_axis_of_grids_and_leave_other_keys_alone(small):
    axes = {"style_layer_weights": [[], [1, 1, 1, 1, 0]]}
    plain, weighted = grid("chenonceau", "night_cafe", axes, small)
    assert plain.key == grid("chenonceau", "night_cafe", {}, small)[0].key != weighted.key
    assert "style_layer_weights" not in small.to_record()


def test_trainings_take_weights_of_layers(tmp_path):
    layers = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu1_1",)}
    small = {"steps": 1, "crop": 32, "side": 48, "style_side": 48, "batch": 1, "method": "gatys"}
    base = recipe("texture", weights="random", **{**small, **layers})
    rows = []
    for weights in ((), (0.0, 2.0)):
        training = Training(replace(base, style_layer_weights=weights), ["night_cafe"], [])
        training.step()
        rows.append(training.history.iloc[0])
    assert rows[1]["style/relu1_1"] == 0
    assert rows[1]["style/relu2_1"] == pytest.approx(2 * rows[0]["style/relu2_1"])


@pytest.fixture
def halves(tmp_path):
    """Masks of the left and of the right half."""
    left = np.zeros((48, 64), np.uint8)
    left[:, :32] = 255
    Image.fromarray(left).save(tmp_path / "left.png")
    Image.fromarray(255 - left).save(tmp_path / "right.png")
    return str(tmp_path / "left.png"), str(tmp_path / "right.png")


MASKED = [{"method": name} for name in METHODS if name != "repair"]
MASKED += [{"method": "inversion", "options": {"transform": "aams"}}]


@pytest.mark.parametrize("settings", MASKED, ids=lambda s: " ".join(map(str, s.values())))
def test_each_style_counts_in_its_own_part_with_every_method(
    content, style, small, halves, settings
):
    config = replace(small, **settings, weights="random", style_masks=halves)
    other = style.flip(1)

    def total(*styles):
        terms = Transfer(content, styles, config).terms(standardize(other.flip(2)))
        return float(sum(v for k, v in terms.items() if k.startswith("style")))

    mixed = total(style, other) + total(other, style)
    assert mixed == pytest.approx(total(style, style) + total(other, other), rel=1e-4)
    assert total(style, other) != pytest.approx(total(other, other), rel=1e-4)


def test_patches_of_a_part_move_that_part_alone(content, style, small, halves):
    options = {"patch_layers": ("relu1_1",), "stride": 1}
    config = replace(small, method="cnnmrf", options=options, weights="random", style_masks=halves)
    found = []
    for other in (content, style.flip(1)):
        transfer = Transfer(content, [style, other], config)
        image = standardize(style).requires_grad_()
        found += torch.autograd.grad(transfer.terms(image)["style/relu1_1"], image)
    torch.testing.assert_close(found[0][..., :30], found[1][..., :30])
    assert not torch.allclose(found[0][..., 34:], found[1][..., 34:])


def test_the_gram_matrix_of_a_region_is_that_of_its_features(content, style, small, halves):
    layer = {"style_layers": ("conv1_1",), "content_layers": ("conv1_1",)}
    config = replace(small, **layer, padding="zeros", weights="random")
    transfer = Transfer(content, [style, content], replace(config, style_masks=halves))
    image = transfer.variable.detach()
    with torch.no_grad():
        found = transfer.terms(standardize(style))
        features, target = transfer.model(standardize(style))["conv1_1"], transfer.model(image)
        left = style_loss(features[..., :32], gram_matrix(features))
        right = style_loss(features[..., 32:], gram_matrix(target["conv1_1"]))
        whole = (features - target["conv1_1"]).square().mean()
    assert float(found["style/conv1_1"]) == pytest.approx(float(left + right) / 2, rel=1e-4)
    assert float(found["content/conv1_1"]) == pytest.approx(float(whole), rel=1e-5)


def test_where_no_mask_is_white_the_content_stays(content, style, small, halves):
    config = replace(small, style_masks=halves[:1], init="style", weights="random")
    image = stylize(content, style, config, progress=False).image
    torch.testing.assert_close(image[..., 33:], content[..., 33:])
    assert not torch.allclose(image[..., :31], content[..., :31])
    rest = replace(config, style_masks=(halves[0], ""))
    assert torch.equal(
        stylize(content, [style, style], rest, progress=False).image,
        stylize(content, [style, style], replace(rest, style_masks=halves), progress=False).image,
    )


def test_masks_that_do_not_fit_the_styles_are_refused_in_one_line(content, style, small, halves):
    for changes, words in (
        ({"style_masks": halves}, "has 2 masks for 1 style pictures; give 1"),
        ({"style_masks": ("no.png",)}, "'no.png' does not exist"),
        ({"style_masks": halves[:1], "blend": (1,)}, "give no blend"),
        ({"style_masks": halves[:1], "method": "repair"}, "takes no style_masks"),
    ):
        with pytest.raises(InputError, match=words):
            Transfer(content, style, replace(small, **changes))


@pytest.mark.parametrize("method", ["gatys", "inversion", "photo"])
def test_equal_shares_of_the_gradient_are_as_long_as_each_other(content, style, small, method):
    shares = {"content_weight": 30, "style_weight": 60, "tv_weight": 10}
    config = replace(small, method=method, weigh="gradients", weights="random", **shares)
    transfer = Transfer(content, style, config)
    middle = standardize(torch.lerp(content, style, 0.5))
    found = gradient_lengths(transfer.objective, middle)
    pulls = {group: transfer.loss_weights[group] * length for group, length in found.items()}
    assert pulls["style"] == pytest.approx(6 * pulls["tv"], rel=1e-4)
    if method != "inversion":  # which has no content term
        assert pulls["style"] == pytest.approx(2 * pulls["content"], rel=1e-4)
    if method == "photo":
        assert transfer.loss_weights["matting"] == 1e4
    transfer.set_weights(style_weight=10)
    pulls = {group: transfer.loss_weights[group] * length for group, length in found.items()}
    assert pulls["style"] == pytest.approx(pulls["tv"], rel=1e-4)


def test_a_group_without_a_gradient_can_have_no_share(small):
    ones = {"content": 1.0, "style": 1.0, "tv": 1.0}
    with pytest.raises(InputError, match="set content_weight to 0"):
        share_out(small, ones, {**ones, "content": 0.0})
