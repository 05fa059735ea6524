"""What must hold of every network, and of each."""

import pytest
import torch
import torch.nn.functional as F

from stylelab import NETWORKS, InputError, load_image, load_network, recipe, sample
from stylelab.maths.statistics import moments
from stylelab.networks.blocks import (
    Batch,
    Generator,
    GeneratorOptions,
    Grain,
    Network,
    clipped,
    convolution,
)
from stylelab.networks.decoders import CHANNELS, Decoder, enlarged
from stylelab.networks.loading import pack
from stylelab.vgg.network import VGG19

NAMES = {"one": ["night"], "many": ["night", "day"], "any": []}


def build(name):
    module = NETWORKS.load(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = module.build(module.Options(), NAMES[module.STYLES])
    assert network.kind == module.STYLES
    return network.requires_grad_(False)


def style_for(network, seed=1):
    picture = load_image(sample("night_cafe"), (48, 64))
    return {"one": None, "many": 1, "any": [(picture, 1.0)]}[network.kind]


@pytest.fixture(scope="module")
def networks():
    return {name: build(name).eval() for name in NETWORKS.shipped}


@pytest.fixture(params=NETWORKS.shipped)
def network(request, networks):
    return networks[request.param]


@pytest.mark.parametrize("size", [(32, 48), (37, 51)])
def test_size_and_range_stay(network, size):
    painted = network(load_image(sample("eiffel_tower"), size), style_for(network))
    assert painted.shape == (1, 3, *size)
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_a_batch_equals_its_singles(network):
    images = torch.cat([load_image(sample(n), (40, 56)) for n in ("chenonceau", "pont_du_gard")])
    style = style_for(network)
    if isinstance(network, NETWORKS.load("texture").Texture):
        assert not torch.equal(*network(images, style))  # each has noise of its own
        return
    solver = NETWORKS.load("solver")
    if isinstance(network, solver.Solver):  # each step of descent enlarges differences of rounding
        network = solver.build(solver.Options(steps=2), []).requires_grad_(False)
    singles = torch.cat([network(one[None], style) for one in images])
    assert (network(images, style) - singles).abs().max() < 1e-3


def test_strength_zero_is_the_content_of_a_network_without_a_decoder(networks):
    image = load_image(sample("chenonceau"), (32, 48))
    for name in ("johnson", "multistyle"):
        assert torch.equal(networks[name](image, style_for(networks[name]), 0.0), image)


def test_too_small_an_image_is_refused(network):
    if network.kind == "one" and not hasattr(network, "generator"):
        return  # textures have no least size
    with pytest.raises(InputError, match=r"at least (16|17|24|26)x"):
        network(torch.zeros(1, 3, 8, 40), style_for(network))


def test_what_is_packed_is_loaded_again(network, tmp_path):
    name = next(n for n in NETWORKS if type(network).__module__.endswith(f".{n}"))
    path = tmp_path / "network.safetensors"
    path.write_bytes(pack(network, name, {}, NAMES[network.kind]))
    loaded = load_network(tmp_path, precision="float32")
    image = load_image(sample("chenonceau"), (32, 48))
    assert torch.equal(loaded(image, style_for(network)), network(image, style_for(network)))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_changed_or_foreign_file_is_refused(networks, tmp_path):
    path = tmp_path / "a.safetensors"
    content = bytearray(pack(networks["johnson"], "johnson", {}, ["night"]))
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="was changed"):
        load_network(path)
    path.write_bytes(pack(networks["johnson"], "texture", {}, ["night"]))
    with pytest.raises(InputError, match="does not fit the network 'texture'"):
        load_network(path)
    path.write_bytes(pack(networks["johnson"], "nope", {}, ["night"]))
    with pytest.raises(InputError, match="unknown network 'nope'"):
        load_network(path)
    path.write_bytes(b"cut short")
    with pytest.raises(InputError, match="no network or is cut short"):
        load_network(path)
    with pytest.raises(InputError, match="holds no trained network"):
        load_network(tmp_path)
    with pytest.raises(InputError, match="unknown network 'nothing'"):
        load_network("nothing")


def test_every_loss_has_its_weight_and_a_gradient_reaches_every_parameter(network):
    name = next(n for n in NETWORKS if type(network).__module__.endswith(f".{n}"))
    module, settings = NETWORKS.load(name), recipe(name, weights="random", crop=32)
    from stylelab import VGG19

    model = VGG19(module.layers(settings), "random")
    styles = [load_image(sample(n), (48, 64)) for n in ("night_cafe", "langlois_bridge")]
    fresh = build(name)
    learnt = set(fresh.learnt())
    for key, parameter in fresh.named_parameters():
        parameter.requires_grad_(key in learnt)
    counts = {"one": 1, "many": 2, "any": 0}
    of = module.objective(fresh, styles[: counts[module.STYLES]], model, settings)
    generator = torch.Generator().manual_seed(0)
    batch = Batch(torch.rand(8, 3, 32, 32), torch.rand(8, 3, 32, 32), 1.0, generator)
    terms = of(batch)
    weights = module.loss_weights(settings)
    assert {key.split("/")[0] for key in terms} <= set(weights)
    total = torch.stack([weights[key.split("/")[0]] * v for key, v in terms.items()]).sum()
    total.backward()
    missing = [k for k, p in fresh.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


def test_bfloat16_changes_little_and_gives_float32(networks):
    network = networks["johnson"]
    image = load_image(sample("chenonceau"), (32, 48))
    exact = network(image)
    network.compute_in(torch.bfloat16)
    rounded = network(image)
    network.compute_in(torch.float32)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.1


def test_a_decoder_mirrors_the_encoder():
    weights = {
        layer: sum(p.numel() for p in Decoder(layer).parameters())
        for layer in ("relu1_1", "relu2_1", "relu3_1")
    }
    # 3x3 convolutions: 64 -> 3; 128 -> 64, 64 -> 64, 64 -> 3; with a bias for each output.
    assert weights["relu1_1"] == 9 * 64 * 3 + 3
    assert weights["relu2_1"] == 9 * (128 * 64 + 64 * 64 + 64 * 3) + 64 + 64 + 3
    assert Decoder("relu3_1")(torch.rand(2, CHANNELS[3], 5, 7)).shape == (2, 3, 20, 28)


@pytest.mark.parametrize("bias", [True, False])
def test_an_enlarging_convolution_is_that_of_repeated_pixels(bias):
    generator = torch.Generator().manual_seed(0)
    layer = convolution(4, 3, bias=bias).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64, generator=generator).requires_grad_()
    weighed = torch.randn(2, 3, 10, 6, dtype=torch.float64, generator=generator)
    found = enlarged(x, layer.weight, layer.bias)
    plain = layer(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    torch.testing.assert_close(found, plain)
    inputs = [x, *layer.parameters()]
    gradients = [torch.autograd.grad((y * weighed).sum(), inputs) for y in (found, plain)]
    torch.testing.assert_close(*gradients)


def test_a_generator_has_the_published_layers():
    # Johnson's supplement: 32, 64, 128 channels and five residual blocks.
    generator = Generator((32, 64, 128), (64, 32), 5)
    convolutions = [m.weight for m in generator.modules() if isinstance(m, torch.nn.Conv2d)]
    shapes = [tuple(weight.shape[:2]) for weight in convolutions]
    assert shapes[:4] == [(32, 3), (64, 32), (128, 64), (128, 128)]
    assert len(convolutions) == 3 + 10 + 2 + 1
    assert convolutions[0].shape[2:] == convolutions[-1].shape[2:] == (9, 9)


def test_a_clipped_pixel_outside_still_has_a_gradient():
    image = torch.tensor([-1.0, 0.25, 3.0], requires_grad=True)
    values = clipped(image)
    assert values.tolist() == [0, 0.25, 1]
    values.sum().backward()
    assert image.grad.tolist() == [1, 1, 1]


def test_noise_moves_in_training_alone():
    grain = Grain()
    images = torch.rand(3, 3, 300, 270)
    moved = grain(images)
    assert moved.shape == (3, 1, 300, 270)
    assert not torch.equal(moved[0], moved[1])
    assert torch.equal(grain(images[1:]), moved[1:])  # what a picture is given is its own
    still = grain.eval()(images)
    assert torch.equal(still[0], still[1])  # so that a film does not flicker
    assert torch.equal(still[..., 256:, :], still[..., :44, :])  # a tile, repeated
    assert abs(still.mean()) < 0.02
    assert abs(still.std() - 1) < 0.02


def test_an_even_sky_gets_strokes_from_noise_alone():
    sky = torch.full((1, 3, 32, 48), 0.5)
    of = GeneratorOptions(width=4, blocks=1)
    published, strokes = (of.build(published=p)(sky) for p in (True, False))
    assert published.std((2, 3)).max() < 1e-3
    assert strokes.std((2, 3)).min() > 0.05
    assert strokes.min() >= 0
    assert strokes.max() <= 1


def test_textures_differ_tile_and_come_in_any_size(networks):
    network = networks["texture"]
    two = network.sample(2, (64, 96))
    assert not torch.equal(*two)
    assert torch.equal(two, network.sample(2, (64, 96)))  # without a generator, the same ones
    alone = network.sample(1, (50, 70), torch.Generator().manual_seed(3))
    assert alone.shape == (1, 3, 50, 70)


def test_a_single_texture_does_not_depend_on_those_beside_it(networks):
    pyramid = networks["texture"].pyramid
    noises = [torch.rand(3, 3, 2 * 2**k, 3 * 2**k) for k in range(6)]
    alone = pyramid([noise[:1] for noise in noises])
    assert (pyramid(noises)[:1] - alone).abs().max() < 1e-4


def test_the_attention_of_sanet_sums_to_one(networks):
    content, style = torch.rand(1, 256, 6, 7), torch.rand(1, 256, 5, 9)
    weights = torch.cat([*networks["sanet"].attention.weights(content, style)], 1)
    assert weights.shape == (1, 42, 45)
    assert torch.allclose(weights.sum(2), torch.ones(1, 42))


def test_adain_gives_the_features_the_styles_moments_by_strength(networks):
    network = networks["adain"]
    content, style = torch.rand(1, 256, 6, 7), 3 * torch.rand(1, 256, 5, 9)
    found = moments(network.transform(content, style))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, moments(style), strict=True))


def test_several_styles_are_averaged_by_their_shares(networks):
    network = networks["adain"]
    image = load_image(sample("chenonceau"), (32, 48))
    first, second = (load_image(sample(n), (48, 64)) for n in ("night_cafe", "langlois_bridge"))
    alone = network(image, [(first, 1.0)])
    assert torch.equal(network(image, [(first, 1.0), (second, 0.0)]), alone)
    assert not torch.allclose(network(image, [(first, 0.5), (second, 0.5)]), alone)


def test_networks_are_of_one_kind():
    for name in NETWORKS.shipped:
        assert isinstance(build(name), Network)
        assert NETWORKS.load(name).STYLES in ("one", "many", "any")


@pytest.mark.parametrize("name", ["adain", "wct", "aams"])
def test_many_photographs_in_one_style_read_it_once(name, monkeypatch):
    network = load_network(name, precision="float32")
    photo, style = (load_image(sample(n), (48, 64)) for n in ("chenonceau", "night_cafe"))
    with torch.no_grad():
        first = network(photo, [(style, 1.0)])
        seen = []
        whole = VGG19.forward
        monkeypatch.setattr(VGG19, "forward", lambda own, x: seen.append(x) or whole(own, x))
        again = network(photo, [(style.clone(), 1.0)])
        count = len(seen)
        other = network(photo, [(style.flip(3), 1.0)])
    assert torch.equal(again, first)
    assert not torch.equal(other, first)
    assert len(seen) - count == 2 * count  # a new picture is read as often as the photograph
