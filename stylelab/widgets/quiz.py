"""A quiz at the end of a chapter: questions with radio buttons; without a kernel, their text."""

import html
from typing import Any

import ipywidgets as widgets

from stylelab.course import Question, read_chapter

LINES = '<p style="line-height:1.4;margin:0 0 0.5em">'  # a widget's own lines stand far apart


class Quiz:
    """The quiz of a chapter, which says whether an answer is right and explains it.

    Where a notebook is shown without a kernel, the questions appear as text.

    Args:
        chapter: its number.

    Raises:
        InputError: if the chapter has no quiz.
    """

    def __init__(self, chapter: int | str) -> None:
        self.questions = read_chapter(chapter).questions
        self.asked = [_Asked(i, q, self._count) for i, q in enumerate(self.questions, 1)]
        self.score = widgets.HTML()
        self.box = widgets.VBox([*(asked.box for asked in self.asked), self.score])
        self.box.add_class("stylelab-quiz")

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = self.box._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": self.text, "text/html": self.html}

    @property
    def html(self) -> str:
        """The questions as a page shows them that has no kernel."""
        items = [
            f"<li>{html.escape(q.asks)}<ul>"
            + "".join(f"<li>{html.escape(option)}</li>" for option in q.options)
            + "</ul></li>"
            for q in self.questions
        ]
        return f"<ol>{''.join(items)}</ol>"

    @property
    def text(self) -> str:
        """The questions as plain text."""
        return "\n".join(
            "\n".join([f"{i}. {q.asks}", *(f"   - {option}" for option in q.options)])
            for i, q in enumerate(self.questions, 1)
        )

    def _count(self) -> None:
        given = [asked.right for asked in self.asked if asked.right is not None]
        if len(given) == len(self.asked):
            self.score.value = f"<p>{sum(given)} of {len(given)} right.</p>"


class _Asked:
    """One question on the page; ``right`` is None until it is answered."""

    def __init__(self, number: int, question: Question, done: Any) -> None:
        self.question, self.done = question, done
        self.right: bool | None = None
        asks = widgets.HTML(f"{LINES}<b>{number}. {html.escape(question.asks)}</b></p>")
        options = [(text, i) for i, text in enumerate(question.options)]
        self.choice = widgets.RadioButtons(options=options, value=None, layout={"width": "auto"})
        self.button = widgets.Button(description="Answer", disabled=True)
        self.told = widgets.HTML(layout={"max_width": "44em"})
        self.choice.observe(self._chosen, "value")
        self.button.on_click(lambda _: self.answer())
        self.box = widgets.VBox([asks, self.choice, self.button, self.told])

    def _chosen(self, change: Any) -> None:
        self.button.disabled = self.choice.value is None or self.right is not None

    def answer(self) -> None:
        """Judge what is chosen, explain it, and leave it at that."""
        if self.choice.value is None or self.right is not None:
            return
        q = self.question
        self.right = self.choice.value == q.right
        self.choice.disabled = self.button.disabled = True
        said = "Right." if self.right else f"Not right: <i>{html.escape(q.options[q.right])}</i>."
        self.told.value = f"{LINES}{said} {html.escape(q.why)}</p>"
        self.done()
