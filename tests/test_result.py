import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from stylelab import InputError, Result, Transfer, load_image, measure, sample, stylize


@pytest.fixture
def result(small):
    return stylize(sample("chenonceau"), sample("night_cafe"), small, progress=False)


def test_what_is_saved_loads_again(result, tmp_path):
    again = Result.load(result.save(tmp_path / "run"))
    assert torch.equal(again.image, result.image)  # in 8 bits already
    pd.testing.assert_frame_equal(
        again.history, result.history, check_dtype=False, rtol=1e-6, check_exact=False
    )
    assert again.config == result.config
    assert again.info == result.info
    assert not again.interrupted


def test_the_record_says_all_that_is_needed_to_do_it_again(result, tmp_path):
    record = json.loads((result.save(tmp_path) / "result.json").read_text())
    assert record["content_sha256"].startswith("4e414fc3")
    assert record["style_sha256"].startswith("ce4d535b")
    assert record["weights_id"].startswith("c34748d2")
    assert record["config"] == result.config.to_dict()
    assert record["last_losses"]["total"] == pytest.approx(result.history["total"].iloc[-1])
    assert {"preset", "seed", "versions", "device", "threads", "precision", "metrics"} <= set(
        record
    )
    assert record["seconds"] > 0
    assert record["peak_memory_mb"] > 100


def test_its_losses_and_metrics_are_those_of_the_saved_picture(tmp_path, small):
    """Bold steps leave [0, 1]: what the optimiser saw is not what is shown."""
    pair, config = (sample("chenonceau"), sample("night_cafe")), replace(small, learning_rate=0.5)
    stylize(*pair, config, tmp_path, progress=False)
    saved = load_image(tmp_path / "image.png")
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["saved_losses"] == pytest.approx(Transfer(*pair, config).evaluate(saved))
    assert record["metrics"] == pytest.approx(measure(saved, *Transfer(*pair, config).pictures))
    assert record["outside"] > 0.01
    transfer = Transfer(*pair, config)
    list(transfer)
    seen = float(transfer.terms(transfer.shown.detach())["tv"])
    assert seen > 1.05 * record["saved_losses"]["tv"]  # clipping takes the extremes away


def test_saved_over_a_complete_run_it_is_what_it_is(result, tmp_path, small):
    result.save(tmp_path)
    half = Transfer(sample("chenonceau"), sample("night_cafe"), small)
    half.step()
    half.result().save(tmp_path)
    assert Result.load(tmp_path).interrupted


def test_it_is_one_line_in_words(result):
    assert repr(result).startswith("48x64, after 6 steps in ")


def test_a_folder_that_is_damaged_says_so(result, tmp_path):
    for name in ("result.json", "history.csv", "image.png"):
        folder = result.save(tmp_path / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:20])
        with pytest.raises(
            InputError, match=r"is damaged .*; delete it and run it again"
        ) as caught:
            Result.load(folder)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="holds no run"):
        Result.load(tmp_path)


def test_it_shows_itself_with_words(result):
    shown = result._repr_html_()
    assert shown.count("<img") == shown.count(' alt="') == 2
    assert "48x64, after 6 steps" in shown
    assert "&#x27;size&#x27;: [48, 64]" in shown
    assert 'alt="Loss curves of the run; total of the saved picture: ' in shown


def test_settings_are_escaped(result):
    assert (
        "<script>"
        not in replace(result, config=replace(result.config, init="<script>"))._repr_html_()
    )
