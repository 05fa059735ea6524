"""The shipped networks: their files, their cards, and what must hold of each."""

import csv
import hashlib
import sys
from pathlib import Path

import pytest
import torch

from stylelab import fit_style, load_image, load_network, sample
from stylelab.networks.loading import checkpoint_names
from stylelab.registry import GANS, NETWORKS
from stylelab.sample_pictures import data_folder

FOLDER = data_folder() / "checkpoints"
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_each_network_has_a_checkpoint_with_its_card_its_hash_and_is_small(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from checkpoints import CHECKPOINTS

    with (FOLDER / "CREDITS.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert set(checkpoint_names()) == set(CHECKPOINTS)
    assert {*NETWORKS.shipped, *GANS.shipped} <= set(CHECKPOINTS)
    assert {f"{name}.safetensors" for name in checkpoint_names()} == set(rows)
    for name in checkpoint_names():
        content = (FOLDER / f"{name}.safetensors").read_bytes()
        assert len(content) <= 2_000_000
        assert hashlib.sha256(content).hexdigest() == rows[f"{name}.safetensors"]["sha256"]
        card = (FOLDER / f"{name}.md").read_text()
        for word in ("held out", "Licence", "What must hold"):
            assert word in card, (name, word)


@pytest.mark.parametrize("name", checkpoint_names())
def test_what_must_hold_of_it_holds(name, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "must_hold", raising=False)
    from must_hold import claims_of

    for claim in claims_of(name):
        assert claim.holds, f"{name}: {claim}"
        words = str(claim).split(":")[0]
        assert words in (FOLDER / f"{name}.md").read_text()


def test_a_fifth_style_trains_its_row_alone():
    network = load_network("multistyle")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    style, content = (load_image(sample(n), (96, 144)) for n in ("langlois_bridge", "chenonceau"))
    network.add(fit_style(network, style, content, steps=2, crop=64), "langlois")
    after = network.state_dict()
    assert torch.equal(after["table"][:4], before["table"])
    assert all(torch.equal(after[key], before[key]) for key in before if key != "table")
    assert not any(torch.equal(after["table"][4], row) for row in before["table"])
