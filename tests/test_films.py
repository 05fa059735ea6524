from dataclasses import replace

import pytest
import torch
from PIL import Image

from stylelab import (
    Config,
    InputError,
    StyleNetwork,
    Transfer,
    camera_move,
    film,
    paint,
    read_frames,
    sample,
    save_image,
    warping_error,
    write_film,
)
from stylelab.applications.frames import FilmStopped, play
from stylelab.maths.flow import optical_flow, temporal_loss, visible, warp
from stylelab.networks.blocks import Network

SIZE = (64, 96)
STYLE = sample("cafe_terrace_at_night")


@pytest.fixture(scope="module")
def clip():
    """Six frames, each moved by about two pixels, and their true flows."""
    return camera_move(sample("chenonceau"), SIZE, 6, (0.5, 0.45, 1.0), (0.5, 0.52, 0.97))


def even(down, across, size=(6, 8)):
    return torch.tensor([down, across], dtype=torch.float32)[None, :, None, None].expand(
        1, 2, *size
    )


def test_no_flow_changes_nothing():
    image = torch.rand(1, 3, 6, 8)
    assert torch.equal(warp(image, even(0, 0)), image)


def test_a_flow_of_whole_pixels_shifts():
    image = torch.rand(1, 3, 6, 8)
    moved = warp(image, even(2, -1))  # each pixel comes from two below and one to the left
    assert torch.equal(moved[:, :, :-2, 1:], image[:, :, 2:, :-1])
    assert torch.equal(moved[:, :, -1], moved[:, :, -2])  # beyond the edge the edge goes on


def test_half_a_pixel_is_the_mean_of_two():
    image = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    assert warp(image, even(0, 0.5, (2, 2)))[0, 0, :, 0].tolist() == [2.0, 6.0]
    assert warp(image, even(0.5, 0.5, (2, 2)))[0, 0, 0, 0].item() == 4.0


def test_the_temporal_loss_by_hand():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    moved = torch.tensor([[[[0.0, 0.0], [3.0, 1.0]]]])
    seen = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    assert temporal_loss(image, moved, seen).item() == (1 + 0 + 9) / 4
    image.requires_grad_()
    temporal_loss(image, moved, seen).backward()
    assert image.grad.tolist() == [[[[0.5, 0.0], [0.0, 1.5]]]]


def test_what_comes_from_outside_was_not_to_be_seen():
    assert visible(even(0, 0)).all()
    seen = visible(even(-2, 1))[0, 0]
    assert not seen[:2].any()
    assert not seen[:, -1:].any()
    assert seen[2:, :-1].all()


def test_what_does_not_lead_back_was_hidden():
    there, back = even(0, 1).clone(), even(0, -1)
    assert visible(back, there)[0, 0, :, 1:].all()
    there[0, :, :, 3] = 3  # |b + f|^2 = 9 + 4 > 0.01 (1 + 18) + 0.5
    seen = visible(back, there)[0, 0]
    assert not seen[:, 4].any()
    assert seen[:, 5:].all()


def test_the_warping_error_by_hand():
    last, frame = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    assert warping_error([last, frame], [even(0, 0, (4, 4))]) == 0.5
    assert warping_error([last, last, frame], [even(0, 0, (4, 4))] * 2) == 0.25
    frame[:, :, :, 0] = 1.0  # comes from outside, and does not count
    assert warping_error([last, frame], [even(0, -1, (4, 4))]) == 0.5


def test_the_camera_moves_as_its_flows_say(clip):
    frames, flows = clip
    still = [torch.zeros_like(flow) for flow in flows]
    assert len(frames) == 6
    assert warping_error(frames, flows) < 0.015
    assert warping_error(frames, still) > 5 * warping_error(frames, flows)
    whole, (right,) = camera_move(sample("chenonceau"), SIZE, 2, (0.5, 0.4, 1), (0.5, 0.4, 1))
    assert torch.equal(*whole)
    assert right.abs().max() < 1e-4


def test_the_estimated_flow_is_near_the_true_one(clip):
    frames, flows = clip
    apart = (optical_flow(frames[1], frames[0]) - flows[0]).square().sum(1).sqrt()
    assert apart.mean() < 0.2  # of about two pixels


@pytest.fixture
def config():
    changes = {"optimizer": "pyramid", "learning_rate": 0.15, "schedule": "linear"}
    return Config(size=SIZE, steps=24, precision="float32", device="cpu", **changes)


def test_a_film_flickers_half_as_much_as_its_frames_one_by_one(clip, config):
    frames, flows = clip[0][:4], clip[1][:3]
    alone = []
    for frame in frames:
        transfer = Transfer(frame, STYLE, config)
        list(transfer)
        alone.append(transfer.image)
    numbers = []
    painted = film(frames, STYLE, config, on_frame=lambda i, t: numbers.append((i, t.steps_done)))
    assert numbers == [(0, 24), *((i, 12) for i in range(1, 4))]
    assert torch.equal(painted[0], alone[0])
    assert warping_error(painted, flows) < 0.5 * warping_error(alone, flows)


def test_each_frame_starts_from_the_last_one(clip, config):
    frames, flows = clip
    config = replace(config, steps=2, learning_rate=1e-6, optimizer="adam")
    for weight in (0, 300):
        painted = film(frames[:2], STYLE, config, temporal_weight=weight, flows=flows[:1])
        seen = visible(flows[0])
        moved = torch.lerp(frames[1], warp(painted[0], flows[0]), seen)
        torch.testing.assert_close(painted[1], moved, atol=0.01, rtol=0)


def test_every_frame_of_a_projected_film_is_in_range(clip, config):
    shares = {}
    for projected in (True, False):
        bold = replace(config, projected=projected, steps=6, learning_rate=0.6)
        found = shares[projected] = []
        film(clip[0][:3], STYLE, bold, on_frame=lambda i, t, found=found: found.append(t.outside))
    assert shares[True] == [0, 0, 0]
    assert min(shares[False]) > 0


@pytest.mark.parametrize("name", ["film.webp", "film.gif", "folder"])
def test_frames_go_out_and_come_in_again(tmp_path, name, clip):
    frames = clip[0][:3]
    path = write_film(frames, tmp_path / name)
    back = read_frames(path)
    assert len(back) == 3
    for a, b in zip(frames, back, strict=True):
        assert (a - b).abs().mean() < 0.03
    if path.is_file():
        with Image.open(path) as image:
            assert image.n_frames == 3


def test_a_film_in_a_page_has_words(clip):
    page = play(clip[0][:2], 'the "castle"', "it moves").html
    assert 'alt="the &quot;castle&quot;"' in page
    assert "<figcaption>it moves</figcaption>" in page
    assert "data:image/webp;base64," in page


def test_bad_input_is_named(tmp_path, clip, config):
    frames, flows = clip
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.gif").write_text("no picture")
    write_film(frames[:3], tmp_path / "long")
    whole = write_film(frames[:3], tmp_path / "cut.gif")
    whole.write_bytes(whole.read_bytes()[: -whole.stat().st_size // 4])
    pages = [Image.new("L", (1000, 1000), shade) for shade in range(200)]
    pages[0].save(tmp_path / "huge.gif", save_all=True, append_images=pages[1:])
    faults = {
        "scales=1": lambda: film(frames, STYLE, replace(config, scales=2)),
        "6 frames have 5 flows, not 1": lambda: film(frames, STYLE, config, flows=flows[:1]),
        "6 frames have as many blends": lambda: film(frames, STYLE, config, blends=[(1,)]),
        "0 or above": lambda: film(frames, STYLE, config, temporal_weight=-1),
        "no frames": lambda: film([], STYLE, config),
        "the flow should be": lambda: warp(frames[0], even(0, 0)),
        "one fewer": lambda: warping_error(frames, flows[:1]),
        "leaves the picture": lambda: camera_move(STYLE, SIZE, 2, (0.5, 0.5, 1), (0.5, 0.99, 1)),
        "holds no pictures": lambda: read_frames(tmp_path / "empty"),
        "does not exist": lambda: read_frames(tmp_path / "none.gif"),
        "not an image": lambda: read_frames(tmp_path / "text.gif"),
        "unknown film format '.avi'": lambda: write_film(frames, tmp_path / "film.avi"),
        "holds a longer film": lambda: write_film(frames[:2], tmp_path / "long"),
        "damaged or cut short": lambda: read_frames(tmp_path / "cut.gif"),
        "pixels in 200 frames": lambda: read_frames(tmp_path / "huge.gif"),
        "one frame or more": lambda: write_film([], tmp_path / "film.gif"),
    }
    for words, act in faults.items():
        with pytest.raises(InputError) as error:
            act()
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    names = ["cut.gif", "empty", "huge.gif", "long", "text.gif"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_network_paints_each_frame_alone(clip):
    network = StyleNetwork()
    painted = film(clip[0][:2], "3", network)
    assert all(
        torch.equal(x, paint(network, f, "3")) for x, f in zip(painted, clip[0], strict=False)
    )


def test_the_path_of_a_film_is_answered_with_how_to_read_it():
    with pytest.raises(InputError, match=r"film\(read_frames\('film.gif'\)"):
        film("film.gif", sample("night_cafe"))


def test_hidden_files_are_no_frames_and_all_frames_count_for_the_limit(tmp_path, monkeypatch):
    frames = [torch.full((1, 3, 16, 20), shade) for shade in (0.2, 0.4)]
    folder = write_film(frames, tmp_path / "film")
    (folder / "._frame_0000.png").write_bytes(b"of a Mac")
    (folder / ".x.png").mkdir()
    assert len(read_frames(folder)) == 2
    save_image(torch.zeros(1, 3, 40, 40), folder / "frame_0002.png")
    monkeypatch.setattr("stylelab.applications.frames.MOST_PIXELS", 2 * 16 * 20 + 40 * 40 - 1)
    with pytest.raises(InputError, match=r"more than [\d,]+ pixels in 3 frames; scale it down"):
        read_frames(folder)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_a_gif_that_is_cut_anywhere_is_named(tmp_path, part):
    noise = [torch.rand(1, 3, 16, 20) for _ in range(3)]
    path = write_film(noise, tmp_path / "a.gif")
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(InputError, match=r"'.*a\.gif' is (damaged or cut short|not an image)"):
        read_frames(path)


def test_a_film_has_one_size_and_finite_flows(tmp_path):
    wide, high = torch.rand(1, 3, 32, 48), torch.rand(1, 3, 48, 32)
    config = Config(size=48, steps=1, weights="random")
    with pytest.raises(InputError, match="frame 2 is 48x32, the first one 32x48"):
        film([wide, high], STYLE, config)
    with pytest.raises(InputError, match="frame 2 is 48x32, the first one 32x48"):
        write_film([wide, high], tmp_path / "a.webp")
    with pytest.raises(InputError, match="the flow holds NaN"):
        film([wide, wide], STYLE, config, flows=[torch.full((1, 2, 32, 48), torch.nan)])
    with pytest.raises(InputError, match="NaN"):
        write_film([wide, wide * torch.nan], tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_frames_that_are_painted_outlive_a_fault_and_an_interrupt(monkeypatch):
    frames = [torch.full((1, 3, 16, 20), shade) for shade in (0.2, 0.4, 0.6)]
    fault = OSError("enough")

    def paint(network, frame, style):
        if frame is frames[2]:
            raise fault
        return frame

    monkeypatch.setattr("stylelab.applications.films.paint", paint)
    with pytest.raises(FilmStopped, match="frame 3: OSError: enough; the 2 frames") as stopped:
        film(frames, STYLE, Network())
    assert stopped.value.frames == frames[:2]
    fault = KeyboardInterrupt()
    assert film(frames, STYLE, Network()) == frames[:2]
    with pytest.raises(KeyboardInterrupt):  # with nothing to lose
        film(frames[2:], STYLE, Network())


def test_a_film_is_not_written_over_frames_of_somebody_else(tmp_path):
    theirs = tmp_path / "frame_0001.png"
    Image.new("RGB", (20, 16)).save(theirs)
    before = theirs.read_bytes()
    frames = [torch.rand(1, 3, 16, 20) for _ in range(2)]
    with pytest.raises(InputError, match=r"frame_0001\.png' is not of stylelab"):
        write_film(frames, tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
    theirs.unlink()
    write_film(frames, tmp_path)
    write_film(frames, tmp_path)  # over its own
