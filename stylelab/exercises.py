"""Checks the exercises in the notebooks."""

from collections.abc import Callable
from typing import Any


def check(answer: Any, test: Callable[[Any], object]) -> None:
    """Print whether an exercise is right or not answered yet; a wrong answer raises an error.

    The error says what is wrong, in the words of the test, without showing the test.

    Args:
        answer: the student's answer; None means not answered yet.
        test: takes the answer and asserts what must be true.

    Raises:
        AssertionError: if the answer is wrong, or ``test`` cannot use it.

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
    fault: str | None = None
    try:
        test(answer)
    except AssertionError as error:
        fault = str(error) or "not right yet"
    except Exception as error:
        fault = f"the answer cannot be used: {type(error).__name__}: {error}"
    if fault is not None:  # outside of the handlers: their traceback would show the test
        raise AssertionError(fault)
    print("right")
