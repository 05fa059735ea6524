import csv
import hashlib
import io
import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from stylelab import InputError, load_image, repair, samples, save_image
from stylelab.applications.damages import DAMAGES, damage, pixel_error, stroke_overlap, strokes
from stylelab.applications.repairs import WRITING, fill_smoothly
from stylelab.sample_pictures import data_folder

FOLDER = data_folder() / "writing"
SIZE = (120, 92)


@pytest.fixture(scope="module")
def truth():
    return load_image(FOLDER / "deer_park.webp", SIZE)


def test_the_writing_is_as_credited_and_small_and_no_sample():
    with (FOLDER / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert {path.name for path in FOLDER.iterdir()} == {"CREDITS.csv", row["file"]}
    content = (FOLDER / row["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == row["sha256"]
    assert Image.open(io.BytesIO(content)).size == (int(row["width"]), int(row["height"]))
    assert row["licence"] == "Public domain"
    assert len(content) < 100_000
    assert "deer_park" not in samples().index


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damage_is_the_same_for_a_seed_and_another_for_the_next(kind):
    first, again, other = (damage(kind, SIZE, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (1, 1, *SIZE)
    assert set(first.unique().tolist()) == {0, 1}
    assert 0.01 < first.mean() < 0.12
    large = damage(kind, (2 * SIZE[0], 2 * SIZE[1]), 0)
    assert large.mean() == pytest.approx(first.mean().item(), rel=0.25)


def test_an_unknown_damage_is_named():
    with pytest.raises(InputError, match="did you mean 'scratches'"):
        damage("scratch", SIZE)


def test_errors_count_inside_the_damage_alone_by_hand():
    truth, image = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    hole = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    image[0, :, 0, 0], image[0, :, 1, 1] = 0.5, 1.0
    assert pixel_error(image, truth, hole) == pytest.approx((0.25 / 2) ** 0.5)


def test_strokes_overlap_by_hand():
    truth = torch.ones(1, 3, 1, 4)
    truth[..., :2] = 0  # ink, ink, paper, paper
    image = torch.ones(1, 3, 1, 4)
    image[..., 1:3] = 0  # paper, ink, ink, paper
    whole, right = torch.ones(1, 1, 1, 4), torch.tensor([[[[0.0, 0, 0, 1]]]])
    assert strokes(truth)[0, 0, 0].tolist() == [True, True, False, False]
    assert stroke_overlap(image, truth, whole) == pytest.approx(1 / 3)
    assert stroke_overlap(truth, truth, whole) == 1
    assert math.isnan(stroke_overlap(image, truth, right))


def test_otsu_finds_the_ink_on_old_paper(truth):
    ink = strokes(truth)
    assert 0.1 < ink.float().mean() < 0.35
    assert truth.mean(1, keepdim=True)[ink].max() < truth.mean(1, keepdim=True)[~ink].max()


def test_strokes_go_on_through_scratches(truth, tmp_path):
    truth = load_image(FOLDER / "deer_park.webp", (240, 184))[..., :112, 92:]  # four signs, larger
    hole = damage("scratches", (240, 184), 1)[..., :112, 92:]
    mask = save_image(hole.expand(-1, 3, -1, -1), tmp_path / "mask.png")
    damaged = torch.lerp(truth, torch.ones_like(truth), hole)
    config = replace(WRITING, size=tuple(truth.shape[2:]), precision="float32", device="cpu")
    repaired = repair(damaged, mask, config, progress=False).image
    smooth = fill_smoothly(damaged, hole)
    assert ((1 - hole) * (repaired - truth)).abs().max() < 1.01 / 255
    assert pixel_error(repaired, truth, hole) < 0.5 * pixel_error(damaged, truth, hole)
    assert stroke_overlap(repaired, truth, hole) > stroke_overlap(smooth, truth, hole)
