from dataclasses import replace

import pytest
import torch

from stylelab import Config, InputError, load_image, sample, stylize
from stylelab.images import standardize
from stylelab.maths.distances import patch_loss
from stylelab.maths.patches import match, read_patches
from stylelab.methods import cnnmrf
from stylelab.vgg.network import VGG19

STRIDE_ONE = {"stride": 1}


@pytest.fixture(scope="module")
def maps():
    """relu3_1 and relu4_1 of VGG-19: a photo and two paintings."""
    model = VGG19(["relu3_1", "relu4_1"])
    names = "chenonceau", "cafe_terrace_at_night", "church_at_auvers"
    return [model(standardize(load_image(sample(name), (96, 144)))) for name in names]


@pytest.mark.parametrize("layer", ["relu3_1", "relu4_1"])
def test_each_patch_of_the_style_matches_itself(layer, maps):
    patches = read_patches(maps[1][layer])
    index, correlation = match(patches, patches)
    assert torch.equal(index, torch.arange(len(patches)))
    assert correlation.min() > 1 - 1e-5
    assert patch_loss(maps[1][layer], patches) < 1e-9


@pytest.mark.parametrize("layer", ["relu3_1", "relu4_1"])
def test_matches_do_not_change_when_style_patches_are_scaled(layer, maps):
    content, style = (read_patches(f[layer], 2) for f in maps[:2])
    factors = torch.rand(len(style), 1, generator=torch.Generator().manual_seed(0)) + 0.5
    assert torch.equal(match(content, factors * style)[0], match(content, style)[0])


@pytest.mark.parametrize("layer", ["relu3_1", "relu4_1"])
def test_more_patches_never_make_matches_worse(layer, maps):
    content, few, more = (read_patches(f[layer], 2) for f in maps)
    both = torch.cat([few, more])
    assert torch.all(match(content, both)[1] >= match(content, few)[1] - 1e-6)
    loss = patch_loss(maps[0][layer], few, 2)
    assert patch_loss(maps[0][layer], both, 2) <= loss
    # Nor does it where all patches have one length, on which distance and correlation agree.
    rows = [torch.nn.functional.normalize(p, dim=1) for p in (content, few, both)]
    near, nearer = ((rows[0] - rows[k][match(rows[0], rows[k])[0]]).square().sum(1) for k in (1, 2))
    assert torch.all(nearer <= near + 1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_loss_is_the_mean_squared_distance_of_patches(stride, maps):
    features, style = (f["relu4_1"].double() for f in maps[:2])
    features.requires_grad_()
    known = read_patches(style, stride)
    patches = read_patches(features, stride)
    plain = (patches - known[match(patches.detach(), known)[0]]).square().mean()
    loss = patch_loss(features, known, stride)
    torch.testing.assert_close(loss, plain)
    got, wanted = (torch.autograd.grad(x, features)[0] for x in (loss, plain))
    torch.testing.assert_close(got, wanted)


def test_the_loss_by_hand():
    features = torch.ones(1, 1, 3, 3)
    known = torch.stack([torch.full((9,), 4.0), torch.arange(9.0)])
    assert patch_loss(features, known).item() == 9  # the flat patch, at a distance of 3


def test_style_terms_vanish_where_the_image_is_the_style(small, content, style):
    config = replace(small, method="cnnmrf", options=STRIDE_ONE)
    model = VGG19(cnnmrf.layers(config))
    image = standardize(style)
    terms = cnnmrf.objective([(image, 1.0)], model, config)(standardize(content))(image)
    assert list(terms) == ["content/relu4_2", "style/relu3_1", "style/relu4_1", "tv"]
    assert terms["style/relu3_1"] < 1e-9
    assert terms["style/relu4_1"] < 1e-9


def test_the_loss_remembers_nothing(small, content, style):
    config = replace(small, method="cnnmrf")
    first, again = (stylize(content, style, config, progress=False) for _ in range(2))
    assert torch.equal(first.image, again.image)


def test_octaves_and_several_styles(small, content, style):
    config = replace(small, method="cnnmrf", scales=2, size=(64, 96))
    result = stylize(content, [style, content], config, progress=False)
    assert result.image.shape == (1, 3, 64, 96)
    with pytest.raises(InputError, match="no 3x3 patch; use a larger size or fewer scales"):
        stylize(content, style, replace(config, scales=3, steps=7), progress=False)


def test_options_are_checked():
    with pytest.raises(InputError, match="stride"):
        Config(method="cnnmrf", options={"stride": 0})
