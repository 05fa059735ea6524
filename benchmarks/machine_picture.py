"""The time machine in use, as a browser shows it: docs/results/time-machine.webp.

A run of 30 steps, and two branches from its middle: ten times the style weight, and none.
"""

import io
from pathlib import Path

import nbformat
from browser import launch, page_of, visit
from PIL import Image
from playwright.sync_api import Page, sync_playwright

OUT = Path(__file__).parents[1] / "docs" / "results" / "time-machine.webp"
CELL = """
from dataclasses import replace
from stylelab import PRESETS, TimeMachine, keep_states, sample, stylize
pair = sample("chenonceau"), sample("cafe_terrace_at_night")
config = replace(PRESETS["fast"], size=(100, 150), steps=30)
stylize(*pair, config, "run", keep_states("run", every=3), progress=False)
TimeMachine(*pair, "run")
"""


def play(page: Page) -> bytes:
    """A screenshot of the machine after two branches."""
    page.locator(".stylelab-time-machine .noUi-handle").focus()
    for _ in range(5):  # states, from the last one
        page.keyboard.press("ArrowLeft")
    page.get_by_text("the run at step 15").wait_for()
    for weight in ("10000", "0"):
        page.get_by_label("style weight").fill(weight)
        page.get_by_label("style weight").press("Tab")
        page.get_by_role("button", name="Branch").click()
        page.get_by_text(f"from step 15 to 30 with 1 : {weight} : 10").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(2000)
    return page.locator(".stylelab-time-machine").screenshot()


def main() -> None:
    cells = [nbformat.v4.new_code_cell(CELL)]
    with page_of(cells) as url, sync_playwright() as playwright:
        shot = play(visit(launch(playwright), url, 920, 1000))
    Image.open(io.BytesIO(shot)).convert("RGB").save(OUT, quality=80, method=6)
    print(f"{OUT.name}: {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
