"""A server of notebooks and a browser to visit it: for pictures of widgets, times and tests."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Page, Playwright

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
WAIT = 90_000  # milliseconds, for what takes one or two seconds where nothing else runs
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
SETTINGS = {  # of JupyterLab; cells out of sight are drawn, too, so that heights stand
    "apputils-extension/notification": {"fetchNews": "false"},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


def launch(playwright: Playwright) -> Browser:
    """Chromium as the system has it, or Playwright's; FileNotFoundError where there is none."""
    path = shutil.which("chromium") or playwright.chromium.executable_path
    if not Path(path).exists():
        raise FileNotFoundError("Chromium is missing")
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


def visit(browser: Browser, url: str, width: int = 1400, height: int = 1000) -> Page:
    """Open a page as a visitor of one's own, who reaches nothing but this machine."""
    context = browser.new_context(viewport={"width": width, "height": height})
    context.route(lambda address: "127.0.0.1" not in address, lambda route: route.abort())
    page = context.new_page()
    page.set_default_timeout(WAIT)
    # Voilà answers when all cells have run.
    page.goto(url, wait_until="domcontentloaded", timeout=4 * WAIT)
    return page


def serve(folder: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server in a folder, with settings of its own; it, and its address once it answers."""
    names = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR")
    own = {f"JUPYTER_{name}": str(folder / ".jupyter" / name) for name in names}
    for name in ("SETTINGS_DIR", "WORKSPACES_DIR"):
        own[f"JUPYTERLAB_{name}"] = str(folder / ".jupyter" / name)
    own["IPYTHONDIR"] = str(folder / ".jupyter" / "IPYTHON")
    for name, values in SETTINGS.items():
        path = Path(own["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab", f"{name}.jupyterlab-settings")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    log = folder / "server.log"
    until = time.monotonic() + WAIT / 1000
    while True:
        port = free_port()
        with log.open("w") as lines:
            server = subprocess.Popen(
                [sys.executable, "-m", *arguments, f"--port={port}", "--no-browser"],
                cwd=folder,
                env=os.environ | own,
                stdout=lines,
                stderr=subprocess.STDOUT,
            )
        # It says so once it has the port; else somebody else took it meanwhile, and it ends.
        while f"127.0.0.1:{port}/" not in log.read_text():
            if time.monotonic() > until:
                server.kill()
                raise TimeoutError(log.read_text())
            if server.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return server, f"http://127.0.0.1:{port}"


@contextmanager
def page_of(cells: list[nbformat.NotebookNode], *settings: str) -> Iterator[str]:
    """The address of a page with the outputs of these cells, by Voilà, while the block lasts."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "page.ipynb")
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), path)
        usual = ["--Voila.port_retries=0", "--Voila.ip=127.0.0.1"]
        server, url = serve(path.parent, "voila", path.name, *usual, *settings)
        try:
            yield url
        finally:
            stop(server)


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
