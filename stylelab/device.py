"""Where a run computes, and in which number format."""

import ctypes
import platform
import sys
from math import inf
from pathlib import Path

import psutil
import torch

from stylelab.errors import InputError


def pick_device(name: str) -> torch.device:
    """The device of that name, or for "auto" the first of CUDA, MPS and CPU that there is."""
    available = {"mps": torch.backends.mps.is_available(), "cpu": True}
    gpus = {f"cuda:{i}": True for i in range(torch.cuda.device_count())}
    there = [*gpus, *(kind for kind, found in available.items() if found)]
    wanted = {"auto": there[0], "cuda": "cuda:0"}.get(name, name)
    if wanted not in there:
        raise InputError(f"device '{name}' is not on this machine; it has {', '.join(there)}")
    return torch.device(wanted)


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of the convolutions; "auto" is bfloat16 where hardware has it natively.

    The image, the Gram matrices and the losses are float32 with either.
    """
    if name == "auto":
        native = device.type == "cpu" and _cpu_has_bfloat16()
        if device.type == "cuda":
            with torch.cuda.device(device):
                native = torch.cuda.is_bf16_supported(including_emulation=False)
        name = "bfloat16" if native else "float32"
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _cpu_has_bfloat16() -> bool:
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return bool(torch.cpu._is_avx512_bf16_supported())  # older versions of torch


def free_memory_mb(device: torch.device) -> float:
    """What a run may take: on a GPU what is free there, else what is left with this process's own.

    What a container leaves counts, where the process is in one.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept) / 1e6
    left = min(psutil.virtual_memory().available, _left_in_container())
    return (left + psutil.Process().memory_info().rss) / 1e6


def _left_in_container(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that the container's limit leaves, with what is only cached; infinite without one."""
    version_2 = root, "memory.max", "memory.current", "inactive_file"
    version_1 = (
        root / "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    )
    for folder, limit, used, cached in (version_2, version_1):
        text = (folder / limit).read_text().strip() if (folder / limit).exists() else "max"
        if text.isdigit():
            lines = (folder / "memory.stat").read_text().splitlines()
            stat = dict(line.split() for line in lines)
            return int(text) - int((folder / used).read_text()) + int(stat[cached])
    return inf


def keep_freed_memory(block: int) -> None:
    """Let this process keep the blocks up to this many bytes that it frees.

    The C library gives each large feature map back to the system and gets it again, page by page,
    at the next step, which takes a tenth of the time. But kept blocks of many sizes leave gaps.
    Elsewhere than under glibc nothing is changed.
    """
    if platform.libc_ver()[0] == "glibc":
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        library = ctypes.CDLL(None)
        # Some versions take blocks up to half of that only; the other setting alone does harm.
        if library.mallopt(mmap_threshold, block) or library.mallopt(mmap_threshold, block // 2):
            library.mallopt(trim_threshold, 2**30)
        library.malloc_trim(0)  # what was freed before is given back once


def peak_memory_mb(device: torch.device) -> int:
    """Most memory held so far: on a GPU by its tensors, else by this process since it began."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6)
    if sys.platform == "win32":
        return round(psutil.Process().memory_info().peak_wset / 1e6)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak / 1e3)
