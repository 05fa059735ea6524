"""Seconds from asking for the page of `make demo` until the lab is seen, in a browser.

With a kernel that waits for visitors and has run the page, and with one that begins when they come.
"""

import runpy
import tempfile
import time
from pathlib import Path

import psutil
from browser import launch, serve, stop, visit
from playwright.sync_api import Browser, sync_playwright

DEMO = Path(__file__).parents[1] / "notebooks" / "demo"
VISITS = 3
SEEN = """() => {
    const image = document.querySelector('img[title="The image so far"]');
    return Boolean(image?.complete && image.naturalWidth);
}"""


def look(browser: Browser, url: str) -> float:
    """Visit the page, wait until the lab shows its picture, and leave."""
    started = time.perf_counter()
    page = visit(browser, url, 1280, 720)
    page.wait_for_function(SEEN, timeout=600_000)
    seconds = time.perf_counter() - started
    page.context.close()
    return seconds


def settle(log: Path, kernels: int) -> None:
    """Wait until so many kernels were started, and nothing on the machine has had work for 5 s."""
    until, quiet = time.monotonic() + 900, 0
    while log.read_text().count("is filled with") < kernels or quiet < 5:
        if time.monotonic() > until:
            raise TimeoutError(log.read_text())
        quiet = quiet + 1 if psutil.cpu_percent(1) < 20 else 0


def measure(browser: Browser, folder: Path, waiting: int) -> list[float]:
    """The seconds of several visits, each after the kernel that waits for it has run the page."""
    runpy.run_path(str(DEMO / "page.py"))["write"](folder / "lab.ipynb")
    settings = [f"--Voila.config_file_paths={DEMO}", "--Voila.port_retries=0"]
    server, url = serve(folder, "voila", "lab.ipynb", *settings, f"--pool_size={waiting}")
    try:
        found = []
        for number in range(VISITS):
            settle(folder / "server.log", waiting * (number + 1))
            found.append(look(browser, url))
        return found
    finally:
        stop(server)


def main() -> None:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for waiting, words in ((0, "begins when they come"), (1, "waits for visitors")):
            with tempfile.TemporaryDirectory() as name:
                found = measure(browser, Path(name), waiting)
            print(f"a kernel that {words}: {', '.join(f'{s:.1f}' for s in found)} s", flush=True)


if __name__ == "__main__":
    main()
