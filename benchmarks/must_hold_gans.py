"""What must hold of each shipped GAN, on pictures that it never learnt from; see must_hold.py."""

from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from must_hold import LAYERS, Claim, held_out, vgg
from torch import Tensor

from stylelab import gram_matrix, load_image, standardize
from stylelab.gans.blocks import all_paintings, patch_distance
from stylelab.gans.exposure import mean_curve
from stylelab.gans.faces import read_landmarks
from stylelab.gans.features import EYES, SIZE
from stylelab.gans.gan import SIDE, bands
from stylelab.images import save_image
from stylelab.maths.fusion import fuse
from stylelab.maths.lab import to_lab
from stylelab.maths.warping import align
from stylelab.sample_pictures import data_folder
from stylelab.training.crops import seeded
from stylelab.training.sets import square
from stylelab.widgets.child import parents

PHOTOGRAPHS = data_folder() / "training" / "photographs"
EXPOSURES = data_folder() / "training" / "exposures"
COUNT = 512  # patches


def squares(paths: Iterable[Path], side: int) -> Tensor:
    """The middle of each picture, (N, 3, side, side)."""
    return torch.cat([square(load_image(path), side) for path in paths])


def patches(paths: Iterable[Path], count: int, purpose: str) -> Tensor:
    """Crops of 32 pixels of pictures whose shorter side is 128, (count, 3, 32, 32)."""
    generator, found = seeded(0, purpose, 0), []
    images = []
    for path in paths:
        image = load_image(path)
        scale = 128 / min(image.shape[2:])
        images.append(load_image(path, tuple(round(n * scale) for n in image.shape[2:])))
    for k in range(count):
        image = images[k % len(images)]
        y, x = (int(torch.randint(n - SIDE, (), generator=generator)) for n in image.shape[2:])
        found.append(image[0, :, y : y + SIDE, x : x + SIDE])
    return torch.stack(found)


def nearest(some: Tensor, others: Tensor) -> Tensor:
    """The root mean squared distance of each patch to the nearest of others, (N,)."""
    found = torch.cdist(some.flatten(1), others.flatten(1)).min(1).values
    return found / some[0].numel() ** 0.5


def shapes(some: Tensor) -> Tensor:
    """Patches less their mean colours, of length one: flat ones are no nearer to all others."""
    centred = some - some.mean((2, 3), keepdim=True)
    return centred / centred.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def gan(network: Any, unseen: list[Path]) -> list[Claim]:
    """Against a sampler with the mean and all covariances of the patches it learnt from."""
    learnt = patches([p for p in all_paintings() if p not in unseen], 4 * COUNT, "learnt")
    real = patches(unseen, COUNT, "real")
    made = network.sample(COUNT)
    flat = learnt.flatten(1)
    mean, values, axes = flat.mean(0), *torch.linalg.eigh(flat.T.cov())
    drawn = torch.randn(COUNT, len(values), generator=seeded(0, "drawn", 0))
    gaussian = (mean + (drawn * values.clamp_min(0).sqrt()) @ axes.T).view_as(real).clamp(0, 1)
    apart = [patch_distance(bands(x), bands(real)) for x in (made, gaussian)]
    both = torch.cat([learnt, learnt.flip(3)])  # it learnt from mirrored ones, too

    def copies(read: Callable[[Tensor], Tensor]) -> float:
        known = read(both)
        closest = nearest(read(real), known).min()
        return float((nearest(read(made), known) < closest).float().mean())

    words = "share nearer to a patch learnt from than all held-out ones are"
    return [
        Claim("distance of patches to held-out ones against a Gaussian's", apart[0] / apart[1], 1),
        Claim(words, copies(lambda x: x), 0.05),
        Claim(f"{words}, by shape alone", copies(shapes), 0.001),
    ]


@torch.no_grad()
def cycles(network: Any, unseen: list[Path], name: str, limit: float) -> list[Claim]:
    paintings, photographs = squares(held_out(name, "Held-out styles"), 160), squares(unseen, 160)
    made = network(photographs)

    def grams(images: Tensor) -> dict[str, Tensor]:
        """The mean Gram matrix of a set of pictures, by layer."""
        return {k: gram_matrix(v).mean(0) for k, v in vgg()(standardize(images)).items()}

    wanted = grams(paintings)

    def distance(images: Tensor) -> float:
        """Of the matrices of a set to those of the held-out paintings, over their size."""
        found = grams(images)
        return sum(float((found[k] - wanted[k]).norm() / wanted[k].norm()) for k in LAYERS)

    there = (network(made, "back") - photographs).abs().mean()
    back = (network(network(paintings, "back")) - paintings).abs().mean()
    nearer, apart = distance(made) / distance(photographs), float(there + back) / 2
    return [
        Claim("Gram distance to held-out paintings against the photographs'", nearer, limit),
        Claim("there and back again, mean difference", apart, 0.1),
    ]


def cyclegan(network: Any, unseen: list[Path]) -> list[Claim]:
    return cycles(network, unseen, "cyclegan", 0.7)


def dualgan(network: Any, unseen: list[Path]) -> list[Claim]:
    return cycles(network, unseen, "dualgan", 0.8)


MIX = ((0.7, 0.3, 0.0), (0.1, 0.7, 0.2), (0.1, 0.3, 0.6))
GAMMA = (0.6, 1.0, 1.8)


def tone(image: Tensor) -> Tensor:
    """A known change of an image in [0, 1], to an old film: channels mixed, a curve for each."""
    mixed = torch.einsum("ij,bjhw->bihw", image.new_tensor(MIX), image)
    return mixed ** image.new_tensor(GAMMA)[:, None, None]


def tones(folder: Path) -> tuple[Path, Path]:
    """Two folders: half of the photographs, and the other half changed by `tone`."""
    for i, path in enumerate(sorted(PHOTOGRAPHS.glob("*.webp"))):
        image, way = load_image(path), ("plain", "changed")[i % 2]
        (folder / way).mkdir(parents=True, exist_ok=True)
        save_image(tone(image) if i % 2 else image, folder / way / f"{path.stem}.png")
    return folder / "plain", folder / "changed"


@torch.no_grad()
def cyclegan_tones(network: Any, unseen: list[Path]) -> list[Claim]:
    images = squares(unseen, 128)
    wanted = tone(images)
    off = (network(images) - wanted).abs().mean() / (images - wanted).abs().mean()
    return [Claim("error of a known change against that of no change", float(off), 0.5)]


@torch.no_grad()
def exposure(network: Any, unseen: list[Path]) -> list[Claim]:
    def scenes(paths: Iterable[Path]) -> Tensor:
        """Darker, normal, brighter, (3, N, 3, 128, 128)."""
        return torch.stack([torch.cat([*load_image(p).chunk(3, 3)]) for p in paths], 1)

    learnt = scenes(p for p in sorted(EXPOSURES.glob("*.webp")) if p not in unseen)
    under, image, over = scenes(unseen)
    clipped = ((image < 0.02) | (image > 0.98)).any(1, keepdim=True).expand_as(image)
    levels = (learnt[1] * 255).round().byte().flatten()
    claims = []
    for name, wanted, k in (("under", under, 0), ("over", over, 2)):
        curve = mean_curve(levels, (learnt[k] * 255).round().byte().flatten())
        made, curved = network(image, name), curve[(image * 255).round().long()]
        errors = {
            words: [float((made - wanted)[part].abs().mean() / (x - wanted)[part].abs().mean())
                    for x in (image, curved)]
            for words, part in (("", ~clipped), (" where it is clipped", clipped))
        }  # fmt: skip
        if name == "over":  # what is white stays white; what is black, a curve knows as well
            del errors[" where it is clipped"]
        for words, (same, best) in errors.items():
            claims += [
                Claim(f"{name}{words}: error against the photograph's own", same, 1),
                Claim(f"{name}{words}: error against the best curve's", best, 1),
            ]
    nearer = []
    for scene in zip(under, image, over, strict=True):
        true = fuse(torch.stack(scene))
        one = scene[1][None]
        made = fuse(network.bracket(one))
        nearer.append(float((made - true).abs().mean() / (one - true).abs().mean()))
    return [
        *claims,
        Claim("distance to the true fusion against the photograph's", sum(nearer) / len(nearer), 1),
    ]  # fmt: skip


@torch.no_grad()
def colourise(network: Any, unseen: list[Path]) -> list[Claim]:
    learnt = to_lab(squares((p for p in PHOTOGRAPHS.glob("*.webp") if p not in unseen), 192))
    images = squares(unseen, 192)
    lab, made = to_lab(images), to_lab(network(images))
    levels = learnt[:, 0].round().long().flatten()
    table = torch.zeros(101, 2).index_add_(0, levels, learnt[:, 1:].movedim(1, -1).reshape(-1, 2))
    table = table / torch.bincount(levels, minlength=101).clamp_min(1)[:, None]
    others = {
        "no colour": torch.zeros_like(lab[:, 1:]),
        "the mean colour": learnt[:, 1:].mean((0, 2, 3))[:, None, None].expand_as(lab[:, 1:]),
        "the mean colour at each lightness": table[lab[:, 0].round().long()].movedim(-1, 1),
    }
    error = (made - lab)[:, 1:].abs().mean()
    claims = [
        Claim(f"error of colours against that of {words}",
              float(error / (x - lab[:, 1:]).abs().mean()), 1)
        for words, x in others.items()
    ]  # fmt: skip
    doubt = network.doubt(images).flatten()
    off = (made - lab)[:, 1:].abs().mean(1).flatten()
    kept = torch.corrcoef(torch.stack([doubt, off]))[0, 1]
    return [
        Claim("change of lightness, of 100, at most", float((made - lab)[:, 0].abs().max()), 0.5),
        *claims,
        Claim("correlation of the doubt with the error", float(kept), 0.2, True),
        Claim("colourfulness against the true one",
              float(made[:, 1:].abs().mean() / lab[:, 1:].abs().mean()), 0.25, True),
    ]  # fmt: skip


@torch.no_grad()
def kinship(network: Any, images: list[Tensor], points: list[Tensor]) -> list[Claim]:
    """What must hold of children of faces (1, 3, H, W), with their landmarks (189, 2)."""
    read = [network.read(x, p) for x, p in zip(images, points, strict=True)]
    codes = [torch.cat([face.texture, face.shape], 1)[0] for face in read]
    frames = [align(x, p[:2], EYES, SIZE) for x, p in zip(images, points, strict=True)]
    inner = (slice(None), slice(None), slice(12, 116), slice(20, 108))  # the face alone
    hits, pairs = torch.zeros(2), [*combinations(range(len(read)), 2)]
    for a, b in pairs:
        made, landmarks = network.child(read[a], read[b])
        again = network.read(made, landmarks[0])
        code = torch.cat([again.texture, again.shape], 1)[0]
        by_codes = torch.stack([(code - c).square().sum() for c in codes])
        by_pixels = torch.stack([(made[inner] - x[inner]).square().sum() for x in frames])
        for i, apart in enumerate((by_codes, by_pixels)):
            hits[i] += {*apart.topk(2, largest=False).indices.tolist()} == {a, b}
    by_codes, by_pixels = (hits / len(pairs)).tolist()
    first, second = read[:2]
    there, back = (network.child(*two)[0] for two in ((first, second), (second, first)))
    same = (network.child(first, first)[0] - network.picture(first)).abs().max()
    swapped = (there - back).abs().max()
    return [
        Claim("share of pairs to whom their child is nearest, by codes", by_codes, 0.9, True),
        Claim("the same by pixels", by_pixels, 0.25, True),
        Claim(
            "child of a and b against child of b and a, largest difference", float(swapped), 1e-5
        ),
        Claim("child of a and a against a as it is drawn, largest difference", float(same), 1e-5),
    ]


def faces(network: Any, unseen: list[Path]) -> list[Claim]:
    """Of the kit's parents, whom the network drew: photographs of persons are not shipped."""
    known = parents().values()
    return kinship(network, [load_image(path) for path, _ in known], [p for _, p in known])


def persons(network: Any, folder: Path, names: Iterable[str]) -> list[Claim]:
    """Of held-out photographs in a folder with their landmarks."""
    known = read_landmarks(folder)
    return kinship(network, [load_image(folder / n) for n in names], [known[n] for n in names])


GAN_CLAIMS: dict[str, Callable[[Any, list[Path]], list[Claim]]] = {
    f.__name__: f for f in (gan, cyclegan, cyclegan_tones, dualgan, exposure, colourise, faces)
}
