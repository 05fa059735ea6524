"""The time machine, driven without a browser."""

import threading

import pytest
import torch
from conftest import PAIR

from stylelab import (
    InputError,
    TimeMachine,
    Transfer,
    branch,
    kept_states,
    load_image,
)
from stylelab.widgets.pictures import LossCurve, encode, weight_changes

WAIT = 60  # seconds, for what takes one


def test_scrubbing_shows_the_kept_pictures_and_their_losses(run):
    machine = TimeMachine(*PAIR, run)
    assert list(machine.slider.options) == [2, 4, 6]
    shown = []
    for step, path in kept_states(run).items():
        machine.slider.value = step
        shown.append(machine.picture.value)
        assert machine.picture.value == encode(load_image(path.with_suffix(".png")))
        total = machine.history["total"][step - 1]
        assert f"the run at step {step}" in machine.numbers.value
        assert f"{total:.4g}" in machine.numbers.value
    assert len(set(shown)) == 3


def test_a_branch_of_the_machine_is_that_of_the_function(run):
    machine = TimeMachine(*PAIR, run)
    for step, weight in ((2, 10.0), (4, 0.0)):
        machine.slider.value, machine.weights["style_weight"].value = step, weight
        machine.branch()
        assert machine.join(WAIT)
        assert machine.error is None
    for result, step, weight in zip(machine.branches, (2, 4), (10.0, 0.0), strict=True):
        wanted = branch(*PAIR, run, step, progress=False, style_weight=weight)
        assert torch.equal(result.image, wanted.image)
    views = machine.beside.children  # side by side
    assert len(views) == 2
    shown = zip(views, machine.branches, (2, 4), (10.0, 0.0), strict=True)
    for view, result, step, weight in shown:
        picture, numbers, curve = view.children
        assert picture.value == encode(result.image)
        assert (
            f"from step {step} to 6 with 1 : {result.config.style_weight:g} : 10" in numbers.value
        )
        assert f"{result.losses['total']:.4g}" in numbers.value
        history = result.history.assign(style_weight=[1000.0] * step + [weight] * (6 - step))
        assert weight_changes(history) == [step + 1]
        assert curve.value == LossCurve().draw(history), "no line where the weights change"
    assert machine.progress.value == 6


def test_a_branch_can_be_stopped_and_keeps_what_there_is(run, monkeypatch):
    machine = TimeMachine(*PAIR, run)
    machine.slider.value, machine.steps.value = 2, 1000
    reached, free, step = threading.Event(), threading.Event(), Transfer.step

    def gated(transfer):
        step(transfer)
        reached.set()
        assert free.wait(WAIT)

    monkeypatch.setattr(Transfer, "step", gated)
    machine.branch()
    assert reached.wait(WAIT)
    assert machine.buttons["branch"].disabled
    machine.branch()  # one at a time
    machine.stop()
    free.set()
    assert machine.join(WAIT)
    (result,) = machine.branches
    assert (len(result.history), result.interrupted) == (3, True)
    assert not machine.buttons["branch"].disabled


def test_a_machine_that_is_closed_ends_its_branch_and_says_so(run):
    machine = TimeMachine(*PAIR, run)
    machine.slider.value, machine.steps.value = 2, 100_000
    machine.branch()
    machine.close()
    assert machine.join(0)
    assert len(machine.branches) <= 1
    with pytest.raises(InputError, match="this TimeMachine is closed"):
        machine.branch()


def test_faults_are_shown_in_words(run, tmp_path):
    with pytest.raises(InputError, match="holds no kept states"):
        TimeMachine(*PAIR, tmp_path)
    machine = TimeMachine(*PAIR, run)  # at the last step, with no more steps to make
    machine.branch()
    assert machine.join(WAIT)
    assert "give more steps" in machine.message.value
    assert (machine.branches, machine.beside.children) == ([], ())
    machine.slider.value = 2
    for box in machine.weights.values():
        box.value = 0
    machine.branch()
    assert machine.join(WAIT)
    assert "all loss weights are 0" in machine.message.value
    other = TimeMachine(PAIR[1], PAIR[0], run)
    other.slider.value = 2
    other.branch()
    assert other.join(WAIT)
    assert "of other images" in other.message.value
