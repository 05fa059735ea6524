"""Other networks than VGG-19 as the eyes of the losses."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model

from stylelab import Config, InputError, Transfer, load_image, sample, samples, standardize, stylize
from stylelab.layers import BACKBONES, LAYERS, layers_in
from stylelab.registry import METHODS
from stylelab.vgg.backbones import Backbone
from stylelab.vgg.memory import estimate_memory_mb

OTHERS = [name for name in BACKBONES if name != "vgg19"]
every_backbone = pytest.mark.parametrize("name", OTHERS)
# A layer halfway down each network, and where torchvision has it.
MIDDLE = {
    "vgg16": ("conv3_3", "features.14"),
    "resnet50": ("layer2_2", "layer2.1"),
    "convnext_tiny": ("stage2_1", "features.3.0"),
    "squeezenet1_1": ("fire4", "features.6"),
}


@pytest.fixture(scope="module")
def image():
    return standardize(load_image(sample("chenonceau"), (48, 64)))


@cache
def drawn(name, **settings):
    """A network with random weights, read at its middle layer."""
    return Backbone(name, [MIDDLE[name][0]], "random", **settings)


def torchvisions(name):
    """torchvision's network with values of our own, without its head."""
    with torch.device("meta"):
        network = get_model(name, weights=None).eval()
    for head in {"avgpool", "fc", "classifier"} & dict(network.named_children()).keys():
        setattr(network, head, nn.Identity())
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(1)
    for key, value in network.state_dict().items():
        if value.ndim > 1 and not key.endswith("layer_scale"):
            nn.init.kaiming_uniform_(value, generator=generator)
        elif key.endswith(("bias", "running_mean")):
            value.uniform_(-0.1, 0.1, generator=generator)
        elif value.ndim:
            value.uniform_(0.5, 1.5, generator=generator)
    return network


@every_backbone
def test_a_users_weights_give_the_maps_of_torchvisions_network(name, tmp_path):
    size = (33, 65) if name == "squeezenet1_1" else (32, 64)  # of which it leaves nothing out
    image = standardize(load_image(sample("chenonceau"), size))
    layer, place = MIDDLE[name]
    network, found = torchvisions(name), {}
    module = network.get_submodule(place)
    hook = module.register_forward_hook(lambda m, x, out: found.update(it=out.clone()))
    with torch.no_grad():
        network(image)
    hook.remove()
    save_file(network.state_dict(), tmp_path / "own.safetensors")
    own = str(tmp_path / "own.safetensors")
    read = Backbone(name, [layer], own, normalise="none", padding="zeros")
    torch.testing.assert_close(read(image)[layer], found["it"], rtol=1e-3, atol=1e-4)
    assert not any(p.requires_grad for p in read.parameters())


@every_backbone
def test_maps_shrink_by_the_strides_and_keep_all_edges(name):
    size = (50, 71)
    for padding in ("replicate", "reflect"):
        model = drawn(name, padding=padding, normalise="none")
        layer = model.layers[0]
        stride = model.strides[layer]
        assert stride == {"vgg16": 4}.get(name, 8)
        found = model(torch.randn(2, 3, *size))[layer]
        assert found.shape[0] == 2
        missing = [-(-side // stride) - n for side, n in zip(size, found.shape[2:], strict=True)]
        # SqueezeNet pools without padding, so that its maps may end a position earlier.
        assert set(missing) <= ({0, 1} if name == "squeezenet1_1" else {0}), padding


@pytest.mark.parametrize("name", ["convnext_tiny", "squeezenet1_1"])
def test_normalised_maps_have_a_mean_size_of_two_over_the_samples(name):
    layer = MIDDLE[name][0]
    crops = standardize(torch.cat([load_image(sample(n), (128, 128)) for n in samples().index]))
    assert drawn(name)(crops)[layer].abs().mean().item() == pytest.approx(2, rel=1e-3)
    means = drawn(name, normalise="filter")(crops)[layer].abs().mean((0, 2, 3))
    assert means.median().item() == pytest.approx(2, rel=1e-3)
    assert means.max() < 2.01


@every_backbone
def test_recomputing_gives_the_same_gradient(name, image):
    gradients = []
    for recompute in (False, True):
        model = drawn(name, normalise="none", recompute=recompute)
        x = image.clone().requires_grad_()
        model(x)[model.layers[0]].square().mean().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


@every_backbone
def test_every_layer_of_vgg19_has_one_that_stands_for_it(name):
    known = BACKBONES[name]
    found = [layers_in(name, [layer])[0] for layer in LAYERS]
    places = [known.index(layer) for layer in found]
    assert places == sorted(places) or name == "vgg16"  # where a fourth one is the third
    assert layers_in(name, known) == known
    assert len(layers_in(name, Config().style_layers)) == 5


def test_layers_in_by_hand():
    assert layers_in("vgg16", ["relu3_4", "relu3_3", "conv1_1"]) == ("relu3_3", "conv1_1")
    assert layers_in("resnet50", ["relu1_1", "conv1_2", "relu4_4"]) == ("relu1", "layer2_4")
    assert layers_in("vgg19", ["relu4_4"]) == ("relu4_4",)
    with pytest.raises(InputError, match="backbone 'vgg16': unknown layer 'fire9'"):
        layers_in("vgg16", ["fire9"])


@every_backbone
def test_a_transfer_sees_through_it(name, content, style, small):
    config = replace(
        small, backbone=name, weights="random", normalise="none", steps=3, init="noise",
        content_layers=("relu3_1",), style_layers=("relu1_1", "relu2_1", "relu3_1"),
    )  # fmt: skip
    result = stylize(content, style, config, progress=False)
    history = result.history
    assert history["total"].iloc[-1] < history["total"].iloc[0]
    seen = [column.split("/")[1] for column in history if column.startswith("style/")]
    assert seen == [*config.style_layers]
    assert set(seen) <= set(BACKBONES[name])
    assert result.info["weights_id"] == "random-0"


def test_the_same_seed_draws_the_same_network(image):
    one, same, other = (
        Backbone("squeezenet1_1", ["fire2"], "random", normalise="none", seed=seed)(image)["fire2"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_works_with_it_or_says_why_not(method, content, style, small):
    config = replace(small, method=method, backbone="squeezenet1_1", weights="random", steps=1)
    if method in ("photo", "repair"):
        with pytest.raises(
            InputError, match=r"follows masks .* set backbone to 'vgg19' or 'vgg16'"
        ):
            Transfer(content, style, config)
    else:
        assert len(stylize(content, style, config, progress=False).history) == 1


def test_masks_are_followed_through_vgg16(content, style, small):
    config = replace(small, method="photo", backbone="vgg16", weights="random", normalise="none")
    own = {"content_layers": ["conv2_1"], "style_layers": ["relu1_1", "relu2_1"]}
    transfer = Transfer(content, style, replace(config, options=own))
    terms = transfer.objective(transfer.variable)
    assert {"style/relu1_1", "style/relu2_1"} < terms.keys()


def test_average_pooling_is_for_networks_that_pool(image):
    pooled = drawn("resnet50", pooling="avg", normalise="none")
    assert any(isinstance(m, nn.AvgPool2d) for m in pooled.modules())
    most = drawn("resnet50", normalise="none")
    layer = most.layers[0]
    assert not torch.allclose(pooled(image)[layer], most(image)[layer])
    with pytest.raises(InputError, match="convnext_tiny has no pooling; leave it at 'max'"):
        drawn("convnext_tiny", pooling="avg")


def test_weights_of_another_network_are_named(tmp_path, image):
    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "own.safetensors")
    words = r"own.safetensors': 'conv1.weight' should have shape \(64, 3, 7, 7\) and has \(3,\)"
    with pytest.raises(InputError, match=words):
        Backbone("resnet50", ["relu1"], str(tmp_path / "own.safetensors"))
    words = "'features.0.weight' should have .* is missing; give a state dict of torchvision's VGG"
    with pytest.raises(InputError, match=words):
        Backbone("vgg16", ["relu1_1"], str(tmp_path / "own.safetensors"))
    with pytest.raises(InputError, match=r"resnet50 takes images .* not \(1, 3, 8, 8\)"):
        drawn("resnet50", normalise="none")(image[:, :, :8, :8])


def test_weights_that_are_not_here_are_named_with_the_way_out(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("torch.hub.get_dir", lambda: "nowhere")
    words = r"torchvision's weights of squeezenet1_1 could not be loaded \(no route.*'random'"
    with pytest.raises(InputError, match=words):
        Backbone("squeezenet1_1", ["fire2"], "torchvision")


def test_the_memory_of_a_run_is_foreseen():
    def megabytes(name, size, **changes):
        config = Config(backbone=name, weights="random", **changes)
        return estimate_memory_mb(config, size, torch.float32)

    small, large = (304, 448), (608, 896)
    for name in OTHERS:
        assert megabytes(name, small) < megabytes(name, large), name
    assert megabytes("vgg16", large, memory="low") < megabytes("vgg16", large)
    # The same convolutions but for one in each of three blocks.
    vgg19 = estimate_memory_mb(Config(), large, torch.float32)
    assert 0.6 * vgg19 < megabytes("vgg16", large) < vgg19
