"""The live lab in use, as a browser shows it: docs/results/lab.png, and lab.webp, which moves.

A run of 60 steps in eight seconds: Run is pressed, the style weight is moved up on the way, and
at the end the divide shows the photograph beside the result. The real run takes longer.
"""

import io
import re
import runpy
from pathlib import Path

import nbformat
from browser import launch, page_of, visit
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "results"
DEMO = ROOT / "notebooks" / "demo"
SECONDS, STEPS = 8, 60
WIDTH = 960  # of the moving picture; the still one has the page's 1280
CELL = f"""
from dataclasses import replace
from stylelab import PRESETS, LiveLab
config = replace(PRESETS["fast"], size=(150, 225), steps={STEPS}, style_weight=300)
LiveLab("chenonceau", "cafe_terrace_at_night", config)
"""
POINTER = """() => {
    const dot = document.createElement("div");
    dot.style.cssText = "position: fixed; width: 22px; height: 22px; border-radius: 50%;" +
        "margin: -11px; background: #ff6f00aa; border: 2px solid white; pointer-events: none;" +
        "z-index: 9; left: 640px; top: 640px";
    document.body.append(dot);
    addEventListener("mousemove", event => {
        [dot.style.left, dot.style.top] = [`${event.clientX}px`, `${event.clientY}px`];
    }, true);
}"""
SHOWN = "document.querySelector('img[title=\"The image so far\"]').src"


class Film:
    """Screenshots of a page, each shown for its share of the seconds."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.weights: list[float] = []

    def take(self, weight: float = 1) -> None:
        self.frames.append(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))
        self.weights.append(weight)

    def move(self, x: float, y: float, frames: int = 5) -> None:
        """Move the pointer from where it is, seen on the way."""
        for share in range(1, frames + 1):
            (x0, y0), part = self.place, share / frames
            self.page.mouse.move(x0 + (x - x0) * part, y0 + (y - y0) * part)
            self.take()
        self.place = x, y

    place = 640.0, 640.0

    def write(self, path: Path) -> None:
        height = round(self.frames[0].height * WIDTH / self.frames[0].width)
        small = [f.resize((WIDTH, height), Image.Resampling.LANCZOS) for f in self.frames]
        unit = 1000 * SECONDS / sum(self.weights)
        times = [round(unit * weight) for weight in self.weights]
        small[0].save(
            path, save_all=True, append_images=small[1:], duration=times, loop=0, quality=70,
            method=4,
        )  # fmt: skip


def middle(page: Page, found: str) -> tuple[float, float]:
    box = page.locator(found).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def step(page: Page) -> int:
    words = page.get_by_text(re.compile(r"step \d+ of \d+")).first.inner_text()
    return int(re.findall(r"step (\d+) of", words)[0])


def play(page: Page) -> Film:
    """Run, more style weight, the divide."""
    page.locator('img[title="The image so far"]').wait_for()
    page.wait_for_timeout(2000)
    page.evaluate(POINTER)
    film = Film(page)
    film.take(3)
    film.move(*middle(page, ".stylelab-panel button.mod-primary"))
    page.mouse.down()
    page.mouse.up()
    handle = ".stylelab-panel [aria-label='style weight']"
    held, seen = False, ""
    while step(page) < STEPS:
        page.wait_for_timeout(50)
        if page.evaluate(SHOWN) != seen:
            seen = page.evaluate(SHOWN)
            film.take()
        if step(page) > STEPS // 3 and not held:
            held = True
            x, y = middle(page, handle)
            film.move(x, y)
            page.mouse.down()
            film.move(x + 60, y, 8)
            page.mouse.up()
    page.wait_for_timeout(500)
    x, y = middle(page, ".stylelab-panel [aria-label='before | after']")
    film.move(x, y)
    page.mouse.down()
    for _ in range(8):
        film.move(film.place[0] + 16, y, 1)
        page.wait_for_timeout(300)
        film.take(0.5)
    page.mouse.up()
    page.wait_for_timeout(500)
    film.take(6)
    return film


def main() -> None:
    looks = runpy.run_path(str(DEMO / "page.py"))["LOOKS"]
    cells = [nbformat.v4.new_markdown_cell(looks), nbformat.v4.new_code_cell(CELL)]
    settings = [f"--Voila.config_file_paths={DEMO}", "--pool_size=0"]
    with page_of(cells, *settings) as url, sync_playwright() as playwright:
        film = play(visit(launch(playwright), url, 1280, 720))
    film.frames[-1].quantize(256, dither=Image.Dither.NONE).save(OUT / "lab.png", optimize=True)
    film.write(OUT / "lab.webp")
    for path in (OUT / "lab.png", OUT / "lab.webp"):
        print(f"{path.name}: {path.stat().st_size / 2**20:.2f} MB, {len(film.frames)} frames")


if __name__ == "__main__":
    main()
