import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from stylelab import PRESETS, Config, InputError
from stylelab.config import LATER
from stylelab.presets import preset_name
from stylelab.sweeps.grids import Run

BAD = {
    "negative weight": ({"style_weight": -3}, "style_weight=-3: should be greater than or equal"),
    "NaN weight": ({"tv_weight": float("nan")}, "tv_weight=nan: should be a finite number"),
    "infinite weight": ({"content_weight": float("inf")}, "content_weight=inf"),
    "weight in words": ({"style_weight": "much"}, "style_weight='much': should be a valid number"),
    "no steps": ({"steps": 0}, "steps=0: should be greater than or equal to 1"),
    "half a step": ({"steps": 2.5}, "steps=2.5: should be a valid integer"),
    "no rate": ({"learning_rate": 0}, "learning_rate=0: should be greater than 0"),
    "no size": ({"size": 0}, "size=0 should be"),
    "one side in a tuple": ({"size": (150,)}, "size=.150,. should be .height, width."),
    "huge": ({"size": (10**6, 20)}, "in whole pixels from 16 to 10000"),
    "size in words": ({"size": "large"}, "size='large' should be"),
    "optimizer": ({"optimizer": "sgd"}, "optimizer='sgd': should be 'adam', 'lbfgs' or 'pyramid'"),
    "two schedules": (
        {"schedule": "linear", "decay_every": 5},
        "decay_every needs schedule='constant'",
    ),
    "scales": ({"scales": 0}, "scales=0: should be greater than or equal to 1"),
    "pooling": ({"pooling": "mean"}, "pooling='mean': should be 'max' or 'avg'"),
    "layer": ({"style_layers": ("relu6_1",)}, r"relu6_1.*VGG-19 has.*did you mean 'relu5_1'"),
    "one layer in a string": ({"content_layers": "relu4_1"}, "should be a valid tuple"),
    "layer twice": ({"style_layers": ("relu1_1", "relu1_1")}, "each layer may be named only once"),
    "no layer": ({"style_layers": ()}, "style_layers is empty"),
    "no loss": ({"content_weight": 0, "style_weight": 0, "tv_weight": 0}, "all loss weights are 0"),
    "device": ({"device": "gpu"}, "unknown device 'gpu'; choose from auto, cpu, cuda"),
    "seed": ({"seed": -1}, "seed=-1"),
    "no init": ({"init": ""}, "may not be empty"),
    "method": ({"method": "gaty"}, "unknown method 'gaty'; choose from .*mean 'gatys'"),
    "original weights of another network": (
        {"backbone": "resnet50"},
        "weights='original' are VGG-19's alone; with backbone='resnet50' set weights='torchvision'",
    ),
    "layer of another network": (
        {"backbone": "resnet50", "weights": "random", "style_layers": ("fire2",)},
        "backbone 'resnet50': unknown layer 'fire2'; it has relu1, layer1_1 ... layer4_3",
    ),
    "options of none": ({"options": {"strength": 1}}, "options of 'gatys': unknown setting"),
    "unknown option": (
        {"method": "inversion", "options": {"strenght": 1}},
        r"options of 'inversion': unknown setting 'strenght'.*did you mean 'strength'",
    ),
    "bad option": (
        {"method": "inversion", "options": {"strength": 2}},
        "options of 'inversion': strength=2: should be less than or equal to 1",
    ),
    "options in words": ({"options": "strength"}, "options='strength': should be a valid tuple"),
    "no style at all": ({"style_scale": 0}, "style_scale=0: should be greater than 0"),
    "colours": ({"colours": "grey"}, "colours='grey': should be 'style', 'luminance' or 'stat"),
    "empty shares": ({"blend": (0, 0)}, "all shares of blend are 0"),
    "negative share": ({"blend": (1, -1)}, "blend=-1: should be greater than or equal to 0"),
    "unknown": (
        {"style_wieght": 3},
        r"unknown setting 'style_wieght'.*did you mean 'style_weight'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_give_one_line(case):
    values, words = BAD[case]
    with pytest.raises(InputError, match=words) as caught:
        Config(**values)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=words):
        Config.from_dict(values)


def test_the_defaults_are_the_papers_experiment():
    paper, large = PRESETS["paper"], PRESETS["paper-large"]
    assert paper == Config()
    assert (paper.content_weight, paper.style_weight, paper.tv_weight) == (1, 1000, 10)
    assert (paper.steps, paper.learning_rate, paper.size) == (500, 0.1, (150, 225))
    assert large == replace(paper, size=(300, 450))
    assert preset_name(large) == "paper-large"
    assert preset_name(replace(large, steps=3)) is None


def test_it_goes_to_json_and_back():
    for config in PRESETS.values():
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert Config.from_dict({"steps": 3}) == Config(steps=3)


def test_the_text_that_names_a_run_depends_on_every_value_and_on_nothing_else():
    changes = {
        "method": "inversion", "style_scale": 2, "colours": "luminance", "blend": (1, 2),
        "mask": "mask.png", "content_layer_weights": (2,), "style_layer_weights": (2,),
        "weigh": "gradients", "style_masks": ("mask.png",),
        "size": 200, "fit": "stretch", "content_weight": 2, "style_weight": 2, "tv_weight": 2,
        "content_layers": ("relu4_2",), "style_layers": ("relu1_1",), "steps": 2,
        "optimizer": "lbfgs", "learning_rate": 0.2, "decay_every": 2, "stop_below": 2,
        "init": "noise", "projected": True,
        "scales": 2, "schedule": "linear", "memory": "low",
        "weights": "random", "normalise": "none", "pooling": "avg", "padding": "zeros",
        "precision": "float32", "device": "cpu", "seed": 2,
    }  # fmt: skip
    assert {*changes, "options", "backbone"} == Config().to_dict().keys()
    texts = {text(Config(**{name: value})) for name, value in changes.items()}
    texts.add(text(Config(method="inversion", options={"strength": 0.5})))
    texts.add(text(Config(backbone="vgg16", weights="random")))
    assert len(texts | {text(Config())}) == len(changes) + 3
    assert text(Config(style_weight=1000, size=[150, 225])) == text(Config(style_weight=1e3))


def text(config):
    return json.dumps(config.to_record(), sort_keys=True)


def test_settings_that_came_later_leave_the_keys_of_earlier_runs_alone():
    assert Run("chenonceau", "cafe_terrace_at_night", Config()).key == "7a52026167550e90"  # of 0.1
    assert not LATER & Config().to_record().keys()
    assert Config(projected=True).to_record()["projected"] is True
    for config in PRESETS.values():
        assert Config.from_dict(config.to_record()) == config


def test_runs_that_differ_in_loop_settings_or_loss_weights_share_what_is_prepared():
    other = {
        "steps": 2, "optimizer": "lbfgs", "learning_rate": 0.2, "decay_every": 2, "stop_below": 2,
        "init": "noise", "scales": 2, "projected": True, "schedule": "linear", "content_weight": 2,
        "style_weight": 2, "tv_weight": 2, "seed": 2, "size": 200,
    }  # fmt: skip
    own = {"pooling": "avg", "style_scale": 2, "colours": "luminance", "mask": "mask.png"}
    keys = {name: Config(**{name: value}).preparation_key() for name, value in other.items()}
    assert set(keys.values()) == {Config().preparation_key()}
    assert len({Config(**{k: v}).preparation_key() for k, v in own.items()}) == len(own)
    seeds = (Config(weights="random", seed=seed).preparation_key() for seed in (1, 2))
    assert len(set(seeds)) == 2


def test_it_is_frozen_and_hashable():
    with pytest.raises(FrozenInstanceError):
        Config().steps = 3
    assert len({Config(), Config(), Config(steps=3)}) == 2


def test_options_are_kept_as_the_method_has_them():
    given = {"strength": 1, "layers": ["relu3_1"]}
    config = Config(method="inversion", options=given)
    assert config.options == (("layers", ("relu3_1",)), ("strength", 1.0))
    assert config.to_dict()["options"] == {"layers": ["relu3_1"], "strength": 1.0}
    assert config == Config(method="inversion", options={**given, "strength": 1.0})
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert replace(config, steps=3).method_options.layers == ("relu3_1",)
    assert config in {config}
    assert Config(method="inversion").method_options.strength == 1.0


def test_a_config_needs_no_torch():
    code = (
        "import sys; from stylelab.config import Config\n"
        "Config.from_dict(Config(method='photo', blend=(1, 2)).to_dict())\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
