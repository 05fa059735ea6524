import pytest
import torch

from stylelab.errors import InputError
from stylelab.maths.warping import (
    align,
    border,
    moved,
    positions,
    sample,
    scale_of,
    similarity,
    triangulate,
    warp,
)


@pytest.fixture
def smooth():
    """A picture without detail that bilinear reading would lose, (1, 3, 32, 48)."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    return torch.stack([y / 32, x / 48, (y + x) / 80])[None]


POINTS = torch.tensor([[8.0, 12.0], [20.0, 30.0], [10.0, 36.0], [25.0, 9.0]])


def test_landmarks_that_stay_leave_the_picture(smooth):
    assert torch.allclose(warp(smooth, POINTS, POINTS), smooth, atol=1e-5)


def test_weights_are_those_of_a_triangle_worked_by_hand():
    triangles = triangulate(torch.tensor([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]]), (1, 2))
    # The first pixel's middle (0.5, 0.5) is 1/8 of the way to each of the other two corners.
    weights = torch.zeros(3).scatter(0, triangles.corners[0, 0], triangles.weights[0, 0])
    assert torch.allclose(weights, torch.tensor([0.75, 0.125, 0.125]))
    assert torch.allclose(triangles.weights.sum(2), torch.ones(1, 2))


def test_a_shift_of_two_pixels_is_one_of_two_columns():
    image = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    triangles = triangulate(border((6, 8)), (6, 8))
    shifted = sample(image, positions(triangles, border((6, 8))[None] + torch.tensor([0.0, 2.0])))
    assert torch.allclose(shifted[..., :6], image[..., 2:], atol=1e-5)
    assert torch.allclose(shifted[..., 6:], image[..., 7:].expand(-1, -1, -1, 2), atol=1e-5)


def test_a_landmark_comes_to_its_place(smooth):
    target = POINTS + torch.tensor([[2.0, -3.0], [-1.0, 2.0], [1.5, 1.5], [0.0, 3.0]])
    made = warp(smooth, POINTS, target)
    before, after = (sample(x, p[None, None]) for x, p in ((smooth, POINTS), (made, target)))
    assert torch.allclose(after, before, atol=0.02)


def test_there_and_back_is_where_it_began(smooth):
    target = POINTS + torch.tensor([[2.0, -2.0], [-1.0, 2.0], [1.0, 1.0], [0.0, 2.0]])
    back = warp(warp(smooth, POINTS, target), target, POINTS)
    assert (back - smooth).abs().mean() < 0.005
    assert (back - smooth).abs().mean() < (warp(smooth, POINTS, target) - smooth).abs().mean() / 5


def test_positions_pass_gradients():
    triangles = triangulate(border((4, 4)), (4, 4))
    corners = border((4, 4))[None].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: positions(triangles, p), corners)


def test_a_similarity_takes_two_points_to_two():
    source = torch.tensor([[2.0, 1.0], [2.0, 5.0]])
    target = torch.tensor([[10.0, 3.0], [18.0, 3.0]])
    matrix = similarity(source, target)
    assert torch.allclose(moved(matrix, source), target, atol=1e-5)
    assert scale_of(matrix) == pytest.approx(2)  # 4 pixels become 8
    # Across becomes down: so down becomes across, the other way.
    assert torch.allclose(moved(matrix, torch.tensor([3.0, 1.0])), torch.tensor([10.0, 1.0]))
    there_and_back = moved(similarity(target, source), moved(matrix, POINTS))
    assert torch.allclose(there_and_back, POINTS, atol=1e-4)


def test_aligned_points_have_their_places(smooth):
    eyes, places = (
        torch.tensor([[10.0, 12.0], [14.0, 30.0]]),
        torch.tensor([[9.0, 5.0], [9.0, 14.0]]),
    )
    made = align(smooth, eyes, places, (20, 20))
    assert made.shape == (1, 3, 20, 20)
    before, after = (sample(x, p[None, None]) for x, p in ((smooth, eyes), (made, places)))
    assert torch.allclose(after, before, atol=0.02)


@pytest.mark.parametrize(
    ("words", "act"),
    {
        "span no triangle": lambda: triangulate(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), (4, 4)),
        "finite": lambda: triangulate(torch.full((4, 2), torch.nan), (4, 4)),
        "do not surround": lambda: triangulate(POINTS, (32, 48)),
        "cannot go to": lambda: warp(torch.rand(1, 3, 32, 48), POINTS, POINTS[:2]),
        "two different": lambda: similarity(torch.ones(2, 2), POINTS[:2]),
    }.items(),
)
def test_landmarks_that_make_no_sense_are_refused(words, act):
    with pytest.raises(InputError, match=words):
        act()


def test_points_on_a_line_span_no_triangle():
    line = torch.arange(5.0)[:, None].expand(-1, 2)
    with pytest.raises(InputError, match="span no triangle"):
        triangulate(line, (4, 4))


def test_landmarks_in_whole_pixels_are_numbers_like_any_other(smooth):
    source, target = torch.tensor([[3, 4], [9, 20]]), torch.tensor([[5, 4], [12, 18]])
    assert torch.equal(warp(smooth, source, target), warp(smooth, source * 1.0, target * 1.0))
    assert torch.equal(similarity(source, target), similarity(source * 1.0, target * 1.0))
