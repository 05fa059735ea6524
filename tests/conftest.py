import os
from dataclasses import replace

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch; kernels and commands inherit it
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

from stylelab import PRESETS, Config, load_image, sample


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


@pytest.fixture(autouse=True)
def same_threads():
    """The same threads in each test, whatever ran before."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
