import ast
import asyncio
import os
import re
import runpy
import time
from html import escape
from pathlib import Path

import nbformat
import papermill
import pytest
import zmq
import zmq.asyncio
from jupyter_client.session import Session

FOLDER = Path(__file__).parent.parent / "notebooks"
CHAPTERS = sorted(FOLDER.glob("*.ipynb"))
SOLUTIONS = [FOLDER / "solutions" / f"{path.stem}_solutions.ipynb" for path in CHAPTERS]
NOTEBOOKS = CHAPTERS + SOLUTIONS
EXECUTE = runpy.run_path(str(FOLDER / "execute.py"))
CELL = 600  # seconds that one may take, where it takes a few
EXTRAS = (  # and what is imported of each
    ("crate", "rocrate"),
    ("dask", "distributed"),
    ("flow", "cv2"),
    ("metrics", "lpips"),
    ("parquet", "pyarrow"),
    ("styles", "onnx"),
    ("styles", "onnxruntime"),
    ("track", "mlflow"),
    ("tune", "optuna"),
    ("video", "av"),
    ("votes", "choix"),
)
OPEN = re.compile(r"^(\w+) = None  # replace None", re.MULTILINE)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def checks(cells):
    return [cell for cell in cells if "check" in cell.metadata.get("tags", [])]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def test_every_solution_belongs_to_a_chapter():
    assert sorted(FOLDER.glob("solutions/*.ipynb")) == SOLUTIONS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_is_committed_executed_and_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "widgets" not in notebook.metadata
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            data = output.get("data", {})
            assert not any("widget" in kind for kind in data)
            assert "image/png" not in data, "show() gives a picture its words"
            for tag in re.findall(r"<img[^>]*>", "".join(data.get("text/html", ""))):
                assert re.search(r'alt="[^"]{10,}"', tag)
            words = output.get("text", "") + data.get("text/plain", "")
            assert not re.search(r"[A-Z]:\\|/(home|root|tmp|Users|usr|work)\b", words), "a path"
        pictures = re.findall(r"^(?:show|play)\(", cell.source, re.MULTILINE)
        html = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
        assert html.count("<img ") >= len(pictures), "a figure is missing"
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_alt_texts_and_captions_are_those_of_the_code(path):
    for cell in code_cells(path):
        shown = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("show", "play"):
                for words in node.args[1:]:  # those that are computed have no value here
                    if isinstance(words, ast.Constant):
                        assert escape(words.value) in shown, "execute the chapter again"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_says_what_it_teaches_and_how_long_it_takes(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert "**What you will learn:**" in first.source
    assert re.search(r"\*\*Time:\*\* .*minute", first.source)
    assert "**Prerequisites:**" in first.source


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_it_asks_before_it_shows_and_sums_up_at_its_end(path):
    text = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"]
    assert any(re.search(r"\*(Before you|Predict)", words) for words in text)
    assert any("## Summary" in words for words in text)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_its_exercises_are_open_and_each_is_checked(path):
    code = code_cells(path)
    exercises = [i for i, cell in enumerate(code) if OPEN.search(cell.source)]
    assert len(exercises) >= 3
    for i in exercises:
        (name,) = OPEN.findall(code[i].source)
        assert f"check({name}, " in code[i + 1].source
        assert printed(code[i + 1]) == "not answered yet\n"
    assert len(exercises) == len(checks(code))


@pytest.mark.parametrize(
    ("chapter", "solution"), list(zip(CHAPTERS, SOLUTIONS, strict=True)), ids=lambda p: p.stem
)
def test_its_solutions_pass_the_very_same_checks(chapter, solution):
    asked, answered = checks(code_cells(chapter)), checks(code_cells(solution))
    assert [cell.source for cell in asked] == [cell.source for cell in answered]
    assert all(printed(cell) == "right\n" for cell in answered)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_offline_with_small_parameters(path, tmp_path, monkeypatch):
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://localhost:9")  # so that a download would fail
    # Nor is an extra there which the chapter does not name.
    named = re.findall(
        r"stylelab\[(\w+)\]", (FOLDER / path.name.replace("_solutions", "")).read_text("utf-8")
    )
    missing = {module: None for extra, module in EXTRAS if extra not in named}
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules.update({missing})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    done = papermill.execute_notebook(
        path,
        tmp_path / path.name,
        {"QUICK": True},
        cwd=tmp_path,
        progress_bar=False,
        execution_timeout=CELL,
        kernel_manager_class=EXECUTE["Kernel"],
    )
    word = "right\n" if path in SOLUTIONS else "not answered yet\n"
    assert {printed(cell) for cell in checks(done.cells)} == {word}


def test_a_kernels_answer_is_heard_though_it_comes_while_something_is_sent():
    async def wait_for_the_answer():
        with zmq.Context() as context, context.socket(zmq.ROUTER) as kernel:
            port = kernel.bind_to_random_port("tcp://127.0.0.1")
            with zmq.asyncio.Context() as own, own.socket(zmq.DEALER) as socket:
                socket.connect(f"tcp://127.0.0.1:{port}")
                session = Session(key=b"")
                channel = EXECUTE["Shell"](socket, session)
                channel.send(session.msg("execute_request"))
                (client, *_) = kernel.recv_multipart()
                answer = asyncio.ensure_future(channel.get_msg())
                await asyncio.sleep(0.1)  # it waits
                session.send(kernel, "execute_reply", ident=client)
                time.sleep(0.1)  # the answer has come, and nobody has looked
                channel.send(session.msg("comm_msg"))
                return await asyncio.wait_for(answer, 10)

    assert asyncio.run(wait_for_the_answer())["msg_type"] == "execute_reply"
