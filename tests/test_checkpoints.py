"""The shipped networks, on pictures that they never learnt from: what must hold of each."""

import csv
import hashlib
import re

import pytest
import torch

from stylelab import (
    VGG19,
    Config,
    fit_style,
    gram_matrix,
    load_image,
    load_network,
    paint,
    sample,
    standardize,
    stylize,
)
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch
from stylelab.maths.statistics import moments
from stylelab.networks.loading import checkpoint_names
from stylelab.networks.solver import losses, read, read_targets, true_adjoint
from stylelab.sample_pictures import data_folder

FOLDER = data_folder() / "checkpoints"
SIZE = (150, 225)
UNSEEN = ("chenonceau", "pont_du_gard", "mont_saint_michel")  # samples are in no training
NEW = ("cafe_terrace_at_night", "night_cafe")  # paintings that networks of any style never saw
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def test_each_has_its_card_its_hash_and_is_small():
    with (FOLDER / "CREDITS.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {f"{name}.safetensors" for name in checkpoint_names()} == set(rows)
    for name in checkpoint_names():
        content = (FOLDER / f"{name}.safetensors").read_bytes()
        assert len(content) <= 2_000_000
        assert hashlib.sha256(content).hexdigest() == rows[f"{name}.safetensors"]["sha256"]
        card = (FOLDER / f"{name}.md").read_text()
        for word in ("held out", "Licence", "What must hold"):
            assert word in card, (name, word)


@pytest.fixture(scope="module")
def vgg():
    return VGG19(LAYERS)


@pytest.fixture(scope="module")
def pictures():
    return {name: load_image(sample(name), SIZE) for name in (*UNSEEN, *NEW)}


@torch.no_grad()
def gram_distance(vgg, image, style):
    """The sum over the layers of the style loss of the method gatys."""
    found, wanted = (vgg(standardize(x)) for x in (image, style))
    gaps = [(gram_matrix(found[k]) - gram_matrix(wanted[k])).square().mean() for k in found]
    return float(torch.stack(gaps).sum())


@torch.no_grad()
def moments_distance(vgg, image, style):
    """The sum over the layers of the squared distances of means and of deviations."""
    found, wanted = (vgg(standardize(x)) for x in (image, style))
    pairs = [zip(moments(found[k]), moments(wanted[k]), strict=True) for k in found]
    return float(sum((a - b).square().mean() for pair in pairs for a, b in pair))


def held_out(name):
    """The photographs that a checkpoint's training held out, which its card lists."""
    (line,) = re.findall(r"- Held out: (.*)", (FOLDER / f"{name}.md").read_text())
    return [data_folder() / "training" / "photographs" / file for file in line.split(", ")]


def psnr(made, image):
    return float(-10 * torch.log10((made - image).square().mean()))


def mean_psnr(name, reconstruct):
    images = [load_image(path) for path in held_out(name)]
    with torch.no_grad():
        found = [psnr(reconstruct(image).clamp(0, 1), image) for image in images]
    return sum(found) / len(found)


@pytest.mark.parametrize("name", UNSEEN)
def test_johnsons_style_loss_is_below_a_third_of_the_photographs(name, vgg, pictures):
    image, style = pictures[name], load_image(sample("church_at_auvers"), SIZE)
    painted = paint("johnson", image)
    assert gram_distance(vgg, painted, style) < 0.3 * gram_distance(vgg, image, style)


def test_each_of_the_four_styles_is_best_at_its_own(vgg, pictures):
    network = load_network("multistyle")
    styles = [load_image(sample(name), SIZE) for name in network.names]
    for name in UNSEEN:
        painted = [paint(network, pictures[name], style) for style in network.names]
        table = torch.tensor([[gram_distance(vgg, x, style) for x in painted] for style in styles])
        assert table.argmin(1).tolist() == [0, 1, 2, 3], (name, table)


def test_a_fifth_style_trains_its_row_alone(pictures):
    network = load_network("multistyle")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    style = load_image(sample("langlois_bridge"), SIZE)
    network.add(fit_style(network, style, pictures["chenonceau"], steps=2, crop=64), "langlois")
    after = network.state_dict()
    assert torch.equal(after["table"][:4], before["table"])
    assert all(torch.equal(after[key], before[key]) for key in before if key != "table")
    assert not any(torch.equal(after["table"][4], row) for row in before["table"])


def test_textures_have_the_paintings_statistics_at_any_size(vgg):
    network = load_network("texture")
    style = load_image(sample("harvest_at_la_crau"), (256, 384))
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    config = Config(size=(128, 128), init="noise", content_weight=0, tv_weight=0, steps=300)
    best = stylize(noise, style, config, progress=False).image
    for seed, size in ((1, (128, 128)), (2, (200, 120))):
        one, other = network.sample(2, size, torch.Generator().manual_seed(seed))[:, None]
        found = gram_distance(vgg, one, style)
        assert found < 0.05 * gram_distance(vgg, noise, style)
        assert found < 2 * gram_distance(vgg, best, style)
        assert (one - other).abs().mean() > 0.05


@pytest.mark.parametrize("name", ["adain", "sanet", "aams"])
def test_decoders_reconstruct_photographs(name):
    network = load_network(name)

    def same(image):
        if name == "sanet":
            return network(image, [(image, 1.0)])
        return network(image, [(image, 1.0)], 0.0)

    assert mean_psnr(name, same) >= {"adain": 22, "sanet": 20, "aams": 22}[name]


@pytest.mark.parametrize(("layer", "least"), [("relu3_1", 20), ("relu2_1", 25), ("relu1_1", 30)])
def test_each_decoder_of_wct_reconstructs_photographs(layer, least):
    network = load_network("wct")

    def same(image):
        return network.decode(layer, network.encoder(standardize(image))[layer].float(), image)

    assert mean_psnr("wct", same) >= least


@pytest.mark.parametrize("name", ["adain", "wct", "sanet", "aams", "solver"])
def test_a_painting_never_seen_gives_its_statistics(name, vgg, pictures):
    network = load_network(name)
    for content in UNSEEN:
        for style in NEW:
            image = pictures[content]
            distances = [
                moments_distance(vgg, paint(network, image, pictures[style], strength=s),
                                 pictures[style])
                for s in (0.0, 0.5, 1.0)
            ]  # fmt: skip
            assert distances[2] < 0.5 * moments_distance(vgg, image, pictures[style])
            assert sorted(distances, reverse=True) == distances, (content, style, distances)


def test_attention_styles_more_than_means_and_deviations(vgg, pictures):
    found = {
        name: sum(
            moments_distance(vgg, paint(name, pictures[c], pictures[s]), pictures[s])
            for c in UNSEEN
            for s in NEW
        )
        for name in ("sanet", "adain")
    }
    assert found["sanet"] < found["adain"]


def test_wct_of_a_picture_with_itself_is_what_its_decoders_make_of_it(pictures):
    network, image = load_network("wct"), pictures["chenonceau"]
    own = paint(network, image, image)
    assert psnr(own, paint(network, image, image, strength=0)) > 30


@pytest.mark.parametrize("style", NEW)
def test_six_learnt_steps_beat_the_best_gradient_descent_of_six(style, pictures):
    network = load_network("solver", precision="float32")
    model, given = network.encoder, [(pictures[style], 1.0)]
    for name in UNSEEN[:2]:
        image = pictures[name]
        targets = read_targets(model, image, given)

        def total(x, targets=targets):
            found = losses(read(model, x), targets)
            return float(sum(v * (network.style_weight if k[0] == "s" else 1)
                             for k, v in found.items()))  # fmt: skip

        with torch.no_grad():
            learnt = total(network(image, given))
            rates = [0.02 * 3**k for k in range(7)]
            descents = [
                total(network.solve(image, targets, true_adjoint(model, rate), model))
                for rate in rates
            ]
        assert 0 < descents.index(min(descents)) < len(rates) - 1  # the best rate is among them
        assert learnt < min(descents), (name, learnt, descents)


def test_the_solver_takes_regularisers_when_it_runs(pictures):
    network, image = load_network("solver"), pictures["chenonceau"]
    given = [(pictures["night_cafe"], 1.0)]
    laplacian = to_torch(matting_laplacian(image), image)
    with torch.no_grad():
        plain = network(image, given)
        smooth = network(image, given, regularizer=lambda x: 2000 * matting_loss(x, laplacian))
        before = network(image.roll(2, 3), given).roll(-2, 3)  # the frame before, moved to this one
        still = network(image, given, regularizer=lambda x: 20 * (x - before).square().mean())
    assert matting_loss(smooth, laplacian) < 0.7 * matting_loss(plain, laplacian)
    assert (still - before).square().mean() < 0.7 * (plain - before).square().mean()
