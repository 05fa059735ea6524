import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from stylelab import InputError
from stylelab.training.crops import Crops, find_pictures, read_set, split
from stylelab.training.sets import kit


@pytest.fixture
def folder(tmp_path):
    """Six pictures of one colour each, 40 pixels high, in a folder and a folder within it."""
    (tmp_path / "more").mkdir()
    for i in range(6):
        pixels = np.full((40, 60, 3), 40 * i, np.uint8)
        Image.fromarray(pixels).save(tmp_path / ("more" if i % 2 else ".") / f"{i}.png")
    return tmp_path


def test_a_folder_is_searched_at_any_depth_and_read_in_order(folder):
    assert [path.name for path in find_pictures([folder])] == [
        f"{i}.png" for i in (0, 2, 4, 1, 3, 5)
    ]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no pictures"):
        find_pictures([tmp_path])


def test_bad_small_and_repeated_pictures_are_left_out_with_their_names(folder):
    (folder / "bad.png").write_bytes(b"no picture")
    Image.new("RGB", (60, 20)).save(folder / "small.png")
    shutil.copy(folder / "0.png", folder / "again.png")
    with pytest.warns(UserWarning, match=r"left out") as caught:
        photos = read_set(find_pictures([folder]), 40, 32, 100)
    assert len(photos) == 6
    said = " ".join(str(w.message) for w in caught)
    assert "bad.png" in said
    assert "small.png' is 60 wide and 20 high, smaller than a crop of 32" in said


def test_a_set_without_a_single_good_picture_is_refused(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(InputError, match="none of 1 pictures"),
    ):
        read_set(find_pictures([tmp_path]), 40, 32, 100)


def test_pictures_beyond_the_memory_are_decoded_anew_and_give_the_same_crops(folder):
    kept, small = (read_set(find_pictures([folder]), 40, 32, mb) for mb in (100, 0.015))
    assert sum(photo.pixels is None for photo in small) == 4  # 7,200 bytes each
    first, second = (Crops(photos, 40, 32, 4, 0, 0) for photos in (kept, small))
    for number in range(3):
        assert torch.equal(first.batch(number), second.batch(number))


def test_a_split_is_by_picture_and_of_the_share_that_was_asked(folder):
    photos = read_set(find_pictures([folder]), 40, 32, 100)
    trained, held_out = split(photos, 1 / 3, 0)
    assert (len(trained), len(held_out)) == (4, 2)
    assert {p.sha256 for p in trained} | {p.sha256 for p in held_out} == {p.sha256 for p in photos}
    assert split(photos[::-1], 1 / 3, 0)[1] == held_out
    with pytest.raises(InputError, match="two or more"):
        split(photos[:1], 0.5, 0)


@pytest.mark.parametrize("readers", [1, 3])
def test_readers_change_nothing_and_any_batch_can_be_asked_for(folder, readers):
    photos = read_set(find_pictures([folder]), 40, 32, 100)
    plain = Crops(photos, 40, 32, 4, 7, 0)
    ahead = Crops(photos, 40, 32, 4, 7, readers)
    for number in (0, 1, 2, 9, 10, 3):
        assert torch.equal(plain.batch(number), ahead.batch(number))
    assert not torch.equal(plain.batch(0), Crops(photos, 40, 32, 4, 8, 0).batch(0))


def test_every_picture_is_used_once_before_any_is_used_again(folder):
    photos = read_set(find_pictures([folder]), 40, 32, 100)
    crops = Crops(photos, 40, 32, 3, 0, 0)
    for epoch in range(3):
        both = torch.cat([crops.batch(2 * epoch), crops.batch(2 * epoch + 1)])
        colours = (both.mean((1, 2, 3)) * 255).round().int().tolist()
        assert sorted(colours) == [0, 40, 80, 120, 160, 200]


def test_a_crop_lies_in_its_picture_and_half_of_them_are_mirrored(tmp_path):
    ramp = np.tile(np.arange(100, dtype=np.uint8), (40, 1))
    for i in range(2):
        Image.fromarray(np.stack([ramp, ramp + i, ramp], 2)).save(tmp_path / f"{i}.png")
    photos = read_set(find_pictures([tmp_path]), 40, 32, 100)
    batch = Crops(photos, 40, 32, 64, 0, 0).batch(0)
    rises = (batch[:, 0, 0, -1] > batch[:, 0, 0, 0]).sum()
    assert 16 < rises < 48
    steps = batch[:, 0, :, 1:] - batch[:, 0, :, :-1]
    assert torch.allclose(steps.abs(), torch.tensor(1 / 255), atol=1e-6)


def test_the_kits_photographs_are_all_usable():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_set(find_pictures(kit()), 256, 128, 1000)) == 128


def test_a_picture_that_is_named_twice_is_one_and_what_pillow_only_writes_is_none(folder):
    (folder / "notes.pdf").write_bytes(b"%PDF-1.4")
    found = find_pictures([folder, folder / "0.png"])
    assert sorted(path.name for path in found) == [f"{i}.png" for i in range(6)]
