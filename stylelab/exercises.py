"""Checks the exercises in the notebooks."""

from collections.abc import Callable
from typing import Any


def check(answer: Any, test: Callable[[Any], object]) -> None:
    """Print whether an exercise is right or not answered yet; a wrong answer is an error.

    Args:
        answer: the student's answer; None means not answered yet.
        test: takes the answer and asserts what must be true of it.

    Raises:
        AssertionError: from ``test``, if the answer is wrong.

    >>> def even(answer):
    ...     assert answer % 2 == 0, "the answer should be even"
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
