"""The book of chapters, pages and the API, as `make site` builds it."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

import stylelab

ROOT = Path(__file__).parent.parent
BUILD = re.search(r"^site:.*\n\t\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """All pages of the built book, by their paths."""
    folder = tmp_path_factory.mktemp("site")
    _, *command, made = BUILD.split()
    assert made == "runs/site"
    built = subprocess.run(
        [sys.executable, *command, folder], cwd=ROOT, capture_output=True, text=True
    )
    assert (built.returncode, built.stderr) == (0, "")  # warnings are errors
    return {
        path: BeautifulSoup(path.read_bytes(), "html.parser") for path in folder.rglob("*.html")
    }


@pytest.fixture(scope="module")
def folder(pages):
    return next(path.parent for path in pages if path.name == "index.html")


def own_addresses(pages):
    """What each page loads or links to within the book: page, path and anchor."""
    for page, soup in pages.items():
        for tag in soup.find_all(href=True) + soup.find_all(src=True):
            address = urlsplit(tag.get("href") or tag.get("src"))
            if not address.scheme and not address.netloc:
                path = (page.parent / unquote(address.path)).resolve() if address.path else page
                yield page, path, unquote(address.fragment)


def test_every_link_of_the_book_leads_somewhere(pages):
    names = {
        path: {tag.get("id") for tag in soup.find_all(id=True)} | {"", "top"}
        for path, soup in pages.items()
    }
    found = list(own_addresses(pages))
    assert len(found) > 3000
    broken = {
        f"{page.name}: {path.name}#{anchor}"
        for page, path, anchor in found
        if not path.exists() or (path in names and anchor not in names[path])
    }
    assert broken == set()


def test_the_book_needs_no_network(pages, folder):
    for page, soup in pages.items():
        for tag in soup.find_all(src=True) + soup.find_all("link", href=True):
            address = tag.get("src") or tag["href"]
            assert not re.match(r"(https?:)?//", address), (page.name, address)
    for sheet in folder.rglob("*.css"):
        text = sheet.read_text("utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), sheet


def test_every_picture_has_a_text_in_its_place(pages):
    pictures = [(page, tag) for page, soup in pages.items() for tag in soup.find_all("img")]
    assert len(pictures) > 100
    for page, tag in pictures:
        assert len(tag.get("alt", "")) > 10, (page.name, str(tag)[:200])


def test_every_public_name_is_described_once(pages, folder):
    names = [
        tag["id"].removeprefix("stylelab.")
        for page, soup in pages.items()
        if page.parent == folder / "docs/site/api"
        for tag in soup.find_all("dt", id=True)
    ]
    twins = {"standardise"}  # another spelling of standardize
    for name in {*stylelab.__all__} - twins:
        assert names.count(name) == 1, name


def test_chapters_stand_with_their_outputs_and_equations(pages, folder):
    (first,) = [page for page in pages if page.name == "01_reproduce_the_paper.html"]
    soup = pages[first]
    assert len(soup.select(".cell_output figure img")) > 10
    blocks = soup.select("math[display=block]")
    assert len(blocks) == 3
    assert "½" in blocks[2].text or [t.text for t in blocks[2].mfrac.children] == ["1", "2"]
    for soup in pages.values():
        assert not soup.select("merror")
        assert not [m for m in soup.find_all("math") if "&" in m.text or "\\" in m.text]
    chapters = [path.stem for path in (ROOT / "notebooks").glob("*.ipynb")]
    listed = [tag["href"] for tag in pages[folder / "index.html"].select(".sidebar-tree a")]
    for name in chapters:
        assert f"notebooks/{name}.html" in listed
