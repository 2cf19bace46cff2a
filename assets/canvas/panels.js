/* Patterns side by side on one scale. A pointer over one panel marks the same cell in all of them and reads it aloud
   under each; a click chooses the query, or paints the cell. Arrow keys move, Enter clicks. */

const WIDEST = 34; // of a cell, in CSS pixels
const NARROWEST = 2; // below it a panel takes a whole row, and below that cells share pixels
const SMALL = 7; // below it cells touch
const ROOM = 270; // a panel is never narrower than this, unless the screen is
const GAP = 22;
const LONGEST = 104; // of a label, in CSS pixels

const PANELS_STYLE = `
  .panels { display: grid; gap: calc(18 * var(--hl-px, 1px)) calc(${GAP} * var(--hl-px, 1px)); align-items: start; }
  .panel { min-width: 0; }
  .panel h3 { margin: 0; font-size: calc(13.5 * var(--hl-px, 1px)); font-weight: 650; overflow-wrap: anywhere; }
  .panel .about { margin: 0 0 4px; height: 1.5em; color: var(--soft); font-size: calc(12 * var(--hl-px, 1px)); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
  @media (max-width: 560px) { .panel .about { height: auto; white-space: normal; } }  /* one under the other: nothing beside it to stand level with */
  .panel canvas { cursor: crosshair; touch-action: pan-y pinch-zoom; outline-offset: 3px; border-radius: 4px; }
  .panel canvas:focus-visible { outline: 2px solid var(--accent); }
  .panel .reads { margin: calc(6 * var(--hl-px, 1px)) 0 0; min-height: 3em; overflow-wrap: anywhere; }
`;

export function draw(root, data, callbacks = {}) {
  const picture = mount(root, data, PANELS_STYLE, callbacks, { scale: "sqrt", query: null, painted: [] });
  const { header, body, figure, view } = picture;
  const { pool } = header; // of a long sentence so many words share a row, and a column
  const [rows, columns] = [Math.ceil(header.queries / pool), Math.ceil(header.keys / pool)];
  const numbers = new Float32Array(body.buffer, 0, header.panels.length * rows * columns);
  let colours;
  let cursor = null; // [query, key] under the pointer, or under the keyboard
  let place = {}; // of the cells, the same on every canvas

  const sheet = element("div", "panels");
  const legend = element("div", "legend");
  figure.append(sheet, legend);
  const panels = header.panels.map(makePanel);

  function makePanel(about, index) {
    const canvas = element("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", filled(header.words.canvas, { title: about.title, rows: header.queries, columns: header.keys }));
    const reads = element("p", "reads");
    const note = element("p", "about", about.note);
    note.title = about.note;
    if (index === 0) reads.setAttribute("aria-live", "polite");
    sheet.append(element("div", "panel", element("h3", "", about.title), note, canvas, reads));
    follow(canvas, (event) => under(canvas, event), point);
    canvas.addEventListener("blur", () => point(null));
    canvas.addEventListener("click", (event) => choose(index, under(canvas, event)));
    steer(canvas, (key) => walk(index, key));
    return { about, canvas, reads, base: null, values: numbers.subarray(index * rows * columns, (index + 1) * rows * columns) };
  }

  const followed = () => (view.query === null ? null : Math.floor(view.query / pool)); // the row of the chosen word
  const value = (panel, query, key) => panel.values[query * columns + key];
  const missing = (panel, query, key) => panel.about.query_labels[query] === null || panel.about.key_labels[key] === null;

  /* --- layout: the same in all panels, so that they can be compared --- */

  function layout() {
    const width = figure.clientWidth;
    const g = panels[0].canvas.getContext("2d");
    g.font = font(12);
    const [room, gap] = [ROOM * scale, GAP * scale];
    const longest = (side) =>
      Math.max(8, ...panels.flatMap((p) => p.about[side].map((label) => g.measureText(short(label ?? "")).width)));
    const label = Math.min(longest("key_labels"), LONGEST * scale);
    const leans = Math.min(label * Math.cos(SLANT), 44 * scale); // how far the last label leans out
    const top = label * Math.sin(SLANT) + 16;
    const roomOf = (across) => (width - gap * (across - 1)) / across;
    const leftOf = (across) => Math.min(longest("query_labels") + 12, roomOf(across) * 0.34);
    const sideOf = (across) => (roomOf(across) - leftOf(across) - leans - 2) / columns;
    let across = Math.max(1, Math.min(panels.length, Math.floor((width + gap) / (room + gap))));
    while (across > 1 && sideOf(across) < NARROWEST) across--; // a long sentence gets a row of its own
    const side = sideOf(across) < NARROWEST ? sideOf(across) : Math.min(WIDEST * scale, Math.floor(sideOf(across)));
    const left = leftOf(across);
    sheet.style.gridTemplateColumns = `repeat(${across}, minmax(0, 1fr))`;
    place = { left, top, side, width: left + side * columns + leans + 2, height: top + side * rows + 2 };
  }

  const short = (label) => ([...label].length > 14 ? `${[...label].slice(0, 13).join("")}…` : label);

  /* --- painting: the cells once, what is marked on top whenever it changes --- */

  function paint(now) {
    colours = now;
    layout();
    for (const panel of panels) panel.base = paintCells(panel);
    for (const panel of panels) mark(panel);
    paintLegend();
    read();
  }

  function paintCells(panel) {
    const base = document.createElement("canvas");
    const g = context(base, place.width, place.height);
    const { left, top, side } = place;
    hatch(g, left, top, side * columns, side * rows, colours.roles.masked, 4); // shines through where a cell is masked
    if (side < SMALL) stampCells(g, panel);
    else paintEach(g, panel);
    return base;
  }

  function paintEach(g, panel) {
    const { left, top, side } = place;
    const colour = colourOf(panel);
    for (let query = 0; query < rows; query++)
      for (let key = 0; key < columns; key++) {
        const [x, y] = [left + key * side, top + query * side];
        const number = value(panel, query, key);
        const gap = missing(panel, query, key);
        if (Number.isNaN(number) && !gap) continue;
        g.fillStyle = colours.roles.card;
        g.fillRect(x, y, side, side);
        if (gap) paintMissing(g, x, y, side);
        else {
          g.fillStyle = `rgb(${colour(number).join()})`;
          g.fillRect(x, y, side - 1, side - 1);
        }
      }
  }

  /* A long sentence: one pixel a cell, then stretched, without lines between cells. */
  function stampCells(g, panel) {
    const image = new ImageData(columns, rows);
    const colour = colourOf(panel);
    const card = channels(colours.roles.card);
    for (let query = 0; query < rows; query++)
      for (let key = 0; key < columns; key++) {
        const number = value(panel, query, key);
        const gap = missing(panel, query, key);
        if (Number.isNaN(number) && !gap) continue;
        image.data.set([...(gap ? card : colour(number)), 255], 4 * (query * columns + key));
      }
    const stamp = new OffscreenCanvas(columns, rows);
    stamp.getContext("2d").putImageData(image, 0, 0);
    g.imageSmoothingEnabled = false;
    g.drawImage(stamp, place.left, place.top, place.side * columns, place.side * rows);
  }

  function mark(panel) {
    const g = context(panel.canvas, place.width, place.height);
    g.drawImage(panel.base, 0, 0, place.width, place.height);
    paintLabels(g, panel.about);
    if (panel.about.second) paintSecond(g, ...panel.about.second);
    for (const [query, key] of view.painted) frame(g, query, key, 1, 1, colours.roles.accent, 2.5);
    if (view.query !== null) frame(g, followed(), 0, 1, columns, colours.roles.query, 2);
    if (!cursor) return;
    frame(g, cursor[0], 0, 1, columns, colours.roles.query, 1);
    frame(g, 0, cursor[1], rows, 1, colours.roles.key, 1);
    frame(g, ...cursor, 1, 1, colours.roles.ink, 2);
  }

  /* A line where the second segment of a pair begins, across and down. */
  function paintSecond(g, row, column) {
    const { left, top, side } = place;
    const [x, y] = [left + column * side - 0.5, top + row * side - 0.5];
    g.strokeStyle = colours.roles.ink;
    g.lineWidth = 1;
    for (const [from, to] of [[[x, top], [x, top + rows * side]], [[left, y], [left + columns * side, y]]]) {
      g.beginPath();
      g.moveTo(...from);
      g.lineTo(...to);
      g.stroke();
    }
  }

  function paintMissing(g, x, y, side) {
    g.fillStyle = colours.roles.line;
    const dot = Math.max(1, Math.min(3, side / 6));
    g.fillRect(x + side / 2 - dot / 2, y + side / 2 - dot / 2, dot, dot);
  }

  function frame(g, query, key, high, wide, colour, width) {
    const { left, top, side } = place;
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.strokeRect(left + key * side - 0.5, top + query * side - 0.5, wide * side, high * side);
  }

  function paintLabels(g, about) {
    const { left, top, side } = place;
    g.font = font(12);
    g.textBaseline = "middle";
    named(about.query_labels, cursor ? cursor[0] : followed(), (label, i, on) => {
      g.fillStyle = colours.roles[on ? "query" : about.query_special.includes(i) ? "soft" : "ink"];
      g.textAlign = "right";
      g.fillText(short(label), left - 7, top + i * side + side / 2, left - 8);
    });
    named(about.key_labels, cursor ? cursor[1] : null, (label, i, on) => {
      g.fillStyle = colours.roles[on ? "key" : about.key_special.includes(i) ? "soft" : "ink"];
      slanted(g, short(label), left + i * side + side / 2, top - 6, LONGEST * scale);
    });
  }

  /* As many labels as fit; the marked one always, and then none so near that it would be covered. */
  function named(labels, marked, write) {
    const every = Math.ceil((13 * scale) / place.side);
    labels.forEach((label, i) => {
      const near = marked !== null && i !== marked && Math.abs(i - marked) * place.side < 13 * scale;
      if (label !== null && (i === marked || (i % every === 0 && !near))) write(label, i, i === marked);
    });
  }

  const barOf = (panel) => header.bars[panel.about.signed ? "difference" : "weight"];

  /* number → colour, by a table: a long sentence has tens of thousands of cells. */
  function colourOf(panel) {
    const bar = barOf(panel);
    const [low, high] = bar.domain;
    const numbers = Array.from({ length: 1024 }, (_, i) => low + ((high - low) * i) / 1023);
    const table = numbers.map((number) => colourOn(bar, colours, number, "linear"));
    const at = (share) => table[Math.round(1023 * Math.max(0, Math.min(1, share)))];
    const shareOf = (number) => (number - low) / (high - low);
    return view.scale === "sqrt" && !bar.signed ? (number) => at(Math.sqrt(shareOf(number))) : (number) => at(shareOf(number));
  }

  function paintLegend() {
    const masked = panels.some((p) => p.values.some((n, i) => Number.isNaN(n) && !missing(p, Math.floor(i / columns), i % columns)));
    const lacking = panels.some((p) => [...p.about.query_labels, ...p.about.key_labels].includes(null));
    legend.replaceChildren();
    for (const bar of [header.bars.weight, header.bars.difference]) if (bar) legend.append(barLegend(bar, colours, view.scale));
    if (masked) legend.append(maskedLegend(header.masked, colours));
    if (header.pooled) legend.append(element("span", "", header.pooled));
    if (lacking) legend.append(swatchLegend(header.missing, (g) => paintMissing(g, 5, 0, 11)));
  }

  /* --- reading a cell aloud --- */

  function read() {
    for (const panel of panels) panel.reads.replaceChildren(...(cursor ? reading(panel, ...cursor) : hint(panel)));
  }

  function hint(panel) {
    if (panel !== panels[0]) return [];
    return [element("span", "note", header.paint ? header.words.paint : header.words.point)];
  }

  function reading({ about, values }, query, key) {
    const number = values[query * columns + key];
    const parts = {
      query: wordSpan("query", words(about.query_labels, about.query_last, header.queries, query, header.words.query, header.words.queries)),
      key: wordSpan("key", words(about.key_labels, about.key_last, header.keys, key, header.words.key, header.words.keys)),
      who: about.says,
      value: unbroken(about.signed ? points(number) : percent(number)),
    };
    if (about.query_labels[query] === null || about.key_labels[key] === null) return [header.says_missing];
    if (Number.isNaN(number)) return sentence(header.says_masked, parts);
    return sentence(about.signed ? header.says_difference : header.says, parts);
  }

  /* "creature (query 4)"; of a cell that words share, "a … the (queries 8–11)". */
  function words(labels, last, count, cell, one, many) {
    const from = cell * pool;
    const to = Math.min(count, from + pool) - 1;
    if (to === from) return filled(one, { word: labels[cell], at: from });
    return filled(many, { first: labels[cell], last: last[cell], from, to });
  }

  /* --- pointing and choosing --- */

  function under(canvas, event) {
    const box = canvas.getBoundingClientRect();
    const key = Math.floor((event.clientX - box.left - place.left) / place.side);
    const query = Math.floor((event.clientY - box.top - place.top) / place.side);
    const inside = (at, size) => at >= 0 && at < size;
    return inside(query, rows) && inside(key, columns) ? [query, key] : null;
  }

  function point(cell) {
    if (String(cell) === String(cursor)) return;
    cursor = cell;
    panels.forEach(mark);
    read();
  }

  function choose(index, cell) {
    if (cell) callbacks.choose?.({ panel: index, query: cell[0] * pool, key: cell[1] * pool });
  }

  function walk(index, key) {
    const to = moved(key, cursor ?? [followed() ?? 0, 0], [rows, columns]);
    if (to) point(to);
    else if (key === "Enter" || key === " ") choose(index, cursor);
    else return false;
    return true;
  }

  return picture.live({ paint });
}

export default inApp(draw, (tell) => ({ choose: (chosen) => tell("chosen", chosen) }));
