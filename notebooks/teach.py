"""What stands around the chapters' text, and what teachers make of them.

    python notebooks/teach.py write              quizzes, exercise lines and links in the chapters
    python notebooks/teach.py mark               metadata of slides in the chapters
    python notebooks/teach.py slides FOLDER      the chapters as slides (HTML), without code
    python notebooks/teach.py seal | unseal      hide or show the answers in quizzes/*.toml
    python notebooks/teach.py student FOLDER     chapters without outputs, with folded keys
    python notebooks/teach.py nbgrader FOLDER    assignments for nbgrader, in FOLDER/source

`write` and `mark` change nothing else, and may be run again at any time.
"""

import random
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import tomli
from nbconvert import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from stylelab.course import (
    copy_for_students,
    flat,
    read_chapter,
    seal,
    unseal,
    with_keys,
    without_outputs,
)
from stylelab.widgets.quiz import Quiz

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
OPEN = re.compile(r"^(\w+) = None  # replace None", re.MULTILINE)
LINE = re.compile(r"\n\n\*(Easy|Medium|Hard), about \d+ minutes\.\*")
POINTS = {"easy": 1, "medium": 2, "hard": 3}
EQUATION = re.compile(r"\$\$(.+?)\$\$|(?<![\w$`])\$(?! )([^$`]+?)(?<! )\$(?![\w$])", re.DOTALL)
TURN = """
<style>
.reveal { font-size: 28px; }
.reveal .slides section section { max-height: 100%; overflow-y: auto; text-align: left; }
.reveal h1 { font-size: 2.2em; }
.reveal h2 { font-size: 1.5em; }
.reveal h3 { font-size: 1.2em; }
.reveal :is(h1, h2, h3) { text-transform: none; }
.reveal figure img { max-height: 560px; }
.reveal figcaption { font-size: 0.8em; }
</style>
<script src="reveal.js/dist/reveal.js"></script>
<script src="reveal.js/plugin/notes/notes.js"></script>
<script>
Reveal.initialize(
    {hash: true, center: false, width: 1280, height: 720, plugins: [RevealNotes]}
);
</script>
"""
OWN = ("quiz", "links")  # tags of the cells that `write` adds


def chapters() -> list[Path]:
    """The chapters that have a quiz."""
    quizzes = {path.stem for path in (HERE / "quizzes").glob("*.toml")}
    return [path for path in sorted(HERE.glob("*.ipynb")) if path.name[:2] in quizzes]


def exercises(cells: list[Any]) -> dict[str, int]:
    """The place of each exercise's cell, by the name of its answer."""
    found = ((i, OPEN.search(c.source)) for i, c in enumerate(cells) if c.cell_type == "code")
    return {match[1]: i for i, match in found if match}


def tagged(cell: Any, *tags: str) -> bool:
    return bool({*tags} & {*cell.metadata.get("tags", [])})


def write(path: Path) -> None:
    """Write what stands around a chapter's text into it."""
    notebook, number = nbformat.read(path, as_version=4), path.name[:2]
    cells = [cell for cell in notebook.cells if not tagged(cell, *OWN)]
    for name, (difficulty, minutes) in read_chapter(number).exercises.items():
        if name not in (places := exercises(cells)):
            sys.exit(f"{path.name} has no exercise {name}; see quizzes/{number}.toml")
        at = places[name]
        text = next(c for c in cells[at::-1] if re.search(r"^### \d", c.source, re.MULTILINE))
        head, title, rest = split_last_title(text.source)
        line = f"\n\n*{difficulty.capitalize()}, about {minutes} minutes.*"
        text.source = f"{head}{title}{line}{LINE.sub('', rest, count=1)}"
    cells += [new_markdown_cell("## Quiz", metadata={"tags": ["quiz"]}), quiz_cell(int(number))]
    if links := linked_words(cells):
        cells.append(new_markdown_cell(links, metadata={"tags": ["links"]}))
    count = 0
    for i, cell in enumerate(cells):
        cell.id = f"cell-{i}"
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count
    notebook.cells = cells
    nbformat.write(notebook, path)


def mark(path: Path) -> None:
    """Write the slides' metadata into a chapter."""
    nbformat.write(marked(path), path)


def marked(path: Path) -> Any:
    """A chapter with the slides' metadata."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata["slideshow"] = {"slide_type": slide(cell)}
    return notebook


def split_last_title(text: str) -> tuple[str, str, str]:
    """A text before its last heading of an exercise, the heading, and what follows."""
    *_, match = re.finditer(r"^### \d+\. .*$", text, re.MULTILINE)
    return text[: match.start()], match[0], text[match.end() :]


def quiz_cell(number: int) -> Any:
    """The cell that shows the quiz, with its text as output."""
    quiz = Quiz(number)
    data = {"text/html": quiz.html, "text/plain": quiz.text}
    output = new_output("execute_result", data=data, execution_count=0)
    source = f"from stylelab import Quiz\n\nQuiz({number})"
    return new_code_cell(source, outputs=[output], metadata={"tags": ["quiz"]})


def linked_words(cells: list[Any]) -> str:
    """Links to the glossary and to the papers, for those that a chapter names."""
    text = flat("\n".join(c.source for c in cells if c.cell_type == "markdown"))
    words = [
        f"[{term}](../docs/glossary.md#{anchor(term)})"
        for term in titles("glossary.md")
        if re.search(rf"\b{plural(term)}\b", text, re.IGNORECASE)
    ]
    papers = [f"[{name}]({link})" for name, link, cited in references() if re.search(cited, text)]
    parts = [f"**Words:** {', '.join(words)}."] if words else []
    parts += [f"**Papers:** {', '.join(papers)}."] if papers else []
    return "\n\n".join(parts)


def titles(page: str) -> list[str]:
    return re.findall(r"^### (.+)$", (DOCS / page).read_text("utf-8"), re.MULTILINE)


def anchor(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def plural(term: str) -> str:
    """A pattern for a term and its plural."""
    return re.escape(term).replace("matrix", "matri(?:x|ces)") + "s?"


def references() -> list[tuple[str, str, str]]:
    """Name, address and pattern of each paper of docs/references.md."""
    lines = re.findall(
        r"^- \*\*(.+?)\*\* .*?\]\((.+?)\)",
        (DOCS / "references.md").read_text("utf-8"),
        re.MULTILINE,
    )
    found = []
    for name, link in lines:
        surname, year = re.match(r"[\w-]+", name)[0], re.search(r"\d{4}", name)[0]
        found.append((name, link, rf"\b{surname}\b(?:(?!\d{{4}}).){{0,45}}\(?{year}"))
    return found


def slides(path: Path, folder: Path) -> None:
    """Write a chapter as slides, beside the files of reveal.js, which turns them."""
    exporter = SlidesExporter(
        exclude_input=True,
        exclude_output_prompt=True,
        reveal_url_prefix="reveal.js",
        reveal_theme="white",
    )
    notebook = marked(path)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = EQUATION.sub(in_mathml, cell.source)
    page, _ = exporter.from_notebook_node(notebook)
    # The exporter's own scripts come from the network.
    page = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{path.stem}.slides.html"
    (folder / name).write_text(page.replace("</html>", f"{TURN}</html>"), "utf-8")
    source = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"
    for part in ("dist", "plugin/notes"):
        shutil.copytree(source / part, folder / "reveal.js" / part, dirs_exist_ok=True)
    shutil.copy(source / "LICENSE", folder / "reveal.js")


def in_mathml(match: re.Match[str]) -> str:
    """An equation as browsers draw it by themselves."""
    from latex2mathml.converter import convert  # of the extra `site`

    display = "block" if match[1] else "inline"
    return convert(match[1] or match[2], display=display)


def slide(cell: Any) -> str:
    """Where a cell stands in slides: a section begins one, each figure has its own."""
    if tagged(cell, "parameters", "exercise", "check", "links"):
        return "skip"
    if cell.cell_type == "markdown":
        return "slide" if re.search(r"^##? ", cell.source, re.MULTILINE) else "subslide"
    if not cell.outputs:
        return "skip"
    html = "".join(o.get("data", {}).get("text/html", "") for o in cell.outputs)
    return "subslide" if "<img " in html else "fragment"


def reseal(path: Path, hide: bool) -> None:
    """Hide the answers of a quiz, or show them as its authors write them, first and in words."""
    text = path.read_text("utf-8")
    if hide:
        chance = random.Random(f"quiz {path.stem}")
        # Within one question: others of the file may be hidden already.
        one = r"options = (\[(?:(?!options = ).)*?\])\nright = (\d+)\nwhy = (\".*?\")\n"
        block = re.compile(one, re.DOTALL)

        def close(match: re.Match[str]) -> str:
            options, right, why = (toml_value(part) for part in match.groups())
            order = chance.sample(range(len(options)), len(options))
            shown = ",\n".join(f"    {quoted(options[i])}" for i in order)
            sealed = seal(order.index(right - 1), why)
            return f'options = [\n{shown},\n]\nsealed = "{sealed}"\n'

        path.write_text(block.sub(close, text), "utf-8")
        return

    def reveal(match: re.Match[str]) -> str:
        right, why = unseal(match[1])
        return f"right = {right + 1}\nwhy = {quoted(why)}\n"

    path.write_text(re.sub(r'sealed = "(.*)"\n', reveal, text), "utf-8")


def toml_value(text: str) -> Any:
    return tomli.loads(f"value = {text}")["value"]


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def assignment(path: Path) -> Any:
    """A chapter as nbgrader takes it: solutions marked, checks worth points, tiny pictures."""
    number = path.name[:2]
    notebook = nbformat.read(path, as_version=4)
    solved = nbformat.read(HERE / f"solutions/{path.stem}_solutions.ipynb", as_version=4).cells
    notebook.cells = [c for c in notebook.cells if not tagged(c, "quiz")]
    without_outputs(notebook)
    with_keys(notebook, number)
    for name, (difficulty, _) in read_chapter(number).exercises.items():
        at = exercises(notebook.cells)[name]
        task, check = notebook.cells[at], notebook.cells[at + 1]
        answer = solved[next(i for i, c in enumerate(solved) if c.source == check.source) - 1]
        task.source += f"\n### BEGIN SOLUTION\n{answer.source}\n### END SOLUTION"
        check.source = f'assert {name} is not None, "not answered yet"\n\n\n{check.source}'
        task.metadata.nbgrader = graded(f"{number}-{name}", solution=True)
        check.metadata.nbgrader = graded(f"{number}-check-{name}", points=POINTS[difficulty])
    for cell in notebook.cells:
        if tagged(cell, "parameters"):
            cell.source = cell.source.replace("QUICK = False", "QUICK = True")
            cell.metadata.nbgrader = graded(f"{number}-parameters")
    return notebook


def graded(name: str, solution: bool = False, points: int | None = None) -> Any:
    """The metadata of a cell, in nbgrader's schema 3."""
    found = {"schema_version": 3, "grade_id": name, "cell_type": "code", "task": False}
    found |= {"solution": solution, "grade": points is not None, "locked": not solution}
    return nbformat.from_dict(found | ({} if points is None else {"points": points}))


def main(command: str = "", *rest: str) -> None:
    if command in ("write", "mark"):
        for path in chapters():
            write(path) if command == "write" else mark(path)
    elif command in ("seal", "unseal"):
        for path in sorted((HERE / "quizzes").glob("*.toml")):
            reseal(path, command == "seal")
    elif command in ("student", "nbgrader", "slides") and len(rest) == 1:
        folder = Path(rest[0])
        if folder.exists():
            sys.exit(f"{folder} is there already; nothing was changed")
        if command == "student":
            copy_for_students(folder)
        elif command == "slides":
            for path in chapters():
                slides(path, folder)
        else:
            for path in chapters():
                place = folder / "source" / path.stem / path.name
                place.parent.mkdir(parents=True)
                nbformat.write(assignment(path), place)
        print(folder)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
