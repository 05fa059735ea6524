"""The one kind of error that a user can fix, and text that stays on one line."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input; the message is one line that names the fault and the way out."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


def one_line(text: object) -> str:
    """The text with each character escaped that breaks a line, or that a terminal acts on.

    Names of files may hold any.

    >>> one_line("a\\nb")
    'a\\\\nb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def unknown(kind: str, name: object, allowed: Iterable[str], summary: str | None = None) -> str:
    """The message that ``name`` is not one of ``allowed``, with the closest match, if any.

    >>> unknown("layer", "relu6_1", ["relu5_1", "conv5_1"])
    "unknown layer 'relu6_1'; choose from relu5_1, conv5_1 (did you mean 'relu5_1'?)"
    """
    allowed = list(allowed)
    guesses = get_close_matches(str(name), allowed, n=1)
    guess = f" (did you mean '{guesses[0]}'?)" if guesses else ""
    return f"unknown {kind} {str(name)!r}; {summary or 'choose from ' + ', '.join(allowed)}{guess}"
