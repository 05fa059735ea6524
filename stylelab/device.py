"""The device and the number format of a run, and how much memory it may use."""

import ctypes
import platform
import re
import sys
from math import inf
from pathlib import Path

import psutil
import torch

from stylelab.errors import InputError


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first of CUDA, MPS and CPU that is available.

    Raises:
        InputError: this machine does not have it.
    """
    available = {"mps": torch.backends.mps.is_available(), "cpu": True}
    gpus = {f"cuda:{i}": True for i in range(torch.cuda.device_count())}
    there = [*gpus, *(kind for kind, found in available.items() if found)]
    wanted = {"auto": there[0], "cuda": "cuda:0"}.get(name, name)
    if wanted not in there:
        raise InputError(f"device '{name}' is not on this machine; it has {', '.join(there)}")
    return torch.device(wanted)


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of the convolutions: "auto" is bfloat16 where the hardware supports it.

    The image, the Gram matrices and the losses are float32 in any case.
    """
    if name == "auto":
        native = device.type == "cpu" and cpu_has_bfloat16()
        if device.type == "cuda":
            with torch.cuda.device(device):
                native = torch.cuda.is_bf16_supported(including_emulation=False)
        name = "bfloat16" if native else "float32"
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def processor_kind() -> str:
    """The widest arithmetic of the processor that convolutions use; benchmarks name it.

    "AMX bfloat16", "AVX-512 bfloat16", or what PyTorch calls its capability, such as AVX2.
    """
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        for name, words in {"amx_bf16": "AMX", "avx512_bf16": "AVX-512", "bf16": "Arm"}.items():
            if found.get(name):
                return f"{words} bfloat16"
    return torch.backends.cpu.get_cpu_capability()


def cpu_has_bfloat16() -> bool:
    if hasattr(torch.cpu, "get_capabilities"):
        return processor_kind().endswith("bfloat16")
    return bool(torch.cpu._is_avx512_bf16_supported())  # older versions of torch


def free_memory_mb(device: torch.device) -> float:
    """Memory that a run may use, in MB (10^6 bytes).

    On a GPU: its free memory. On the CPU: the available memory plus what this process already
    holds, within the limit of its container, if any.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept) / 1e6
    left = min(psutil.virtual_memory().available, _left_in_container())
    return (left + psutil.Process().memory_info().rss) / 1e6


def _left_in_container(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes left below the container's limit, file caches not counted; infinite without one."""
    newer = root, "memory.max", "memory.current", "inactive_file"
    older = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    for folder, limit, used, cached in (newer, older):
        text = (folder / limit).read_text().strip() if (folder / limit).exists() else "max"
        if text.isdigit():
            lines = (folder / "memory.stat").read_text().splitlines()
            stat = dict(line.split() for line in lines)
            return int(text) - int((folder / used).read_text()) + int(stat[cached])
    return inf


def keep_freed_memory(block: int) -> None:
    """Let this process reuse freed blocks of up to ``block`` bytes; does nothing without glibc.

    By default the C library returns each large feature map to the system and requests it again,
    page by page, at the next step, which takes a tenth of the time. The size is limited because
    kept blocks of many sizes fragment the memory.
    """
    if platform.libc_ver()[0] == "glibc":
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        library = ctypes.CDLL(None)
        # Some versions accept only half that size. Raising the trim threshold alone does harm.
        if library.mallopt(mmap_threshold, block) or library.mallopt(mmap_threshold, block // 2):
            library.mallopt(trim_threshold, 2**30)
        library.malloc_trim(0)  # return, once, what was freed before


def peak_memory_mb(device: torch.device) -> int:
    """Peak memory so far, in MB: of the tensors on a GPU, else of this process since its start."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6)
    if sys.platform == "win32":
        return round(psutil.Process().memory_info().peak_wset / 1e6)
    # On Linux getrusage would count the process that started this one, too.
    status = Path("/proc/self/status").read_text() if sys.platform == "linux" else ""
    if peak_kib := re.search(r"VmHWM:\s+(\d+) kB", status):
        return round(int(peak_kib[1]) * 1024 / 1e6)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak / 1e3)
