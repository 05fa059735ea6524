import pytest

from stylelab import check


def four(answer):
    assert answer == 4, "two and two"


def test_an_open_exercise_is_no_fault(capsys):
    check(None, four)
    assert capsys.readouterr().out == "not answered yet\n"


def test_a_right_answer_is_told(capsys):
    check(4, four)
    assert capsys.readouterr().out == "right\n"


def test_a_wrong_answer_is_an_error_with_the_reason(capsys):
    with pytest.raises(AssertionError, match="two and two"):
        check(5, four)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("answer", [0, False, "", []])
def test_an_answer_that_python_takes_for_false_is_an_answer(answer):
    with pytest.raises(AssertionError):
        check(answer, four)
