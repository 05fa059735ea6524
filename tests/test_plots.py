from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from stylelab import (
    PRESETS,
    plot_grid,
    plot_images,
    plot_losses,
    plot_runs,
    plot_tradeoff,
    show,
    sweep,
)
from stylelab.plots import terms


@pytest.fixture
def history():
    return pd.DataFrame(
        {"step": [1, 2, 3], "seconds": [0.1, 0.2, 0.3], "total": [9.0, 6.0, 5.0],
         "content/relu4_4": [0.0, 1.0, 2.0], "style/relu1_1": [3.0, 2.0, 1.0],
         "style/relu2_1": [0.5, 0.5, 0.5], "tv": [1.0, 1.0, 1.0]}
    )  # fmt: skip


def test_layers_of_a_term_are_added_up(history):
    table = terms(history)
    assert list(table.columns) == ["total", "content", "style", "tv"]
    assert table.loc[2].tolist() == [6.0, 1.0, 2.5, 1.0]


def test_loss_curves_have_a_line_a_term_on_a_log_scale(history):
    ax = plot_losses(history)
    assert ax.get_yscale() == "log"
    assert [line.get_label() for line in ax.lines] == ["total (weighted)", "content", "style", "tv"]
    assert len({line.get_color() for line in ax.lines}) == 4
    assert ax.lines[1].get_xdata().tolist() == [2, 3]  # the zero is left out
    assert ax.figure.get_facecolor() == (1, 1, 1, 1)
    assert plot_losses(history, ax) is ax
    plt.close(ax.figure)


def test_images_are_all_drawn_under_their_titles():
    images = {str(i): torch.full((1, 3, 20, 30), i / 3) for i in range(3)}
    figure = plot_images(images, columns=2)
    drawn = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in drawn] == ["0", "1", "2"]
    for i, ax in enumerate(drawn):
        assert np.asarray(ax.images[0].get_array()).mean() == pytest.approx(i * 85)


def test_names_with_dollars_are_drawn_as_they_are(history):
    name = r"a$\frac{$b.png"
    ax = plot_losses(history, title=name)
    table = pd.DataFrame(
        {"style": [name] * 2, "content": name, "size": "9x9", "status": "complete",
         "content_distance": [1.0, 2.0], "style_distance": 2.0}
    )  # fmt: skip
    figures = [
        ax.figure,
        plot_images({name: torch.zeros(1, 3, 20, 30)}),
        plot_tradeoff(table, "style").figure,
        plot_runs(history.assign(run="k"), {"k": name}).figure,
    ]
    for figure in figures:
        figure.canvas.draw()  # where a formula would be parsed, and found to be none
        plt.close(figure)
    assert ax.get_title().replace(r"\$", "$") == name


def test_shown_pictures_have_words_and_are_closed(history):
    ax = plot_losses(history)
    shown = show(ax.figure, 'Curves "down"', "<Losses>").html
    assert 'alt="Curves &quot;down&quot;"' in shown
    assert "<figcaption>&lt;Losses&gt;</figcaption>" in shown
    assert not plt.fignum_exists(ax.figure.number)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    axes = {"style_weight": [10, 1000], "tv_weight": [0, 10], "size": [(32, 48), (48, 64)]}
    base = replace(PRESETS["paper"], steps=2)
    out = tmp_path_factory.mktemp("sweep")
    return sweep("chenonceau", "night_cafe", axes, base, out, progress=False)


def test_a_contact_sheet_has_a_picture_a_cell_and_says_what_is_missing(swept):
    (key,) = swept.table.query("style_weight == 10 and tv_weight == 0 and size == '32x48'").index
    result = swept.out / key / "result.json"
    result.rename(result.with_suffix(".away"))
    figure = plot_grid(swept, "style_weight", "tv_weight")
    result.with_suffix(".away").rename(result)
    cells = [ax for ax in figure.axes if ax.images or ax.texts]
    assert len(cells) == 4
    assert [text.get_text() for ax in cells for text in ax.texts] == ["pending"]
    assert cells[0].get_title() == "tv_weight = 0"
    assert cells[2].get_ylabel() == "style_weight = 1000"


def test_the_trade_off_has_a_line_a_size_and_labelled_points(swept):
    table = swept.table.query("tv_weight == 10")
    ax = plot_tradeoff(table)
    assert [line.get_label() for line in ax.lines] == ["32x48", "48x64"]
    assert [text.get_text() for text in ax.texts] == ["10", "1000"] * 2
    first = table.query("size == '32x48'").sort_values("style_weight")
    assert ax.lines[0].get_xdata() == pytest.approx(
        first["content_distance"].astype(float).tolist()
    )
    plt.close(ax.figure)


def test_many_runs_share_a_scale(swept):
    table = swept.table.query("tv_weight == 10 and size == '32x48'")
    labels = {key: f"{row['style_weight']:g}" for key, row in table.iterrows()}
    ax = plot_runs(swept.histories, labels, "style")
    assert [line.get_label() for line in ax.lines] == ["10", "1000"]
    assert ax.get_yscale() == "log"
    plt.close(ax.figure)
