import json
from datetime import datetime, timezone
from itertools import combinations

import pytest
import torch
from PIL import Image

from stylelab import InputError, load_image, load_network
from stylelab.gans import faces
from stylelab.gans.features import (
    EYES,
    FEATURES,
    LANDMARKS,
    POINTS,
    SIDE,
    assemble,
    masks,
    mirror,
    mirror_pairs,
)
from stylelab.networks.blocks import Batch
from stylelab.recipes import recipe
from stylelab.widgets.child import OWN, ChildOfTwo, parents
from stylelab.widgets.marks import Marks

FIRST = dict.fromkeys(FEATURES, 0.0)


@pytest.fixture(scope="module")
def network():
    return load_network("faces", "cpu", "float32")


@pytest.fixture(scope="module")
def read(network):
    """The kit's parents, as the network reads them."""
    with torch.no_grad():
        return [network.read(load_image(path), points) for path, points in parents().values()]


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def test_the_kits_parents_have_landmarks_and_their_eyes_in_place():
    assert 6 <= len(parents()) <= 8
    for path, landmarks in parents().values():
        assert load_image(path).shape == (1, 3, SIDE, SIDE)
        assert landmarks.shape == (POINTS, 2)
        assert torch.allclose(landmarks[:2], EYES, atol=0.5)


def test_codes_have_their_lengths_and_about_unit_variance(network, read):
    options = faces.Options()
    assert read[0].texture.shape == (1, options.codes)
    assert read[0].shape.shape == (1, options.shapes)
    for kind in ("texture", "shape"):
        codes = torch.cat([getattr(face, kind) for face in read])
        assert 0.4 < codes.std() < 1.6


def test_an_even_child_is_the_same_whoever_comes_first(network, read):
    there, back = (network.child(*pair)[0] for pair in (read[:2], read[1::-1]))
    assert torch.equal(there, back)


def test_a_child_of_one_face_is_that_face(network, read):
    own = network.picture(read[0])
    assert torch.equal(network.child(read[0], read[0])[0], own)
    mixed = dict.fromkeys(FEATURES[::2], 0.0) | dict.fromkeys(FEATURES[1::2], 1.0)
    assert torch.allclose(network.child(read[0], read[0], mixed)[0], own, atol=1e-3)
    assert torch.allclose(network.child(read[0], read[1], FIRST)[0], own, atol=1e-5)


def test_of_all_faces_the_parents_are_nearest_to_their_child(network, read):
    codes = torch.cat([torch.cat([face.texture, face.shape], 1) for face in read])
    nearest = 0
    pairs = [*combinations(range(len(read)), 2)]
    for a, b in pairs:
        made, landmarks = network.child(read[a], read[b])
        again = network.read(made, landmarks[0])
        code = torch.cat([again.texture, again.shape], 1)
        found = (codes - code).square().sum(1).topk(2, largest=False).indices.tolist()
        nearest += set(found) == {a, b}
    assert nearest >= 0.9 * len(pairs)


@pytest.mark.parametrize("name", ["eyes", "brows", "nose", "mouth"])
def test_a_feature_of_the_second_changes_the_face_there(name, network, read):
    where = masks(network.generators.mean)[name] > 0.5
    others = masks(network.generators.mean)
    outside = sum(others.values()) - others[name] > 0.5
    plain, made = (network.child(*read[:2], shares)[0] for shares in (FIRST, FIRST | {name: 1.0}))
    change = (made - plain).abs().mean((0, 1))
    assert change[where].mean() > 3 * change[outside].mean()


def test_a_part_takes_the_colour_around_it_and_keeps_black_and_white(network):
    where = masks(network.generators.mean)
    light, dark = torch.full((1, 3, SIDE, SIDE), 0.8), torch.full((1, 3, SIDE, SIDE), 0.3)
    dark[..., 50, 40], dark[..., 52, 40] = 0.0, 1.0  # in an eye
    made = assemble(light, {"eyes": dark}, {"eyes": where["eyes"]})
    assert made[..., 50, 40].max() < 0.01
    assert made[..., 52, 40].min() > 0.99
    rest = made.clone()
    rest[..., 50:53, 40] = 0.8
    assert torch.allclose(rest, light, atol=1e-4)


def test_masks_and_landmarks_are_symmetric_and_complete(network):
    mean = network.generators.mean
    assert sorted(i for numbers in LANDMARKS.values() for i in numbers) == [*range(POINTS)]
    pairs = mirror_pairs(mean)
    assert torch.allclose(mirror(mean, pairs), mean, atol=0.1)
    for name, numbers in LANDMARKS.items():
        assert {int(pairs[i]) for i in numbers} == set(numbers), name
    for mask in masks(mean).values():
        assert (mask - mask.flip(1)).abs().mean() < 0.01


def test_drawn_faces_differ_and_a_seed_draws_the_same(network):
    made, again = (network.picture(network.sample(3)) for _ in range(2))
    assert torch.equal(made, again)
    assert made.min() >= 0
    assert made.max() <= 1
    assert min((made[a] - made[b]).abs().mean() for a, b in ((0, 1), (0, 2), (1, 2))) > 0.01


def test_landmarks_are_found_from_the_eyes_alone(network):
    path, landmarks = parents()["alder"]
    found = network.fit(load_image(path), landmarks[:2])
    assert torch.allclose(found[:2], landmarks[:2], atol=0.5)
    errors = [(x - landmarks).norm(dim=1).mean() for x in (found, network.generators.mean)]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize(
    ("words", "act"),
    {
        "unknown feature 'ears'": lambda n, f: n.child(f, f, {"ears": 1.0}),
        "from 0 to 1": lambda n, f: n.child(f, f, {"eyes": 2.0}),
        "189 landmarks": lambda n, f: n.read(torch.rand(1, 3, 64, 64), torch.rand(68, 2)),
        "two different": lambda n, f: n.fit(torch.rand(1, 3, 64, 64), torch.ones(2, 2)),
    }.items(),
)
def test_what_is_no_face_is_refused_in_one_line(words, act, network, read):
    with pytest.raises(InputError, match=words) as caught:
        act(network, read[0])
    assert "\n" not in str(caught.value)


@pytest.fixture
def folder(tmp_path):
    """A folder of faces to train on."""
    points = {}
    for path, landmarks in [*parents().values()][:4]:
        Image.open(path).resize((256, 256)).save(tmp_path / f"{path.stem}.png")
        points[f"{path.stem}.png"] = (2 * landmarks).tolist()
    (tmp_path / "landmarks.json").write_text(json.dumps(points))
    return tmp_path


def test_both_players_learn_and_shapes_come_from_the_landmarks(folder):
    r = recipe("faces", options={"codes": 4, "shapes": 3}, batch=4)
    torch.manual_seed(0)
    game = faces.build(faces.Options(**dict(r.options)), [])
    paths = sorted(folder.glob("*.png"))
    pixels = [(load_image(path, (SIDE, SIDE))[0] * 255).to(torch.uint8) for path in paths]
    prepared = [faces.prepare(path, x) for path, x in zip(paths, pixels, strict=True)]
    assert prepared[0].shape == (4, SIDE, SIDE)
    with torch.enable_grad():
        faces.begin(game, [*zip(paths, prepared, strict=True)])
        assert torch.allclose(game.generators.mean, faces.mean_shape(folder))
        batch = Batch(torch.stack(prepared) / 255, torch.empty(0), 0.5, torch.Generator())
        for name, terms in faces.players(game, r).items():
            found = terms(batch)
            assert {key.split("/")[0] for key in found} <= set(faces.loss_weights(r))
            sum(found.values()).backward()
            learner = getattr(game, name)
            assert all(p.grad is not None for p in learner.parameters()), name
    assert set(game.judge(batch)) == {"total", "codes", "spread"}
    assert game.sheet(batch).shape == (1, 3, 3 * SIDE, 4 * SIDE)
    assert not any(name.startswith("discriminators") for name in game.learnt())


def test_faces_without_landmarks_are_refused(folder):
    path = folder / "alder.png"
    pixels = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
    with pytest.raises(InputError, match="no landmarks"):
        faces.prepare(folder / "nobody.png", pixels)
    faces.read_landmarks.cache_clear()
    (folder / "landmarks.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        faces.prepare(path, pixels)


@pytest.fixture
def panel(network):
    return ChildOfTwo(network)


def test_the_panel_draws_a_child_and_follows_its_choices(panel, network):
    even, shown = panel.image, panel.child.value
    assert all(choice.disabled for choice in panel.whose.values())
    panel.even.value = False
    assert torch.equal(panel.image, even)
    panel.whose["nose"].value = "second"
    assert not torch.equal(panel.image, even)
    assert panel.child.value != shown
    wanted = network.child(*panel.faces, {"nose": 1.0})[0]
    assert torch.equal(panel.image, wanted)
    panel.sides[1].choice.value = panel.sides[0].choice.value
    assert torch.allclose(panel.image, network.picture(panel.faces[0]), atol=1e-3)


def upload(side, content, name="own.png"):
    file = {"name": name, "type": "", "size": len(content), "content": content}
    side.upload.set_trait("value", ({**file, "last_modified": datetime.now(timezone.utc)},))


def test_an_own_photograph_needs_two_eyes_and_leaves_nothing_behind(panel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    side = panel.sides[0]
    side.choice.value = OWN
    assert panel.image is None
    assert "photograph" in panel.message.value
    path, landmarks = [*parents().values()][2]
    upload(side, path.read_bytes())
    assert "Click" in panel.message.value
    assert side.upload.value == ()
    assert b"JFIF" not in repr(side.marks.get_state()).encode()
    scale = side.marks.size[0] / SIDE
    right, left = ([float(v) * scale for v in landmarks[i]] for i in (1, 0))
    side.marks.points = [right]
    assert panel.image is None
    side.marks.points = [right, left]  # in whatever order
    assert panel.image is not None
    assert panel.faces[0].texture.shape == panel.faces[1].texture.shape
    assert [*tmp_path.iterdir()] == []
    side.marks.points = [right, right]
    assert "two different" in panel.message.value


def test_a_file_that_is_no_picture_gets_one_clear_line(panel):
    side = panel.sides[1]
    side.choice.value = OWN
    upload(side, b"text", "notes.txt")
    assert "notes.txt&#x27; is not an image" in panel.message.value
    assert "alert" in panel.message.value


def test_a_parent_or_network_that_is_none_is_refused(network):
    with pytest.raises(InputError, match="no parent 'nobody'"):
        ChildOfTwo(network, "nobody")
    with pytest.raises(InputError, match="draws no faces"):
        ChildOfTwo("texture")


def test_marks_are_in_pixels_of_the_picture_itself():
    marks, sent = Marks("a picture"), []
    marks.send = lambda content, buffers=None: sent.append((content, buffers))
    marks.show(torch.rand(1, 3, 680, 960))
    assert marks.size == (340, 480)
    assert sent[0][0] == {"kind": "picture"}
    marks.points = [[10, 100], [12, 50]]
    assert marks.found() == [(24, 100), (20, 200)]
    marks.show(None)
    assert marks.points == []
