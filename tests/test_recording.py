"""A film of a transfer on its way, and films in MP4."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import PAIR, TINY
from PIL import Image

from stylelab import (
    InputError,
    camera_move,
    film,
    read_frames,
    sample,
    save_image,
    stylize,
    write_film,
)
from stylelab.applications.filters import paint_files
from stylelab.applications.frames import frame_seconds
from stylelab.cli import main
from stylelab.maths.flow import optical_flow
from stylelab.networks.blocks import Network


@pytest.fixture(scope="module")
def clip():
    """Three frames of an even size, and their flows."""
    return camera_move(sample("chenonceau"), (64, 96), 3, (0.5, 0.45, 1.0), (0.5, 0.48, 0.99))


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


@pytest.mark.parametrize(("name", "least"), [("a.webp", 28), ("a.gif", 20), ("a.mp4", 28)])
def test_a_film_of_a_transfer_has_its_pictures(tmp_path, name, least):
    seen, odd = [], replace(TINY, steps=5)
    whole = stylize(
        *PAIR, odd, None, lambda t: seen.append(t.image), False, None, tmp_path / name, 2
    )
    frames = read_frames(tmp_path / name)
    wanted = [seen[0], seen[1], seen[3], seen[4]]  # the first, each second one, and the last
    assert len(frames) == 4
    assert torch.equal(whole.image, wanted[-1])
    for frame, image in zip(frames, wanted, strict=True):
        assert psnr(frame, image) > least
    assert psnr(frames[0], wanted[-1]) < psnr(frames[-1], wanted[-1])


def test_a_film_has_one_size_although_scales_have_several(tmp_path):
    config = replace(TINY, scales=2, steps=4)
    stylize(*PAIR, config, progress=False, record=tmp_path / "a.webp", record_every=1)
    assert {frame.shape for frame in read_frames(tmp_path / "a.webp")} == {(1, 3, 32, 48)}


def test_what_was_filmed_before_a_fault_is_kept(tmp_path):
    def stop(transfer):
        if transfer.steps_done == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        stylize(*PAIR, TINY, None, stop, False, record=tmp_path / "a.gif", record_every=1)
    assert len(read_frames(tmp_path / "a.gif")) == 3


def test_a_complete_run_is_not_filmed_and_says_so(tmp_path):
    stylize(*PAIR, TINY, tmp_path / "run", progress=False)
    with pytest.warns(UserWarning, match="no step was made"):
        stylize(*PAIR, TINY, tmp_path / "run", progress=False, record=tmp_path / "a.gif")
    assert not (tmp_path / "a.gif").exists()


def test_a_film_that_cannot_be_written_at_the_end_loses_no_result(tmp_path, monkeypatch):
    def full(path, content):
        raise InputError("cannot write: No space left on device; name another place")

    monkeypatch.setattr("stylelab.training.recording.write_atomically", full)
    with pytest.warns(UserWarning, match="the film is lost: .*No space"):
        result = stylize(*PAIR, TINY, progress=False, record=tmp_path / "a.gif")
    assert len(result.history) == 6


def test_mp4_goes_out_and_comes_in_again(tmp_path, clip):
    frames = clip[0]
    path = write_film(frames, tmp_path / "a.mp4", 1 / 25)
    back = read_frames(path)
    assert len(back) == 3
    assert min(psnr(a, b) for a, b in zip(frames, back, strict=True)) > 28
    assert frame_seconds(path) == pytest.approx(1 / 25)
    odd = [frame[:, :, :33, :47] for frame in frames]
    back = read_frames(write_film(odd, tmp_path / "odd.mp4"))
    assert {frame.shape for frame in back} == {(1, 3, 34, 48)}  # the last edge is repeated
    assert (back[0][:, :, 33] - back[0][:, :, 32]).abs().mean() < 0.03


def test_an_mp4_that_stands_on_its_side_is_turned(tmp_path, clip):
    import av

    path = write_film(clip[0], tmp_path / "a.mp4")
    with av.open(str(path)) as film, av.open(str(tmp_path / "turned.mp4"), "w") as turned:
        there = film.streams.video[0]
        stream = turned.add_stream_from_template(there)
        for packet in film.demux(there):
            if packet.dts is not None:
                packet.stream = stream
                turned.mux(packet)
    content = (tmp_path / "turned.mp4").read_bytes()
    one, none = (65536).to_bytes(4, "big"), bytes(4)
    plain = one + none * 3 + one + none * 3 + (2**30).to_bytes(4, "big")
    minus = (2**32 - 65536).to_bytes(4, "big")
    quarter = none + one + none + minus + none * 4 + (2**30).to_bytes(4, "big")
    at = content.rindex(plain)  # the track's matrix, after the film's
    (tmp_path / "turned.mp4").write_bytes(content[:at] + quarter + content[at + 36 :])
    upright = torch.rot90(clip[0][0], -1, (2, 3))  # a quarter clockwise, says that matrix
    assert psnr(read_frames(tmp_path / "turned.mp4")[0], upright) > 28


def test_paint_files_gives_an_mp4_for_an_mp4_with_its_pace(tmp_path, clip):
    class Negative(Network):
        kind = "one"

        def forward(self, image, style=None, strength=1.0):
            return 1 - image

    source = write_film(clip[0], tmp_path / "a.mp4", 1 / 30)
    (painted,) = paint_files(Negative(), [source], tmp_path / "out", progress=False)
    assert painted.name == "a.mp4"
    assert frame_seconds(painted) == pytest.approx(1 / 30)
    for frame, before in zip(read_frames(painted), clip[0], strict=True):
        assert psnr(frame, 1 - before) > 25
    paint_files(Negative(), [source], tmp_path / "out", progress=False)  # over its own
    painted.write_bytes(b"of somebody else")
    with pytest.raises(InputError, match="is not of stylelab and would be overwritten"):
        paint_files(Negative(), [source], tmp_path / "out", progress=False)


def test_a_gif_keeps_its_pace(tmp_path, clip):
    assert frame_seconds(write_film(clip[0], tmp_path / "a.gif", 0.2)) == pytest.approx(0.2)
    Image.fromarray(np.zeros((16, 20, 3), np.uint8)).save(tmp_path / "b.gif")
    assert frame_seconds(tmp_path / "b.gif") == pytest.approx(1 / 12)


def test_dis_is_as_near_the_true_flow_as_tvl1(clip):
    frames, flows = clip
    for last, frame, flow in zip(frames, frames[1:], flows, strict=False):
        apart = {
            m: (optical_flow(frame, last, m) - flow).norm(dim=1).mean() for m in ("tvl1", "dis")
        }
        assert apart["dis"] < 0.15
        assert apart["dis"] < 1.5 * apart["tvl1"]
    down = torch.roll(frames[0], 2, 2)  # each pixel comes from two above
    middle = optical_flow(down, frames[0], "dis")[0, :, 10:-10, 10:-10]
    assert middle.mean((1, 2)).tolist() == pytest.approx([-2, 0], abs=0.2)


def test_a_film_takes_dis(clip):
    config = replace(TINY, size=(64, 96), steps=1)
    painted = film(clip[0][:2], PAIR[1], config, flows="dis")
    flow = optical_flow(clip[0][1], clip[0][0], "dis")
    given = film(clip[0][:2], PAIR[1], config, flows=[flow])
    assert torch.equal(painted[0], given[0])
    assert (painted[1] - given[1]).abs().mean() < 0.02  # but for what is found to be hidden


def test_bad_input_is_named(tmp_path, clip):
    (tmp_path / "text.mp4").write_text("no video")
    cut = write_film(clip[0], tmp_path / "cut.mp4")
    cut.write_bytes(cut.read_bytes()[:300])
    save_image(clip[0][0], tmp_path / "own.png")
    Image.new("RGB", (20, 16)).save(tmp_path / "theirs.gif")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def recorded(name, every=1):
        return lambda: stylize(*PAIR, TINY, record=tmp_path / name, record_every=every)

    faults = {
        "unknown film format '.png'": recorded("own.png"),
        "unknown film format ''": recorded("none"),
        "is not of stylelab and would be overwritten": recorded("theirs.gif"),
        "record_every=0 should be": recorded("a.gif", 0),
        "text.mp4' is no video, or damaged": lambda: read_frames(tmp_path / "text.mp4"),
        "cut.mp4' is no video, or damaged": lambda: read_frames(tmp_path / "cut.mp4"),
        "does not exist": lambda: read_frames(tmp_path / "none.mp4"),
        "unknown optical flow 'di'": lambda: film(clip[0], PAIR[1], TINY, flows="di"),
    }
    for words, act in faults.items():
        with pytest.raises(InputError) as error:
            act()
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_without_the_extras_one_line_says_what_to_install(tmp_path, clip, monkeypatch):
    path = write_film(clip[0], tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "cv2", None)
    for act in (
        lambda: read_frames(path),
        lambda: write_film(clip[0], tmp_path / "b.mp4"),
        lambda: stylize(*PAIR, TINY, record=tmp_path / "b.mp4"),
        lambda: paint_files(Network(), [path], tmp_path / "out", progress=False),
    ):
        with pytest.raises(InputError, match=r"pip install 'stylelab\[video\]'"):
            act()
    with pytest.raises(InputError, match=r"pip install 'stylelab\[flow\]'"):
        film(clip[0], PAIR[1], TINY, flows="dis")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_the_command_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ["--size", "32", "48", "--steps", "2", "--weights", "random", "--normalise", "none"]
    films = ["--record", "film.gif", "--record-every", "1"]
    main(["transfer", "chenonceau", "night_cafe", "-o", "a.png", *settings, *films])
    assert len(read_frames("film.gif")) == 2
