import math
import os
import runpy
import signal
import subprocess
import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from stylelab import (
    GANS,
    InputError,
    Trained,
    Training,
    TrainingView,
    load_image,
    load_network,
    paint,
    recipe,
    sample,
    train,
)
from stylelab.gans.blocks import (
    Pool,
    cross_entropy,
    least_squares,
    patch_distance,
    spread,
    wasserstein,
)
from stylelab.gans.cyclegan import published
from stylelab.gans.discriminators import (
    SEEN,
    FeatureGAN,
    PatchGAN,
    PixelGAN,
    feature_penalty,
    gradient_penalty,
)
from stylelab.gans.exposure import mean_curve, place
from stylelab.gans.nets import ResNet, UNet, means
from stylelab.gans.rings import modes, ring
from stylelab.training.crops import seeded
from stylelab.training.rings import RingGame, RingSettings
from stylelab.training.sets import kit

# Small and quick; what must hold of trained ones is in test_checkpoints.py.
SMALL = {
    "gan": {"batch": 8, "side": 64, "options": {"width": 8}},
    "cyclegan": {"crop": 32, "side": 64, "style_side": 64, "options": {"width": 4, "blocks": 1}},
    "dualgan": {"crop": 32, "side": 64, "style_side": 64, "options": {"widths": (4, 8)}},
    "exposure": {"batch": 2, "crop": 32},
    "colourise": {"batch": 2, "crop": 32, "side": 64},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight photographs."""
    path = tmp_path_factory.mktemp("photographs")
    for source in sorted(kit()[0].iterdir())[:8]:
        (path / source.name).write_bytes(source.read_bytes())
    return path


def contents(name, folder):
    return folder if name in ("cyclegan", "dualgan", "colourise") else ()


def small(name, folder, out=None, **settings):
    settings = {"steps": 4, "every": 2, **SMALL[name], **settings}
    return train(name, contents=contents(name, folder), out=out, progress=False, **settings)


# The losses.


def test_losses_of_scores_worked_by_hand():
    scores = torch.tensor([0.0, 2.0])
    assert least_squares(scores, True).item() == 1.0  # (1 + 1) / 2
    assert least_squares(scores, False).item() == 2.0  # (0 + 4) / 2
    assert wasserstein(scores, True).item() == -1.0
    assert wasserstein(scores, False).item() == 1.0
    assert cross_entropy(torch.zeros(3), True).item() == pytest.approx(math.log(2))
    assert cross_entropy(torch.tensor([math.log(3)]), False).item() == pytest.approx(math.log(4))


class Plane(nn.Module):
    """A linear critic with a gradient of that length."""

    def __init__(self, length):
        super().__init__()
        self.weight = torch.full((3, 4, 4), length / math.sqrt(48))

    def forward(self, image):
        return (image * self.weight).sum((1, 2, 3))[:, None]


@pytest.mark.parametrize(("length", "penalty"), [(1, 0), (3, 4), (0.5, 0.25)])
def test_the_penalty_is_zero_for_a_linear_critic_of_unit_gradient(length, penalty):
    real, made = torch.rand(2, 2, 3, 4, 4)
    found = gradient_penalty(Plane(length), real, made, torch.Generator())
    assert found.item() == pytest.approx(penalty, abs=1e-5)


@pytest.mark.parametrize(("length", "penalty"), [(1, 0), (3, 4), (0.5, 0.25)])
def test_so_is_that_of_features_for_linear_heads(length, penalty):
    critic = FeatureGAN(4)
    critic.heads = nn.ModuleList(nn.Conv2d(n, 1, 1, bias=False) for _, n in SEEN)
    for head, (_, n) in zip(critic.heads, SEEN, strict=True):
        nn.init.constant_(head.weight, length / math.sqrt(n))
    real, made = torch.rand(2, 2, 3, 16, 24)
    found = feature_penalty(critic, real, made, torch.Generator())
    assert found.item() == pytest.approx(penalty, abs=1e-5)
    found.backward()
    assert all(head.weight.grad is not None for head in critic.heads)
    assert all(p.grad is None for p in critic.encoder.parameters())


def test_patches_of_the_same_pictures_have_no_distance_and_shifted_ones_that_of_the_shift():
    image = torch.rand(2, 3, 32, 32)
    assert patch_distance(image, image) == 0
    near, far = (patch_distance(image, image + shift) for shift in (0.1, 0.2))
    assert far == pytest.approx(2 * near, rel=1e-3)


def test_spread_is_one_for_the_same_pictures_and_zero_where_all_are_alike():
    images = torch.rand(4, 3, 8, 8)
    assert spread(images, images) == pytest.approx(1)
    assert spread(images[:1].expand(4, -1, -1, -1), images) == pytest.approx(0, abs=1e-6)


def test_a_pool_gives_back_what_it_is_given_until_it_is_full_and_then_old_ones_too():
    pool, generator = Pool(3, (1,)), seeded(0, "pool", 0)
    first = torch.tensor([[1.0], [2.0], [3.0]])
    assert torch.equal(pool.exchange(first, generator), first)
    given = torch.cat([pool.exchange(torch.tensor([[float(n)]]), generator) for n in range(4, 40)])
    old = sum(float(value) != n for n, value in enumerate(given.flatten(), 4))
    assert 8 < old < 28  # about half of 36
    assert len(set(given.flatten().tolist())) == len(given)  # each is given once


# The networks.


@pytest.mark.parametrize("make", [
    lambda: ResNet(4, 1), lambda: ResNet(4, 1, adds_to="picture"),
    lambda: ResNet(4, 1, "transposed", adds_to="nothing", grain=False),
    lambda: UNet(3, 3, (4, 8)), lambda: UNet(3, 3, (4, 8, 16), norm=False),
])  # fmt: skip
@pytest.mark.parametrize("size", [(32, 32), (37, 50)])
def test_any_size_is_kept_and_a_batch_equals_its_singles(make, size):
    network, images = make().eval(), torch.rand(2, 3, *size)
    found = network(images)
    assert found.shape == images.shape
    singles = torch.cat([network(image[None]) for image in images])
    assert torch.allclose(found, singles, atol=1e-5)


def test_generators_begin_as_the_identity_or_without_strokes():
    image = load_image(sample("chenonceau"), (48, 72))
    cyclegan, dualgan = (GANS.load(name) for name in ("cyclegan", "dualgan"))
    same = cyclegan.build(cyclegan.Options(adds_to="picture"), ())
    assert (same(image) - image).abs().mean() < 0.01
    for module in (cyclegan, dualgan):
        found = module.build(module.Options(), ())(image)
        assert torch.allclose(found, means(image), atol=1e-6)
        assert 0.03 < (found - image).abs().mean() < 0.15


def test_means_have_no_detail_and_keep_the_colours():
    image = torch.rand(2, 3, 37, 50)
    assert means(image).shape == image.shape
    assert torch.allclose(means(torch.full_like(image, 0.3)), torch.tensor(0.3))
    board = (torch.arange(32) % 2).expand(1, 3, 32, 32).float()
    assert torch.allclose(means(board), torch.tensor(0.5))


def test_a_patch_score_sees_so_many_pixels_and_a_pixel_score_one():
    for strides, field in ((3, 70), (2, 34)):
        critic = PatchGAN(width=4, strides=strides, norm=False)
        image = torch.zeros(1, 3, 128, 128, requires_grad=True)
        scores = critic(image)
        scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
        seen = image.grad[0].abs().sum(0).sum(0).nonzero().flatten()
        assert int(seen[-1] - seen[0]) + 1 == field + 2  # and what its fine detail is of
    image = torch.rand(1, 3, 4, 4, requires_grad=True)
    PixelGAN(3, 4)(image)[0, 0, 1, 2].backward()
    assert image.grad[0].abs().sum(0).nonzero().tolist() == [[1, 2]]


def test_clipped_critics_have_small_weights_whenever_they_are_used():
    module = GANS.load("dualgan")
    for sees in ("features", "pixels"):
        options = module.Options(slope="clipping", sees=sees)
        critic = module.build(options, ()).discriminators["there"]
        own = [p for p in critic.parameters() if p.requires_grad]
        with torch.no_grad():
            own[0].fill_(1.0)
        critic(torch.rand(1, 3, 32, 32))
        assert max(float(p.detach().abs().max()) for p in own) <= 0.01
        if sees == "features":  # VGG-19 stays as it is
            assert max(float(p.abs().max()) for p in critic.critic.encoder.parameters()) > 0.1


def test_the_published_layout_of_a_generator_is_read_in_order(tmp_path):
    network = ResNet(64, 9, "transposed", adds_to="nothing", grain=False)
    renamed = {f"model.{i}": v for i, v in enumerate(network.state_dict().values())}
    torch.save(renamed, tmp_path / "published.pth")
    again = published(tmp_path / "published.pth")
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.state_dict().values(), network.state_dict().values(), strict=True)
    )
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="no generator of 9 blocks"):
        published(tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        published(tmp_path / "broken.pth")


def test_a_published_generator_paints_the_same_in_our_layout():
    package = Path(find_spec("vintagify").submodule_search_locations[0])
    weights = package / "resources" / "G_A2B_epoch33.pth"
    theirs = runpy.run_path(str(package / "generator.py"))
    other = theirs["ResnetGenerator"]().eval()
    other.load_state_dict(torch.load(weights, "cpu", weights_only=True))
    image = load_image(sample("pont_du_gard"), (64, 96))
    with torch.no_grad():
        wanted = (other(2 * image - 1) + 1) / 2
        assert torch.allclose(published(weights)(image), wanted, atol=1e-4)
    assert (wanted - image).abs().mean() > 0.05


# The game on a ring.


def test_points_of_the_ring_reach_all_modes_and_one_point_reaches_one():
    points = ring(4000, seeded(0, "ring", 0))
    count, near = modes(points)
    assert count == 8
    assert near > 0.98
    assert modes(torch.tensor([[0.0, 1.0]] * 100)) == (1, 1.0)
    assert modes(torch.zeros(100, 2)) == (0, 0.0)


def test_the_game_on_a_ring_learns_and_with_equal_rates_collapses():
    game = RingGame(RingSettings(steps=1200, every=400))
    collapsed = RingGame(RingSettings(steps=1200, every=400, discriminator_rate=1e-3))
    for one in (game, collapsed):
        one.run(progress=False)
    assert game.held_out["modes"].iloc[-1] >= 6
    assert collapsed.held_out["modes"].iloc[-1] <= 3
    assert game.sheet.shape == (1, 3, 400, 400)


def test_the_game_on_a_ring_resumes_to_the_same_values():
    settings = RingSettings(steps=6, every=2, batch=8, width=8)
    whole, part, rest = (RingGame(settings) for _ in range(3))
    whole.run(progress=False)
    for step in part:
        if step == 3:
            break
    rest.load_state_dict(part.state_dict())
    rest.run(progress=False)
    assert torch.equal(whole.sample(5), rest.sample(5))


def test_the_view_of_a_training_shows_a_game_on_a_ring():
    view = TrainingView(RingGame(RingSettings(steps=20, every=10)))
    before = view.sheet.value
    view.run()
    assert view.join(60)
    assert view.error is None
    assert view.state == "ended"
    assert view.sheet.value != before
    with pytest.raises(InputError, match="has no result"):
        view.result()


# Trainings.


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.filterwarnings("ignore:step")
def test_a_training_of_two_players_gives_a_folder_that_paints(name, folder, tmp_path):
    result = small(name, folder, tmp_path / "run")
    again = Trained.load(tmp_path / "run")
    assert list(again.held_out["step"]) == [2, 4]
    columns = set(again.history.columns)
    assert {"generators total", "discriminators total"} <= columns
    assert not any(key.startswith("discriminators") for key in result.network.learnt())
    network = load_network(tmp_path / "run")
    if name == "gan":
        assert network.sample(3).shape == (3, 3, 32, 32)
        with pytest.raises(InputError, match="paints nothing"):
            paint(network, sample("chenonceau"), size=64)
    else:
        assert paint(network, sample("chenonceau"), style="back" if "gan" in name else
                     "over" if name == "exposure" else None, size=64).shape[3] == 64  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_games_are_played_in_bfloat16(name, folder):
    history = small(name, folder, steps=2, precision="bfloat16").history
    assert history.notna().to_numpy().all()


@pytest.mark.parametrize("name", ["cyclegan", "gan"])
@pytest.mark.filterwarnings("ignore:step")
def test_an_interrupted_game_goes_on_to_the_same_bytes_with_its_pool(name, folder, tmp_path):
    def interrupt(training):
        if training.steps_done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    arguments = {"steps": 6, **SMALL[name], "every": 2}
    more = {"contents": contents(name, folder), "progress": False, **arguments}
    train(name, out=tmp_path / "whole", **more)
    first = train(name, out=tmp_path / "cut", on_step=interrupt, **more)
    assert first.interrupted
    second = train(name, out=tmp_path / "cut", readers=0, **more)
    assert not second.interrupted
    for file in ("network.safetensors", "held_out.csv", "image.png"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_killed_game_goes_on_from_its_last_look_to_the_same_bytes(folder, tmp_path):
    settings = {**SMALL["cyclegan"], "every": 2}
    code = (
        "import sys; from stylelab import train; train('cyclegan', contents=sys.argv[1], "
        f"out=sys.argv[2], steps=12, progress=False, readers=2, **{settings!r})"
    )
    run = [sys.executable, "-c", code, str(folder)]
    subprocess.run([*run, str(tmp_path / "whole")], check=True)
    killed = subprocess.Popen([*run, str(tmp_path / "cut")])
    while not (tmp_path / "cut" / "state.pt").exists():
        time.sleep(0.05)
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    subprocess.run([*run, str(tmp_path / "cut")], check=True)
    for file in ("network.safetensors", "held_out.csv", "image.png"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.filterwarnings("ignore:step")
def test_patience_ends_a_training_and_keeps_its_best_network(folder):
    # Its best look is the first: a rate so high that all that follows is worse.
    settings = {**SMALL["colourise"], "steps": 20, "every": 1, "learning_rate": 1.0}
    result = small("colourise", folder, patience=3, **settings)
    totals = result.held_out["total"].tolist()
    assert len(totals) == totals.index(min(totals)) + 4 < 20
    assert result.losses["total"] == pytest.approx(min(totals))
    training = Training(recipe("colourise", **settings), contents=folder)
    training.network.load_state_dict(result.network.learnt(), strict=False)
    assert training.judge()["total"] == pytest.approx(min(totals), rel=1e-3)


@pytest.mark.filterwarnings("ignore:step")
def test_patience_keeps_the_running_means_of_the_best_network_too(folder):
    settings = {**SMALL["gan"], "steps": 30, "every": 1, "patience": 2, "learning_rate": 0.01}
    training = Training(recipe("gan", **settings), contents=folder)
    training.run(progress=False)
    totals = training.held_out["total"].tolist()
    assert totals.index(min(totals)) < len(totals) - 1  # so it was put back
    assert training.judge()["total"] == pytest.approx(min(totals), rel=1e-5)


def test_alarms_say_in_words_that_a_discriminator_has_won_or_a_generator_collapsed():
    module = GANS.load("gan")
    game = module.build(module.Options(width=4), ())
    well = game.alarms({"discriminators real": 0.6, "discriminators made": 0.6}, {"spread": 0.9})
    assert well == []
    (won,) = game.alarms(
        {"discriminators real": 0.01, "discriminators made": 0.02}, {"spread": 0.9}
    )
    assert "discriminator has won" in won
    (alike,) = game.alarms(
        {"discriminators real": 0.6, "discriminators made": 0.6}, {"spread": 0.1}
    )
    assert "collapsed" in alike


def test_an_alarm_is_a_warning_and_part_of_the_result(folder, monkeypatch):
    from stylelab.gans.blocks import Game

    monkeypatch.setattr(Game, "alarms", lambda self, recent, look: ["it fell over"])
    with pytest.warns(UserWarning, match="step 2: it fell over"):
        result = small("colourise", folder, steps=6)
    assert result.info["alarms"] == ["step 2: it fell over", "step 4: it fell over",
                                     "step 6: it fell over"]  # fmt: skip


def test_exposures_of_one_place_are_all_trained_on_or_all_held_out():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        training = Training(recipe("exposure", **SMALL["exposure"]))
    held_out = {place(photo.path) for photo in training.sets.unseen}
    trained = {place(photo.path) for photo in training.sets._crops["contents"].photos}
    assert held_out
    assert not held_out & trained
    assert "city" in held_out | trained
    assert "blender_city" not in held_out | trained


def test_a_curve_is_the_mean_of_what_each_value_becomes():
    given = torch.tensor([0, 0, 100, 255], dtype=torch.uint8)
    wanted = torch.tensor([0, 51, 51, 255], dtype=torch.uint8)
    curve = mean_curve(given, wanted)
    assert curve[[0, 100, 255]].tolist() == pytest.approx([0.1, 0.2, 1.0])
    assert float(curve[50]) == pytest.approx(0.15)


def test_a_game_of_exposures_begins_with_the_best_curves():
    training = Training(recipe("exposure", **SMALL["exposure"]))
    scenes = torch.stack([p.pixels for p in training.sets.trained])
    under, image, _ = (x.float() / 255 for x in scenes.chunk(3, 1))
    curve = mean_curve(*(x.flatten() for x in (scenes[:, 3:6], scenes[:, :3])))
    with torch.no_grad():
        made = training.network(image)
    assert (made - curve[(image * 255).round().long()]).abs().mean() < 0.01
    assert (made - under).abs().mean() < 0.2 * (image - under).abs().mean()


def test_paintings_of_a_second_set_are_held_out_too(folder):
    training = Training(recipe("cyclegan", **SMALL["cyclegan"]), contents=folder)
    pictures = training.sets.pictures
    assert len(pictures["held_out_styles"]) == 2
    assert not set(pictures["held_out_styles"]) & set(pictures["styles"])


FAULTS = {
    "a style for a GAN of one set": ("gan", {"style": "night_cafe"}, "takes no style"),
    "a photograph where a triptych is asked": (
        "exposure", {"contents": "chenonceau"}, "can be used",
    ),
    "faces, which do not come with the kit": ("faces", {}, "name a folder of them"),
    "an unknown loss": ("dualgan", {"options": {"slope": "steep"}}, "slope"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:left out")
def test_bad_games_are_refused_in_one_line(fault):
    name, arguments, words = FAULTS[fault]
    with pytest.raises(InputError, match=words) as caught:
        train(name, progress=False, **arguments)
    assert "\n" not in str(caught.value)


def test_ways_are_mixed_by_their_shares_and_an_unknown_one_is_refused():
    module = GANS.load("cyclegan")
    game, image = module.build(module.Options(width=4, blocks=0), ()), torch.rand(1, 3, 32, 32)
    there, back = game(image, "there"), game(image, "back")
    mixture = game(image, {"there": 3, "back": 1})
    assert torch.allclose(mixture, 0.75 * there + 0.25 * back, atol=1e-6)
    with pytest.raises(InputError, match="shares should be"):
        game(image, {"there": 0})
    with pytest.raises(InputError, match=r"unknown way 'bakc'.*did you mean 'back'"):
        game(torch.rand(1, 3, 32, 32), "bakc")
