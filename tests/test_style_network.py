from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from stylelab import (
    VGG19,
    InputError,
    StyleNetwork,
    fit_style,
    gram_matrix,
    load_image,
    sample,
    standardise,
    style_loss,
)
from stylelab.networks.multistyle import SHA256, packaged_path

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def packaged():
    return StyleNetwork()


@pytest.fixture
def network(packaged):
    """The packaged network, with its styles put back after the test."""
    table, names = packaged.table, list(packaged.names)
    yield packaged
    packaged.table, packaged.names = table, names


@pytest.fixture
def image():
    return load_image(sample("chenonceau"), (48, 64))


def test_a_style_is_990_numbers(network):
    # gamma and beta of 15 layers of 32 channels, and of 8, 4 and 3 channels.
    assert network.table.shape == (26, 2 * (15 * 32 + 8 + 4 + 3))
    assert sum(p.numel() for p in network.parameters()) + network.table.numel() == 166_104


@pytest.mark.parametrize("size", [(64, 96), (120, 88), (61, 83)])
@pytest.mark.parametrize("style", [0, 19, {3: 0.5, 12: 0.5}])
def test_it_paints_what_onnxruntime_paints(network, size, style):
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(packaged_path()), providers=providers)
    image = load_image(sample("pont_du_gard"), size)
    shares = network.shares(style).numpy()
    (expected,) = session.run(None, {"image": image.numpy(), "style_weights": shares})
    expected = torch.from_numpy(expected)[:, :, : size[0], : size[1]]  # rounded up to fours
    assert (network(image, style) - expected).abs().max() < 1e-4


def test_one_style_of_a_blend_is_that_style_exactly(network, image):
    shares = [0.0] * 26
    shares[7] = 1.0
    assert torch.equal(network(image, shares), network(image, 7))
    assert torch.equal(network(image, "7"), network(image, 7))
    assert torch.equal(network(image, network.table[7]), network(image, 7))
    assert torch.equal(network.shares({"7": 2, 3: 6})[[3, 7]], torch.tensor([0.75, 0.25]))


def test_a_blend_is_continuous(network, image):
    def jump(step):
        parts = [network(image, {0: 0.5 - x, 19: 0.5 + x}) for x in (0, step)]
        return float((parts[1] - parts[0]).abs().max())

    assert jump(0.1) < 0.5
    assert jump(1e-3) < jump(0.1) / 20
    assert jump(1e-5) < 1e-3


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (47, 63)])
def test_size_and_range_stay(network, size):
    painted = network(load_image(sample("eiffel_tower"), size), 5)
    assert painted.shape == (1, 3, *size)
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_a_batch_equals_its_singles(network, image):
    batch = torch.cat([image, image.flip(3)])
    singles = torch.cat([network(x[None], 4) for x in batch])
    torch.testing.assert_close(network(batch, 4), singles, atol=1e-5, rtol=0)


def test_a_style_is_fitted_by_its_numbers_alone(network, small, tmp_path):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    style = load_image(sample("harvest_at_la_crau"), (96, 144))
    content = load_image(sample("pont_du_gard"), (96, 144))
    held_out = load_image(sample("chenonceau"), (96, 96))
    model = VGG19(small.style_layers)

    def distance(picture):
        features, known = model(standardise(picture)), model(standardise(style))
        grams = {name: gram_matrix(known[name]) for name in small.style_layers}
        return sum(float(style_loss(features[n], gram)) for n, gram in grams.items())

    nearest = min(distance(network(held_out, i)) for i in range(26))
    totals = []
    row = fit_style(
        network, style, content, small, 20, 0.05, 64, 1, lambda _, v: totals.append(v["total"])
    )
    network.add(row, "harvest")
    assert distance(network(held_out, "harvest")) < 0.6 * nearest
    assert len(totals) == 20
    assert torch.equal(network.table[:26], before.pop("table"))
    for name, value in before.items():
        assert torch.equal(network.state_dict()[name], value), name

    painted = network(held_out, "harvest")
    path = network.save(tmp_path / "mine.safetensors")
    other = StyleNetwork()
    assert other.load(path) == ["harvest"]
    assert torch.equal(other(held_out, "harvest"), painted)
    assert torch.equal(other(held_out, 26 * [0] + [1]), painted)


def test_the_same_seed_fits_the_same_numbers(network, small, image):
    rows = [fit_style(network, image, image, small, 1, crop=32, batch=1) for _ in range(2)]
    other = fit_style(network, image, image, replace(small, seed=1), 1, crop=32, batch=1)
    assert torch.equal(*rows)
    assert not torch.equal(rows[0], other)


@pytest.mark.parametrize(
    ("style", "words"),
    [
        (26, "unknown style '26'; there are 0 ... 25"),
        (-1, "unknown style '-1'"),
        ("starry", "unknown style 'starry'"),
        ({"starry": 1}, "unknown style 'starry'"),
        ([1, 0], "26 numbers, one a style"),
        ([0] * 26, "one of them above 0"),
        ([-1] + [1] * 25, "0 or above"),
        ([float("nan")] * 26, "0 or above"),
        ("", "unknown style ''"),
    ],
)
def test_bad_styles_are_named(network, image, style, words):
    with pytest.raises(InputError) as error:
        network(image, style)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_images_sizes_and_names_are_named(network, small, image):
    with pytest.raises(InputError, match="at least 16x16"):
        network(image[:, :, :15], 0)
    with pytest.raises(InputError, match="crop=64 should be from 16 to 48"):
        fit_style(network, image, image, small, crop=64)
    with pytest.raises(InputError, match="steps and batch"):
        fit_style(network, image, image, small, steps=0, crop=32)
    with pytest.raises(InputError, match="'0' is empty or taken"):
        network.add(network.table[0], "0")
    with pytest.raises(InputError, match="990 numbers"):
        network.add(network.table[0, :10], "mine")


def test_bad_files_are_named(network, tmp_path):
    with pytest.raises(InputError, match="no fitted style to save"):
        network.save(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="does not exist"):
        network.load(tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"12345")
    with pytest.raises(InputError, match="is damaged"):
        network.load(damaged)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"styles": torch.zeros(1, 990)}, foreign, {"network": "x", "names": '["a"]'})
    with pytest.raises(InputError, match="another network"):
        network.load(foreign)
    short = tmp_path / "short.safetensors"
    save_file({"styles": torch.zeros(1, 9)}, short, {"network": SHA256, "names": '["a"]'})
    with pytest.raises(InputError, match="990 numbers"):
        network.load(short)
    assert network.names[-1] == "25"


def test_a_missing_or_changed_package_is_named(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(InputError, match=r"pip install 'stylelab\[styles\]'"):
            StyleNetwork()
    (tmp_path / "changed.onnx").write_bytes(b"changed")
    monkeypatch.setattr(
        "stylelab.networks.multistyle.packaged_path", lambda: tmp_path / "changed.onnx"
    )
    with pytest.raises(InputError, match="not the file that was expected"):
        StyleNetwork()
