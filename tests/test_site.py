"""The book of chapters, pages and the API, as `make site` builds it."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import stylelab

ROOT = Path(__file__).parent.parent
BUILD = re.search(r"^site:.*\n\t\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the built book."""
    folder = tmp_path_factory.mktemp("site")
    _, *command, made = BUILD.split()
    assert made == "runs/site"
    built = subprocess.run(
        [sys.executable, *command, folder], cwd=ROOT, capture_output=True, text=True
    )
    assert (built.returncode, built.stderr) == (0, "")  # warnings are errors
    return folder


@pytest.fixture(scope="module")
def pages(folder):
    """The text of each page by its path, without the pictures that are written into it."""
    return {
        path: re.sub(r"(?<=base64,)[^\"]+", "", path.read_text("utf-8"))
        for path in folder.rglob("*.html")
    }


def values(names, text):
    return re.findall(rf"<[^>]*?\b(?:{names})=\"([^\"]*)\"", text)


def test_every_link_of_the_book_leads_somewhere(pages):
    anchors = {path: {"", *values("id", text)} for path, text in pages.items()}
    checked, broken = 0, set()
    for page, text in pages.items():
        for value in values("href", text) + values("src", text):
            address = urlsplit(value)
            if not address.scheme and not address.netloc:
                path = (page.parent / unquote(address.path)).resolve() if address.path else page
                anchor = unquote(address.fragment)
                checked += 1
                if not path.is_file() or anchor not in anchors.get(path, {anchor}):
                    broken.add(f"{page.name}: {value}")
    assert broken == set()
    assert checked > 3000


def test_the_book_needs_no_network(pages, folder):
    for page, text in pages.items():
        loaded = values("src", text) + re.findall(r"<link[^>]*href=\"([^\"]*)", text)
        for address in loaded:
            assert not re.match(r"(https?:)?//", address), (page.name, address)
    for sheet in folder.rglob("*.css"):
        text = sheet.read_text("utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), sheet


def test_every_picture_has_a_text_in_its_place(pages):
    pictures = [(page, tag) for page in pages for tag in re.findall(r"<img\b[^>]*>", pages[page])]
    assert len(pictures) > 100
    for page, tag in pictures:
        (alt,) = values("alt", tag)
        assert len(alt) > 10, (page.name, tag)


def test_every_public_name_is_described_once(folder, pages):
    found = [
        name
        for page, text in pages.items()
        if page.parent == folder / "docs/site/api"
        for name in re.findall(r"<dt [^>]*id=\"stylelab\.([^\"]+)", text)
    ]
    twins = {"standardise"}  # another spelling of standardize
    for name in {*stylelab.__all__} - twins:
        assert found.count(name) == 1, name


def test_settings_show_their_types_and_their_texts(folder, pages):
    text = re.sub(r"<[^>]+>", "", pages[folder / "docs/site/api/settings.html"])
    assert "size: tuple[int, int] | int = (150, 225)" in re.sub(r"\s+", " ", text)
    assert "How an image of another shape is fitted to the size: cropped" in text


def test_chapters_stand_with_their_outputs_and_equations(folder, pages):
    shown = text = pages[folder / "notebooks/01_reproduce_the_paper.html"]
    assert text.count("<figure") > 10
    blocks = re.findall(r"<math [^>]*display=\"block\".*?</math>", text)
    assert len(blocks) >= 3
    assert "<mfrac><mn>1</mn><mn>2</mn></mfrac>" in "".join(blocks)  # of \frac12
    for page, text in pages.items():
        for equation in re.findall(r"<math .*?</math>", text):
            assert not re.search(r"merror|\\|<mi>&</mi>", equation), (page.name, equation)
    assert "<summary>Answer</summary><p>The pixels of the picture. The picture is" in shown
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f'href="notebooks/{path.stem}.html"' in pages[folder / "index.html"]
        assert (folder / "notebooks" / f"{path.stem}.html") in pages
