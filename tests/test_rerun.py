import json
import shlex
import shutil
import signal
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stylelab import (
    PRESETS,
    InputError,
    branch,
    keep_states,
    kept_states,
    load_image,
    rerun,
    sample,
    save_image,
    stylize,
)
from stylelab.cli import main

BASE = replace(PRESETS["fast"], size=(32, 48), steps=3, weights="random")


@pytest.fixture
def shared(tmp_path):
    """A folder with two pictures and a run of them."""
    here = tmp_path / "here"
    here.mkdir()
    for name in ("chenonceau", "night_cafe"):
        save_image(load_image(sample(name), (40, 60)), here / f"my_{name}.png")
    stylize(here / "my_chenonceau.png", here / "my_night_cafe.png", BASE, here / "run")
    return here


def test_a_picture_is_made_again_in_another_folder_with_the_same_bytes(shared, tmp_path):
    made = rerun(shared / "run" / "image.png", tmp_path / "again", [shared], progress=False)
    assert not made.differences
    assert (made.changed, made.largest) == (0, 0)
    assert str(made).endswith("the same picture, byte for byte")
    again = (tmp_path / "again" / "image.png").read_bytes()
    assert again == (shared / "run" / "image.png").read_bytes()


def test_a_changed_picture_is_named_and_its_effect_measured(shared, tmp_path, capsys):
    path = shared / "my_chenonceau.png"
    save_image(1 - load_image(path), path)
    main(["rerun", str(shared / "run" / "image.png"), "--pictures", str(shared)])
    out = capsys.readouterr().out
    assert "my_chenonceau.png: then " in out
    assert "my_night_cafe.png" not in out
    assert " of the values differ" in out


def test_versions_and_settings_are_read_from_the_picture_alone(shared, tmp_path):
    first = shared / "run" / "image.png"
    with Image.open(first) as image:
        text, pixels = dict(image.text), image.copy()
    told = json.loads(text["made"])
    assert told["inputs"] == ["my_chenonceau.png", "my_night_cafe.png"]
    assert "/" not in text["made"].replace("\\/", "")
    told["versions"]["torch"] = "1.0"
    told["threads"] = 1
    chunks = PngInfo()
    for key, value in {**text, "made": json.dumps(told)}.items():
        chunks.add_text(key, value)
    pixels.save(shared / "told.png", pnginfo=chunks)
    found = rerun(shared / "told.png", progress=False)  # its pictures stand beside it
    assert found.differences["torch"] == ("1.0", str(torch.__version__).split("+")[0]) or (
        found.differences["torch"][0] == "1.0"
    )
    assert found.changed == 0 or found.largest < 3


def test_samples_are_found_and_a_picture_alone_is_enough(tmp_path):
    main(["transfer", "chenonceau", "night_cafe", "-o", str(tmp_path / "a.png"),
          "--size", "32", "48", "--steps", "2", "--weights", "random"])  # fmt: skip
    found = rerun(tmp_path / "a.png", progress=False)
    assert found.changed == 0
    assert found.result.config.steps == 2


def test_what_cannot_be_made_again_is_told_in_a_line(shared, tmp_path):
    moved = tmp_path / "elsewhere" / "image.png"
    moved.parent.mkdir()
    shutil.copy(shared / "run" / "image.png", moved)
    with pytest.raises(InputError, match=r"'my_chenonceau.png' of this run is not found"):
        rerun(moved)
    with pytest.raises(InputError, match="does not say how it was made"):
        rerun(shared / "my_chenonceau.png")
    with pytest.raises(InputError, match="no readable picture"):
        rerun(tmp_path / "none.png")
    tensors = stylize(torch.rand(1, 3, 32, 48), sample("night_cafe"), BASE, tmp_path / "run")
    assert tensors.info["inputs"] == ["", "night_cafe.webp"]
    with pytest.raises(InputError, match="was no file"):
        rerun(tmp_path / "run" / "image.png")


def test_a_branch_names_the_run_and_the_command_that_makes_it_again(shared, monkeypatch):
    monkeypatch.chdir(shared)
    stylize("my_chenonceau.png", "my_night_cafe.png", BASE, "long", keep_states("long", 1))
    branch("my_chenonceau.png", "my_night_cafe.png", "long", 1, "a branch", style_weight=5000)
    with pytest.raises(InputError) as error:
        rerun("a branch/image.png")
    state = sha256(kept_states("long")[1].read_bytes()).hexdigest()[:12]
    words, command = str(error.value).split(" folder: ")
    assert "is a branch of a run of my_chenonceau.png and my_night_cafe.png" in words
    assert f"after step 1 (SHA-256 {state})" in words
    main(shlex.split(command.replace("RUN", "long").replace("OUT", "again"))[1:])
    made = [Path(folder, "image.png").read_bytes() for folder in ("a branch", "again", "long")]
    assert made[0] == made[1] != made[2]


def test_what_cannot_come_out_the_same_is_refused(shared, tmp_path):
    pictures = [shared / f"my_{name}.png" for name in ("chenonceau", "night_cafe")]

    def interrupt(transfer):
        if transfer.steps_done == 2:
            signal.raise_signal(signal.SIGINT)

    result = stylize(*pictures, BASE, on_step=interrupt)
    path = save_image(result.image, shared / "half.png", result.text())
    with pytest.raises(InputError, match="its run was interrupted after step 2"):
        rerun(path, tmp_path / "again")
    result = stylize(*pictures, BASE)
    result.history["style_weight"] = [1000, 1000, 10]  # as the live lab keeps them
    path = save_image(result.image, shared / "changed.png", result.text())
    with pytest.raises(InputError, match="its loss weights were changed on the way"):
        rerun(path, tmp_path / "again")
