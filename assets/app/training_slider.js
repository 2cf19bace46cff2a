/* The steps of a training: a slider, the step before and after, and Play, which goes to the end. Arrow keys move on. */
export default function ({ data, parentElement, setTriggerValue }) {
  const { steps, says, change } = data;
  const last = steps.length - 1;
  const kept = parentElement.headlight; // what stays while the page follows: where the visitor is, and whether it plays
  const state = kept ?? { at: data.at, told: null, timer: 0 };
  if (state.told === null || state.told === data.at) Object.assign(state, { at: data.at, told: null });
  parentElement.headlight = state;
  if (!kept) build();
  show();

  function build() {
    state.play = button("play", "play", says.play, () => (state.timer ? pause() : play()), says.play);
    state.back = button("back", "go", says.back, () => by(-1), "‹");
    state.on = button("on", "go", says.on, () => by(1), "›");
    state.range = Object.assign(make("input", "range"), { type: "range", min: 0, max: last, step: 1 });
    state.range.setAttribute("aria-label", says.slider);
    state.range.addEventListener("input", () => by(Number(state.range.value) - state.at));
    state.ticks = steps.map((step, i) => make("span", change.includes(i) ? "change" : "", step));
    const ticks = make("div", "ticks", ...state.ticks);
    ticks.setAttribute("aria-hidden", "true");
    state.where = make("output", "where");
    const way = make("div", "way", state.play, state.back, state.on, state.where);
    parentElement.replaceChildren(make("style", ""), make("div", "bar", way, make("div", "track", state.range, ticks)));
    parentElement.querySelector("style").textContent = STYLE;
    document.addEventListener("keydown", pressed);
    state.end = () => { pause(); document.removeEventListener("keydown", pressed); };
  }

  function show() {
    state.range.value = state.at;
    const said = says.after.replace("{steps}", () => steps[state.at]);
    state.range.setAttribute("aria-valuetext", said);
    state.where.textContent = said;
    state.back.setAttribute("aria-disabled", state.at === 0);
    state.on.setAttribute("aria-disabled", state.at === last);
    state.ticks.forEach((tick, i) => tick.classList.toggle("here", i === state.at));
    const name = state.timer ? says.pause : says.play;
    state.play.textContent = name;
    state.play.setAttribute("aria-label", name);
  }

  function goTo(at) {
    if (at < 0 || at > last || at === state.at) return;
    Object.assign(state, { at, told: at });
    show();
    state.tell({ at });
  }

  function by(step) {
    pause();
    goTo(state.at + step);
  }

  function play() {
    if (state.at === last) goTo(0);
    state.timer = setInterval(() => { goTo(state.at + 1); if (state.at === last) pause(); }, 1300);
    show();
  }

  function pause() {
    clearInterval(state.timer);
    state.timer = 0;
    show();
  }

  function pressed(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const own = event.composedPath().some((node) => node.matches?.("input, textarea, select, canvas, [role=application], [role=grid], [role=combobox], [role=listbox], [role=dialog], [contenteditable]"));
    if (!move || own || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
    event.preventDefault();
    by(move);
  }

  state.tell = (said) => setTriggerValue("went", said);
  return () => { state.end(); parentElement.headlight = undefined; };
}

const STYLE = `
.bar { font: calc(13 * var(--hl-px, 1px))/1.4 var(--st-font, sans-serif); color: var(--hl-ink); display: grid; gap: calc(8 * var(--hl-px, 1px)); }
.way { display: flex; gap: calc(8 * var(--hl-px, 1px)); align-items: center; }
button { font: inherit; color: inherit; border: 1px solid var(--hl-line); background: var(--hl-card); border-radius: calc(8 * var(--hl-px, 1px)); cursor: pointer; min-height: calc(36 * var(--hl-px, 1px)); min-width: calc(36 * var(--hl-px, 1px)); }
button:focus-visible, .range:focus-visible { outline: 2px solid var(--hl-amber); outline-offset: 2px; }
button[aria-disabled=true] { opacity: 0.4; cursor: default; }
.play { padding: 0 calc(16 * var(--hl-px, 1px)); font-weight: 600; color: var(--st-background-color); background: var(--st-primary-color); border-color: var(--st-primary-color); }
.where { margin-left: auto; font-weight: 600; font-variant-numeric: tabular-nums; }
.range { width: 100%; margin: 0; accent-color: var(--hl-amber); height: calc(28 * var(--hl-px, 1px)); }
.ticks { display: flex; justify-content: space-between; color: var(--hl-soft); font-size: calc(12 * var(--hl-px, 1px)); font-variant-numeric: tabular-nums; }
.ticks span { width: 0; display: flex; justify-content: center; white-space: nowrap; }
.ticks span:first-child { justify-content: flex-start; } .ticks span:last-child { justify-content: flex-end; }
.ticks .change { color: var(--hl-amber); font-weight: 650; } .ticks .here { color: var(--hl-ink); font-weight: 650; }
@media (max-width: 700px) {
  .ticks span:not(.change):not(:first-child):not(:last-child) { visibility: hidden; }
  .ticks .change { font-size: 0; } .ticks .change::after { content: "▴"; font-size: calc(14 * var(--hl-px, 1px)); }
}
`;
