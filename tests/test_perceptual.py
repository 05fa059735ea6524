import sys

import lpips as package
import pytest
import torch
from torchvision.models import inception_v3

from stylelab import InputError
from stylelab.perceptual import ART, _art_classifier, _network, artfid, frechet_distance, lpips

of = package.LPIPS


@pytest.fixture(autouse=True)
def forget():
    for kept in (_network, _art_classifier):
        kept.cache_clear()
    yield
    for kept in (_network, _art_classifier):
        kept.cache_clear()


def drawn(**options):
    """LPIPS with a network whose values are drawn, so that nothing is downloaded."""
    torch.manual_seed(0)
    return of(**options, pnet_rand=True)


def test_without_a_network_one_line_names_the_file_and_its_place(content, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr("torch.hub.get_dir", lambda: "nowhere")
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    words = r"loaded \(no route to host\); put torchvision's alexnet-owt-7be5be79.pth at .*nowhere"
    with pytest.raises(InputError, match=words) as caught:
        lpips(content, content)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="unknown net 'vgg19' of LPIPS; choose from alex, vgg"):
        lpips(content, content, "vgg19")


def test_without_the_package_one_line_says_how_to_install_it(content, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(InputError, match=r"pip install 'stylelab\[metrics\]'"):
        lpips(content, content)


def test_with_weights_it_is_the_packages_distance(content, style, monkeypatch):
    monkeypatch.setattr(package, "LPIPS", drawn)
    assert lpips(content, content) == 0
    expected = drawn(net="alex", verbose=False)(style, content, normalize=True)
    assert lpips(style, content) == pytest.approx(float(expected))


@pytest.fixture
def standing_in(tmp_path, monkeypatch):
    """ArtFID's classifier with values that are drawn, where its file belongs."""
    torch.manual_seed(0)
    network = inception_v3(weights=None, num_classes=5, init_weights=False)
    path = tmp_path / "checkpoints" / ART
    path.parent.mkdir()
    torch.save(network.state_dict(), path)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(package, "LPIPS", drawn)
    return path


def test_frechet_distance_has_hand_worked_values():
    a = torch.tensor([[1.0], [3.0]])  # mean 2, variance 2
    b = torch.tensor([[0.0], [6.0]])  # mean 3, variance 18
    assert frechet_distance(a, b) == pytest.approx(1 + 2 + 18 - 2 * 36**0.5)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)
    # Variances 2 and 8 across against 8 and 2: (sqrt 8 - sqrt 2)^2 twice.
    wide = torch.tensor([[-2.0, -1], [-2, 1], [2, -1], [2, 1]]) * 1.5**0.5
    assert frechet_distance(wide, wide.flip(1)) == pytest.approx(2 * (8**0.5 - 2**0.5) ** 2)


def test_artfid_is_made_of_both(standing_in, content, style):
    large = [x.repeat(1, 1, 2, 2) for x in (content, style, content.flip(3), style.flip(2))]
    images, contents = large[:2], large[2:]
    assert artfid(images, images, images) == pytest.approx(1, abs=1e-4)
    change = sum(lpips(x, y) for x, y in zip(images, contents, strict=True)) / 2
    apart = artfid(images, contents, images)  # of the same set as the images, in any order
    assert apart == pytest.approx(1 + change, rel=1e-3)
    assert artfid(images, contents, images[::-1]) == pytest.approx(apart, rel=1e-4)
    features = [torch.cat([_art_classifier()(x) for x in xs]) for xs in (images, large[1:])]
    expected = (1 + change) * (1 + frechet_distance(*features))
    assert artfid(images, contents, large[1:]) == pytest.approx(expected)
    assert expected > apart


def test_artfid_names_what_is_missing(standing_in, content):
    small, large = [content] * 2, [content.repeat(1, 1, 2, 2)] * 2
    with pytest.raises(InputError, match="got 1 images, 1 contents and 2 styles"):
        artfid(large[:1], large[:1], large)
    with pytest.raises(InputError, match="75 pixels or more a side"):
        artfid(large, large, small)
    standing_in.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"could not be loaded \(.*put its authors' art_inception"):
        artfid(large, large, large)
    standing_in.unlink()
    with pytest.raises(InputError, match=r"No such file.*put its authors' art_inception") as found:
        artfid(large, large, large)
    assert "\n" not in str(found.value)
