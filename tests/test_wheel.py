"""The package as others install it: a wheel, far from the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--wheel-dir", str(folder)]
    options = ["--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*build, *options], check=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_it_works_outside_the_clone(installed, tmp_path):
    code = (
        "import stylelab, stylelab.config as c\n"
        f"assert c.__file__.startswith({str(installed)!r}), c.__file__\n"
        "from pathlib import Path\n"
        "from dataclasses import replace\n"
        "from stylelab import PRESETS, read_grid, sample, samples, stylize\n"
        f"assert all(str(sample(n)).startswith({str(installed)!r}) for n in samples().index)\n"
        "config = replace(PRESETS['paper'], size=(32, 48), steps=1, device='cpu')\n"
        "stylize(sample('chenonceau'), sample('night_cafe'), config, 'run', progress=False)\n"
        "assert len(read_grid('class')) == 9\n"
        "assert Path('run/result.json').is_file()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_it_brings_pictures_credits_notebooks_grids_and_the_reports_page(installed):
    for folder in ("data", "notebooks"):
        for path in (ROOT / folder).glob("*.[wci]*"):
            assert (installed / "stylelab" / folder / path.name).is_file(), path.name
    assert (installed / "stylelab" / "applications" / "report.html").is_file()
    assert (installed / "stylelab" / "py.typed").is_file()
    assert (installed / "stylelab" / "__init__.pyi").is_file()
    grids = Path("stylelab", "sweeps", "shipped")
    assert {p.name for p in (installed / grids).glob("*.toml")} == {
        p.name for p in (ROOT / grids).glob("*.toml")
    }
