from dataclasses import replace

import pytest
import torch

from stylelab import PRESETS, InputError, MaskPainter, Transfer, load_image, sample


def stroke(region, radius, *points):
    return {"region": region, "radius": radius, "points": [list(point) for point in points]}


def test_strokes_become_masks_and_the_last_one_counts():
    painter = MaskPainter(torch.rand(1, 3, 240, 480), "sky", "river")
    assert tuple(painter.size) == (240, 480)  # shown as it is; a mask has 900 pixels on that side
    assert painter.masks.shape == (2, 1, 450, 900)
    assert not painter.masks.any()
    scale = 900 / 480
    painter.strokes = [stroke(0, 20, (50, 50), (50, 250)), stroke(1, 20, (50, 250))]
    sky, river = painter.masks[:, 0]
    at = lambda y, x: (round(y * scale), round(x * scale))  # noqa: E731
    assert sky[at(50, 150)] == sky[at(65, 150)] == 1
    assert sky[at(75, 150)] == sky[at(50, 25)] == 0
    assert river[at(50, 250)] == 1
    assert not (sky * river).any()
    # A bar of 200 by 40 with half a disc at each end, less the disc that the second region took.
    assert sky.sum() == pytest.approx(scale**2 * 200 * 40, rel=0.02)
    assert river.sum() == pytest.approx(scale**2 * torch.pi * 400, rel=0.04)
    painter.strokes = [*painter.strokes, stroke(-1, 60, (50, 250))]
    assert not painter.masks[1].any()
    assert painter.masks[0, 0][at(50, 150)] == 1


def test_painted_masks_say_where_each_style_goes(tmp_path):
    painter = MaskPainter(sample("chenonceau"), "sky", "rest")
    height, width = painter.size
    painter.strokes = [
        stroke(0, height / 4, (height / 4, 0), (height / 4, width)),
        stroke(1, height / 4, (3 * height / 4, 0), (3 * height / 4, width)),
    ]
    paths = painter.save(tmp_path / "masks")
    assert [load_image(path).shape[2:] for path in paths] == [painter.masks.shape[2:]] * 2
    base = replace(PRESETS["paper"], size=(48, 72), steps=2, weights="random")
    styles = [sample("night_cafe"), sample("harvest_at_la_crau")]
    made = Transfer(sample("chenonceau"), styles, replace(base, style_masks=paths))
    for _ in made:
        pass
    assert made.history["total"].iloc[-1] < made.history["total"].iloc[0]
    one = Transfer(sample("chenonceau"), styles[0], replace(base, mask=paths[0]))
    for _ in one:
        pass
    content = load_image(sample("chenonceau"), (48, 72))
    assert torch.allclose(one.image[..., 30:, :], content[..., 30:, :], atol=1 / 255)


def test_an_empty_region_and_too_many_of_them_are_named(tmp_path):
    painter = MaskPainter(sample("chenonceau"))
    with pytest.raises(InputError, match="the region 'style' is empty"):
        painter.save(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="6 regions"):
        MaskPainter(sample("chenonceau"), *"abcdef")
