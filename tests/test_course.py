"""What stands around the chapters: quizzes, keys, exercise lines, copies for students."""

import ast
import re
import runpy
import shutil
from pathlib import Path

import nbformat
import pytest

from stylelab import InputError, Quiz, check
from stylelab.course import copy_for_students, flat, read_chapter, seal, unseal

FOLDER = Path(__file__).parent.parent / "notebooks"
TEACH = runpy.run_path(str(FOLDER / "teach.py"))
CHAPTERS = TEACH["chapters"]()
IDS = [path.name[:2] for path in CHAPTERS]
ASKED = re.compile(r"\*(Before you|Predict)")


@pytest.fixture(params=CHAPTERS, ids=IDS)
def chapter(request):
    return request.param


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def test_every_chapter_has_a_quiz():
    assert sorted(FOLDER.glob("*.ipynb")) == CHAPTERS


def test_a_quiz_has_three_to_five_questions_whose_answers_are_not_read_at_a_glance(chapter):
    questions = read_chapter(chapter.name[:2]).questions
    assert 3 <= len(questions) <= 5
    text = (FOLDER / "quizzes" / f"{chapter.name[:2]}.toml").read_text("utf-8")
    for q in questions:
        assert 3 <= len(set(q.options)) == len(q.options)
        assert q.options[q.right]
        assert q.why not in text
        assert unseal(seal(q.right, q.why)) == (q.right, q.why)
    assert not re.search(r"^(right|why)\b", text, re.MULTILINE)


def test_the_right_answer_has_no_place_of_its_own():
    places = [q.right for path in CHAPTERS for q in read_chapter(path.name[:2]).questions]
    assert all(0 < places.count(place) < len(places) / 2 for place in range(4))


def test_each_prediction_has_a_key_and_each_key_its_prediction(chapter):
    texts = [flat(c.source) for c in cells_of(chapter) if ASKED.search(c.source)]
    keys = read_chapter(chapter.name[:2]).predictions
    for words in keys:
        assert sum(words in text for text in texts) == 1, words
    assert len(keys) == sum(len(ASKED.findall(text)) for text in texts)


def test_what_stands_around_a_chapter_is_up_to_date(chapter, tmp_path):
    copy = shutil.copy(chapter, tmp_path)  # or run: python notebooks/teach.py write
    TEACH["write"](Path(copy))
    assert cells_of(copy) == cells_of(chapter)


def test_each_exercise_says_how_hard_and_how_long_it_is(chapter):
    cells = cells_of(chapter)
    assert [*TEACH["exercises"](cells)] == [*read_chapter(chapter.name[:2]).exercises]
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    titles = re.findall(
        r"^### \d+\. .*\n\n\*(Easy|Medium|Hard), about \d+ minutes\.\*$", text, re.M
    )
    assert len(titles) == len(read_chapter(chapter.name[:2]).exercises)


def test_every_check_says_what_is_wrong(chapter):
    for cell in cells_of(chapter):
        if "check" in cell.metadata.get("tags", []):
            for node in ast.walk(ast.parse(cell.source)):
                assert not isinstance(node, ast.Assert) or node.msg, ast.unparse(node)


def test_an_answer_that_cannot_be_used_is_told_without_the_lines_of_the_test():
    with pytest.raises(AssertionError, match="cannot be used: TypeError: 'int'") as caught:
        check(4, lambda answer: answer(2))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_quiz_judges_and_explains_once():
    quiz = Quiz(5)
    first, *others = quiz.asked
    assert first.button.disabled
    first.answer()  # nothing is chosen
    assert first.right is None
    first.choice.value = (first.question.right + 1) % 4
    assert not first.button.disabled
    first.button.click()
    assert first.right is False
    assert first.question.why in first.told.value
    assert "<i>2</i>" in first.told.value  # the loss of (0, 4) against (2, 4)
    first.choice.value = first.question.right
    first.answer()
    assert first.right is False
    assert quiz.score.value == ""
    for asked in others:
        asked.choice.value = asked.question.right
        asked.button.click()
    assert quiz.score.value == "<p>4 of 5 right.</p>"


def test_without_a_kernel_a_quiz_is_its_text():
    bundle = Quiz("00")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for option in read_chapter(0).questions[0].options:
        assert f"<li>{option}</li>" in bundle["text/html"]
        assert f"- {option}" in bundle["text/plain"]


def test_a_chapter_without_quiz_is_named():
    with pytest.raises(InputError, match="unknown chapter '99'; choose from 00, 01"):
        read_chapter(99)


def test_students_get_chapters_without_outputs_and_with_folded_keys(tmp_path):
    copy_for_students(tmp_path / "copy")
    copies = sorted((tmp_path / "copy").glob("*.ipynb"))
    assert [path.name for path in copies] == [path.name for path in CHAPTERS]
    for path in copies:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(c.outputs or c.execution_count for c in notebook.cells if "outputs" in c)
        text = "\n".join(c.source for c in notebook.cells)
        assert text.count("<details>") == len(read_chapter(path.name[:2]).predictions)
    assert len(list((tmp_path / "copy" / "solutions").iterdir())) == len(copies)
    assert not (tmp_path / "copy" / "quizzes").exists()


def test_nbgrader_gets_each_exercise_with_its_solution_and_its_points():
    notebook = TEACH["assignment"](FOLDER / "05_losses_and_gradients.ipynb")
    nbformat.validate(notebook)
    marked = [c for c in notebook.cells if "nbgrader" in c.metadata]
    assert len({c.metadata.nbgrader.grade_id for c in marked}) == len(marked) == 1 + 2 * 4
    assert sum(c.metadata.nbgrader.get("points", 0) for c in marked) == 2 + 1 + 3 + 1
    for task, judged in zip(marked[1::2], marked[2::2], strict=True):
        assert (task.metadata.nbgrader.solution, judged.metadata.nbgrader.grade) == (True, True)
        assert task.source.count("### BEGIN SOLUTION") == task.source.count("### END SOLUTION") == 1
        name = task.metadata.nbgrader.grade_id.partition("-")[2]
        assert judged.source.startswith(f'assert {name} is not None, "not answered yet"')
    assert not any(c.outputs for c in notebook.cells if c.cell_type == "code")


def test_slides_show_figures_one_by_one_and_no_checks():
    cells = cells_of(FOLDER / "05_losses_and_gradients.ipynb")
    kinds = [TEACH["slide"](cell) for cell in cells]
    assert kinds[:3] == ["slide", "skip", "subslide"]
    for cell, kind in zip(cells, kinds, strict=True):
        assert kind == "skip" or "check" not in cell.metadata.get("tags", [])


def test_slides_need_no_network(tmp_path):
    TEACH["slides"](FOLDER / "01_reproduce_the_paper.ipynb", tmp_path)
    page = (tmp_path / "01_reproduce_the_paper.slides.html").read_text("utf-8")
    loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"([^\"]+)", page)
    files = [address for address in loaded if not address.startswith("data:")]
    assert len(files) > 3
    assert all((tmp_path / address).is_file() for address in files)
    assert page.count('display="block"') >= 3
    assert "<mfrac><mn>1</mn><mn>2</mn></mfrac>" in page  # of \\frac12
    assert "$$" not in page
