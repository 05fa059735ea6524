"""The one loop: players that take turns, resume to the same bytes, and stop at NaN."""

import signal
import traceback
from dataclasses import replace

import pytest
import torch

from stylelab import Diverged, InputError, Transfer, images, load_image, sample, stylize
from stylelab.images import Picture
from stylelab.training.loop import Loop, Player
from stylelab.vgg.network import shared_network


def player(value, goal, name="", rate=0.1, weights=None):
    """Moves a number towards a goal by plain gradient descent."""
    x = torch.tensor([float(value)], requires_grad=True)
    optimizer = torch.optim.SGD([x], rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 1.0)
    weights = weights or {"near": 1.0}
    return Player(
        [x], optimizer, scheduler, weights, lambda: {"near": (x - goal()).square()[0]}, name
    )


def test_a_step_descends_the_weighted_sum_by_hand():
    one = player(3, lambda: 1.0, weights={"near": 2.0})
    loop = Loop([one], 2)
    assert list(loop) == [1, 2]
    # 3 - 0.1 * 2 * 2 * (3 - 1) = 2.2, then 2.2 - 0.4 * 1.2 = 1.72
    assert one.parameters[0].item() == pytest.approx(1.72)
    assert loop.history[["total", "near"]].to_numpy().ravel().tolist() == pytest.approx(
        [8, 4, 2.88, 1.44]
    )


def test_players_take_turns_and_each_sees_what_the_other_has_done():
    first = player(0, lambda: 1.0, "first", rate=0.5)
    second = player(5, lambda: first.parameters[0].detach(), "second", rate=0.5)
    loop = Loop([first, second], 1)
    loop.step()
    # The first jumps to 1; the second, whose goal is the first, to that same 1.
    assert [p.parameters[0].item() for p in (first, second)] == [1.0, 1.0]
    assert list(loop.history.columns) == [
        "step", "seconds", "first total", "first near", "second total", "second near",
    ]  # fmt: skip
    assert loop.history["second near"].tolist() == [16.0]


@pytest.mark.parametrize("stop", [1, 4])
def test_two_players_resume_to_the_same_values(stop):
    def game():
        a = player(0, lambda: b.parameters[0].detach() + 1, "a")
        b = player(3, lambda: a.parameters[0].detach() * 0.5, "b")
        for one in (a, b):
            one.optimizer = torch.optim.Adam(one.parameters, 0.1)
            one.scheduler = torch.optim.lr_scheduler.StepLR(one.optimizer, 2)
        return Loop([a, b], 6)

    whole, part, rest = game(), game(), game()
    list(whole)
    for step in part:
        if step == stop:
            break
    rest.load_state_dict(part.state_dict())
    assert list(rest) == list(range(stop + 1, 7))
    for one, other in zip(whole.players, rest.players, strict=True):
        assert torch.equal(one.parameters[0], other.parameters[0])
    assert torch.equal(*(torch.tensor(t.history.iloc[:, 2:].to_numpy()) for t in (whole, rest)))


def test_a_term_of_the_second_player_that_is_not_finite_is_named():
    first, second = player(0, lambda: 1.0, "first"), player(0, lambda: float("nan"), "second")
    with pytest.raises(Diverged, match="step 1: second near became nan; be gentle"):
        list(Loop([first, second], 3, "be gentle"))


def test_ctrl_c_ends_a_run_after_the_step_at_hand():
    loop = Loop([player(3, lambda: 1.0)], 5)
    loop.run(lambda it: it.steps_done == 2 and signal.raise_signal(signal.SIGINT), progress=False)
    assert (loop.steps_done, loop.done) == (2, False)
    loop.run(progress=False)
    assert (loop.steps_done, loop.done) == (5, True)


def test_from_stylize_to_backward_a_reader_passes_two_functions(content, style, small, monkeypatch):
    seen = []

    def backward(self, *rest, **more):
        frames = traceback.extract_stack()
        seen.extend(f.name for f in frames if "/stylelab/" in f.filename and f.name != "closure")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    with pytest.raises(KeyboardInterrupt):
        stylize(content, style, small, progress=False)
    assert seen == ["stylize", "run", "step"]  # whose closure calls it


def test_each_picture_is_read_decoded_and_hashed_once(small, monkeypatch, tmp_path):
    counts = {"decoded": [], "hashed": [], "read": []}
    decode, sha256, init = images.decode, images.hashlib.sha256, Picture.__init__

    def counting_init(picture, source):
        counts["read"].append(source)
        init(picture, source)

    monkeypatch.setattr(Picture, "__init__", counting_init)
    monkeypatch.setattr(
        images, "decode", lambda *given: counts["decoded"].append(given[1]) or decode(*given)
    )

    class Hashing:
        @staticmethod
        def sha256(content):
            counts["hashed"].append(len(content))
            return sha256(content)

    monkeypatch.setattr(images, "hashlib", Hashing)
    stylize(sample("chenonceau"), sample("night_cafe"), small, progress=False)  # fills the caches
    for found in counts.values():
        found.clear()
    config = replace(small, scales=2, style_scale=0.75, size=(64, 96))
    stylize(sample("chenonceau"), sample("night_cafe"), config, tmp_path / "run", progress=False)
    pictures = [sample("chenonceau"), sample("night_cafe")]
    assert counts["read"] == pictures
    assert sorted(counts["decoded"]) == sorted(f"'{path}'" for path in pictures)
    assert sorted(counts["hashed"]) == sorted(path.stat().st_size for path in pictures)


def test_a_picture_that_changes_under_a_run_is_the_one_that_was_read(small, tmp_path):
    path = tmp_path / "photo.webp"
    path.write_bytes(sample("chenonceau").read_bytes())
    config = replace(small, scales=2, size=(64, 96))
    transfer = Transfer(path, sample("night_cafe"), config)
    path.unlink()
    list(transfer)
    assert torch.equal(transfer.content, load_image(sample("chenonceau"), (64, 96)))


def test_a_transfer_takes_a_start_and_terms_of_ones_own(content, style, small):
    start = torch.zeros(1, 3, 48, 64)
    extra = {"grey": (lambda image: image.square().mean(), 50.0)}
    transfer = Transfer(content, style, small, start, extra)
    assert torch.equal(transfer.variable, start)
    plain = Transfer(content, style, small)
    total = plain.evaluate(content)
    with_extra = transfer.evaluate(content)
    assert with_extra["total"] == pytest.approx(total["total"] + 50 * with_extra["grey"], rel=1e-5)
    list(transfer)
    assert list(transfer.history.columns)[-1] == "grey"
    with pytest.raises(ValueError, match=r"start should have shape \(1, 3, 48, 64\)"):
        Transfer(content, style, small, start[..., :-1])


def test_loss_weights_can_be_changed_between_two_steps(content, style, small):
    transfer = Transfer(content, style, small)
    transfer.step()
    transfer.set_weights(style_weight=10, tv_weight=0)
    transfer.step()
    row = transfer.history.iloc[1]
    expected = row["content/relu4_4"] + 10 * row.filter(like="style/").sum()
    assert row["total"] == pytest.approx(expected, rel=1e-5)
    assert transfer.config.style_weight == 10
    assert transfer.result().config == transfer.config
    with pytest.raises(ValueError, match="unknown loss weight 'steps'; choose from content_weight"):
        transfer.set_weights(steps=3)
    with pytest.raises(ValueError, match="all loss weights are 0"):
        transfer.set_weights(content_weight=0, style_weight=0)


def test_without_gradients_a_run_says_so_and_spoils_none_that_follows(content, style, small):
    config = replace(small, steps=1, weights="random", seed=7)
    for off in (torch.inference_mode, torch.no_grad):
        with off(), pytest.raises(InputError, match="gradients are off; leave inference_mode"):
            Transfer(content, style, config)
    where = torch.device("cpu"), torch.float32
    with torch.inference_mode():  # as to look at features; the network is kept
        shared_network(config, ["relu1_1"], *where)
    image = content.clone().requires_grad_()
    shared_network(config, ["relu1_1"], *where)(image)["relu1_1"].sum().backward()
    assert float(image.grad.abs().sum()) > 0
