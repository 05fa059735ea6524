"""A picture on which two points are marked, by clicks or by keys."""

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets
from torch import Tensor

from stylelab.widgets.canvas import CANVAS
from stylelab.widgets.pictures import encode, shown_size

SCRIPT = (
    CANVAS
    + """
function render({ model, el }) {
  const canvas = document.createElement("canvas");
  const brush = canvas.getContext("2d");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.style.cssText = "cursor: crosshair; max-width: none";
  el.appendChild(canvas);
  let picture = null;
  let cursor = null;

  function draw() {
    const [height, width] = model.get("size");
    canvas.width = width;
    canvas.height = height;
    const points = model.get("points");
    canvas.setAttribute("aria-label", `${model.get("words")}. Marked: ${points.length} of 2. ` +
      "Arrow keys move the cross, with Shift by ten pixels; Enter marks; Backspace takes back.");
    brush.clearRect(0, 0, width, height);
    if (picture) brush.drawImage(picture, 0, 0, width, height);
    for (const [y, x] of points) cross(y, x, "#00c853");
    if (cursor) cross(...cursor, "#ffd600");
  }

  function cross(y, x, colour) {
    for (const [style, thick] of [["black", 4], [colour, 2]]) {
      brush.strokeStyle = style;
      brush.lineWidth = thick;
      brush.beginPath();
      brush.moveTo(x - 8, y); brush.lineTo(x + 8, y);
      brush.moveTo(x, y - 8); brush.lineTo(x, y + 8);
      brush.stroke();
    }
  }

  function keep(points) {
    model.set("points", points);
    model.save_changes();
  }

  function mark(y, x) {
    const points = [...model.get("points")];
    if (points.length < 2) points.push([y, x]);
    else {
      const far = points.map(([b, a]) => (b - y) ** 2 + (a - x) ** 2);
      points[far[0] <= far[1] ? 0 : 1] = [y, x];
    }
    keep(points);
  }

  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    cursor = null;
    mark((event.clientY - box.top) * scale, (event.clientX - box.left) * scale);
  });

  steer(canvas, () => cursor, {
    move: (to) => { cursor = to; draw(); },
    act: (at) => { if (cursor) mark(...at); },
    back: () => keep(model.get("points").slice(0, -1)),
  });

  canvas.addEventListener("focus", () => {
    const [height, width] = model.get("size");
    cursor = cursor || [height / 2, width / 2];
    draw();
  });
  canvas.addEventListener("blur", () => { cursor = null; draw(); });

  return follow(model, ["points", "size", "words"], (found) => { picture = found; }, draw);
}
export default { render };
"""
)


class Marks(anywidget.AnyWidget):
    """A picture that waits for two points on it.

    The picture goes to the page as a message: it is no part of the widget's state, and a notebook
    that is saved with that state does not hold it.
    """

    _esm = SCRIPT
    points: traitlets.List[list[float]] = traitlets.List().tag(sync=True)
    """At most two points (down, across) in pixels of the picture as it is shown."""
    size = traitlets.Tuple((1, 1)).tag(sync=True)
    """Height and width of the picture as it is shown."""
    words = traitlets.Unicode().tag(sync=True)
    """What the picture is, for those who cannot see it."""

    def __init__(self, words: str, **traits: Any) -> None:
        super().__init__(words=words, **traits)
        self._file = b""
        self._scale = 1.0
        self._whole: Tensor | None = None
        self.on_msg(self._answer)

    def show(self, image: Tensor | None) -> None:
        """Show a picture (1, 3, H, W) in [0, 1] without points, or none."""
        with self.hold_sync():
            self.points = []
            if image is None:
                self._file, self.size = b"", (1, 1)
                return
            self.size = shown_size(image)
        self._scale = image.shape[3] / self.size[1]
        self._file = encode(image)
        self._answer(self, {"kind": "ready"}, [])

    def found(self) -> list[tuple[float, float]]:
        """The points in pixels of the picture itself, the left one first."""
        points = [(y * self._scale, x * self._scale) for y, x in self.points]
        return sorted(points, key=lambda point: point[1])

    def on_two(self, act: Callable[[], None]) -> None:
        """Call ``act`` whenever two points are marked."""
        self.observe(lambda change: act() if len(change.new) == 2 else None, "points")

    def _answer(self, widget: Any, content: Any, buffers: Any) -> None:
        if content.get("kind") == "ready" and self._file:
            self.send({"kind": "picture"}, [self._file])
