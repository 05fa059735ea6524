"""Checks of the exercises in the notebooks."""

from collections.abc import Callable
from typing import Any


def check(answer: Any, test: Callable[[Any], object]) -> None:
    """Say whether an exercise is still open or its answer is right; insist that it is right.

    Args:
        answer: what the student gives, or None as long as the exercise is open.
        test: takes the answer and asserts what must hold of it.

    Raises:
        AssertionError: from ``test``, because the answer is wrong.

    >>> def even(answer):
    ...     assert answer % 2 == 0, "an even number is asked for"
    >>> check(None, even)
    not answered yet
    >>> check(4, even)
    right
    """
    if answer is None:
        print("not answered yet")
        return
    test(answer)
    print("right")
