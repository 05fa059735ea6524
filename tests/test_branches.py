"""States that a run keeps, and runs that branch off from them."""

import io
import json
from dataclasses import replace

import pytest
import torch
from conftest import PAIR, TINY

from stylelab import (
    InputError,
    Result,
    Transfer,
    branch,
    branch_off,
    keep_states,
    kept_states,
    load_image,
    stylize,
)
from stylelab.cli import main
from stylelab.training.folders import LOCK


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_a_run_that_keeps_states_is_the_run_without_them(run, tmp_path):
    assert list(kept_states(run)) == [2, 4, 6]
    plain = stylize(*PAIR, TINY, tmp_path / "plain", progress=False)
    kept = Result.load(run)
    assert torch.equal(kept.image, plain.image)
    assert sorted(contents(run)) == sorted(contents(tmp_path / "plain"))


def test_beside_each_state_is_its_picture(run):
    transfer = Transfer(*PAIR, TINY)
    for done in transfer:
        if done in kept_states(run):
            shown = load_image(kept_states(run)[done].with_suffix(".png"))
            assert torch.equal(shown, transfer.image)


def test_a_branch_is_the_transfer_that_was_loaded_and_set(run):
    state = torch.load(kept_states(run)[2], weights_only=True)
    by_hand = Transfer(*PAIR, TINY)
    by_hand.load_state_dict(state)
    by_hand.set_weights(style_weight=10.0, tv_weight=0.0)
    list(by_hand)
    branched = branch(*PAIR, run, 2, progress=False, style_weight=10.0, tv_weight=0.0)
    assert torch.equal(branched.image, by_hand.image)
    terms = [name for name in branched.history if name != "seconds"]
    assert branched.history[terms].equals(by_hand.history[terms])
    assert branched.config == replace(TINY, style_weight=10.0, tv_weight=0.0)
    original = Result.load(run)
    assert not torch.equal(branched.image, original.image)
    assert branched.history[terms][:2].equals(by_hand.history[terms][:2])
    assert torch.equal(branch(*PAIR, run, 4, progress=False).image, original.image)


def test_a_branch_has_a_folder_of_its_own_and_is_resumed_there(run, tmp_path):
    whole = branch(*PAIR, run, 2, tmp_path / "whole", progress=False, style_weight=10.0)
    record = json.loads((tmp_path / "whole" / "result.json").read_text())
    assert (record["branched_at"], len(record["state_sha256"])) == ("2", 64)
    half = branch_off(*PAIR, run, 2, style_weight=10.0)
    half.step()
    half.result().save(tmp_path / "half")
    resumed = branch(*PAIR, run, 2, tmp_path / "half", progress=False, style_weight=10.0)
    assert torch.equal(resumed.image, whole.image)
    before = contents(tmp_path / "whole")
    again = branch(*PAIR, run, 2, tmp_path / "whole", progress=False, style_weight=10.0)
    assert torch.equal(again.image, whole.image)
    assert contents(tmp_path / "whole") == before
    for other in (4, 2):  # another step, or other weights
        with pytest.raises(InputError, match="holds another run"):
            branch(*PAIR, run, other, tmp_path / "whole", progress=False, style_weight=7.0 + other)
    with pytest.raises(InputError, match="holds another run"):  # it did not begin with them
        stylize(*PAIR, replace(TINY, style_weight=10.0), tmp_path / "whole", progress=False)
    with pytest.raises(InputError, match="is read and would be overwritten"):
        branch(*PAIR, run, 2, run, progress=False, style_weight=10.0)


def test_branches_branch_and_go_on_beyond_the_end(run, tmp_path):
    out = tmp_path / "longer"
    first = branch(
        *PAIR, run, 6, out, 8, keep_states(out, every=1), progress=False, style_weight=10.0
    )
    assert len(first.history) == 8
    assert list(kept_states(out)) == [7, 8]
    second = branch(*PAIR, out, 7, progress=False)
    assert torch.equal(second.image, first.image)


def test_states_of_a_run_that_was_killed_give_way_to_its_successors(tmp_path):
    out = tmp_path / "run"
    transfer, keep = Transfer(*PAIR, TINY), keep_states(out, every=1)
    for _ in transfer:
        keep(transfer)
    assert (out / LOCK).exists()  # so that `stylize` knows it for a run's
    assert len(kept_states(out)) == 6
    stylize(*PAIR, TINY, out, keep_states(out, every=4), progress=False)
    assert list(kept_states(out)) == [4, 6]
    assert len(list((out / "states").iterdir())) == 4


def test_a_state_that_cannot_be_written_does_not_end_the_run(tmp_path, monkeypatch):
    out = tmp_path / "run"

    def full(files):
        raise InputError("cannot write: No space left on device; name another place")

    monkeypatch.setattr("stylelab.training.branches.write_together", full)
    with pytest.warns(UserWarning, match="step 6 is not kept: .*No space"):
        result = stylize(*PAIR, TINY, out, keep_states(out, every=6), progress=False)
    assert len(result.history) == 6


def test_bad_input_is_named(run, tmp_path):
    buffer = io.BytesIO()
    torch.save({"rows": torch.zeros(3, 1)}, buffer)
    (tmp_path / "text").write_text("no folder")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "states").mkdir()
    whole = kept_states(run)[2].read_bytes()
    for step, damaged in {2: whole[:-100], 4: b"hello", 6: buffer.getvalue()}.items():
        (tmp_path / "cut" / "states" / f"step_{step:06d}.pt").write_bytes(damaged)
    before = contents(run / "states")
    faults = {
        "holds no kept states": lambda: kept_states(tmp_path),
        "keeps no state of step 3; it has those of 2, 4, 6": lambda: branch(*PAIR, run, 3),
        "ends at step 6; give more steps": lambda: branch(*PAIR, run, 6),
        "steps=0": lambda: branch(*PAIR, run, 2, steps=0),
        "unknown loss weight 'stile_weight'": lambda: branch(*PAIR, run, 2, stile_weight=1.0),
        "style_weight=-1": lambda: branch(*PAIR, run, 2, style_weight=-1.0),
        "all loss weights are 0": lambda: branch_off(
            *PAIR, run, 2, content_weight=0.0, style_weight=0.0, tv_weight=0.0
        ),
        "of other images": lambda: branch(PAIR[1], PAIR[0], run, 2),
        "every=0 should be 1 or more": lambda: keep_states(run, every=0),
        "is a file": lambda: keep_states(tmp_path / "text"),
        "is complete; name the folder of this one": lambda: stylize(
            *PAIR, TINY, tmp_path / "other", keep_states(run), progress=False
        ),
        "step_000002.pt' is damaged": lambda: branch(*PAIR, tmp_path / "cut", 2),
        "step_000004.pt' is damaged": lambda: branch(*PAIR, tmp_path / "cut", 4),
        "step_000006.pt' is damaged": lambda: branch(*PAIR, tmp_path / "cut", 6),
    }
    for words, act in faults.items():
        with pytest.raises(InputError) as error:
            act()
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    assert contents(run / "states") == before


def test_a_schedule_over_all_steps_ends_where_it_should(tmp_path):
    config = replace(TINY, schedule="linear", scales=2)
    out = tmp_path / "run"
    whole = stylize(*PAIR, config, out, keep_states(out, every=3), progress=False)
    assert torch.equal(branch(*PAIR, out, 3, progress=False).image, whole.image)
    with pytest.raises(InputError, match="steps can change only with schedule='constant'"):
        branch(*PAIR, out, 3, steps=9)


def test_the_command_keeps_states_and_branches(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    settings = ["--size", "32", "48", "--steps", "2", "--weights", "random", "--normalise", "none"]
    pair = ["chenonceau", "night_cafe"]
    main(["transfer", *pair, "-o", "run", "--keep-every", "1", *settings])
    main(["branch", *pair, "run", "--step", "1", "-o", "other", "--style-weight", "10"])
    assert "other: branched at step 1, 2 steps, a total of" in capsys.readouterr().out
    found = Result.load("other")
    assert (found.config.style_weight, found.config.tv_weight) == (10.0, 10.0)
    assert torch.equal(found.image, branch(*PAIR, "run", 1, "other", style_weight=10.0).image)
