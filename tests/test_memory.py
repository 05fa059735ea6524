import math
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
import torch

from stylelab import Config, InputError, Transfer, sample
from stylelab.device import _left_in_container, peak_memory_mb
from stylelab.training.pyramid import Adam
from stylelab.vgg.memory import BASE_MB, check_memory, estimate_memory_mb, host_memory_mb

CPU = torch.device("cpu")


def test_the_estimate_grows_with_pixels_precision_and_what_is_kept():
    plain, low = Config(), Config(memory="low")
    half, full = torch.bfloat16, torch.float32
    small, large = (300, 450), (600, 900)
    base = estimate_memory_mb(plain, (0, 0), half)
    growth = [estimate_memory_mb(plain, size, half) - base for size in (small, large)]
    assert growth[1] == pytest.approx(4 * growth[0])
    assert estimate_memory_mb(plain, large, full) > estimate_memory_mb(plain, large, half)
    assert estimate_memory_mb(low, large, half) < estimate_memory_mb(plain, large, half)
    shallow = Config(content_layers=("relu1_2",), style_layers=("relu1_1",))
    assert estimate_memory_mb(shallow, large, half) < estimate_memory_mb(plain, large, half)


def test_the_estimate_asks_the_method_and_counts_a_large_style_picture():
    size, full = (300, 450), torch.float32
    deep = Config(method="inversion", options={"layers": ["relu5_1"]})
    shallow = Config(method="inversion", options={"layers": ["relu1_1"]})
    assert estimate_memory_mb(shallow, size, full) < estimate_memory_mb(deep, size, full)
    usual, larger, huge = (
        estimate_memory_mb(Config(style_scale=s), size, full) for s in (1, 1.5, 6)
    )
    assert usual == larger < huge


def test_a_run_that_will_not_fit_is_refused_with_what_would(small, monkeypatch):
    config = replace(small, size=(2160, 3840))
    needs = [estimate_memory_mb(replace(config, memory=m), config.size, torch.float32) * 1e6
             for m in ("low", "plain")]  # fmt: skip
    virtual = psutil.virtual_memory()
    here = psutil.Process().memory_info().rss

    def free(amount):
        monkeypatch.setattr(
            "psutil.virtual_memory", lambda: virtual._replace(available=int(amount - here))
        )

    free(sum(needs) / 2)
    words = r"2160x3840 pixels need about \d+\.\d GB of memory and .* free; set memory='low' \(ab"
    with pytest.raises(InputError, match=words):
        Transfer(sample("chenonceau"), sample("night_cafe"), config)
    free(needs[0] / 2)
    with pytest.raises(InputError, match="choose a smaller size"):
        check_memory(config, config.size, torch.float32, CPU)
    free(2 * needs[1])
    check_memory(config, config.size, torch.float32, CPU)


@pytest.mark.parametrize("more", [{}, {"memory": "low"}, {"optimizer": "lbfgs"}])
def test_a_gpu_needs_as_much_more_as_a_size_adds(small, more, monkeypatch):
    config = replace(small, **more)
    nothing = estimate_memory_mb(config, (0, 0), torch.float32)
    weights = nothing - host_memory_mb(config)  # which are on the GPU
    pixels = estimate_memory_mb(config, small.size, torch.float32) - nothing
    for free, refused in ((weights + pixels + 1, False), (weights + pixels - 1, True)):
        monkeypatch.setattr("stylelab.vgg.memory.free_memory_mb", lambda device, f=free: f)
        if refused:
            with pytest.raises(InputError, match="pixels need about"):
                check_memory(config, small.size, torch.float32, torch.device("cuda"))
        else:
            check_memory(config, small.size, torch.float32, torch.device("cuda"))


def test_what_python_takes_is_not_taken_of_a_gpu(small, monkeypatch):
    needed = estimate_memory_mb(small, small.size, torch.float32)
    monkeypatch.setattr("stylelab.vgg.memory.free_memory_mb", lambda device: needed - BASE_MB / 2)
    check_memory(small, small.size, torch.float32, torch.device("cuda"))
    with pytest.raises(InputError, match="choose a smaller size"):
        check_memory(small, small.size, torch.float32, CPU)


@pytest.mark.parametrize(
    ("folder", "names", "cached"),
    [
        ("", ("memory.max", "memory.current"), "inactive_file"),
        ("memory", ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_inactive_file"),
    ],
)
def test_a_container_has_what_its_processes_leave(folder, names, cached, tmp_path):
    assert _left_in_container(tmp_path) == math.inf
    here = tmp_path / folder
    here.mkdir(exist_ok=True)
    for name, text in zip(names, ("3000", "2000"), strict=True):
        (here / name).write_text(f"{text}\n")
    (here / "memory.stat").write_text(f"anon 1500\n{cached} 500\n")
    assert _left_in_container(tmp_path) == 3000 - 2000 + 500
    (here / names[0]).write_text("max\n")
    assert _left_in_container(tmp_path) == math.inf


def test_the_peak_is_that_of_the_process_itself_not_of_the_one_that_started_it():
    words = (
        "import torch; from stylelab.device import peak_memory_mb;"
        "print(peak_memory_mb(torch.device('cpu')))"
    )

    def of_another() -> int:
        return int(subprocess.run([sys.executable, "-c", words], stdout=-1, check=True).stdout)

    before = of_another()
    large = torch.ones(300_000_000)  # 1.2 GB
    assert peak_memory_mb(CPU) > 1200
    assert of_another() < before + 200
    del large


@pytest.mark.parametrize("optimizer", ["adam", "pyramid"])
def test_a_run_does_not_import_the_compiler(optimizer):
    words = f"""
import sys
from stylelab import Config, sample, stylize
config = Config(size=(64, 96), steps=2, optimizer={optimizer!r})
stylize(sample("eiffel_tower"), sample("night_cafe"), config)
print(sorted({{"torch._dynamo", "sympy", "triton"}} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", words], stdout=-1, check=True, text=True).stdout
    assert found == "[]\n"


def test_adam_is_that_of_pytorch_to_the_byte():
    settings = {"betas": (0.8, 0.95), "weight_decay": 0.1}
    ours, theirs = (torch.linspace(-1, 1, 12, requires_grad=True) for _ in range(2))
    sides = [
        (ours, Adam([ours], 0.1, **settings)),
        (theirs, torch.optim.Adam([theirs], 0.1, **settings)),
    ]
    for _ in range(5):
        for image, optimizer in sides:
            optimizer.zero_grad()
            image.pow(3).sum().backward()
            optimizer.step()
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, torch.linspace(-1, 1, 12))
    saved = sides[1][1].state_dict()
    sides[0][1].load_state_dict(saved)
    assert sides[0][1].state_dict()["state"][0]["step"] == 5
