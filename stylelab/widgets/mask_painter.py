"""Masks painted on a photograph: where each style goes."""

from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from stylelab.errors import InputError
from stylelab.images import Source, load_image, save_image
from stylelab.widgets.canvas import CANVAS
from stylelab.widgets.pictures import encode, shown_size

# Colour-blind safe (Petroff 2021), in the order of the plots' lines.
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2")
LONGEST = 900  # pixels of a mask's longer side

SCRIPT = (
    CANVAS
    + """
function render({ model, el }) {
  const bar = document.createElement("div");
  bar.style.cssText = "display:flex; flex-wrap:wrap; gap:8px; align-items:center; margin:4px 0";
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.style.cssText = "cursor:crosshair; max-width:100%; touch-action:none";
  el.append(bar, canvas);
  const brush = canvas.getContext("2d");
  const cover = document.createElement("canvas");
  const paint = cover.getContext("2d");
  let picture = null;
  let stroke = null;
  let cursor = null;

  function field(label, control) {
    const whole = document.createElement("label");
    whole.append(label + " ", control);
    bar.appendChild(whole);
    return control;
  }
  const choice = field("Paint", document.createElement("select"));
  const names = [...model.get("names"), "nothing (erase)"];
  names.forEach((name, i) => choice.add(new Option(name, i < names.length - 1 ? i : -1)));
  const radius = field("Brush", document.createElement("input"));
  Object.assign(radius, { type: "range", min: 2, max: 80, value: 20 });
  function button(words, act) {
    const made = document.createElement("button");
    made.textContent = words;
    made.addEventListener("click", act);
    bar.appendChild(made);
  }
  const undo = () => keep(model.get("strokes").slice(0, -1));
  button("Undo", undo);
  button("Clear", () => keep([]));

  function keep(strokes) {
    model.set("strokes", strokes);
    model.save_changes();
  }

  function line(one) {
    const [first, ...rest] = one.points;
    paint.globalCompositeOperation = one.region < 0 ? "destination-out" : "source-over";
    paint.strokeStyle = paint.fillStyle = model.get("colours")[Math.max(0, one.region)];
    paint.lineWidth = 2 * one.radius;
    paint.lineCap = paint.lineJoin = "round";
    paint.beginPath();
    paint.arc(first[1], first[0], one.radius, 0, 7);
    paint.fill();
    paint.beginPath();
    paint.moveTo(first[1], first[0]);
    for (const [y, x] of rest) paint.lineTo(x, y);
    paint.stroke();
  }

  function draw() {
    const [height, width] = model.get("size");
    const strokes = model.get("strokes");
    canvas.width = cover.width = width;
    canvas.height = cover.height = height;
    canvas.setAttribute("aria-label", `${model.get("words")}. ${strokes.length} strokes painted. ` +
      "Arrow keys move the brush, with Shift by ten pixels; Enter paints; Backspace takes back.");
    for (const one of stroke ? [...strokes, stroke] : strokes) line(one);
    if (picture) brush.drawImage(picture, 0, 0, width, height);
    brush.globalAlpha = 0.55;
    brush.drawImage(cover, 0, 0);
    brush.globalAlpha = 1;
    if (!cursor) return;
    for (const [style, thick] of [["black", 3], ["white", 1]]) {
      brush.strokeStyle = style;
      brush.lineWidth = thick;
      brush.beginPath();
      brush.arc(cursor[1], cursor[0], +radius.value, 0, 7);
      brush.stroke();
    }
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const at = [(event.clientY - box.top) * scale, (event.clientX - box.left) * scale];
    return at.map((value) => Math.round(10 * value) / 10);
  }
  const dab = (at) => ({ region: +choice.value, radius: +radius.value, points: [at] });

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke = dab(place(event));
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    cursor = place(event);
    if (stroke) stroke.points.push(cursor);
    draw();
  });
  canvas.addEventListener("pointerup", () => {
    if (!stroke) return;
    const strokes = [...model.get("strokes"), stroke];
    stroke = null;
    keep(strokes);
  });
  canvas.addEventListener("pointerleave", () => { cursor = null; draw(); });
  steer(canvas, () => cursor, {
    move: (to) => { cursor = to; draw(); },
    act: (at) => keep([...model.get("strokes"), dab(at)]),
    back: undo,
  });
  return follow(model, ["strokes"], (found) => { picture = found; }, draw);
}
export default { render };
"""
)


class MaskPainter(anywidget.AnyWidget):
    """A photograph on which one paints where the style goes, or where each of several styles goes.

    The last stroke counts: a pixel belongs to one region or to none. `save` writes the masks that
    ``mask=`` and ``style_masks=`` of a `Config` take.

    Args:
        content: the photograph; anything that `load_image` takes.
        names: what each region is called on the page; one region, or one for each style.

    Raises:
        InputError: no region, or more than five.
    """

    _esm = SCRIPT
    strokes: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    """In the order in which they were painted: region (-1 erases), radius and points (down,
    across), in pixels of the picture as it is shown."""
    size = traitlets.Tuple((1, 1)).tag(sync=True)
    names: traitlets.List[str] = traitlets.List().tag(sync=True)
    colours = traitlets.List(list(COLOURS)).tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)

    def __init__(self, content: Source, *names: str) -> None:
        if len(names) > len(COLOURS):
            raise InputError(f"{len(names)} regions; at most {len(COLOURS)} can be told apart")
        image = load_image(content, LONGEST)
        size = shown_size(image)
        words = "A photograph to paint on: " + ", ".join(names or ("style",))
        super().__init__(size=size, names=list(names or ("style",)), words=words)
        self._shape = (image.shape[2], image.shape[3])
        self._file = encode(image)
        self.on_msg(self._answer)

    @property
    def masks(self) -> Tensor:
        """(K, 1, H, W): 1 where each region was painted, else 0; K is the number of regions."""
        scale = self._shape[0] / self.size[0]
        page = Image.new("L", self._shape[::-1])
        draw = ImageDraw.Draw(page)
        for stroke in self.strokes:
            fill, radius = stroke["region"] + 1, stroke["radius"] * scale
            points = [(x * scale, y * scale) for y, x in stroke["points"]]
            if len(points) > 1:
                draw.line(points, fill, round(2 * radius), joint="curve")
            for x, y in points:  # round ends
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill)
        labels = pil_to_tensor(page)
        return torch.stack([(labels == k + 1).float() for k in range(len(self.names))])

    def save(self, folder: str | Path) -> tuple[str, ...]:
        """Write a PNG for each region into a folder; returns their paths, in the regions' order.

        Raises:
            InputError: a region was not painted.
        """
        masks = self.masks
        for name, mask in zip(self.names, masks, strict=True):
            if not mask.any():
                raise InputError(f"the region '{name}' is empty; paint it, or leave it out")
        paths = [Path(folder) / f"mask-{k + 1}.png" for k in range(len(masks))]
        for path, mask in zip(paths, masks, strict=True):
            save_image(mask[None].expand(1, 3, -1, -1), path)
        return tuple(map(str, paths))

    def _answer(self, widget: Any, content: Any, buffers: Any) -> None:
        if content.get("kind") == "ready":
            self.send({"kind": "picture"}, [self._file])
