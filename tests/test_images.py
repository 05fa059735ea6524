import csv
import hashlib
import io
import json
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from stylelab import (
    InputError,
    image_hash,
    images,
    load_image,
    restore,
    sample,
    samples,
    save_image,
    standardise,
)
from stylelab.images import Picture
from stylelab.sample_pictures import data_folder

RED = (255, 0, 0)


def encode(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def test_a_path_bytes_a_pil_image_an_array_and_a_tensor_give_the_same_image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    expected = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    sources = [tmp_path / "a.png", str(tmp_path / "a.png"), encode(picture), picture, pixels]
    for source in [*sources, pixels / 255, expected]:
        image = load_image(source)
        assert image.shape == (1, 3, 20, 30)
        assert image.dtype == torch.float32
        torch.testing.assert_close(image, expected)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (1, 1, 1)),
        ("L", 51, (0.2, 0.2, 0.2)),
        ("LA", (51, 0), (1, 1, 1)),
        ("RGB", RED, (1, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (1, 1, 1)),
        ("RGBA", (0, 0, 0, 204), (0.2, 0.2, 0.2)),
        ("CMYK", (0, 255, 255, 0), (1, 0, 0)),
        ("HSV", (0, 255, 255), (1, 0, 0)),
        ("YCbCr", (51, 128, 128), (0.2, 0.2, 0.2)),
        ("LAB", (255, 128, 128), (1, 1, 1)),
        ("I;16", 13107, (0.2, 0.2, 0.2)),
        ("I", 13107, (0.2, 0.2, 0.2)),
        ("I", 51, (0.2, 0.2, 0.2)),
        ("F", 0.2, (0.2, 0.2, 0.2)),
    ],
)
def test_every_mode_comes_out_as_rgb(mode, colour, expected):
    image = load_image(Image.new(mode, (20, 16), colour))
    assert image.shape == (1, 3, 16, 20)
    torch.testing.assert_close(
        image[0, :, 8, 10], torch.tensor(expected).float(), atol=0.02, rtol=0
    )


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF", "PPM"])
def test_formats_are_read(format):
    image = load_image(encode(Image.new("RGB", (20, 16), RED), format))
    torch.testing.assert_close(image[0, :, 8, 10], torch.tensor([1.0, 0, 0]), atol=0.02, rtol=0)


def test_a_palette_with_transparency_lies_over_white():
    picture = Image.new("P", (20, 16), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    image = load_image(encode(picture, transparency=0))
    assert image.min() == 1


def test_a_16_bit_png_keeps_its_greys(tmp_path):
    array = np.full((16, 20), 52428, dtype=np.uint16)
    Image.fromarray(array).save(tmp_path / "deep.png")
    for source in (tmp_path / "deep.png", array):
        assert load_image(source).mean().item() == pytest.approx(0.8, abs=1e-3)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (20, 16), colour) for colour in (RED, (0, 0, 255))]
    image = load_image(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert image[0, :, 8, 10].tolist() == [1, 0, 0]


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    assert load_image(encode(Image.new("RGB", (40, 20)), "JPEG", exif=exif)).shape[2:] == (40, 20)


def test_size_is_height_and_width_and_crops_to_keep_the_aspect_ratio():
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, 20:60] = 255  # the middle square
    assert load_image(pixels, (20, 20)).min() > 0.9  # the black sides are cut off
    stretched = load_image(pixels, (20, 20), fit="stretch")
    assert stretched.shape[2:] == (20, 20)
    assert stretched.min() == 0
    assert load_image(pixels, (16, 32)).shape[2:] == (16, 32)
    assert load_image(pixels, 40).shape[2:] == (20, 40)


def test_standardise_by_hand_and_back():
    grey = torch.full((2, 3, 4, 5), 0.5)
    values = standardise(grey)[1, :, 0, 0]
    hand = [(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225]
    torch.testing.assert_close(values, torch.tensor(hand))
    torch.testing.assert_close(restore(standardise(grey)), grey)
    assert restore(torch.full((1, 3, 2, 2), 100.0)).max() == 1
    assert restore(torch.full((1, 3, 2, 2), -100.0)).min() == 0


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_what_is_saved_loads_again(tmp_path, suffix, content):
    path = save_image(content, tmp_path / "new" / f"a{suffix}")
    assert (load_image(path) - content).abs().mean() < 0.03
    assert list(path.parent.iterdir()) == [path]


def test_a_png_carries_the_config_and_the_version(tmp_path, content):
    path = save_image(content, tmp_path / "a.png", {"config": {"steps": 3}})
    text = Image.open(path).text
    assert json.loads(text["config"]) == {"steps": 3}
    assert text["Software"].startswith("stylelab ")


def test_a_failed_save_leaves_the_old_file(tmp_path, content, monkeypatch):
    path = save_image(content, tmp_path / "a.png")
    before = path.read_bytes()
    monkeypatch.setattr(
        os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(InputError, match="No space left"):
        save_image(1 - content, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def bomb() -> bytes:
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


GOOD = encode(Image.effect_noise((64, 64), 50))
BAD = {
    "text": (b"not an image", {}, "not an image that Pillow can read"),
    "nothing": (b"", {}, "not an image"),
    "cut short": (GOOD[: len(GOOD) // 2], {}, "damaged or cut short"),
    "bomb": (bomb(), {}, "more than 100,000,000 pixels"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", {}, "not an image"),
    "another fit": (GOOD, {"size": (20, 20), "fit": "cut"}, "unknown fit 'cut'"),
    "missing": ("nowhere.png", {}, "'nowhere.png' does not exist; check the path"),
    "folder": (".", {}, "is a folder; name an image in it"),
    "number": (7, {}, "cannot load an image from int"),
    "zero size": (GOOD, {"size": 0}, "size=0 should be"),
    "negative size": (GOOD, {"size": (-1, 20)}, "should be .height, width."),
    "absurd size": (GOOD, {"size": 10**6}, "from 16 to 10000"),
    "fraction": (GOOD, {"size": (20.5, 20)}, "in whole pixels"),
    "three sides": (GOOD, {"size": (20, 20, 20)}, "should be"),
    "too narrow": (Image.new("L", (1000, 20)), {"size": 100}, "shorter side under 16"),
    "empty array": (np.zeros((0, 4, 3)), {}, r"shape \(0, 4, 3\)"),
    "five channels": (np.zeros((4, 4, 5)), {}, r"shape \(4, 4, 5\)"),
    "floats up to 255": (np.full((4, 4), 200.0), {}, "divide by 255"),
    "NaN": (np.full((4, 4), np.nan), {}, r"must lie in \[0, 1\]"),
    "int64": (np.zeros((4, 4), dtype=np.int64), {}, "use uint8"),
    "two images": (torch.zeros(2, 3, 4, 4), {}, "is not one image"),
    "NaN tensor": (torch.full((1, 3, 4, 4), torch.nan), {}, "not from nan to nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_images_give_one_line(case):
    source, options, words = BAD[case]
    with pytest.raises(InputError, match=words) as caught:
        load_image(source, **options)
    assert "\n" not in str(caught.value)


def test_samples_are_as_credited():
    table = samples()
    assert len(table) == 9
    for name, row in table.iterrows():
        content = sample(name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert Image.open(io.BytesIO(content)).size == (row["width"], row["height"])
        assert row["licence"] in {"CC0-1.0", "Public domain"}
    assert image_hash(sample("chenonceau")) == table.loc["chenonceau", "sha256"]


def test_data_holds_the_registry_and_its_files_and_stays_small():
    found = {path.name for path in data_folder().iterdir()}
    assert found == {
        *samples()["file"], "CREDITS.csv", "training", "checkpoints", "writing", "faces", "sweeps",
    }  # fmt: skip
    assert sum(path.stat().st_size for path in data_folder().rglob("*.*")) < 22_000_000


def test_pictures_that_benchmarks_and_trainings_read_have_their_credits():
    folder = data_folder() / "training"
    with (folder / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {str(path.relative_to(folder).as_posix()) for path in folder.rglob("*.webp")} == {*rows}
    for name, row in rows.items():
        content = (folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert Image.open(io.BytesIO(content)).size == (int(row["width"]), int(row["height"]))
        assert row["licence"] in {"CC0-1.0", "Public domain"}
        assert row["author"]


def test_an_unknown_sample_is_named():
    with pytest.raises(InputError, match="did you mean 'chenonceau'"):
        sample("chenoncau")


def test_numbers_of_another_range_are_named_and_bytes_are_bytes():
    pixels = torch.randint(0, 256, (1, 3, 20, 30), dtype=torch.uint8)
    torch.testing.assert_close(load_image(pixels), pixels / 255)
    for source in (pixels.float(), pixels.float().numpy()[0].transpose(1, 2, 0)):
        with pytest.raises(InputError, match=r"in \[0, 1\], not from 0 to 25\d; divide by 255"):
            load_image(source)
    bright = torch.full((1, 3, 20, 30), 1.01)
    for source in (bright, bright[0, 0].numpy(), Image.fromarray(bright[0, 0].numpy())):
        with pytest.raises(InputError, match=r"not from 1\.01 to 1\.01; divide by 255 or clip"):
            load_image(source)
    assert load_image(torch.full((1, 3, 20, 30), 1.001)).max() == 1  # what rounding mends


@pytest.mark.parametrize("sides", [(1, 1), (15, 400), (400, 15)])
def test_a_source_under_16_pixels_a_side_is_not_enlarged(sides):
    for source in (Image.new("RGB", sides), encode(Image.new("RGB", sides), "JPEG")):
        with pytest.raises(InputError, match=f"{sides[0]} wide and {sides[1]} high.*16 pixels"):
            load_image(source, (48, 64))


@pytest.mark.parametrize("orientation", [1, 6])
def test_of_a_large_photograph_no_more_is_decoded_than_its_size_needs(monkeypatch, orientation):
    decoded = []
    flatten = images.flatten
    monkeypatch.setattr(images, "flatten", lambda x: decoded.append(x.size) or flatten(x))
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = Image.linear_gradient("L").resize((2000, 1600)).convert("RGB")
    photo = Picture(encode(wide, "JPEG", exif=exif))
    small = photo.load(100)
    sides = (2000, 1600) if orientation == 1 else (1600, 2000)  # width, height
    assert photo.size_at(None) == sides[::-1]
    assert small.shape[2:] == (sides[1] // 20, sides[0] // 20)
    assert decoded == [(sides[0] // 8, sides[1] // 8)]
    whole = load_image(photo.load(), 100)
    assert (small - whole).abs().mean() < 0.01


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names there")
def test_a_pipe_does_not_hang_and_a_device_or_a_vast_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "vast.png").open("wb") as file:
        file.truncate(20 * 2**30)  # sparse
    places = {
        tmp_path / "pipe.png": "not a regular file",
        "/dev/zero": "not a regular file",
        tmp_path / "vast.png": "larger than 1,073,741,824 bytes",
        "nul\0.png": "no file has such a name",
        "x" * 5000: "File name too long",
    }
    for path, words in places.items():
        with pytest.raises(InputError, match=rf"cannot be read \({words}\)"):
            load_image(path)


def test_pictures_that_are_closed_cut_short_or_without_pixels_are_named():
    closed = Image.open(io.BytesIO(GOOD))
    closed.close()
    cut = Image.open(io.BytesIO(GOOD[: len(GOOD) // 2]))
    for lazy in (closed, cut):
        with pytest.raises(InputError, match=r"this image cannot be read .*; open it again"):
            load_image(lazy)
    meta = torch.zeros(1, 3, 20, 30, device="meta")
    for tensor in (meta, torch.zeros(3, 20, 30).to_sparse()):
        with pytest.raises(InputError, match="holds no pixels"):
            load_image(tensor)
    with torch.inference_mode():
        frozen = load_image(torch.rand(1, 3, 20, 30))
    assert load_image(frozen).shape == (1, 3, 20, 30)


def test_names_of_several_lines_stay_on_one():
    with pytest.raises(InputError) as caught:
        load_image("a\nb\x1b[31m.png")
    assert str(caught.value) == r"'a\nb\x1b[31m.png' does not exist; check the path"
