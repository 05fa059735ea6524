"""The live lab in a browser, in JupyterLab and under Voilà; screenshots are kept."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LAB = "07_live_lab.ipynb"
SHOTS = ROOT / "runs" / "test-artefacts"
TOKEN = "token-of-a-test"
INSTALL = (
    "pip install playwright, and either apt-get install chromium or playwright install chromium"
)


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail(f"Playwright is missing: {INSTALL}", pytrace=False)
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.fail(f"Chromium is missing: {INSTALL}", pytrace=False)
        flags = ["--no-sandbox", "--disable-gpu", "--no-proxy-server"]
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Open a page as a visitor of one's own, who reaches nothing but this machine."""
    contexts = []

    def visit(url):
        context = browser.new_context(viewport={"width": 1400, "height": 1300})
        contexts.append(context)
        context.route(lambda address: "127.0.0.1" not in address, lambda route: route.abort())
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(url)
        return page

    yield visit
    for context in contexts:
        context.close()


def serve(folder, arguments):
    """Start a server in a folder, with settings of its own, and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(folder / ".jupyter" / name)
        for name in (
            "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR",
        )
    }  # fmt: skip
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *arguments, f"--port={port}", "--no-browser"],
            cwd=folder,
            env=os.environ | own,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/static/x")
        except urllib.error.HTTPError:  # it answers
            return server, url
        except OSError:
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < until, (folder / "server.log").read_text()
            time.sleep(0.1)


def copy_of_the_lab(folder):
    """The chapter with small parameters, and a cell at its end that asks the kernel something."""
    notebook = nbformat.read(ROOT / "notebooks" / LAB, as_version=4)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    parameters.source = "QUICK = True"
    notebook.cells.append(nbformat.v4.new_code_cell("1 + 1"))
    nbformat.write(notebook, folder / LAB)


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jupyterlab")
    copy_of_the_lab(folder)
    (folder / "chapters").mkdir()
    for path in CHAPTERS:
        shutil.copy(path, folder / "chapters")
    settings = ["--ip=127.0.0.1", "--allow-root", "--LabApp.expose_app_in_browser=True"]
    settings += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    server, url = serve(folder, ["jupyter", "lab", *settings])
    yield folder, url
    server.terminate()
    server.wait(30)


@pytest.fixture(scope="module")
def voila(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voila")
    copy_of_the_lab(folder)
    server, url = serve(folder, ["voila", LAB, "--Voila.ip=127.0.0.1"])
    yield folder, url
    server.terminate()
    server.wait(30)


class Lab:
    """The live lab on a page, as somebody in front of it uses it."""

    def __init__(self, page):
        self.page = page
        self.picture = page.locator("img.widget-image").first
        self.picture.scroll_into_view_if_needed()

    def press(self, name):
        self.page.locator("button.jupyter-button", has_text=re.compile(f"^{name}$")).click()

    def choose(self, name, option):
        self.page.get_by_label(name, exact=True).select_option(label=option)

    def move(self, name):
        slider = self.page.locator(".widget-slider", has_text=name)
        slider.locator(".noUi-handle").focus()
        for _ in range(3):
            self.page.keyboard.press("ArrowRight")

    def changes(self, times=1):
        """Wait until the picture has changed so many times."""
        for _ in range(times):
            before = self.picture.get_attribute("src")
            self.page.wait_for_function(
                "([image, before]) => image.src !== before",
                arg=[self.picture.element_handle(), before],
            )

    @property
    def steps(self):
        words = self.page.get_by_text(re.compile(r"step \d+ of \d+")).first.inner_text()
        return int(re.search(r"step (\d+) of", words)[1])

    def says(self, words):
        self.page.get_by_text(re.compile(words)).first.wait_for()


def play(lab, folder):
    """Run, move a weight, pause, resume, save, stop; what is true of each."""
    lab.press("Run")
    lab.changes(2)
    made = lab.steps
    lab.move("style weight")
    while lab.steps < made + 4:
        lab.changes()
    lab.press("Pause")
    lab.page.locator("button.jupyter-button", has_text="Resume").wait_for()
    lab.says("paused, step")
    halted = lab.steps
    time.sleep(1)
    assert lab.steps == halted
    lab.press("Resume")
    lab.changes(2)
    assert lab.steps > halted
    lab.press("Save")
    lab.says("saved in")
    (saved,) = (folder / "runs" / "live").glob("run-*")
    assert (saved / "image.png").stat().st_size > 1000
    weights = pd.read_csv(saved / "history.csv")["style_weight"]
    assert weights.iloc[0] < weights.iloc[-1]
    lab.press("Stop")
    lab.says("ended, step")


def test_jupyterlab_plays_the_lab_and_its_kernel_stays_free(jupyterlab, visit):
    folder, url = jupyterlab
    page = visit(f"{url}/lab/tree/{LAB}?token={TOKEN}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.wait_for_function("window.jupyterapp.shell.currentWidget?.sessionContext?.isReady")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    assert faults(page) == []
    page.evaluate("window.jupyterapp.shell.currentWidget.content.scrollToItem(4)")
    lab = Lab(page)
    lab.choose("preset", "paper-large")
    lab.press("Run")
    lab.changes()
    for _ in range(3):
        milliseconds = page.evaluate(
            """async () => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                notebook.activeCellIndex = notebook.widgets.length - 1;
                const started = performance.now();
                await window.jupyterapp.commands.execute('notebook:run-cell');
                return performance.now() - started;
            }"""
        )
        assert milliseconds < 1000
    page.evaluate("window.jupyterapp.shell.currentWidget.content.scrollToItem(4)")
    lab.says("running, step")
    page.screenshot(path=SHOTS / "jupyterlab.png")
    lab.press("Stop")
    lab.says("ended, step")
    lab.choose("size", "150x225 (the paper's)")
    play(lab, folder)
    assert faults(page) == []
    page.screenshot(path=SHOTS / "jupyterlab-end.png")


def test_voila_plays_the_lab(voila, visit):
    folder, url = voila
    page = visit(url)
    lab = Lab(page)
    lab.choose("preset", "paper")
    play(lab, folder)
    page.screenshot(path=SHOTS / "voila.png")


def test_two_visitors_do_not_disturb_each_other(voila, visit):
    labs = [Lab(visit(voila[1])) for _ in range(2)]
    first, second = labs
    for lab in labs:
        lab.choose("preset", "paper")
        lab.choose("size", "100x150")
    still = second.picture.get_attribute("src")
    first.press("Run")
    first.changes(2)
    assert second.picture.get_attribute("src") == still
    second.press("Run")
    second.changes(2)
    first.changes()
    second.press("Stop")
    second.says("ended, step")
    first.changes()
    first.press("Stop")
    first.says("ended, step")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_jupyterlab_opens_each_chapter_without_a_fault(path, jupyterlab, visit):
    page = visit(f"{jupyterlab[1]}/lab/tree/chapters/{path.name}?token={TOKEN}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.locator(".jp-Notebook figure img").first.wait_for(state="attached")
    assert faults(page) == []
    page.screenshot(path=SHOTS / f"{path.stem}.png")


def faults(page):
    """The outputs of the open notebook that JupyterLab shows in red."""
    outputs = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells
            .flatMap(cell => cell.outputs ?? [])"""
    )
    return [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
