/* A matrix as coloured cells: vectors as strips (one row a word), or a grid of pairs (query rows, key columns). Hover
   reads a cell as a sentence; a click, or Enter, chooses it. Packets: attn_core/figures/canvas/matrix.py. */

const SMALLEST_CELL = 9;
const ROOM_FOR_NUMBER = 33; // CSS pixels; below it a cell is colour alone, and the line under the picture reads it
const FEW_CELLS = 5_000; // of a grid; more are painted as one picture
const CELLS_STYLE = `
  .title { margin: 0; font-size: calc(14.5 * var(--hl-px, 1px)); font-weight: 600; } .explains { margin: 0 0 calc(8 * var(--hl-px, 1px)); font-size: calc(12.5 * var(--hl-px, 1px)); color: var(--soft); min-height: 1.45em; }
  .zoom { display: inline-flex; gap: 4px; } .zoom button { min-width: calc(28 * var(--hl-px, 1px)); border: 1px solid var(--line); border-radius: calc(6 * var(--hl-px, 1px)); background: none; color: var(--ink); font: inherit; cursor: pointer; }
  .zoom button:focus-visible { outline: 2px solid var(--accent); } .zoom button:disabled { opacity: 0.4; cursor: default; }
  .scroll { max-height: var(--tallest); }
  .board { position: relative; outline-offset: 3px; }
  .board.choose { cursor: pointer; }
  .board:focus-visible { outline: 2.5px solid var(--accent); border-radius: 4px; }
  .quadrants { display: grid; grid-template-columns: repeat(2, max-content); gap: 1px; margin-top: calc(8 * var(--hl-px, 1px)); font-size: calc(12.5 * var(--hl-px, 1px)); font-variant-numeric: tabular-nums; }
  .quadrants > * { padding: calc(2 * var(--hl-px, 1px)) calc(10 * var(--hl-px, 1px)); white-space: nowrap; }
  .foot { display: flex; flex-wrap: wrap; gap: 2px calc(16 * var(--hl-px, 1px)); align-items: baseline; margin-top: calc(6 * var(--hl-px, 1px)); min-height: calc(20 * var(--hl-px, 1px)); }
  .reading { flex: 1 1 15em; min-height: 1.45em; margin: 0; font-size: calc(13 * var(--hl-px, 1px)); color: var(--soft); overflow-wrap: anywhere; }
  .reading b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
  .value { color: var(--value); font-weight: 600; } .delta { color: var(--delta); font-weight: 600; } .embedding { color: var(--ink); font-weight: 600; }
  .foot .legend { gap: 3px calc(14 * var(--hl-px, 1px)); margin-top: 0; font-size: calc(12 * var(--hl-px, 1px)); }
  .foot .ramp { width: calc(92 * var(--hl-px, 1px)); height: calc(8 * var(--hl-px, 1px)); }
`;

export function draw(root, data, callbacks = {}) {
  const picture = mount(root, data, CELLS_STYLE, callbacks);
  const { header, body, figure } = picture;
  const [rows, columns] = header.shape;
  const exact = new Float32Array(body.buffer);
  let cells = exact;
  let pool = 0; // of approximate cells; 0 where they are exact
  let zoom = 1;
  const turned = header.turned; // rows run along the top
  const [down, across] = turned ? [columns, rows] : [rows, columns];
  const side = turned ? header.columns : header.rows;
  const top = turned ? header.rows : header.columns;
  let at = header.chosen; // [row, column]; -1 where nothing is chosen
  let upTo = null; // the row up to which several are marked, from the chosen one on
  let place; // where things lie, in CSS pixels

  figure.style.setProperty("--tallest", `${header.tallest}px`);
  const canvas = element("canvas");
  const board = element("div", header.choose ? "board choose" : "board", canvas);
  board.setAttribute("role", header.choose ? "application" : "img");
  board.setAttribute("aria-label", header.choose ? filled(header.joins ? header.words.keyboard_joins : header.words.keyboard, { alt: header.alt }) : header.alt);
  if (header.choose) board.tabIndex = 0;
  const scroller = element("div", "scroll", board);
  const legend = element("div", "legend");
  const reading = element("p", "reading");
  reading.setAttribute("aria-live", "polite");
  const title = element("h2", "hl-title title");
  title.setAttribute("aria-live", "polite");
  if (header.title) figure.append(title, element("p", "explains", ...explained()));
  const zoomed = zoomButtons();
  const quadrants = element("div", "quadrants");
  figure.append(scroller, ...(header.segments?.shares[0].length ? [quadrants] : []), element("div", "foot", legend, reading));
  let colours;

  /* "Rows ask (query), columns answer (key)", the roles in their colours. */
  function explained() {
    const role = (side) => element("span", side.role, side.role);
    return sentence(header.explains, { row: role(header.rows), column: role(header.columns) });
  }

  const valueAt = (row, column) => cells[row * columns + column];
  const isMasked = (value) => Number.isNaN(value) || value === -Infinity;

  /* --- where things lie --- */

  function layout(g) {
    const room = figure.clientWidth - 2;
    g.font = font(12.5);
    const widest = (labels) => Math.ceil(Math.max(0, ...labels.texts.map((text) => g.measureText(text).width)));
    const left = side.texts.length ? Math.min(room * 0.3, widest(side) + 10 * scale) : 1;
    const fit = (room - left - (top.slanted ? 16 * scale : 0)) / across;
    const width = header.square ? cellWidth(fit) : Math.min(120 * scale, fit);
    const height = header.square ? Math.min(width, 34 * scale) : header.row_height * scale;
    const above = !top.texts.length ? 2 : top.slanted ? Math.min(96 * scale, widest(top) * 0.83 + 12 * scale) : 20 * scale;
    const total = left + across * width + (top.slanted ? Math.min(60 * scale, widest(top) * 0.55) : 0);
    return { left, above, width, height, total: Math.min(Math.max(total, left + across * width), room + 4000), gap: width > 6 ? 1 : 0 };
  }

  /* Of a square grid's cells: readable, or where the packet says so as small as lets all of them fit, and zoomed. */
  function cellWidth(fit) {
    const readable = Math.max(Math.min(SMALLEST_CELL, header.largest), Math.min(header.largest * scale, Math.floor(fit)));
    if (!header.fits || fit >= SMALLEST_CELL) return readable;
    return Math.min(readable, fit * zoom);
  }

  function zoomButtons() {
    const buttons = [["−", 0.5, header.words.smaller], ["+", 2, header.words.larger]].map(([text, by, name]) => {
      const button = element("button", "", text);
      button.type = "button";
      button.setAttribute("aria-label", name);
      button.addEventListener("click", () => {
        zoom = Math.max(1, zoom * by);
        picture.paint();
        reveal();
      });
      return button;
    });
    return element("span", "zoom", ...buttons);
  }

  const box = (row, column) => {
    const [y, x] = turned ? [column, row] : [row, column];
    return [place.left + x * place.width, place.above + y * place.height, place.width, place.height];
  };

  /* --- painting --- */

  function paint(now) {
    colours = now;
    chooseNumbers();
    place = layout(context(canvas, 1, 1));
    if (figure.shown) Object.assign(figure.shown, { place, row: at[0] });
    const g = context(canvas, Math.min(place.total, Math.max(place.total, 1)), place.above + down * place.height + 3);
    paintCells(g);
    paintLabels(g);
    paintChosen(g);
    if (header.segments) paintSegments(g);
    paintLegend();
    read(...at);
  }

  /* The exact numbers where they are those of the head that is open; else its tile's, marked; else nothing yet. */
  function chooseNumbers() {
    if (!header.title) return;
    const isExact = openHead.isExact(header.of);
    const tile = isExact ? null : fromTile(rows, columns);
    cells = isExact ? exact : (tile?.weights ?? new Float32Array(rows * columns).fill(NaN));
    pool = isExact ? 0 : (tile?.pool ?? -1);
    const name = isExact ? header.title : filled(header.title_of, opened());
    title.replaceChildren(isExact ? name : `${name} ≈`);
    figure.setAttribute("aria-busy", !isExact);
    figure.shown = { rows, columns, cells, isExact, place }; // for whoever inspects the page
  }

  const opened = () => ({ layer: openHead.current?.[0], head: openHead.current?.[1] });
  const headName = () => (pool && openHead.current ? filled(header.words.head, opened()) : header.name);

  function paintCells(g) {
    if (header.square && rows * columns > FEW_CELLS) return paintAtOnce(g);
    const sharp = place.width >= 4;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const value = valueAt(row, column);
        let [x, y, width, height] = box(row, column);
        if (!sharp) [x, width] = [Math.round(x), Math.max(1, Math.round(x + width) - Math.round(x))];
        const gap = turned || header.square ? place.gap : 2;
        if (isMasked(value)) {
          hatch(g, x, y, width - place.gap, height - gap, colours.roles.masked, 5);
          write(g, header.masked, x, y, width, height, colours.roles.soft);
          continue;
        }
        const fill = colourOn(header.bar, colours, value, header.scale);
        g.fillStyle = `rgb(${fill.join()})`;
        g.fillRect(x, y, width - place.gap, height - gap);
        write(g, header.kind === "weights" ? percent(value).replace(" %", "") : inCell(value), x, y, width, height, inkOn(fill, colours));
      }
      if (!header.square && !turned) frame(g, row);
    }
    if (header.square) {
      g.strokeStyle = colours.roles.line;
      g.strokeRect(place.left - 0.5, place.above - 0.5, across * place.width, down * place.height);
    }
  }

  /* Many cells as one picture of as many pixels; where a pixel stands for several, the strongest stays. */
  function paintAtOnce(g) {
    const ratio = globalThis.devicePixelRatio || 1;
    const shrink = Math.max(1, Math.ceil(1 / (place.width * ratio)));
    const [high, wide] = [Math.ceil(down / shrink), Math.ceil(across / shrink)];
    const strongest = new Float32Array(high * wide).fill(NaN);
    for (let y = 0; y < down; y++)
      for (let x = 0; x < across; x++) {
        const value = turned ? valueAt(x, y) : valueAt(y, x);
        const to = Math.floor(y / shrink) * wide + Math.floor(x / shrink);
        if (!isMasked(value) && !(strongest[to] >= value)) strongest[to] = value;
      }
    const [low, top] = header.bar.domain;
    const steps = Array.from({ length: 256 }, (_, i) => colourOn(header.bar, colours, low + ((top - low) * i) / 255, "linear"));
    const image = new ImageData(wide, high);
    strongest.forEach((value, i) => {
      if (Number.isNaN(value)) return; // transparent: the hatch shines through
      const share = Math.max(0, Math.min(1, (value - low) / (top - low)));
      const [r, green, b] = steps[Math.round(255 * (header.scale === "sqrt" && !header.bar.signed ? Math.sqrt(share) : share))];
      image.data.set([r, green, b, 255], 4 * i);
    });
    const stamp = new OffscreenCanvas(wide, high);
    stamp.getContext("2d").putImageData(image, 0, 0);
    const [width, height] = [across * place.width, down * place.height];
    hatch(g, place.left, place.above, width, height, colours.roles.masked, 6);
    g.imageSmoothingEnabled = false;
    g.drawImage(stamp, place.left, place.above, width, height);
    g.strokeStyle = colours.roles.line;
    g.strokeRect(place.left - 0.5, place.above - 0.5, width, height);
  }

  /* A hairline around each strip: numbers near zero have the colour of the paper. */
  function frame(g, row) {
    const [x, y, width, height] = box(row, 0);
    g.strokeStyle = colours.roles.line;
    g.lineWidth = 1;
    g.strokeRect(x - 0.5, y - 0.5, width * columns, height - 1);
  }

  function write(g, text, x, y, width, height, colour) {
    if (width < ROOM_FOR_NUMBER || height < 16 * scale) return;
    g.font = font(scale > 1 ? 12 : Math.min(11.5, width * 0.27)); // for a room full of people small ones are none
    if (g.measureText(text).width > width - 3) return;
    g.fillStyle = colour;
    g.textAlign = "center";
    g.fillText(text, x + (width - 1) / 2, y + height / 2 + 3.5 * scale);
  }

  function paintLabels(g) {
    const chosenDown = turned ? at[1] : at[0];
    const chosenAcross = turned ? at[0] : at[1];
    const skip = Math.ceil((13 * scale) / place.height);
    side.texts.forEach((text, i) => {
      if (i !== chosenDown && (i % skip || (chosenDown >= 0 && Math.abs(i - chosenDown) < skip))) return;
      label(g, side, i, i === chosenDown);
      g.textAlign = "right";
      g.fillText(fitted(g, text, place.left - 8), place.left - 7, place.above + i * place.height + place.height / 2 + 4 * scale);
    });
    const apart = Math.ceil(((top.slanted ? 15 : 30) * scale) / place.width);
    top.texts.forEach((text, i) => {
      if (i !== chosenAcross && (i % apart || (chosenAcross >= 0 && Math.abs(i - chosenAcross) < apart))) return;
      label(g, top, i, i === chosenAcross);
      const x = place.left + i * place.width + place.width / 2;
      if (!top.slanted) {
        g.textAlign = "center";
        g.fillText(fitted(g, text, place.width * apart - 2), x, place.above - 7);
        return;
      }
      slanted(g, fitted(g, text, 104 * scale), x + 2, place.above - 6);
    });
  }

  function label(g, labels, i, chosen) {
    g.font = font(12.5, chosen ? 600 : 400);
    const dim = labels.special.includes(i);
    g.fillStyle = chosen ? colours.roles[labels.role] : dim ? colours.roles.soft : colours.roles.ink;
  }

  function fitted(g, text, room) {
    if (g.measureText(text).width <= room) return text;
    let short = text;
    while (short.length > 1 && g.measureText(`${short}…`).width > room) short = short.slice(0, -1);
    return `${short}…`;
  }

  function paintChosen(g) {
    const [row, column] = at;
    g.lineWidth = place.height < 4 ? 1 : 2;
    if (row >= 0 && header.rows.texts.length > 1) {
      const [first, last] = marked();
      const [x, y, width, height] = box(first, 0);
      const many = last - first + 1;
      g.strokeStyle = colours.roles[header.rows.role];
      if (turned) g.strokeRect(x - 1, y - 1, width * many + 1, height * columns + 1);
      else g.strokeRect(x - 1, y - 1, width * columns + 1, height * many);
    }
    if (row >= 0 && column >= 0 && upTo === null) {
      const [x, y, width, height] = box(row, column);
      g.lineWidth = 2.5;
      g.strokeStyle = colours.roles.accent;
      g.strokeRect(x - 1, y - 1, Math.max(4, width) + 1, height + 1);
    }
  }

  /* Of a pair: a line between its two segments, a little longer than the cells, and the four quadrants as they lie, each
     with its share: the mean over a segment's rows of what they put on a segment's keys (attn_core/text/pairs.py). */
  function paintSegments(g) {
    const [x, y] = box(...header.segments.at);
    g.strokeStyle = colours.roles.ink;
    g.lineWidth = 1;
    for (const [from, to] of [[[x - 0.5, place.above - 7], [x - 0.5, place.above + down * place.height]], [[place.left - 7, y - 0.5], [place.left + across * place.width, y - 0.5]]]) {
      g.beginPath();
      g.moveTo(...from);
      g.lineTo(...to);
      g.stroke();
    }
    const sides = turned ? [[0, 0], [1, 0], [0, 1], [1, 1]] : [[0, 0], [0, 1], [1, 0], [1, 1]]; // [query, key] segments
    quadrants.replaceChildren(...sides.map(quadrant));
  }

  function quadrant([query, key]) {
    const given = cells === exact && !header.segments.counted && header.segments.shares[query][key];
    const share = pool < 0 || pool > 1 ? Number.NaN : given === false ? shareOf(query, key) : (given ?? Number.NaN);
    const number = Number.isNaN(share) ? "–" : (pool ? "≈ " : "") + unbroken(percent(share));
    const made = element("span", "", `${header.segments.names[query][key]} ${number}`);
    const fill = colourOn(header.bar, colours, Number.isNaN(share) ? 0 : share, header.scale);
    Object.assign(made.style, { background: `rgb(${fill.join()})`, color: inkOn(fill, colours) });
    return made;
  }

  /* Masked cells count as 0, and rows without any number not at all. */
  function shareOf(query, key) {
    const [row, column] = header.segments.at;
    const [firstRow, endRow, firstKey, endKey] = [query ? row : 0, query ? rows : row, key ? column : 0, key ? columns : column];
    let [sum, counted] = [0, 0];
    for (let r = firstRow; r < endRow; r++) {
      let any = false;
      for (let c = 0; c < columns; c++) {
        const value = valueAt(r, c);
        if (isMasked(value)) continue;
        any = true;
        if (c >= firstKey && c < endKey) sum += value;
      }
      counted += any;
    }
    return counted ? sum / counted : Number.NaN;
  }

  function paintLegend() {
    legend.replaceChildren();
    if (!header.legend) return;
    if (header.square && (header.rows.name || header.columns.name)) legend.append(whichWay());
    legend.append(barLegend(header.bar, colours, header.scale));
    if (pool >= 0 && cells.some(isMasked)) legend.append(maskedLegend(header.words.masked, colours));
    if (header.fits && header.square && place.width < SMALLEST_CELL) legend.append(zoomed);
    zoomed.firstChild.disabled = zoom <= 1;
  }

  function whichWay() {
    const { rows_ask, columns_ask, rows_answer, columns_answer } = header.words;
    const asks = filled(turned ? columns_ask : rows_ask, { name: header.rows.name });
    const answers = filled(turned ? rows_answer : columns_answer, { name: header.columns.name });
    return element("span", "", element("span", header.rows.role, asks), element("span", header.columns.role, answers));
  }

  /* --- reading and choosing --- */

  /* The packet's sentence, its words in their roles' colours. */
  function read(row, column) {
    reading.replaceChildren();
    if (pool < 0) return reading.append(header.words.waiting);
    if (openHead.trouble && header.title) return reading.append(troubled());
    if (pool > 1 && (row < 0 || column < 0)) return reading.append(filled(header.words.pooled, { pool }));
    if (upTo !== null) return reading.append(marking());
    if (row < 0 || column < 0) return reading.append(header.hint);
    const value = valueAt(row, column);
    const labelled = (labels, i, name) => wordSpan(labels.role, `${labels.texts[i] ?? ""}${name ? ` (${name} ${labels.positions?.[i] ?? labels.first + i})` : ""}`);
    const parts = {
      row: labelled(header.rows, row, header.rows.name),
      column: header.columns.texts.length ? labelled(header.columns, column, header.columns.name) : `${column}`,
      value: element("b", "", (pool ? "≈ " : "") + (header.kind === "weights" ? unbroken(percent(value)) : significant(value))),
      head: headName(),
    };
    reading.append(...sentence(isMasked(value) ? header.says_masked : header.says, parts));
  }

  function troubled() {
    const { connection_lost, no_answer } = header.words;
    return filled(openHead.trouble === "connection" ? connection_lost : no_answer, { name: header.name });
  }

  /* The first and the last row that are marked. */
  const marked = () => (upTo === null ? [at[0], at[0]] : [Math.min(at[0], upTo), Math.max(at[0], upTo)]);

  function marking() {
    const [first, last] = marked();
    return filled(header.words.marking, { first: header.rows.texts[first], last: header.rows.texts[last] });
  }

  /* The marked rows are to be read as one. */
  function join() {
    const [first, last] = marked();
    upTo = null;
    picture.paint();
    if (first < last) callbacks.choose?.({ row: first, column: null, to: last });
  }

  function cellUnder(event) {
    const bounds = canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - bounds.left - place.left) / place.width);
    const y = Math.floor((event.clientY - bounds.top - place.above) / place.height);
    if (y < 0 || y >= down || x >= across) return null;
    const cell = turned ? [x, y] : [y, x];
    return x < 0 ? (turned ? null : [y, -1]) : cell;
  }

  function choose(row, column) {
    at = [row, column];
    upTo = null;
    picture.paint();
    if (header.title) openHead.follow(row);
    callbacks.choose?.({ row, column: column < 0 ? null : column });
  }

  follow(board, cellUnder, (cell) => read(...(cell && cell[1] >= 0 ? cell : at)));
  board.addEventListener("click", (event) => {
    const cell = cellUnder(event);
    if (cell && header.joins && event.shiftKey && at[0] >= 0) {
      upTo = cell[0];
      join();
    } else if (cell && header.choose) choose(...cell);
    else if (cell && cell[1] >= 0) read(...cell);
  });
  steer(board, (key, event) => {
    const [row, column] = [Math.max(0, at[0]), Math.max(0, at[1])];
    if (header.joins && event.shiftKey && mark(key, row)) return true;
    if (upTo !== null && (key === "Enter" || key === " ")) {
      join();
      return true;
    }
    if (upTo !== null && key === "Escape") {
      upTo = null;
      picture.paint();
      return true;
    }
    const to = turned
      ? moved(key, [column, row], [columns, rows])?.reverse()
      : moved(key, [row, column], [rows, columns]);
    if (to) {
      at = to;
      upTo = null;
      picture.paint();
    } else if (key === "Enter" || key === " ") choose(row, column);
    else return false;
    return true;
  });

  /* Shift and an arrow key along the rows: one more is marked, or one less. */
  function mark(key, row) {
    const from = upTo ?? row;
    const to = turned ? moved(key, [0, from], [1, rows])?.[1] : moved(key, [from, 0], [rows, 1])?.[0];
    if (to === undefined || to === from) return false;
    at = [row, -1];
    upTo = to;
    picture.paint();
    return true;
  }

  /* A large matrix scrolls inside itself: begin where something is chosen. */
  function reveal() {
    if (at[0] < 0 || !place) return;
    const [x, y, width, height] = box(at[0], Math.max(0, at[1]));
    if (y + height > scroller.clientHeight) scroller.scrollTop = y - scroller.clientHeight / 2;
    if (at[1] >= 0 && x + width > scroller.clientWidth) scroller.scrollLeft = x - scroller.clientWidth / 2;
  }

  function listen() {
    if (openHead.row !== null && openHead.row !== at[0]) at = [openHead.row, -1];
    picture.paint();
  }
  const deaf = header.title ? openHead.listen(listen) : () => {};
  const drawn = picture.live({ paint, update() {}, leave: deaf });
  requestAnimationFrame(reveal);
  return drawn;
}

export default inApp(draw, (tell) => ({ choose: (chosen) => tell("chosen", chosen) }));
