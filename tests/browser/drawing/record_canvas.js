/* Draws a packet with a picture's own script and writes down what it asked of its canvases: boxes [x, y, width, height,
   colour], words [text, x, y, ink], lines [path, colour, opacity, width]; beside them its legend and, where asked, its pixels. */
({ script, packet, view, hasPixels }) => {
  const root = document.createElement("div");
  root.style.width = "900px";
  document.body.replaceChildren(root);
  const seen = { rects: [], words: [], lines: [] };
  const own = CanvasRenderingContext2D.prototype;
  const real = Object.fromEntries(["fillRect", "fillText", "moveTo", "lineTo", "stroke"].map((name) => [name, own[name]]));
  let path = [];

  const notes = {
    fillRect: (g, x, y, width, height) => seen.rects.push([x, y, width, height, g.fillStyle]),
    fillText(g, text, x, y) {
      const { a, b, c, d, e, f } = g.getTransform();
      seen.words.push([String(text), a * x + c * y + e, b * x + d * y + f, g.fillStyle]);
    },
    moveTo: (g, x, y) => path.push([x, y]),
    lineTo: (g, x, y) => path.push([x, y]),
    stroke(g) {
      seen.lines.push([path, g.strokeStyle, g.globalAlpha, g.lineWidth]);
      path = [];
    },
  };
  for (const [name, note] of Object.entries(notes))
    own[name] = function (...given) {
      note(this, ...given);
      return real[name].apply(this, given);
    };
  try {
    const draw = new Function(`${script}; return draw;`)();
    draw(root, Uint8Array.from(atob(packet), (c) => c.charCodeAt(0)), { view });
  } finally {
    Object.assign(own, real);
  }

  if (hasPixels) {
    // Only for who asks: a large picture's are sent for seconds.
    const canvas = root.querySelector("canvas");
    const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    seen.pixels = [canvas.width, [...image.data]];
  }
  seen.legend = [...root.querySelectorAll(".legend > span")].map((each) => each.textContent);
  seen.text = [...root.querySelectorAll(".figure")].map((each) => each.textContent).join(" ");
  seen.tiles = [...root.querySelectorAll(".tile")].map((tile) => [tile.offsetLeft, tile.offsetTop, tile.offsetWidth]);
  return seen;
};
