from dataclasses import replace

import pytest
import torch

from stylelab import Config, InputError, stylize
from stylelab.images import standardize
from stylelab.maths.statistics import adain
from stylelab.methods import inversion
from stylelab.vgg.network import VGG19

TRANSFORMS = ("adain", "wct", "sanet", "aams")


def run(content, styles, config):
    pairs = [(standardize(style), share) for style, share in styles]
    model = VGG19(inversion.layers(config))
    return inversion.objective(pairs, model, config)(standardize(content))


@pytest.fixture
def config(small):
    return replace(small, method="inversion")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_at_strength_zero_the_content_is_the_solution(name, config, content, style):
    config = replace(config, options={"transform": name, "strength": 0})
    terms = run(content, [(style, 1.0)], config)(standardize(content))
    assert [*terms] == [*(f"style/{layer}" for layer in inversion.layers(config)), "tv"]
    assert all(value < 1e-9 for term, value in terms.items() if term != "tv")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_stronger_the_further_from_the_content(name, config, content, style):
    losses = []
    for strength in (0.25, 0.5, 1):
        c = replace(config, options={"transform": name, "strength": strength})
        terms = run(content, [(style, 1.0)], c)(standardize(content))
        losses.append(sum(value for term, value in terms.items() if term != "tv"))
    assert losses == sorted(losses)


@pytest.mark.parametrize("name", ["adain", "wct"])
def test_a_picture_in_its_own_style_is_done(name, config, content):
    config = replace(config, options={"transform": name})
    terms = run(content, [(content, 1.0)], config)(standardize(content))
    # In WCT the cut of small eigenvalues leaves a little.
    assert all(value < 1e-4 for term, value in terms.items() if term != "tv")


def test_the_loss_is_the_squared_error_over_that_of_the_target(config, content, style):
    config = replace(config, options={"layers": ["relu3_1"], "strength": 0.6})
    assert inversion.layers(config) == ("relu3_1",)
    model = VGG19(["relu3_1"])
    c, s, x = (model(standardize(i))["relu3_1"] for i in (content, style, content.flip(3)))
    target = 0.4 * c + 0.6 * adain(c, s)
    terms = run(content, [(style, 1.0)], config)(standardize(content.flip(3)))
    wanted = (x - target).square().sum() / target.square().sum()
    torch.testing.assert_close(terms["style/relu3_1"], wanted)


def test_styles_are_interpolated_by_their_shares(config, content, style):
    other = style.flip(1)
    x = standardize(content)
    mixed = run(content, [(style, 0.3), (other, 0.7)], config)
    one, two = (run(content, [(s, 1.0)], config) for s in (style, other))
    # Targets are linear in the shares, so all of one share is that style.
    alone = run(content, [(style, 1.0), (other, 0.0)], config)
    for name, value in alone(x).items():
        torch.testing.assert_close(value, one(x)[name])
    assert mixed(x)["style/relu1_1"] != two(x)["style/relu1_1"]


def test_adain_is_inverted_to_a_few_per_cent(config, content, style):
    """From grey, at relu3_1, in a hundred steps of Adam."""
    grey = torch.full_like(content, 0.5)
    config = replace(config, tv_weight=0, steps=100, options={"layers": ["relu3_1"]})
    terms = run(content, [(style, 1.0)], config)
    image = standardize(grey).requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        loss = terms(image)["style/relu3_1"]
        loss.backward()
        optimizer.step()
    assert terms(image)["style/relu3_1"] < 0.1


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_transform_runs(name, config, content, style):
    result = stylize(
        content, [style, content], replace(config, options={"transform": name}), progress=False
    )
    assert result.history["total"].iloc[-1] < result.history["total"].iloc[0]


@pytest.mark.parametrize(
    "options", [{"transform": "gram"}, {"strength": 1.5}, {"temperature": 0}, {"strokes": []}]
)
def test_options_are_checked(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Config(method="inversion", options=options)
