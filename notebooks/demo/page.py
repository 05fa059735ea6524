"""Write the page that `make demo` serves: the live lab without the chapter around it.

$ python notebooks/demo/page.py runs/demo/lab.ipynb
"""

import argparse
from pathlib import Path

import nbformat

CHAPTER = Path(__file__).parents[1] / "07_live_lab.ipynb"
LOOKS = """<style>
:root { --jp-ui-font-size1: 17px; --jp-content-font-size1: 17px; --jp-widgets-font-size: 17px;
        --jp-widgets-inline-height: 32px; --jp-widgets-inline-width-short: 170px; }
@media (max-width: 600px) {
  :root { --jp-ui-font-size1: 15px; --jp-content-font-size1: 15px; --jp-widgets-font-size: 15px; }
}
body.jp-Notebook { padding: 0; }
#rendered_cells h1 { font-size: 22px; margin: 4px 0; }
#rendered_cells .jp-Cell { padding: 0 12px; }
.stylelab-panel { max-width: 1260px; }
</style>

# Style transfer, live
"""


def write(out: Path, chapter: Path = CHAPTER) -> Path:
    """A notebook of the cells of a chapter that its page shows."""
    notebook = nbformat.read(chapter, as_version=4)
    kept = [c for c in notebook.cells if {"parameters", "page"} & set(c.metadata.get("tags", []))]
    notebook.cells = [nbformat.v4.new_markdown_cell(LOOKS), *kept]
    out.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, out)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    write(parser.parse_args().out)
