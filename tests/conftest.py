import os
from dataclasses import replace

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch; kernels and commands inherit it
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from stylelab import PRESETS, Config, keep_states, load_image, sample, stylize

PAIR = sample("chenonceau"), sample("night_cafe")
TINY = Config(
    size=(32, 48), steps=6, weights="random", normalise="none", device="cpu", precision="float32",
    content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"),
)  # fmt: skip
BASE = replace(PRESETS["paper"], size=(32, 48), steps=2, device="cpu")


@pytest.fixture
def content():
    return load_image(sample("chenonceau"), (48, 64))


@pytest.fixture
def style():
    return load_image(sample("cafe_terrace_at_night"), (48, 64))


@pytest.fixture
def small() -> Config:
    """The paper's settings, small enough for a test; float32, so that numbers can be compared."""
    return replace(PRESETS["paper"], size=(48, 64), steps=6, precision="float32", device="cpu")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A complete run of PAIR and TINY with the states after two, four and six steps; only read."""
    out = tmp_path_factory.mktemp("kept") / "run"
    stylize(*PAIR, TINY, out, keep_states(out, every=2), progress=False)
    return out


@pytest.fixture(autouse=True)
def same_threads():
    """The same threads in each test, whatever ran before."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))


TOGETHER = (  # one worker each: one browser and one server of a kind, one building of the book
    "test_browser.py",
    "test_site.py",
)
LONGEST = (  # those with the most seconds first, so that two workers end together
    "test_checkpoints.py::test_what_must_hold",
    "test_notebooks.py::test_it_runs",
    "test_films.py::test_a_film_flickers",
    "test_wasserstein.py::test_its_picture",
    "test_benchmarks.py",
    "test_trainer.py",
    "test_gans.py",
    "test_sweep.py",
    "test_registry.py::test_a_cell",
    "test_training.py",
    "test_wheel.py",
    "test_style_network.py",
    "test_widgets.py::test_two_thousand",
    "test_reproduce.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    def place(item):
        names = TOGETHER + LONGEST
        return next((i for i, name in enumerate(names) if name in item.nodeid), len(names))

    items.sort(key=place)


class TogetherOrNot(LoadScopeScheduling):
    """Each test goes to the worker that is free; those of some files, all to one.

    The mark `xdist_group` would do it, but xdist 3.8 writes groups into the names of tests, which
    pytest 9.2 no longer reads.
    """

    def _split_scope(self, nodeid):
        return next((name for name in TOGETHER if f"{name}::" in nodeid), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return TogetherOrNot(config, log)
