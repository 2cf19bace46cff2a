/* The strip of Step by step: the sentence with its followed word, the head, and the map of the eight steps, one lit.
   A click, an arrow key or a swipe leads to another step; where all steps are on one page it leads down to it. */
export default function ({ data, parentElement, setTriggerValue }) {
  const { words, head, steps, step, all, says } = data;
  const last = steps.length;
  const focused = parentElement.querySelector?.(":focus")?.dataset.id ?? parentElement.activeElement?.dataset.id;
  parentElement.headlight?.();


  function goTo(to) {
    if (to < 1 || to > last) return;
    if (all) document.getElementById(`step-${to}`)?.scrollIntoView({ block: "start" });
    else if (to !== step) setTriggerValue("went", { step: to });
  }

  const sentence = make("div", "words", ...words.map(word));
  sentence.setAttribute("role", "group");
  sentence.setAttribute("aria-label", says.sentence);
  function word({ at, text, special, role }) {
    const node = button(`word-${at}`, `${role}${special ? " special" : ""}`, says.follow.replace("{word}", () => text), () => setTriggerValue("followed", { word: at }), text);
    node.setAttribute("aria-pressed", role === "query");
    return node;
  }

  const parts = steps.map(({ name, short }, i) => {
    const node = button(`step-${i + 1}`, "part", says.part.replace("{number}", i + 1).replace("{name}", name), () => goTo(i + 1), make("i", "", `${i + 1}`), make("span", "long", name), make("span", "short", short));
    if (i + 1 === step && !all) node.setAttribute("aria-current", "step");
    return node;
  });
  const branch = make("div", "branch");
  branch.title = says.branch;
  const map = make("nav", "map", ...parts, branch);
  map.setAttribute("aria-label", says.map);

  const back = button("back", "go", says.before, () => goTo(step - 1), "‹");
  const on = button("on", "go", says.next, () => goTo(step + 1), "›");
  back.setAttribute("aria-disabled", all || step === 1);
  on.setAttribute("aria-disabled", all || step === last);
  const where = make("p", "where", all ? says.all : says.where.replace("{name}", steps[step - 1].name));

  const strip = make("div", "strip", make("div", "top", sentence, make("span", "head", head)), make("div", "way", back, map, on), where);
  parentElement.replaceChildren(make("style", "", STYLE), strip);
  if (focused) parentElement.querySelector(`[data-id="${focused}"]`)?.focus({ preventScroll: true });
  const followed = sentence.querySelector(".query");
  if (followed) sentence.scrollLeft = followed.offsetLeft - sentence.clientWidth / 2 + followed.offsetWidth / 2;
  showTop();

  /* Another step begins at its top, wherever the last one was left. */
  function showTop() {
    const before = globalThis.headlightStep;
    globalThis.headlightStep = step;
    const main = document.querySelector("[data-testid=stMain]");
    const above = document.querySelector(".st-key-step_choose");
    if (all || before === undefined || before === step || !main || !above) return;
    const top = above.getBoundingClientRect().bottom - main.getBoundingClientRect().top + main.scrollTop;
    if (main.scrollTop > top) main.scrollTo({ top });
  }

  const TAKEN = "input, textarea, select, [contenteditable], canvas, [role=application], [role=grid], [role=slider], [role=combobox], [role=listbox], [role=radiogroup], [role=dialog]";
  const isTaken = (event) => event.composedPath().some((node) => node.matches?.(TAKEN));
  const scrollsSideways = (node) => node.scrollWidth > node.clientWidth + 4 && ["auto", "scroll"].includes(getComputedStyle(node).overflowX);

  function pressed(event) {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || all || isTaken(event)) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    goTo(step + by);
  }

  let start = null;
  function touched(event) {
    const aside = event.touches.length > 1 || isTaken(event) || event.composedPath().some((node) => node instanceof Element && node !== document.documentElement && node !== document.body && scrollsSideways(node));
    const { clientX, clientY } = event.touches[0];
    start = aside || all ? null : { x: clientX, y: clientY, at: event.timeStamp };
  }
  function lifted(event) {
    if (!start) return;
    const { clientX, clientY } = event.changedTouches[0];
    const [across, down, took] = [clientX - start.x, clientY - start.y, event.timeStamp - start.at];
    start = null;
    if (Math.abs(across) > 60 && Math.abs(across) > 2 * Math.abs(down) && took < 700) goTo(step + (across < 0 ? 1 : -1));
  }

  document.addEventListener("keydown", pressed);
  document.addEventListener("touchstart", touched, { passive: true });
  document.addEventListener("touchend", lifted, { passive: true });
  parentElement.headlight = () => {
    document.removeEventListener("keydown", pressed);
    document.removeEventListener("touchstart", touched);
    document.removeEventListener("touchend", lifted);
  };
  return parentElement.headlight;
}

const STYLE = `
.strip { display: grid; gap: 3px; padding: calc(7 * var(--hl-px, 1px)) 0 calc(6 * var(--hl-px, 1px)); font: calc(13 * var(--hl-px, 1px))/1.4 var(--st-font, sans-serif); color: var(--hl-ink); }
.top { display: flex; gap: calc(12 * var(--hl-px, 1px)); align-items: baseline; min-width: 0; }
.words { display: flex; gap: 1px; min-width: 0; overflow-x: auto; scrollbar-width: none; position: relative; }
.words::-webkit-scrollbar { display: none; }
button { font: inherit; color: inherit; background: none; border: 0; cursor: pointer; border-radius: calc(7 * var(--hl-px, 1px)); padding: 0; }
button:focus-visible { outline: 2px solid var(--hl-amber); outline-offset: -2px; }
.words button { font: calc(13.5 * var(--hl-px, 1px))/1.4 var(--hl-mono); padding: 3px calc(6 * var(--hl-px, 1px)); white-space: pre; flex: none; unicode-bidi: isolate; }
.words button:hover { background: color-mix(in srgb, var(--hl-query) 12%, transparent); }
.words .special { color: var(--hl-soft); }
.words .query { color: var(--hl-query); font-weight: 600; box-shadow: inset 0 0 0 1.5px color-mix(in srgb, var(--hl-query) 60%, transparent); }
.words .key { color: var(--hl-key); font-weight: 600; }
.head { margin-left: auto; white-space: nowrap; color: var(--hl-soft); }
.way { display: flex; gap: 4px; align-items: start; }
.go { width: calc(34 * var(--hl-px, 1px)); height: calc(34 * var(--hl-px, 1px)); flex: none; font-size: calc(20 * var(--hl-px, 1px)); line-height: 1; border: 1px solid var(--hl-line); background: var(--hl-card); }
.go[aria-disabled=true] { opacity: 0.35; cursor: default; }
.map { position: relative; flex: 1; min-width: 0; display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); column-gap: 1.4em; padding-bottom: calc(8 * var(--hl-px, 1px)); }
.part { position: relative; display: flex; gap: calc(6 * var(--hl-px, 1px)); align-items: center; justify-content: center; min-height: calc(34 * var(--hl-px, 1px)); color: var(--hl-soft); white-space: nowrap; min-width: 0; }
.part i { font: 600 calc(12 * var(--hl-px, 1px))/1 var(--hl-mono); }
.part .short { display: none; }
.part:not(:nth-child(8))::after { content: "→"; position: absolute; left: 100%; width: 1.4em; text-align: center; color: var(--hl-soft); opacity: 0.7; pointer-events: none; }
.part:hover { color: var(--hl-ink); }
.part[aria-current] { color: var(--hl-amber); background: var(--hl-amber-bg); font-weight: 650; }
.branch { position: absolute; bottom: 2px; left: 6.25%; right: 18.75%; height: calc(5 * var(--hl-px, 1px)); border: 1px solid var(--hl-soft); border-top: 0; border-radius: 0 0 calc(6 * var(--hl-px, 1px)) calc(6 * var(--hl-px, 1px)); opacity: 0.55; }
.where { display: none; margin: 0; color: var(--hl-soft); text-align: center; }
@media (max-width: 1000px) {
  .part { flex-direction: column; gap: 1px; } .part .long { display: none; } .part .short { display: inline; font-size: calc(12 * var(--hl-px, 1px)); }
  .part i { font-size: calc(10.5 * var(--hl-px, 1px)); } .part::after { top: calc(12 * var(--hl-px, 1px)); }
}
@media (max-width: 560px) {
  .way { gap: 2px; } .map { column-gap: 0; } .go { width: calc(32 * var(--hl-px, 1px)); } .part .short { font-size: calc(10.5 * var(--hl-px, 1px)); letter-spacing: -0.02em; }
  .part::after { display: none; } .where { display: block; font-size: calc(12.5 * var(--hl-px, 1px)); line-height: 1.2; }
}
`;
