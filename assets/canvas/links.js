/* One head, or a few, as lines between two columns of words: left asks (query), right answers (key). Hover a word to
   see only its lines, click to keep it. Scales to 512 words: it scrolls inside itself. */

const ROW = 22;
const TALLEST = 560;
const MASKED = 65535;

const LINKS_STYLE = `
  .scroll { position: relative; }
  .scroll canvas { position: sticky; top: 0; pointer-events: none; }
  .captions { display: grid; grid-template-columns: 1fr 1fr; font-size: calc(12.5 * var(--hl-px, 1px)); color: var(--soft); margin-bottom: 4px; }
  .captions > :first-child { text-align: right; padding-right: var(--edge); }
  .captions > :last-child { padding-left: var(--edge); }
  .left, .right { position: absolute; top: 0; left: 0; width: 100%; pointer-events: none; }
  .word { position: absolute; pointer-events: auto; height: calc(${ROW} * var(--hl-px, 1px)); line-height: calc(${ROW} * var(--hl-px, 1px)); padding: 0 calc(6 * var(--hl-px, 1px)); border: 0; margin: 0; background: none; cursor: pointer; border-radius: calc(5 * var(--hl-px, 1px));
    font: calc(13 * var(--hl-px, 1px))/calc(${ROW} * var(--hl-px, 1px)) var(--mono); color: var(--ink); white-space: pre; overflow: hidden; text-overflow: ellipsis; -webkit-tap-highlight-color: transparent; }
  .word.special { color: var(--soft); }
  .word:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
  .left .word { text-align: right; right: calc(50% + var(--half)); max-width: calc(50% - var(--half)); }
  .right .word { text-align: left; left: calc(50% + var(--half)); max-width: calc(50% - var(--half)); }
  .left .asks, .right .asks { color: var(--query); font-weight: 600; } .left .answers, .right .answers { color: var(--key); font-weight: 600; }
  .word[aria-pressed="true"] { background: var(--accent_back); }
  .word.masked { color: var(--soft); background: repeating-linear-gradient(-45deg, transparent 0 calc(6 * var(--hl-px, 1px)), var(--masked) calc(6 * var(--hl-px, 1px)) calc(7 * var(--hl-px, 1px))); }
  .word small, .said span { unicode-bidi: isolate; } /* numbers stay where they are beside a Hebrew word */
  .word small { font-size: calc(12 * var(--hl-px, 1px)); font-weight: 400; color: var(--soft); }
  .word small::before { content: "  "; }
  .left .word small { float: left; } .left .word small::before { content: ""; } .left .word small::after { content: "  "; }
  .join { position: absolute; width: 1px; background: var(--soft); opacity: 0.55; }
  .left .join { right: calc(50% + var(--half)); } .right .join { left: calc(50% + var(--half)); }
  .said { margin: calc(8 * var(--hl-px, 1px)) 0 0; min-height: 3em; font-size: calc(13.5 * var(--hl-px, 1px)); overflow-wrap: anywhere; }
  .heads { display: flex; flex-wrap: wrap; gap: calc(6 * var(--hl-px, 1px)); margin-bottom: calc(8 * var(--hl-px, 1px)); }
  .heads button { display: inline-flex; gap: calc(6 * var(--hl-px, 1px)); align-items: center; border: 1px solid var(--line); border-radius: 99px; padding: 2px calc(10 * var(--hl-px, 1px)); background: none; color: var(--ink); font: inherit; font-size: calc(12.5 * var(--hl-px, 1px)); cursor: pointer; }
  .heads button::before { content: ""; width: calc(16 * var(--hl-px, 1px)); height: 3px; border-radius: 2px; background: var(--colour); }
  .heads button[aria-pressed="false"] { color: var(--soft); text-decoration: line-through; }
  .heads button:focus-visible { outline: 2px solid var(--accent); }
`;

export function draw(root, data, callbacks = {}) {
  const picture = mount(root, data, LINKS_STYLE, callbacks, { pinned: null }); // pinned: {side: "query" | "key", position}
  const { header, body, figure, view } = picture;
  const weights = new Uint16Array(body.buffer);
  const counts = header.sides.map((side) => side.labels.length);
  const shown = header.names.map(() => true);
  let hovered = null;
  let row = ROW; // how high a word is, in CSS pixels
  let colours;

  const legend = element("div", "heads");
  const captions = element("div", "captions", caption(0), caption(1));
  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const columns = ["left", "right"].map((name) => element("div", name));
  const scroll = element("div", "scroll", canvas, ...columns);
  const said = element("p", "said");
  said.setAttribute("aria-live", "polite");
  figure.append(...(header.names.length > 1 ? [legend] : []), captions, scroll, said);
  const words = header.sides.map(makeWords);
  makeLegend();

  function caption(side) {
    const role = header.roles[side];
    return element("div", "", element("span", role, role), ` ${header.captions[side]}`);
  }

  function makeWords(side, which) {
    const role = header.roles[which];
    const made = side.labels.map((label, position) => {
      const word = element("button", "word", label);
      word.type = "button";
      word.style.top = `calc(${position * ROW} * var(--hl-px, 1px))`;
      word.tabIndex = position ? -1 : 0;
      word.classList.toggle("special", side.special.includes(position));
      word.setAttribute("aria-label", `${spoken(label)} (${role} ${counted(which, position)})`);
      word.setAttribute("aria-pressed", "false");
      Object.assign(word.dataset, { side: role, position });
      return word;
    });
    columns[which].setAttribute("role", "group");
    columns[which].setAttribute("aria-label", `${role}: ${header.captions[which]}`);
    columns[which].append(...made, ...joins(side));
    return made;
  }

  /* A hairline beside the pieces of one word. */
  function joins(side) {
    const lines = [];
    side.words?.forEach((word, position) => {
      if (word === null || word !== side.words[position - 1]) return;
      const line = element("i", "join");
      Object.assign(line.style, { top: `calc(${(position - 0.5) * ROW} * var(--hl-px, 1px))`, height: `calc(${ROW} * var(--hl-px, 1px))` });
      lines.push(line);
    });
    return lines;
  }

  function makeLegend() {
    header.names.forEach((name, at) => {
      const button = element("button", "", name);
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        shown[at] = !shown[at];
        button.setAttribute("aria-pressed", shown[at]);
        picture.paint();
      });
      legend.append(button);
    });
  }

  /* The exact weights where they are those of the head that is open; else its tile's; null while there are none. */
  function chooseWeights() {
    if (openHead.isExact(header.of)) return [weights, header.names];
    const tile = fromTile(...counts);
    const [layer, head] = openHead.current;
    if (tile?.pool !== 1) return [null, [filled(header.words.head, { layer, head })]];
    const rounded = Uint16Array.from(tile.weights, (weight) => (Number.isNaN(weight) ? MASKED : Math.round(65534 * weight)));
    return [rounded, [filled(header.words.approximate, { layer, head })]];
  }
  let [now, names] = [weights, header.names];

  const raw = (head, query, key) => now[(head * counts[0] + query) * counts[1] + key];
  const weight = (head, query, key) => (raw(head, query, key) === MASKED ? 0 : raw(head, query, key) / 65534);
  const active = () => now ? names.map((_, head) => head).filter((head) => shown[head]) : [];
  const chosen = () => hovered ?? view.pinned;

  /* --- painting --- */

  function paint(theme) {
    colours = theme;
    [now, names] = chooseWeights();
    const width = scroll.clientWidth;
    const half = Math.round(Math.min(112 * scale, width * (width < 420 ? 0.12 : 0.17)));
    figure.style.setProperty("--half", `${half}px`);
    figure.style.setProperty("--edge", `${half + 6}px`);
    row = ROW * scale;
    const full = Math.max(...counts) * row;
    const high = globalThis.headlightPrinting ? full : Math.min(TALLEST * scale, full);
    scroll.style.height = `${high}px`;
    for (const column of columns) column.style.height = `${full}px`;
    [...legend.children].forEach((button, at) => button.style.setProperty("--colour", colours.categories[at]));
    const g = context(canvas, width, high);
    g.translate(0, -scroll.scrollTop);
    const ends = [width / 2 - half, width / 2 + half];
    const pick = chosen();
    if (!pick || view.pinned === null) paintAll(g, ends, pick ? 0.16 : 0.5);
    if (pick) paintChosen(g, ends, pick);
    markWords(pick);
    say(pick);
  }

  function paintAll(g, ends, strength) {
    const [first, last] = [scroll.scrollTop / row - 1, (scroll.scrollTop + TALLEST * scale) / row + 1];
    g.lineWidth = 1;
    for (const head of active()) {
      g.strokeStyle = colourOf(head, colours.roles.soft);
      for (let query = 0; query < counts[0]; query++)
        for (let key = 0; key < counts[1]; key++) {
          if (Math.max(query, key) < first || Math.min(query, key) > last) continue;
          const w = weight(head, query, key);
          if (w < header.faintest) continue;
          g.globalAlpha = Math.min(1, w * 1.6 + 0.03) * strength;
          line(g, ends, query, key);
        }
    }
    g.globalAlpha = 1;
  }

  function paintChosen(g, ends, { side, position }) {
    const other = side === "query" ? counts[1] : counts[0];
    for (const head of active()) {
      g.strokeStyle = colourOf(head, colours.roles[side]);
      for (let at = 0; at < other; at++) {
        const [query, key] = side === "query" ? [position, at] : [at, position];
        const w = weight(head, query, key);
        if (w <= 0) continue;
        g.globalAlpha = Math.min(1, Math.sqrt(w) * 1.25);
        g.lineWidth = 0.6 + 2.6 * Math.sqrt(w);
        line(g, ends, query, key, (head - (header.names.length - 1) / 2) * 2);
      }
    }
    g.globalAlpha = 1;
  }

  const colourOf = (head, single) => (header.names.length > 1 ? colours.categories[head] : single);

  function line(g, [from, to], query, key, shift = 0) {
    const [y1, y2] = [(query + 0.5) * row + shift, (key + 0.5) * row + shift];
    const bend = (to - from) * 0.45;
    g.beginPath();
    g.moveTo(from, y1);
    g.bezierCurveTo(from + bend, y1, to - bend, y2, to, y2);
    g.stroke();
  }

  /* The words at the other end get their weight, in type as well as in line. */
  function markWords(pick) {
    words.forEach((side, which) => {
      const role = header.roles[which];
      side.forEach((word, position) => {
        const label = header.sides[which].labels[position];
        const self = pick?.side === role && pick.position === position;
        const pinned = view.pinned?.side === role && view.pinned.position === position;
        word.setAttribute("aria-pressed", pinned);
        const w = pick && pick.side !== role ? strongest(pick, position) : null;
        word.classList.toggle("asks", role === "query" && (self || w >= 0.1));
        word.classList.toggle("answers", role === "key" && (self || w >= 0.1));
        word.classList.toggle("masked", w === MASKED);
        word.replaceChildren(label);
        if (w !== null && w !== MASKED && w >= header.faintest) word.append(element("small", "", unbroken(percent(w))));
      });
    });
  }

  /* The largest weight of the shown heads between the chosen word and one at the other side; MASKED where none may look. */
  function strongest({ side, position }, at) {
    const [query, key] = side === "query" ? [position, at] : [at, position];
    const heads = active();
    if (heads.length && heads.every((head) => raw(head, query, key) === MASKED)) return MASKED;
    return Math.max(0, ...heads.map((head) => weight(head, query, key)));
  }

  function say(pick) {
    said.replaceChildren();
    if (!now) return said.append(element("span", "note", filled(header.words.waiting, { head: names[0] })));
    if (!pick) {
      said.append(element("span", "note", unbroken(header.note)));
      return;
    }
    active().slice(0, 3).forEach((head, i) => said.append(...(i ? [element("br")] : []), ...reading(pick, head)));
  }

  function reading({ side, position }, head) {
    const [here, there] = side === "query" ? [0, 1] : [1, 0];
    const weightAt = (at) => (side === "query" ? weight(head, position, at) : weight(head, at, position));
    const ends = header.sides[there].labels.map((_, at) => [at, weightAt(at)]).filter(([, w]) => w >= header.faintest);
    const top = ends.sort(([, a], [, b]) => b - a).slice(0, 4);
    const others = top.flatMap(([at, w], i) => {
      const word = wordSpan(header.roles[there], nameOf(there, at, position));
      return [i ? ", " : "", word, ` ${unbroken(percent(w))}`];
    });
    return sentence(header.says[side], {
      word: wordSpan(side, `${header.sides[here].labels[position]} (${counted(here, position)})`),
      head: names[head],
      others: top.length ? others : unbroken(header.nothing),
    });
  }

  function counted(which, at) {
    return header.sides[which].positions?.[at] ?? at;
  }

  function nameOf(which, at, position) {
    return header.same && at === position ? header.words.itself : `${header.sides[which].labels[at]} (${counted(which, at)})`;
  }

  /* --- pointing and choosing --- */

  const wordOf = (event) => {
    const word = event.target.closest?.(".word");
    return word ? { side: word.dataset.side, position: Number(word.dataset.position) } : null;
  };
  const same = (a, b) => a?.side === b?.side && a?.position === b?.position;

  function hover(pick) {
    if (same(pick, hovered)) return;
    hovered = pick;
    picture.paint();
  }

  function pin(pick) {
    view.pinned = same(pick, view.pinned) ? null : pick;
    hovered = view.pinned;
    picture.paint();
    if (header.of && view.pinned?.side === "query") openHead.follow(view.pinned.position);
    callbacks.pin?.(view.pinned);
  }

  function focusWord(which, position) {
    const side = words[which];
    const word = side[Math.max(0, Math.min(side.length - 1, position))];
    for (const each of side) each.tabIndex = each === word ? 0 : -1;
    word.focus();
  }

  follow(scroll, wordOf, hover, false);
  scroll.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && hover(wordOf(event)));
  scroll.addEventListener("focusout", () => hover(null));
  scroll.addEventListener("scroll", () => picture.paint());
  scroll.addEventListener("click", (event) => wordOf(event) && pin(wordOf(event)));
  steer(scroll, (key, event) => {
    const pick = wordOf(event);
    if (!pick) return false;
    const which = header.roles.indexOf(pick.side);
    const ends = { Home: [0, which], End: [counts[which] - 1, which] };
    const to = ends[key] ?? moved(key, [pick.position, which], [Infinity, 2]);
    if (to) focusWord(to[1], to[0]);
    else if (key === "Escape" && view.pinned) pin(view.pinned);
    else return false;
    return true;
  });

  /* A long sentence scrolls inside itself: begin where the chosen word is, and go along when the page chooses another. */
  function reveal() {
    const top = view.pinned ? (view.pinned.position + 0.5) * row : 0;
    const seen = top > scroll.scrollTop && top < scroll.scrollTop + scroll.clientHeight;
    if (!seen) scroll.scrollTop = Math.max(0, top - scroll.clientHeight / 2);
  }

  function listen() {
    if (openHead.row !== null) view.pinned = { side: "query", position: openHead.row };
    picture.paint();
    if (openHead.row !== null) reveal();
  }
  const deaf = header.of ? openHead.listen(listen) : () => {};
  return picture.live({
    paint,
    update(next) {
      Object.assign(view, next);
      picture.paint();
      reveal();
    },
    leave: deaf,
  });
}

export default inApp(draw, (tell) => ({
  pin: (pinned) => tell("pinned", pinned ?? { side: null, position: null }),
}));
