"""Controls that work with every method: weights of layers, a mask for each style, shares."""

from dataclasses import replace

import pytest

from stylelab import METHODS, InputError, Transfer, grid, recipe, standardize
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
