"""JavaScript of the pictures that one points at, which know keys as well as the mouse."""

CANVAS = """
// Arrows move the cursor [down, across], Enter acts where it is, Backspace takes back.
function steer(canvas, cursor, { move, act, back }) {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const { height, width } = canvas;
    const [y, x] = cursor() || [height / 2, width / 2];
    if (event.key in moves) {
      const far = event.shiftKey ? 10 : 1;
      const [down, across] = moves[event.key];
      move([Math.min(height, Math.max(0, y + far * down)),
            Math.min(width, Math.max(0, x + far * across))]);
    } else if (event.key === "Enter" || event.key === " ") act([y, x]);
    else if (event.key === "Backspace") back();
    else return;
    // The notebook has shortcuts of its own on these keys.
    event.preventDefault();
    event.stopPropagation();
  });
}

// Draw when the picture arrives and when a trait changes; returns what ends it.
function follow(model, traits, keep, draw) {
  async function receive(message, buffers) {
    if (message.kind !== "picture") return;
    keep(await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" })));
    draw();
  }
  model.on("msg:custom", receive);
  for (const name of traits) model.on("change:" + name, draw);
  draw();
  model.send({ kind: "ready" });
  return () => {
    model.off("msg:custom", receive);
    for (const name of traits) model.off("change:" + name, draw);
  };
}
"""
