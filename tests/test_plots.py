import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from stylelab import detail_energy, enlarge, plot_images, plot_losses, show
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


def test_shown_pictures_have_words_and_are_closed(history):
    ax = plot_losses(history)
    shown = show(ax.figure, 'Curves "down"', "<Losses>").html
    assert 'alt="Curves &quot;down&quot;"' in shown
    assert "<figcaption>&lt;Losses&gt;</figcaption>" in shown
    assert not plt.fignum_exists(ax.figure.number)


def test_detail_energy_by_hand():
    flat, dot = torch.full((1, 3, 9, 9), 0.5), torch.zeros(1, 3, 9, 9)
    assert detail_energy(flat) == pytest.approx(0, abs=1e-6)
    dot[:, :, 4, 4] = 1
    # The dot keeps 1 - 1/4; its 4 neighbours get -1/8 and its 4 diagonal ones -1/16, of 81.
    assert detail_energy(dot) == pytest.approx((9 / 16 + 4 / 64 + 4 / 256) / 81 * 1e4, rel=1e-4)


def test_enlarging_adds_no_detail():
    noise = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    large = enlarge(noise, (40, 60))
    assert large.shape == (1, 3, 40, 60)
    assert detail_energy(large) < 0.5 * detail_energy(noise)
