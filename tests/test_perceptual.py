import sys

import lpips as package
import pytest
import torch

from stylelab import InputError
from stylelab.perceptual import _network, lpips


@pytest.fixture(autouse=True)
def forget():
    _network.cache_clear()
    yield
    _network.cache_clear()


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
    of = package.LPIPS

    def drawn(**options):
        """With a network whose values are drawn, so that nothing is downloaded."""
        torch.manual_seed(0)
        return of(**options, pnet_rand=True)

    monkeypatch.setattr(package, "LPIPS", drawn)
    assert lpips(content, content) == 0
    expected = drawn(net="alex", verbose=False)(style, content, normalize=True)
    assert lpips(style, content) == pytest.approx(float(expected))
