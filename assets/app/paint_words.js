/* A sentence whose words are painted by tapping them, by Enter and by Space; arrow keys go from word to word. When the
   head is uncovered, a bar under each word is its weight. What a tap paints is seen at once, and told with all the rest. */
export default function ({ data, parentElement, setTriggerValue }) {
  const { words, most, open, says } = data;
  const drawn = JSON.stringify([words, most, open, says]);
  if (parentElement.headlightDrawn === drawn) return parentElement.headlightTake(data.painted);
  parentElement.headlightDrawn = drawn;
  const focused = parentElement.querySelector(":focus")?.dataset.at;
  let painted = new Set();

  const said = (sentence, word, share = "") => sentence.replace(/\{(word|share)\}/g, (_, slot) => (slot === "word" ? word : share));

  const list = make("div", "words");
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", says.group);
  const status = make("p", "status");
  status.setAttribute("role", "status");
  const nodes = words.map(makeWord);
  list.append(...nodes);
  parentElement.replaceChildren(make("style", "", STYLE), list, status);
  parentElement.headlightTake = take;
  take(data.painted);
  if (focused !== undefined) list.querySelector(`[data-at="${focused}"]`)?.focus({ preventScroll: true });

  /** The page's own answer: the words stay the nodes that they are, so that a tap begun before it ends on the same one. */
  function take(answered) {
    if (parentElement.headlightTold === answered.join("_") || !open) parentElement.headlightTold = undefined; // the page has caught up
    painted = new Set(parentElement.headlightTold === undefined ? answered : parentElement.headlightTold.split("_").filter(Boolean).map(Number));
    mark();
  }

  function makeWord(word, at) {
    const text = make("span", "text", word.text);
    const node = make("button", `word${word.special ? " special" : ""}${word.asks ? " asks" : ""}${word.masked ? " masked" : ""}`, text);
    node.type = "button";
    node.dataset.at = at;
    if (word.asks) node.append(make("small", "role", says.asks));
    if (word.bar !== null) node.append(make("span", "track", bar(word.bar)), make("small", "share", word.share));
    if (word.count !== null) node.append(make("small", "count", word.count));
    node.setAttribute("aria-disabled", !open || word.masked);
    node.addEventListener("click", () => paint(at));
    return node;
  }

  function bar(share) {
    const full = make("i", "");
    full.style.width = `${100 * share}%`;
    return full;
  }

  function paint(at) {
    if (!open || words[at].masked) return;
    status.textContent = "";
    if (painted.has(at)) painted.delete(at);
    else if (painted.size < most) painted.add(at);
    else {
      status.textContent = says.full;
      return;
    }
    const now = [...painted].sort((one, other) => one - other).join("_");
    parentElement.headlightTold = now;
    mark();
    setTriggerValue("painted", now);
  }

  function mark() {
    nodes.forEach((node, at) => {
      const word = words[at];
      const on = painted.has(at);
      node.classList.toggle("on", on);
      node.setAttribute("aria-pressed", on);
      const name = word.masked ? said(says.masked, word.text) : open ? said(on ? says.wipe : says.paint, word.text) : word.share === null ? word.text : said(says.told, word.text, word.share);
      const whole = [name, on && !open ? says.painted : "", word.said ?? ""].filter(Boolean).join(", ");
      node.setAttribute("aria-label", spoken(whole));
      node.title = whole;
    });
  }

  list.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const at = nodes.indexOf(parentElement.querySelector(":focus"));
    if (!by || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    nodes[(at + by + nodes.length) % nodes.length].focus();
  };
}

const STYLE = `
.words { display: flex; flex-wrap: wrap; gap: calc(8 * var(--hl-px, 1px)); font: calc(16 * var(--hl-px, 1px))/1.3 var(--hl-mono); color: var(--hl-ink); }
.word { font: inherit; color: inherit; background: var(--hl-card); border: 2px solid var(--hl-line); border-radius: calc(10 * var(--hl-px, 1px)); cursor: pointer; position: relative;
  min-width: calc(52 * var(--hl-px, 1px)); max-width: 100%; min-height: calc(48 * var(--hl-px, 1px)); padding: calc(8 * var(--hl-px, 1px)) calc(12 * var(--hl-px, 1px)); touch-action: manipulation;
  display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 2px; unicode-bidi: isolate; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 100%; }
.word:focus-visible { outline: 3px solid var(--hl-amber); outline-offset: 2px; }
.word:hover:not([aria-disabled=true]) { border-color: var(--hl-key); }
.special { color: var(--hl-soft); }
.asks { color: var(--hl-query); }
.on { border-color: var(--hl-key); background: color-mix(in srgb, var(--hl-key) 16%, var(--hl-card)); }
.on .text::before { content: "✓ "; color: var(--hl-key); font-weight: 700; }
.word[aria-disabled=true] { cursor: default; }
.masked { border-style: dashed; color: var(--hl-soft); background: repeating-linear-gradient(135deg, transparent 0 5px, color-mix(in srgb, var(--hl-soft) 18%, transparent) 5px 6px); }
small { font: calc(12.5 * var(--hl-px, 1px))/1.25 var(--st-font, sans-serif); color: var(--hl-soft); }
.asks .role { color: var(--hl-query); }
.track { display: block; width: 100%; min-width: calc(48 * var(--hl-px, 1px)); height: calc(7 * var(--hl-px, 1px)); border-radius: 4px; background: color-mix(in srgb, var(--hl-line) 60%, transparent); overflow: hidden; }
.track i { display: block; height: 100%; background: light-dark(#5c5a93, #d2aa5c); }
.share { font-variant-numeric: tabular-nums; color: var(--hl-ink); }
.count { font-weight: 650; color: var(--hl-key); }
.status { margin: calc(6 * var(--hl-px, 1px)) 0 0; min-height: 1.4em; font: calc(13.5 * var(--hl-px, 1px))/1.4 var(--st-font, sans-serif); color: var(--hl-amber); }
.status:empty { margin: 0; min-height: 0; }
@media print { .track, .track i { print-color-adjust: exact; } }
`;
