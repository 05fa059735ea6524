"""The shipped networks, on pictures that they never learnt from."""

import csv
import hashlib

import pytest
import torch

from stylelab import VGG19, gram_matrix, load_image, paint, sample, standardize
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
