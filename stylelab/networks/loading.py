"""Trained networks as files: safetensors that say what they hold, checked when they are read."""

import hashlib
import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from stylelab.device import keep_freed_memory, pick_device, pick_precision
from stylelab.errors import InputError, unknown
from stylelab.networks.blocks import Network
from stylelab.recipes import trainable
from stylelab.sample_pictures import data_folder

FILE = "network.safetensors"  # in a run's folder
ABOUT = "stylelab"  # the entry of a file's metadata


def pack(
    network: Network,
    name: str,
    options: dict[str, Any],
    styles: Sequence[str],
    dtype: torch.dtype = torch.float32,
) -> bytes:
    """The bytes of a file that `load_network` reads: what was learnt, and what it belongs to."""
    tensors = {k: v.detach().cpu().to(dtype).contiguous() for k, v in network.learnt().items()}
    about = {
        "network": name,
        "options": options,
        "styles": list(styles),
        "stylelab": version("stylelab"),
        "sha256": _hash(tensors),
    }
    # One entry: the order of several is not the same each time.
    return save(tensors, {ABOUT: json.dumps(about)})


def load_network(
    source: str | os.PathLike[str], device: str = "auto", precision: str = "auto"
) -> Network:
    """A trained network, ready to paint.

    Args:
        source: the name of a shipped checkpoint, a run's folder, or a .safetensors file.
        device, precision: as in `Config`.

    Raises:
        InputError: it does not exist, is damaged or was changed, or is of a network that is not
            registered.
    """
    path = find_network(source)
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception:  # safetensors has several
        raise InputError(f"'{path}' is no network or is cut short; train it again") from None
    if "network" not in about:
        raise InputError(f"'{path}' was not written by a training; name a run's folder")
    if about.get("sha256") != _hash(tensors):
        raise InputError(f"'{path}' was changed (its SHA-256 differs); train it again")
    name = about["network"]
    try:
        module = trainable(name).load(name)
    except ValueError as error:
        raise InputError(f"'{path}': {error}; register it first") from None
    network: Network = module.build(module.Options(**about["options"]), about["styles"])
    wanted = {k: v.shape for k, v in network.learnt().items()}
    if {k: v.shape for k, v in tensors.items()} != wanted:
        raise InputError(f"'{path}' does not fit the network '{name}'; train it again")
    network.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)
    where = pick_device(device)
    network.to(where).eval().requires_grad_(False)
    network.compute_in(pick_precision(precision, where))
    if where.type == "cpu":
        keep_freed_memory(2**26)
    return network


def checkpoint_names() -> list[str]:
    """The names of the shipped checkpoints."""
    return sorted(path.stem for path in (data_folder() / "checkpoints").glob("*.safetensors"))


def painters() -> list[str]:
    """The names of the shipped checkpoints that paint what they are given."""
    return [name for name in checkpoint_names() if name not in ("gan", "faces")]


def find_network(source: str | os.PathLike[str]) -> Path:
    """The path of a network's file; InputError if there is none."""
    path = Path(source)
    if path.is_dir():
        if not (path / FILE).is_file():
            raise InputError(f"'{path}' holds no trained network; name a run that is complete")
        return path / FILE
    if path.is_file():
        return path
    if str(source) not in (names := checkpoint_names()):
        raise InputError(unknown("network", str(source), names) + "; or name a run's folder")
    return data_folder() / "checkpoints" / f"{source}.safetensors"


def _hash(tensors: dict[str, Tensor]) -> str:
    found = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        found.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.numpy().tobytes())
    return found.hexdigest()
