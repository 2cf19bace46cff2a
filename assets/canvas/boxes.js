/* A model as boxes in boxes, every area exactly to scale: nothing is taken off for titles or frames. A click goes one
   level in, wherever it falls; the path above leads back. Boxes of the level shown are buttons, so keys work too. */

const TALL = 640;
const BOXES_STYLE = `
  nav { display: flex; flex-wrap: wrap; gap: 2px 4px; align-items: center; min-height: calc(30 * var(--hl-px, 1px)); margin-bottom: calc(6 * var(--hl-px, 1px)); }
  nav button { all: unset; cursor: pointer; padding: 2px calc(7 * var(--hl-px, 1px)); border-radius: calc(6 * var(--hl-px, 1px)); color: var(--accent); }
  nav button:focus-visible { outline: 2px solid var(--accent); }
  nav b { padding: 2px calc(7 * var(--hl-px, 1px)); font-weight: 600; } nav i { color: var(--soft); font-style: normal; }
  .stage { position: relative; }
  .stage button { all: unset; position: absolute; box-sizing: border-box; cursor: pointer; }
  .stage button.end { cursor: default; }
  .stage button:is(:hover, :focus-visible) { box-shadow: inset 0 0 0 2px var(--ink), inset 0 0 0 3px var(--card); }
  .read { min-height: 2.9em; margin: calc(8 * var(--hl-px, 1px)) 0 0; } .read b { font-variant-numeric: tabular-nums; }
`;

/* Numbers [n] as rectangles that fill the given one, as square as they come (Bruls, Huizing, van Wijk 2000). */
function squarify(sizes, { x, y, width, height }) {
  const order = sizes.map((_, i) => i).sort((a, b) => sizes[b] - sizes[a]);
  const whole = sizes.reduce((a, b) => a + b, 0) || 1;
  const areas = sizes.map((size) => (size / whole) * width * height);
  const found = [];
  let at = 0;
  while (at < order.length) {
    const side = Math.min(width, height);
    let end = at + 1;
    let sum = areas[order[at]];
    while (end < order.length && worst(at, end + 1, sum + areas[order[end]]) <= worst(at, end, sum)) sum += areas[order[end++]];
    const thick = side ? sum / side : 0;
    let along = 0;
    for (const i of order.slice(at, end)) {
      const long = thick ? areas[i] / thick : 0;
      found[i] =
        width >= height
          ? { x, y: y + along, width: thick, height: long }
          : { x: x + along, y, width: long, height: thick };
      along += long;
    }
    if (width >= height) [x, width] = [x + thick, width - thick];
    else [y, height] = [y + thick, height - thick];
    at = end;

    function worst(from, to, area) {
      const [most, least] = [areas[order[from]], areas[order[to - 1]]];
      return Math.max((side * side * most) / (area * area), (area * area) / (side * side * least));
    }
  }
  return found;
}

export function draw(root, packet, callbacks = {}) {
  const picture = mount(root, packet, BOXES_STYLE, callbacks);
  const { header, figure } = picture;
  const nodes = header.nodes.map(([parent, label, count, role, text], i) => ({ i, parent, label, count, role, text, inside: [] }));
  nodes.slice(1).forEach((node) => nodes[node.parent].inside.push(node));
  const path = (node) => (node.i ? [...path(nodes[node.parent]), node] : []);
  const id = (node) => path(node).map((step) => step.label).join("/");
  const ids = new Map(nodes.map((node) => [id(node), node]));
  let here = ids.get(root.entered) ?? nodes[0]; // where a click led, if Python has not heard of it yet

  const [trail, stage, read] = [element("nav"), element("div", "stage"), element("p", "read note")];
  const canvas = element("canvas");
  trail.ariaLabel = header.words.path;
  stage.role = "group";
  stage.ariaLabel = header.alt;
  stage.append(canvas);
  figure.append(trail, stage, read);

  function enter(node, byHand = true) {
    if (!node.inside.length) return;
    here = node;
    picture.paint();
    if (!byHand) return;
    root.entered = id(node);
    callbacks.enter?.({ inside: root.entered });
  }

  /* --- drawing --- */

  function paint(colours) {
    const width = stage.clientWidth || 600;
    const height = Math.round(Math.min(TALL, Math.max(420, width * 1.15)));
    const g = context(canvas, width, height);
    const boxes = [];
    fill(g, here, { x: 0, y: 0, width, height }, 0, colours, boxes);
    boxes.forEach(([node, box]) => {
      title(g, node, box, colours);
      const places = squarify(node.inside.map((child) => child.count), box);
      node.inside.forEach((child, i) => child.inside.length || title(g, child, places[i], colours, true));
    });
    stage.style.height = `${height}px`;
    stage.replaceChildren(canvas, ...boxes.map(([node, box]) => button(node, box)));
    walk();
    say(here);
  }

  /* Boxes from the outside in, then their edges on top; areas are never changed, edges lie on them. */
  function fill(g, node, box, depth, colours, boxes) {
    if (depth === 1) boxes.push([node, box]);
    if (!node.inside.length || Math.min(box.width, box.height) < 2) {
      g.fillStyle = header.fills[picture.theme][node.role];
      g.fillRect(box.x, box.y, box.width, box.height);
    } else {
      const places = squarify(node.inside.map((child) => child.count), box);
      node.inside.forEach((child, i) => fill(g, child, places[i], depth + 1, colours, boxes));
    }
    const edge = { 1: 2.5, 2: 1.2 }[depth] ?? 0.6;
    if (!depth || Math.min(box.width, box.height) < 3) return;
    g.strokeStyle = colours.roles.card;
    g.lineWidth = edge;
    g.strokeRect(box.x, box.y, box.width, box.height);
  }

  /* A name on a corner, as long as it hides little: with its count, without, or not at all. */
  function title(g, node, box, colours, low = false) {
    const family = getComputedStyle(figure).fontFamily;
    for (const [letters, words, most] of [[13, [node.label, node.text], 0.2], [scale > 1 ? 12 : 10.5, [node.label], 0.25]]) {
      const size = letters * scale;
      g.font = `600 ${size}px ${family}`;
      const width = Math.max(...words.map((word) => g.measureText(word).width)) + 10;
      const height = words.length * size * 1.2 + 5;
      if (width + 6 > box.width || height + 6 > box.height || width * height > most * box.width * box.height) continue;
      const [x, y] = [box.x + 3, low ? box.y + box.height - height - 3 : box.y + 3];
      g.fillStyle = colours.roles.card;
      g.globalAlpha = 0.9;
      g.beginPath();
      g.roundRect(x, y, width, height, 4);
      g.fill();
      g.globalAlpha = 1;
      words.forEach((word, i) => {
        g.font = `${i ? 400 : 600} ${size}px ${family}`;
        g.fillStyle = i ? colours.roles.soft : colours.roles.ink;
        g.fillText(word, x + 5, y + size * (1.2 * i + 1.05));
      });
      return;
    }
  }

  /* --- the way in and out --- */

  function button(node, box) {
    const found = element("button", node.inside.length ? "" : "end");
    const place = { left: box.x, top: box.y, width: box.width, height: box.height };
    for (const [side, pixels] of Object.entries(place)) found.style[side] = `${pixels}px`;
    found.ariaLabel = filled(node.inside.length ? header.words.box : header.words.innermost, {
      label: node.label,
      count: node.count.toLocaleString("en"),
    });
    found.addEventListener("click", () => enter(node));
    found.addEventListener("focus", () => say(node));
    found.addEventListener("pointermove", (event) => say(deepest(event)));
    found.addEventListener("pointerleave", () => say(here));
    return found;
  }

  /* The smallest box under the pointer, however deep. */
  function deepest(event) {
    const frame = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    let [node, box] = [here, { x: 0, y: 0, width: frame.width, height: frame.height }];
    while (node.inside.length) {
      const places = squarify(node.inside.map((child) => child.count), box);
      const i = places.findIndex((p) => x >= p.x && x <= p.x + p.width && y >= p.y && y <= p.y + p.height);
      if (i < 0) break;
      [node, box] = [node.inside[i], places[i]];
    }
    return node;
  }

  function walk() {
    const steps = [nodes[0], ...path(here)];
    const parts = steps.map((node) => {
      if (node === here) return element("b", "", node.label);
      const back = element("button", "", node.label);
      back.addEventListener("click", () => enter(node));
      return back;
    });
    trail.replaceChildren(...parts.flatMap((part, i) => (i ? [element("i", "", "›"), part] : [part])));
  }

  function say(node) {
    const share = unbroken(percent(node.count / nodes[0].count));
    const where = path(node).map((step) => step.label).join(" › ") || header.whole;
    const count = element("b", "", node.count.toLocaleString("en"));
    const parts = { where: [where], count: [count], share: [share], model: [nodes[0].label] };
    read.replaceChildren(...sentence(node.i ? header.says : header.says_whole, parts));
  }

  return picture.live({
    paint,
    /* An answer to an earlier click must not lead back from a later one. */
    update(view) {
      if (root.entered !== undefined && view.inside !== root.entered) return;
      root.entered = undefined;
      enter(ids.get(view.inside ?? "") ?? nodes[0], false);
    },
  });
}

export default inApp(draw, (tell) => ({ enter: (entered) => tell("entered", entered) }));
