"""Properties of settings, grids, pictures and run folders, over inputs that hypothesis makes up.

The examples are the same each time; `pytest --hypothesis-seed=1` makes others up.
"""

import io
import json
import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stylelab import Config, InputError, Result, grid, load_image, restore, save_image, standardize
from stylelab.config import LARGEST, SMALLEST
from stylelab.files import write_together
from stylelab.images import Picture, quantize
from stylelab.layers import LAYERS
from stylelab.sweeps.grids import flat, read_grid
from stylelab.sweeps.table import status
from stylelab.training.optimizers import plan_scales

few = settings(
    derandomize=True,
    deadline=None,
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

sides = st.integers(SMALLEST, LARGEST)
weights = st.floats(0, 1e12, allow_subnormal=False)
layers = st.lists(st.sampled_from(LAYERS), min_size=1, max_size=4, unique=True)
configs = st.builds(
    Config,
    size=st.one_of(sides, st.tuples(sides, sides)),
    content_weight=st.floats(1, 1e12),
    style_weight=weights,
    tv_weight=weights,
    content_layers=layers,
    style_layers=layers,
    blend=st.lists(st.floats(0.01, 10), max_size=3),
    steps=st.integers(1, 1_000_000),
    scales=st.integers(1, 8),
    optimizer=st.sampled_from(["adam", "pyramid"]),
    learning_rate=st.floats(1e-6, 1000),
    projected=st.booleans(),
    init=st.text(min_size=1, max_size=8),
    mask=st.text(max_size=5),
    seed=st.integers(0, 2**63 - 1),
    options=st.sampled_from([{}, {"variation": "squared"}]),
)
plain = [st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)]
junk = st.recursive(
    st.one_of(*plain, st.binary(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=5,
)


def one_line(error):
    text = str(error)
    return bool(text) and len(text.splitlines()) == 1


# Settings.


@few
@given(configs)
def test_a_config_is_itself_again_after_json(config):
    text = json.dumps(config.to_dict())
    again = Config.from_dict(json.loads(text))
    assert again == config
    assert hash(again) == hash(config)
    assert again.to_record() == config.to_record()
    assert set(config.to_record()) <= set(config.to_dict())


@few
@given(st.sampled_from([f.name for f in fields(Config)]), junk)
def test_any_value_of_any_setting_is_taken_or_refused_in_one_line(name, value):
    try:
        config = Config(**{name: value})
    except InputError as error:
        assert one_line(error)  # noqa: PT017
    else:
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@few
@given(junk)
def test_anything_in_place_of_a_mapping_is_refused_in_one_line(value):
    try:
        assert isinstance(Config.from_dict(value), Config)  # an empty mapping, say
    except InputError as error:
        assert one_line(error)  # noqa: PT017


@few
@given(st.permutations([("transform", "wct"), ("strength", 0.5), ("temperature", 2.0)]))
def test_the_order_of_options_does_not_matter(pairs):
    one = Config(method="inversion", options=dict(pairs))
    assert one == Config(method="inversion", options=sorted(pairs))
    assert one.to_record() == Config(method="inversion", options=tuple(pairs)).to_record()


@few
@given(st.tuples(st.integers(16, 500), st.integers(16, 500)), st.integers(1, 6), st.integers(1, 99))
def test_scales_end_at_the_size_with_all_steps_made(size, scales, steps):
    try:
        found, ends = plan_scales(size, Config(size=size, scales=scales, steps=steps))
    except InputError:
        assert scales > 1  # too few steps, or too small a picture
        return
    assert found[-1] == size
    assert ends[-1] == steps
    assert ends == sorted(set(ends))
    assert all(min(sides) >= SMALLEST for sides in found)


# Grids.

axes = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.lists(st.integers(0, 99), min_size=1, max_size=4),
        "style_weight": st.lists(st.floats(1, 1e6), min_size=1, max_size=4),
        "size": st.lists(st.tuples(sides, sides), min_size=1, max_size=3),
        "content": st.lists(st.sampled_from(["chenonceau", "eiffel_tower"]), min_size=1),
    },
)


@few
@given(axes)
def test_a_grid_has_each_combination_once(axes):
    runs = grid("chenonceau", "night_cafe", axes, Config(), most=10**6)
    sizes = [len(set(values)) for values in axes.values()]
    assert len(runs) == np.prod(sizes, dtype=int)
    assert len({(run.content, run.config) for run in runs}) == len(runs)
    for name, values in axes.items():
        found = {run.content if name == "content" else getattr(run.config, name) for run in runs}
        assert found == set(values)


@few
@given(axes, st.integers(1, 50))
def test_no_grid_is_larger_than_its_most(axes, most):
    try:
        assert len(grid("chenonceau", "night_cafe", axes, Config(), most)) <= most
    except InputError as error:
        assert np.prod([len(values) for values in axes.values()], dtype=int) > most
        assert "set most" in str(error)  # noqa: PT017


@few
@given(st.text(max_size=80) | junk.map(lambda x: f'content = "a"\nstyle = "b"\naxes = {x!r}\n'))
def test_any_text_is_a_grid_file_or_refused_in_one_line(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "g.toml")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            assert isinstance(read_grid(path), list)
        except InputError as error:
            assert one_line(error)  # noqa: PT017


@few
@given(configs)
def test_a_row_of_the_table_has_plain_values(config):
    row = flat(config.to_dict())
    assert all(isinstance(value, (str, int, float)) for value in row.values())
    assert pd.Series(row).index.is_unique


# Pictures.

pixels = st.tuples(st.integers(16, 40), st.integers(16, 40), st.integers(0, 2**32 - 1)).map(
    lambda t: np.random.default_rng(t[2]).integers(0, 256, (*t[:2], 3), np.uint8)
)


@few
@given(pixels)
def test_a_saved_picture_is_the_same_when_it_is_loaded(array):
    image = load_image(array)
    with tempfile.TemporaryDirectory() as folder:
        path = save_image(image, Path(folder, "p.png"))
        assert torch.equal(load_image(path), image)
        assert Picture(path).sha256 == Picture(path.read_bytes()).sha256
    assert torch.equal(quantize(image), image)
    torch.testing.assert_close(restore(standardize(image)), image, rtol=0, atol=1e-6)
    assert torch.equal(load_image(image), image)


@few
@given(pixels, st.one_of(st.integers(16, 60), st.tuples(st.integers(16, 60), st.integers(16, 60))))
def test_a_picture_has_the_size_that_was_asked_for(array, size):
    picture = Picture(array)
    try:
        wanted = picture.size_at(size)
    except InputError:  # its shorter side would be under 16 pixels
        assert isinstance(size, int)
        return
    found = picture.load(size)
    assert found.shape == (1, 3, *wanted)
    assert found.min() >= 0
    assert found.max() <= 1
    if isinstance(size, int):
        assert max(wanted) == size
        height, width = array.shape[:2]
        assert abs(wanted[0] / wanted[1] - height / width) < height / width * 2 / min(wanted)
    else:
        assert wanted == size


@few
@given(st.binary(max_size=200) | pixels.map(lambda a: _png(a)[: a.size // 2]))
def test_any_bytes_are_a_picture_or_refused_in_one_line(content):
    try:
        image = load_image(content)
    except InputError as error:
        assert one_line(error)  # noqa: PT017
    else:
        assert image.shape[:2] == (1, 3)


@few
@given(pixels, st.sampled_from(["L", "RGBA", "P", "CMYK", "1", "LA", "I", "F", "HSV", "YCbCr"]))
def test_every_kind_of_pillow_picture_loads(array, mode):
    image = load_image(Image.fromarray(array).convert("RGB").convert(mode))
    assert image.shape == (1, 3, *array.shape[:2])
    assert image.isfinite().all()


def _png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


# Run folders.


def _result(array, rows, seed):
    history = pd.DataFrame({"step": range(1, len(rows) + 1), "seconds": 0.0, "total": rows})
    return Result(load_image(array), history, Config(seed=seed), {"seconds": 1.0})


losses = st.lists(st.floats(0, 1e9, width=32), min_size=1, max_size=5)


@few
@given(pixels, losses, st.integers(0, 99))
def test_a_run_is_the_same_when_it_is_loaded(array, rows, seed):
    result = _result(array, rows, seed)
    with tempfile.TemporaryDirectory() as folder:
        again = Result.load(result.save(Path(folder, "run")))
        assert status(Path(folder, "run"))[0] == "complete"
    assert torch.equal(again.image, result.image)
    assert again.config == result.config
    assert again.info == result.info
    assert again.history["total"].tolist() == pytest.approx(rows, rel=1e-6)


@few
@given(pixels, losses, st.data())
def test_no_file_of_a_run_can_be_cut_or_changed_unseen(array, rows, data):
    with tempfile.TemporaryDirectory() as folder:
        place = _result(array, rows, 0).save(Path(folder, "run"))
        path = place / data.draw(st.sampled_from(["image.png", "history.csv", "result.json"]))
        content = path.read_bytes()
        at = data.draw(st.integers(0, len(content) - 2))
        if path.name == "result.json" or data.draw(st.booleans()):
            path.write_bytes(content[:at])
        else:
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert status(place)[0] == "failed"
        with pytest.raises(InputError, match="is damaged") as fault:
            Result.load(place)
        assert len(str(fault.value).splitlines()) == 1


@few
@given(junk)
def test_whatever_a_record_holds_it_is_refused_in_one_line(record):
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, "result.json").write_text(json.dumps(record))
        except (TypeError, ValueError):  # bytes, say
            return
        word, found = status(Path(folder))
        assert word == "failed"
        assert len(found["error"].splitlines()) == 1
        with pytest.raises(InputError):
            Result.load(folder)


@few
@given(st.dictionaries(st.text("ab. ", min_size=1, max_size=4), st.binary(max_size=9), max_size=4))
def test_files_are_written_whole_or_refused(contents):
    with tempfile.TemporaryDirectory() as folder:
        files = {Path(folder, name): content for name, content in contents.items()}
        try:
            write_together(files)
        except (InputError, ValueError):  # the name "." or ".."
            assert any(name.strip(".") == "" for name in contents)
            assert not [p for p in Path(folder).rglob("*.part")]
        else:
            assert {p: p.read_bytes() for p in Path(folder).iterdir()} == files
