"""The commands ``stylelab samples``, ``info`` and ``lab``; see `stylelab.cli`."""

import subprocess
import sys
import tempfile
from pathlib import Path


def samples() -> None:
    """List the sample images and their credits."""
    from stylelab.sample_pictures import samples as table

    print(table()[["role", "title", "author", "year", "licence", "width", "height"]].to_string())


def info() -> None:
    """Show versions, device, precision, where the weights are, and memory."""
    import platform
    from importlib.metadata import version

    import psutil
    import torch

    from stylelab.device import pick_device, pick_precision, processor_kind
    from stylelab.vgg.weights import original_path, torchvision_path

    device, memory = pick_device("auto"), psutil.virtual_memory()
    found = torchvision_path()
    lines = {
        **{name: version(name) for name in ("stylelab", "torch", "torchvision", "pillow")},
        "python": f"{platform.python_version()} on {platform.platform()}",
        "device": device,
        "processor": processor_kind(),
        "precision": str(pick_precision("auto", device)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "weights original": original_path(),
        "weights torchvision": found if found.exists() else "not here (downloaded on first use)",
        "memory": f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available",
    }
    print("\n".join(f"{name:<20}{value}" for name, value in lines.items()))


def lab() -> None:
    """Open the notebooks in JupyterLab."""
    from stylelab.course import copy_for_students, notebooks_folder

    shipped, notebooks = notebooks_folder(), Path("stylelab-notebooks")
    if shipped.parent != Path(__file__).parent:  # in a clone
        notebooks = shipped
    elif not notebooks.exists():  # installed from a wheel: work on a complete copy
        with tempfile.TemporaryDirectory(dir=".") as folder:
            copy_for_students(Path(folder, "copy"))
            Path(folder, "copy").rename(notebooks)
    root = f"--ServerApp.root_dir={notebooks.resolve()}"
    raise SystemExit(subprocess.call([sys.executable, "-m", "jupyter", "lab", root]))
