"""Sphinx's settings for `make site`: chapters, pages and the API as a book that needs no network.

The sources are the repository's own files, as they are; notebooks are shown with the outputs that
they were committed with, and nothing is executed.
"""

import html
import re
import shutil
from inspect import Parameter, Signature
from pathlib import Path
from typing import get_type_hints

import nbformat
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.addnodes import download_reference, pending_xref
from sphinx.util.osutil import relative_uri

from stylelab import Config, Recipe
from stylelab.course import read_chapter

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FOLDERS = {"notebooks": "README", "data/checkpoints": "docs/site/cards"}  # and their pages
LANGUAGES = {".py": "python", ".yml": "yaml", ".cff": "yaml"}

# Each setting is shown with its type and default; the checks that go with them would hide both.
for record in (Config, Recipe):
    record.__annotations__ = get_type_hints(record)
    record.__signature__ = Signature([Parameter("settings", Parameter.VAR_KEYWORD)])

project = "stylelab"
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/results.md",
    "data/checkpoints/*.md",
    "docs/*.md",
    "docs/site/cards.md",
    "docs/site/api/*.rst",
    "notebooks/*.ipynb",
]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"
html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "stylelab"
html_copy_source = html_show_sourcelink = False
html_math_renderer = "mathml"
html_static_path = ["book.css"]
html_css_files = ["book.css"]


def add_around(app, page, source):
    """The table of contents below the README, which GitHub would not understand, and in a chapter
    the way to run it.
    """
    if page == root_doc:
        chapters = [
            f"{path.stem[:2]} {heading(path)} <notebooks/{path.stem}>"
            for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        ]
        contents = (HERE / "contents.md").read_text("utf-8")
        source[0] += contents.replace("CHAPTERS", "\n".join(chapters))
    elif page.startswith("notebooks/"):
        notebook = nbformat.reads(source[0], as_version=4)
        name = f"{Path(page).name}.ipynb"
        fold_answers(notebook, name[:2])
        notebook.cells[
            0
        ].source += (
            f"\n\n*To run it: `stylelab lab`, or this chapter's notebook, {{download}}`{name}`.*"
        )
        source[0] = nbformat.writes(notebook)


def fold_answers(notebook, number):
    """Where no kernel judges an answer, the right one stands folded below its question."""
    questions = iter(read_chapter(number).questions)

    def answer(match):
        q = next(questions)
        told = html.escape(f"{q.options[q.right]}. {q.why}")
        return f"</ul><details><summary>Answer</summary><p>{told}</p></details></li>"

    for cell in notebook.cells:
        if cell.cell_type == "code" and "quiz" in cell.metadata.get("tags", []):
            data = cell.outputs[0].data
            data["text/html"] = re.sub("</ul></li>", answer, data["text/html"])


def heading(path):
    first = nbformat.read(path, as_version=4).cells[0].source
    return re.match(r"# (.+)", first)[1]


def equation(translator, node):
    """An equation as MathML, which browsers show without a script."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    translator.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def keep_text(app, what, name, thing, options, lines, kept={}):  # noqa: B006
    """A field's docstring is a text; napoleon takes what stands before a colon for its type."""
    if what == "attribute":
        lines[:] = kept.setdefault(name, list(lines))


def link_files(app, tree):
    """Link to files that are no pages of the book as something to read, and folders to a page."""
    page = app.builder.get_target_uri(app.env.docname)

    def link(node, target):
        address = relative_uri(page, target)
        node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=True))

    for node in list(tree.findall(download_reference)):
        path = Path(app.env.relfn2path(node["reftarget"])[1]).relative_to(ROOT).as_posix()
        app.env.files_shown = {*getattr(app.env, "files_shown", ()), path}
        link(node, f"files/{path}" + ("" if is_picture(path) else ".html"))
    for node in list(tree.findall(pending_xref)):
        folder = node["reftarget"].strip("./")
        if folder in FOLDERS:
            link(node, f"{FOLDERS[folder]}.html")


def is_picture(path):
    return Path(path).suffix in (".webp", ".png")


def pages_of_files(app):
    for path in sorted(app.env.files_shown):
        if not is_picture(path):
            text = (ROOT / path).read_text("utf-8")
            language = LANGUAGES.get(Path(path).suffix, "text")
            code = app.builder.highlighter.highlight_block(text, language)
            yield f"files/{path}", {"title": path, "body": f"<h1>{path}</h1>{code}"}, "page.html"


def finish(app, error):
    """Copy what pages link to by name, and let the book begin at index.html."""
    if not error:
        for path in filter(is_picture, app.env.files_shown):
            copy = app.outdir / "files" / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, copy)
        shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app):
    app.connect("source-read", add_around)
    for around_napoleon in (400, 600):
        app.connect("autodoc-process-docstring", keep_text, priority=around_napoleon)
    app.connect("doctree-read", link_files, priority=100)  # before Sphinx collects downloads
    app.connect("html-collect-pages", pages_of_files)
    app.connect("build-finished", finish)
    app.add_html_math_renderer("mathml", (equation, None), (equation, None))
