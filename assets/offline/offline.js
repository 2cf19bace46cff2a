/* A saved view: all heads, one of them opened as a heatmap and as links, and its numbers. It stands behind the pictures
   that it draws (`pictures`) and reads what Python wrote into the same file. */

function openView(root, pictures, saved) {
  const asBytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const exact = new Uint16Array(asBytes(saved.cells).buffer);
  const { layers, heads, queries, keys } = saved.overview;
  const size = queries * keys;
  const at = { ...saved.start, scale: saved.scale, turned: saved.turned };
  let mean = saved.mean && new Uint16Array(asBytes(saved.mean).buffer);
  let drawn = [];

  const place = Object.fromEntries(["overview", "links", "grid", "numbers"].map((name) => [name, element("div", name)]));
  const title = element("h2");
  const linksTitle = element("h2");
  const hint = element("p", "hint");
  const note = element("p", "hint");
  note.setAttribute("role", "status");
  root.append(heading(), columns(), element("footer", "", filled(saved.words.about, { about: saved.about })));
  const overview = pictures.overview(place.overview, packet(saved.overview, overviewCells()), {
    view: { scale: at.scale, selected: [at.layer, at.head] },
    open: ({ layer, head, query }) => open(layer, head, query),
  });
  show();

  function heading() {
    const checked = saved.checked === null ? [] : [element("span", "badge ok", filled(saved.words.checked, { distance: saved.checked }))];
    const said = element("p", "hint", element("span", "badge", saved.words.recorded), ...checked, filled(saved.words.heads, { n: layers * heads }));
    return element("header", "", element("div", "logo", element("i"), "Headlight"), element("h1", "", filled(saved.words.text, { text: saved.text })), said);
  }

  function columns() {
    const all = element("p", "hint", saved.words.every_head_hint);
    const left = element("section", "card", element("h2", "", saved.words.every_head), all, place.overview, note, linksTitle);
    left.append(element("p", "hint", saved.words.links_hint), place.links);
    const numbers = element("details", "", element("summary", "", saved.words.numbers), place.numbers);
    const right = element("section", "card", title, hint, place.grid, switches(), numbers);
    return element("div", "columns", left, right);
  }

  function switches() {
    const scale = choice(saved.words.scale, { sqrt: saved.words.sqrt, linear: saved.words.linear }, at.scale, (value) => {
      at.scale = value;
      overview.update({ scale: value });
    });
    const ways = { rows: saved.words.queries_in_rows, columns: saved.words.queries_in_columns };
    const turn = choice(saved.words.queries, ways, at.turned ? "columns" : "rows", (value) => {
      at.turned = value === "columns";
    });
    return element("div", "switches", scale, turn);
  }

  function choice(name, options, now, chosen) {
    const group = element("div", "segments");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", name);
    for (const [value, label] of Object.entries(options)) {
      const button = element("button", "", label);
      button.type = "button";
      button.setAttribute("aria-pressed", value === now);
      button.addEventListener("click", () => {
        for (const each of group.children) each.setAttribute("aria-pressed", each === button);
        chosen(value);
        show();
      });
      group.append(button);
    }
    return group;
  }

  /* A packet as Python makes them: header length, header, cells. */
  function packet(header, body) {
    const text = new TextEncoder().encode(JSON.stringify({ ...header, palette: saved.palette }));
    const bytes = new Uint8Array(4 + text.length + body.byteLength);
    new DataView(bytes.buffer).setUint32(0, text.length, true);
    bytes.set(text, 4);
    bytes.set(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), 4 + text.length);
    return bytes;
  }

  function overviewCells() {
    if (!saved.every) return asBytes(saved.pooled);
    return Uint8Array.from(exact, (cell) => (cell === 65535 ? 255 : Math.round(254 * Math.sqrt(cell / 65534))));
  }

  function cellsNow() {
    if (mean) return mean;
    const from = saved.every ? (at.layer * heads + at.head) * size : 0;
    return exact.slice(from, from + size);
  }

  function open(layer, head, query) {
    if (!saved.every && (layer !== at.layer || head !== at.head)) {
      note.textContent = filled(saved.words.only_one, { name: at.name });
      overview.update({ selected: [at.layer, at.head] });
      return;
    }
    mean = null;
    Object.assign(at, { layer, head, name: filled(saved.words.head, { layer, head }) });
    if (query !== null && saved.overview.pool === 1) at.query = query;
    show();
  }

  function show() {
    for (const picture of drawn) picture.destroy();
    const cells = cellsNow();
    const weights = Float32Array.from(cells, (cell) => (cell === 65535 ? NaN : cell / 65534));
    title.textContent = at.name[0].toUpperCase() + at.name.slice(1);
    linksTitle.textContent = filled(saved.words.links_title, { name: title.textContent });
    hint.textContent = at.turned ? saved.words.grid_hint_turned : saved.words.grid_hint;
    drawn = [
      pictures.links(place.links, packet({ ...saved.links, names: [at.name] }, cells), {
        view: { pinned: at.query === null ? null : { side: "query", position: at.query } },
        pin: (pinned) => choose(pinned?.side === "query" ? pinned.position : null),
      }),
      pictures.cells(place.grid, packet(gridHeader(), weights), { choose: ({ row }) => choose(row, true) }),
    ];
    list(weights);
  }

  function gridHeader() {
    const { rows, columns } = saved.grid;
    return {
      ...saved.grid,
      rows: { ...rows, slanted: at.turned },
      columns: { ...columns, slanted: !at.turned },
      turned: at.turned,
      scale: at.scale,
      name: at.name, // of the head in the sentence that reads a cell
      chosen: [at.query ?? -1, -1],
    };
  }

  function choose(query, redraw) {
    at.query = query;
    if (redraw) show();
    else list(Float32Array.from(cellsNow(), (cell) => (cell === 65535 ? NaN : cell / 65534)));
  }

  /* The same numbers as text. */
  function list(weights) {
    place.numbers.replaceChildren();
    if (at.query === null) return place.numbers.append(element("p", "hint", saved.words.choose));
    const [asks, answers] = saved.links.sides;
    const table = element("table", "", row("th", saved.words.position, saved.words.key, saved.words.weight));
    const order = [...Array(keys).keys()].map((key) => [key, weights[at.query * keys + key]]);
    order.sort(([, a], [, b]) => (Number.isNaN(b) ? -1 : b) - (Number.isNaN(a) ? -1 : a));
    for (const [key, weight] of order)
      table.append(row("td", saved.positions[1][key], answers.labels[key], Number.isNaN(weight) ? saved.words.masked : weight.toFixed(5)));
    const word = { word: asks.labels[at.query], at: saved.positions[0][at.query], name: at.name };
    place.numbers.append(element("p", "hint", filled(saved.words.row, word)), table);
  }

  function row(kind, ...cells) {
    return element("tr", "", ...cells.map((cell) => element(kind, "", String(cell))));
  }
}

openView(document.body, pictures, JSON.parse(document.getElementById("headlight-numbers").textContent));
