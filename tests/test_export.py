from dataclasses import replace

import pandas as pd
import pytest

from stylelab import PRESETS, InputError, Sweep, compare, export, methods_paragraph, sweep
from stylelab.cli import main
from stylelab.sweeps.export import latex


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    base = {"size": (32, 48), "steps": 2, "weights": "random", "tv_weight": 0}
    axes = {
        ("content", "style"): [("chenonceau", "night_cafe"), ("pont_du_gard", "langlois_bridge")],
        "style_weight": [10, 1000],
    }
    out = tmp_path_factory.mktemp("sweep")
    return sweep("", "", axes, replace(PRESETS["fast"], **base), out, progress=False)


def test_a_table_is_written_in_each_format(done, tmp_path):
    table = done.summary("style_weight")
    read = pd.read_csv(export(table, tmp_path / "new" / "table.csv"), index_col=0)
    assert read["style_distance"].to_numpy() == pytest.approx(table["style_distance"].to_numpy())
    again = pd.read_parquet(export(table, tmp_path / "table.parquet"))
    assert again["ssim"].tolist() == table["ssim"].tolist()
    text = export(compare(done.table, "style_weight"), tmp_path / "t.tex", "A 5 % tale").read_text()
    assert r"\toprule" in text
    assert r"\caption{A 5 % tale}" in text
    with pytest.raises(InputError, match=r"table format '.xls'"):
        export(table, tmp_path / "table.xls")
    assert not (tmp_path / "table.xls").exists()


def test_latex_puts_intervals_beside_their_means():
    columns = {
        "units": [5, 2],
        "a_b": [0.12345, 2.0],
        "a_b/low": [0.1, None],
        "a_b/high": [0.2, None],
    }
    text = latex(pd.DataFrame(columns, index=pd.Index(["x_1", "50 %"], name="by")))
    assert r"x\_1 & 5 & 0.123 [0.1, 0.2] \\" in text
    assert r"50 \% & 2 & 2 \\" in text
    assert "low" not in text


def test_the_methods_of_a_sweep_are_told_from_its_runs(done):
    text = methods_paragraph(done)
    for words in (
        "2 pairs of a content and a style picture in 4 runs (method gatys) at 32x48 pixels",
        "weights random",
        "were 1, 10 and 1000 and 0.",
        "for 2 steps (pyramid, step size 0.15, schedule linear)",
        "projected onto [0, 1] after each step: True",
        "The settings that varied: style_weight.",
        "stylelab 0.1.0 and PyTorch 2.",
        "in float32" if "float32" in text else "in bfloat16",
    ):
        assert words in text, words
    assert "?" not in text
    assert "Further settings" not in text


def test_what_cannot_be_told_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no sweep"):
        methods_paragraph(Sweep(tmp_path))


def test_the_command_line_shows_and_exports_tables(done, tmp_path, capsys):
    main(["table", str(done.out), "--by", "style_weight"])
    assert "style_distance" in capsys.readouterr().out
    out = tmp_path / "t.tex"
    main(["table", str(done.out), "--by", "style_weight", "--against-first", "-o", str(out)])
    assert r"style\_weight = 1000 & 2" in out.read_text()
    main(["table", str(done.out), "--methods"])
    assert "The settings that varied: style_weight." in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["table", str(done.out), "--against-first"])
    assert stopped.value.code == 2
    assert "--against-first needs --by" in capsys.readouterr().err
