"""The shipped networks, on pictures that they never learnt from."""

import csv
import hashlib

import pytest
import torch

from stylelab import VGG19, gram_matrix, load_image, load_network, paint, sample, standardize
from stylelab.maths.statistics import moments
from stylelab.networks.loading import checkpoint_names
from stylelab.sample_pictures import data_folder

FOLDER = data_folder() / "checkpoints"
SIZE = (150, 225)
UNSEEN = ("chenonceau", "pont_du_gard", "mont_saint_michel")  # samples are in no training


def test_each_has_its_card_its_hash_and_is_small():
    with (FOLDER / "CREDITS.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {f"{name}.safetensors" for name in checkpoint_names()} == set(rows)
    for name in checkpoint_names():
        content = (FOLDER / f"{name}.safetensors").read_bytes()
        assert len(content) <= 2_000_000
        assert hashlib.sha256(content).hexdigest() == rows[f"{name}.safetensors"]["sha256"]
        card = (FOLDER / f"{name}.md").read_text()
        assert "held out" in card
        assert "Licence" in card


@pytest.fixture(scope="module")
def vgg():
    return VGG19(("relu1_1", "relu2_1", "relu3_1", "relu4_1"))


def gram_distance(vgg, image, style):
    """The sum over the layers of the style loss of the method gatys."""
    with torch.no_grad():
        found, wanted = (vgg(standardize(x)) for x in (image, style))
    gaps = [(gram_matrix(found[k]) - gram_matrix(wanted[k])).square().mean() for k in found]
    return float(torch.stack(gaps).sum())


@pytest.mark.parametrize("name", UNSEEN)
def test_johnsons_style_loss_is_below_a_third_of_the_photographs(name, vgg):
    image, style = (load_image(sample(n), SIZE) for n in (name, "night_cafe"))
    painted = paint("johnson", image)
    assert gram_distance(vgg, painted, style) < 0.3 * gram_distance(vgg, image, style)


@pytest.mark.parametrize("name", [n for n in ("adain", "sanet") if n in checkpoint_names()])
@pytest.mark.parametrize("picture", UNSEEN)
def test_a_decoder_gives_back_a_photograph_and_brings_the_styles_statistics(name, picture, vgg):
    network = load_network(name, precision="float32")
    image = load_image(sample(picture), (300, 450))
    style = load_image(sample("night_cafe"), (300, 450))  # a painting that it never saw
    plain = network.decode(network.encode(image), image).clamp(0, 1)
    psnr = -10 * (plain - image).square().mean().log10()
    assert psnr > 22
    distances = []
    for strength in (0.0, 0.5, 1.0):
        painted = network(image, [(style, 1.0)], strength)
        with torch.no_grad():
            found, wanted = (moments(vgg(standardize(x))["relu3_1"]) for x in (painted, style))
        distances.append(
            sum(float((a - b).square().mean()) for a, b in zip(found, wanted, strict=True))
        )
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.5 * distances[0]
