"""What the kit's widgets need of the page itself: a layout for phones, and names of sliders."""

import anywidget
import ipywidgets as widgets

CSS = """
.stylelab .jupyter-button:focus-visible, .stylelab .noUi-handle:focus-visible {
  outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px;
}
@media (max-width: 600px) {
  .stylelab .stylelab-picture { max-width: 100%; height: auto !important; }
  .stylelab .widget-slider, .stylelab .widget-dropdown { width: 98% !important; }
  .stylelab .stylelab-column { width: 100% !important; flex: 1 1 100% !important; }
  /* What is pressed stands under what it changes, and the settings below. */
  .stylelab-panel, .stylelab-panel .stylelab-column { gap: 0 !important; }
  .stylelab-panel .stylelab-column { display: contents; }
  .stylelab-panel .stylelab-column > * { order: 3; width: 100%; }
  .stylelab-panel .stylelab-column > .stylelab-first { order: 1; }
  .stylelab-panel .stylelab-column > .stylelab-second { order: 2; }
}
"""

# ipywidgets gives the handles of sliders no names, and those of logarithms and lists are read out
# as exponents and places in the list.
SCRIPT = """
function put(element, name, words) {
  if (element && words && element.getAttribute(name) !== words) element.setAttribute(name, words);
}

function name(box) {
  for (const slider of box.querySelectorAll(".widget-slider")) {
    const words = slider.querySelector(".widget-label")?.textContent;
    const readout = slider.querySelector(".widget-readout");
    for (const handle of slider.querySelectorAll(".noUi-handle")) {
      put(handle, "aria-label", words);
      put(handle, "aria-valuetext", readout?.textContent);
    }
    if (readout?.isContentEditable) {
      put(readout, "role", "textbox");
      put(readout, "aria-label", `${words}, as a number`);
    }
  }
}

function render({ el }) {
  let watch = null;
  let frame = null;
  function begin() {  // once it is on the page
    const box = el.closest(".stylelab");
    if (!box) { frame = requestAnimationFrame(begin); return; }
    watch = new MutationObserver(() => name(box));
    watch.observe(box, {
      subtree: true, childList: true, characterData: true, attributeFilter: ["aria-valuetext"],
    });
    name(box);
  }
  begin();
  return () => { cancelAnimationFrame(frame); watch?.disconnect(); };
}
export default { render };
"""


class Page(anywidget.AnyWidget):
    """An invisible part of a box that is styled and named on the page."""

    _css = CSS
    _esm = SCRIPT


def on_page(box: widgets.Box, name: str) -> widgets.Box:
    """The box of a widget of the kit, of class ``stylelab-name`` on the page."""
    box.children = (*box.children, Page(layout={"display": "none"}))
    box.add_class("stylelab")
    box.add_class(f"stylelab-{name}")
    return box
