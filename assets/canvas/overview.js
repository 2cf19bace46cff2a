/* Every head of every layer: layers are rows, heads are columns, one square a head. Hover shows a head larger and a
   cell as a sentence, at once; click, or Enter, opens the head. */

const FINGER = globalThis.matchMedia?.("(pointer: coarse)").matches;
const SMALLEST = FINGER ? 32 : 20; // a square that can be hit; below it the picture scrolls inside itself
const LARGEST = 96;
const PREVIEW = 232;
const MASKED = 255;

const OVERVIEW_STYLE = `
  .grid { position: relative; }
  .grid canvas { position: absolute; inset: 0; pointer-events: none; }
  .tile { position: absolute; border-radius: 1px; cursor: pointer; touch-action: manipulation; -webkit-tap-highlight-color: transparent; }
  .tile:hover { outline: 1.5px solid var(--soft); }
  .tile[aria-selected="true"] { outline: 2.5px solid var(--accent); }
  .tile:focus-visible { outline: 2.5px solid var(--accent); outline-offset: 2px; }
  .preview { position: fixed; inset: auto; margin: 0; box-sizing: border-box; padding: calc(12 * var(--hl-px, 1px)) calc(14 * var(--hl-px, 1px)); width: ${PREVIEW + 30}px; pointer-events: none; border: 1px solid var(--line);
    border-radius: calc(12 * var(--hl-px, 1px)); background: var(--card); color: var(--ink); box-shadow: 0 calc(8 * var(--hl-px, 1px)) calc(28 * var(--hl-px, 1px)) rgb(0 0 0 / 18%); }
  .preview b.title { display: block; font-size: calc(13.5 * var(--hl-px, 1px)); margin-bottom: calc(6 * var(--hl-px, 1px)); }
  .preview .where { display: flex; justify-content: space-between; color: var(--soft); font-size: calc(12 * var(--hl-px, 1px)); margin-top: 3px; }
  .preview p { margin: calc(6 * var(--hl-px, 1px)) 0 0; min-height: 2.9em; overflow-wrap: anywhere; }
  .preview.values p { min-height: 0; }
  .legend b { font: 600 calc(12 * var(--hl-px, 1px)) var(--mono); min-width: calc(17 * var(--hl-px, 1px)); text-align: center; border-radius: 4px; padding: 1px 3px; }
`;

export function draw(root, data, callbacks = {}) {
  const picture = mount(root, data, OVERVIEW_STYLE, callbacks, { scale: "sqrt", selected: null });
  const { header, body, figure, view } = picture;
  const rows = header.picture === "pattern" ? Math.ceil(header.queries / header.pool) : 1;
  const columns = header.picture === "pattern" ? Math.ceil(header.keys / header.pool) : 1;
  const keyLabels = header.key_labels ?? header.query_labels;
  let left = 24; // of the tiles, in CSS pixels
  let top = 20;
  let size = 0; // of a tile
  let step = 0; // from one tile to the next
  let colours;
  let hovered = null;

  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const grid = element("div", "grid", canvas);
  grid.setAttribute("role", "grid");
  grid.setAttribute("aria-label", filled(header.picture === "pattern" ? header.words.grid_of_patterns : header.words.grid, header));
  const preview = element("div", `preview ${header.picture}`);
  preview.popover = "manual";
  preview.setAttribute("aria-live", "polite");
  const legend = element("div", "legend");
  figure.append(element("div", "scroll", grid), legend, preview);
  const tiles = makeTiles();

  function makeTiles() {
    const made = [];
    for (let layer = 0; layer < header.layers; layer++) {
      const row = element("div");
      row.setAttribute("role", "row");
      for (let head = 0; head < header.heads; head++) {
        const tile = element("div", "tile");
        tile.setAttribute("role", "gridcell");
        tile.setAttribute("aria-label", nameOf(layer, head));
        tile.tabIndex = -1;
        Object.assign(tile.dataset, { layer, head });
        row.append(tile);
        made.push(tile);
      }
      grid.append(row);
    }
    return made;
  }

  function nameOf(layer, head) {
    const more = header.texts?.[layer][head] ?? header.kinds?.[layer][head] ?? header.notes?.[layer][head];
    return filled(more ? header.words.name_and_more : header.words.name, { layer, head, more });
  }

  const tileAt = (layer, head) => tiles[layer * header.heads + head];
  const cellsOf = (layer, head) => {
    const from = (layer * header.heads + head) * rows * columns;
    return body.subarray(from, from + rows * columns);
  };

  /* --- painting --- */

  function layout() {
    [left, top] = [24 * scale, 20 * scale];
    const room = figure.clientWidth - left - 3;
    const fit = room / header.heads;
    const gap = Math.max(2, Math.min(7, fit * 0.12));
    size = Math.max(SMALLEST, Math.min(LARGEST * scale, Math.floor(fit - gap)));
    step = size + gap;
    const width = left + header.heads * step - gap + 3;
    const height = top + header.layers * step - gap + 3;
    Object.assign(grid.style, { width: `${width}px`, height: `${height}px` });
    tiles.forEach((tile) => {
      Object.assign(tile.style, {
        left: `${left + tile.dataset.head * step}px`,
        top: `${top + tile.dataset.layer * step}px`,
        width: `${size}px`,
        height: `${size}px`,
      });
    });
    return [width, height];
  }

  function paint(now) {
    colours = now;
    const [width, height] = layout();
    const g = context(canvas, width, height);
    g.font = font(12);
    g.fillStyle = colours.roles.soft;
    g.textAlign = "center";
    for (let head = 0; head < header.heads; head++) g.fillText(head, left + head * step + size / 2, 12 * scale);
    g.textAlign = "left";
    for (let layer = 0; layer < header.layers; layer++) g.fillText(layer, 4, top + layer * step + size / 2 + 4 * scale);
    for (const tile of tiles) {
      const [layer, head] = [Number(tile.dataset.layer), Number(tile.dataset.head)];
      paintTile(g, layer, head, left + head * step, top + layer * step, size);
    }
    paintLegend();
    select(selected());
    if (hovered) show(...hovered);
  }

  function paintTile(g, layer, head, x, y, side) {
    if (header.picture === "pattern") paintPattern(g, layer, head, x, y, side);
    else paintValue(g, layer, head, x, y, side);
    g.strokeStyle = colours.roles.line;
    g.lineWidth = 1;
    g.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1);
  }

  function paintPattern(g, layer, head, x, y, side) {
    const ratio = globalThis.devicePixelRatio || 1;
    const shrink = Math.max(1, Math.ceil(Math.max(rows, columns) / (side * ratio)));
    const [high, wide] = [Math.ceil(rows / shrink), Math.ceil(columns / shrink)];
    const image = new ImageData(wide, high);
    const pixels = new Uint32Array(image.data.buffer);
    const cells = shrink > 1 ? strongest(cellsOf(layer, head), shrink, high, wide) : cellsOf(layer, head);
    const lut = lookUp();
    let masked = false;
    for (let i = 0; i < pixels.length; i++) {
      pixels[i] = lut[cells[i]];
      masked ||= cells[i] === MASKED;
    }
    const stamp = new OffscreenCanvas(wide, high);
    stamp.getContext("2d").putImageData(image, 0, 0);
    if (masked) hatch(g, x, y, side, side, colours.roles.masked, side > 100 ? 6 : 4);
    g.imageSmoothingEnabled = false;
    g.drawImage(stamp, x, y, side, side);
    if (header.second) paintSecond(g, x, y, side);
  }

  /* A line where the second segment of a pair begins, across and down. */
  function paintSecond(g, x, y, side) {
    const [row, column] = header.second;
    const [down, across] = [y + (side * row) / header.queries, x + (side * column) / header.keys];
    g.strokeStyle = colours.roles.ink;
    g.lineWidth = side > 100 ? 1 : 0.5;
    for (const [from, to] of [[[x, down], [x + side, down]], [[across, y], [across, y + side]]]) {
      g.beginPath();
      g.moveTo(...from);
      g.lineTo(...to);
      g.stroke();
    }
  }

  /* Fewer pixels than cells: the strongest stays, so that a thin diagonal never fades. */
  function strongest(cells, shrink, high, wide) {
    const out = new Uint8Array(high * wide).fill(MASKED);
    for (let q = 0; q < rows; q++)
      for (let k = 0; k < columns; k++) {
        const to = Math.floor(q / shrink) * wide + Math.floor(k / shrink);
        const cell = cells[q * columns + k];
        if (cell !== MASKED && (out[to] === MASKED || cell > out[to])) out[to] = cell;
      }
    return out;
  }

  const tables = {};
  function lookUp() {
    return (tables[`${view.scale} ${picture.theme}`] ??= Uint32Array.from({ length: 256 }, (_, cell) => {
      if (cell === MASKED) return 0; // transparent: the hatch shines through
      const root = cell / 254;
      const [r, g, b] = mix(colours.sequential, view.scale === "sqrt" ? root : root * root);
      return (255 << 24) | (b << 16) | (g << 8) | r;
    }));
  }

  function paintValue(g, layer, head, x, y, side) {
    const kind = header.kinds && kindOf(layer, head);
    const fill = kind ? fillOf(kind) : colourOn(header.bar, colours, header.values[layer][head]);
    g.fillStyle = `rgb(${fill.join()})`;
    g.fillRect(x, y, side, side);
    const text = kind?.letters ?? header.texts[layer][head];
    const high = (side > 100 ? 20 : Math.min(12, (side / scale) * 0.34)) * scale;
    g.font = font(high / scale, 600);
    if (g.measureText(text).width > side - 3) return;
    g.fillStyle = inkOn(fill, colours);
    g.textAlign = "center";
    g.fillText(text, x + side / 2, y + side / 2 + high * 0.36);
  }

  /* A head's kind as the packet's legend has it: its letters, its colours, its sentence. */
  function kindOf(layer, head) {
    return header.legend.find(({ name }) => name === header.kinds[layer][head]) ?? header.legend.at(-1);
  }

  const fillOf = (kind) => channels(kind.fills[picture.theme]);

  function paintLegend() {
    legend.replaceChildren();
    if (header.kinds) paintKinds();
    else legend.append(barLegend(header.bar, colours, view.scale));
    if (header.picture === "pattern" && body.includes(MASKED))
      legend.append(maskedLegend(header.masked, colours));
    if (header.pooled) legend.append(element("span", "", header.pooled));
  }

  function paintKinds() {
    const shown = new Set(tiles.map((tile) => kindOf(tile.dataset.layer, tile.dataset.head)));
    for (const kind of header.legend.filter((each) => shown.has(each))) {
      const swatch = element("b", "", kind.letters);
      swatch.style.background = kind.fills[picture.theme];
      swatch.style.color = inkOn(fillOf(kind), colours);
      legend.append(element("span", "", swatch, kind.says));
    }
  }

  /* --- pointing --- */

  /* The cell of a tile that lies under the pointer: its first query and key. */
  function cellUnder(tile, event) {
    if (header.picture !== "pattern") return [null, null];
    const box = tile.getBoundingClientRect();
    const at = (part, whole, count) => Math.max(0, Math.min(count - 1, Math.floor((part / whole) * count)));
    const query = at(event.clientY - box.top, box.height, rows) * header.pool;
    return [query, at(event.clientX - box.left, box.width, columns) * header.pool];
  }

  function show(layer, head, query, key) {
    hovered = [layer, head, query, key];
    const large = element("canvas");
    const g = context(large, PREVIEW, PREVIEW);
    const side = header.picture === "pattern" ? PREVIEW : 64;
    if (header.picture !== "pattern") context(large, side + 2, side + 2);
    paintTile(large.getContext("2d"), layer, head, 0, 0, side);
    if (query !== null) frameCell(g, query, key);
    preview.replaceChildren(element("b", "title", filled(header.words.title, { layer, head })), large);
    if (header.picture === "pattern") preview.append(whichWay());
    preview.append(reading(layer, head, query, key));
    preview.showPopover();
    placeBeside(tileAt(layer, head).getBoundingClientRect());
  }

  function frameCell(g, query, key) {
    const [high, wide] = [PREVIEW / rows, PREVIEW / columns];
    const [y, x] = [(query / header.pool) * high, (key / header.pool) * wide];
    g.lineWidth = 1.5;
    g.strokeStyle = colours.roles.query;
    g.strokeRect(0.75, y, PREVIEW - 1.5, Math.max(3, high));
    g.strokeStyle = colours.roles.key;
    g.strokeRect(x, 0.75, Math.max(3, wide), PREVIEW - 1.5);
  }

  function whichWay() {
    const asks = element("span", "query", header.words.asks);
    return element("div", "where", asks, element("span", "key", header.words.answers));
  }

  function reading(layer, head, query, key) {
    if (query === null) return element("p", "", about(layer, head));
    const cell = cellsOf(layer, head)[(query / header.pool) * columns + key / header.pool];
    const parts = {
      query: wordSpan("query", words(header.query_labels, header.query_positions, query, header.words.query, header.words.queries)),
      key: wordSpan("key", words(keyLabels, header.key_positions, key, header.words.key, header.words.keys)),
      head: filled(header.words.head, { layer, head }),
      value: unbroken(percent((cell / 254) ** 2)),
    };
    return element("p", "", ...sentence(cell === MASKED ? header.says_masked : header.says, parts));
  }

  /* "creature (query 4)"; of a pooled cell, "8 a … 11 the (queries)". */
  function words(labels, positions, from, one, many) {
    const to = Math.min(labels.length, from + header.pool) - 1;
    const at = (i) => positions?.[i] ?? i;
    if (to === from) return filled(one, { word: labels[from], at: at(from) });
    return filled(many, { first: labels[from], last: labels[to], from: at(from), to: at(to) });
  }

  function about(layer, head) {
    if (header.picture === "values") return `${header.bar.titles.linear}: ${header.texts[layer][head]}`;
    const kind = header.kinds?.[layer][head];
    const meaning = kind ? [kind, header.meanings[kind]].filter(Boolean).join(": ") : "";
    return [meaning, header.notes?.[layer][head]].filter(Boolean).join(". ") || header.words.keyboard;
  }

  function placeBeside(box) {
    const [width, height] = [preview.offsetWidth, preview.offsetHeight];
    const [right, bottom] = [document.documentElement.clientWidth, globalThis.innerHeight];
    const beside = box.right + 12 + width < right ? box.right + 12 : box.left - 12 - width;
    const under = box.bottom + 10 + height < bottom ? box.bottom + 10 : box.top - 10 - height;
    const narrow = beside < 4; // no room on either side, as on a phone: above or below it then
    const left = narrow ? Math.max(4, Math.min(right - width - 4, box.left + box.width / 2 - width / 2)) : beside;
    const top = narrow ? under : Math.min(bottom - height - 6, box.top - 20);
    Object.assign(preview.style, { left: `${left}px`, top: `${Math.max(4, top)}px` });
  }

  function hide() {
    hovered = null;
    if (preview.matches(":popover-open")) preview.hidePopover();
  }

  /* --- choosing --- */

  function select(chosen) {
    const [layer, head] = chosen ?? [-1, -1];
    const focused = chosen && tileAt(layer, head) ? tileAt(layer, head) : tiles[0];
    for (const tile of tiles) {
      tile.setAttribute("aria-selected", Number(tile.dataset.layer) === layer && Number(tile.dataset.head) === head);
      tile.tabIndex = tile === focused ? 0 : -1;
    }
  }

  /* Only where the page opens a head beside the overview do its answers carry a click's number. */
  const opens = () => view.click !== undefined;
  const selected = () => (opens() && openHead.waiting ? openHead.current : view.selected);
  const tileOf = (layer, head) => (header.picture === "pattern" ? { cells: cellsOf(layer, head), pool: header.pool } : null);

  function open(layer, head, query, key) {
    const click = opens() ? openHead.open(layer, head) : undefined;
    if (!opens()) select((view.selected = [layer, head]));
    callbacks.open?.({ layer, head, query, key, click });
  }

  /* K and J step through the layers, H and L through the heads; what is typed into a box is left alone. */
  const STEPS = { k: [-1, 0], j: [1, 0], h: [0, -1], l: [0, 1] };
  function stepped(event) {
    const step = STEPS[event.key];
    const typing = event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]");
    if (!step || !opens() || !openHead.current || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    const sizes = [header.layers, header.heads]; // the last is followed by the first
    open(...openHead.current.map((at, i) => (at + step[i] + sizes[i]) % sizes[i]), null, null);
  }
  addEventListener("keydown", stepped, { capture: true });
  const deaf = openHead.listen(() => opens() && select(selected()));

  /* By keyboard inside a tile: Space goes in, arrows walk, Enter opens the head, Escape comes out. */
  function walkCells(tile, layer, head, pressed) {
    const inside = hovered && hovered[2] !== null;
    if (!inside && pressed === " ") show(layer, head, 0, 0);
    else if (!inside) return false;
    else if (pressed === "Escape" || pressed === " ") show(layer, head, null, null);
    else if (pressed === "Enter") {
      const [, , query, key] = hovered;
      hide();
      open(layer, head, query, key);
    } else {
      const [, , query, key] = hovered;
      const to = moved(pressed, [query / header.pool, key / header.pool], [rows, columns]);
      if (!to) return false;
      show(layer, head, ...to.map((at) => at * header.pool));
    }
    return true;
  }

  const hit = (event) => event.target.closest?.(".tile");
  const place = (tile) => [Number(tile.dataset.layer), Number(tile.dataset.head)];
  const find = (event) => hit(event) && [...place(hit(event)), ...cellUnder(hit(event), event)];
  const point = (found) => (found ? show(...found) : hide());
  follow(grid, find, point);
  grid.addEventListener("pointerdown", (event) => point(find(event))); // a finger does not hover: hold it to look
  grid.addEventListener("click", (event) => hit(event) && open(...find(event)));
  grid.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && show(...place(hit(event)), null, null));
  grid.addEventListener("focusout", hide);
  steer(grid, (key, event) => {
    const tile = hit(event);
    if (!tile) return false;
    const [layer, head] = place(tile);
    if (header.picture === "pattern" && walkCells(tile, layer, head, key)) return true;
    const ends = { Home: [layer, 0], End: [layer, header.heads - 1] };
    const to = ends[key] ?? moved(key, [layer, head], [header.layers, header.heads]);
    if (to) tileAt(...to).focus();
    else if (key === "Enter" || key === " ") {
      hide();
      open(layer, head, null, null);
    } else if (key === "Escape") hide();
    else return false;
    return true;
  });

  return picture.live({
    paint,
    update(next) {
      const repaint = next.scale !== undefined && next.scale !== view.scale;
      Object.assign(view, next);
      if (opens()) {
        openHead.provide(root, tileOf);
        openHead.answer(view.opened, view.click);
      }
      if (repaint) picture.paint();
      else select(selected());
    },
    leave() {
      hide();
      deaf();
      removeEventListener("keydown", stepped, { capture: true });
    },
  });
}

export default inApp(draw, (tell) => ({ open: (opened) => tell("opened", opened) }));
