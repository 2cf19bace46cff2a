/* Writing on, as a film: the text with one written word lit, the words it looked at, its best guesses, whom it looked at
   by part. Play, the handle, arrow keys and a click on a word go through it; the server hears where it rests. */
export default function ({ data, parentElement, setTriggerValue }) {
  const { id, tokens, frame, first, rows, steps, says } = data;
  const old = parentElement.headlightFilm;
  const same = old?.id === id;
  const state = { id, step: data.step, playing: false, told: [] };
  if (same) {
    Object.assign(state, { told: old.told, playing: old.playing });
    if (old.told.includes(data.step) || old.playing) state.step = Math.min(old.step, steps.length);
  }
  old?.stop();
  parentElement.headlightFilm = state;
  const focused = parentElement.querySelector?.(":focus")?.dataset.id ?? parentElement.activeElement?.dataset.id;
  const weights = cells(rows);

  const back = button("back", "go", says.before, () => goTo(state.step - 1), "‹");
  const play = button("play", "go", says.play, () => (state.playing ? pause() : begin()), "▶");
  play.classList.add("play");
  const on = button("on", "go", says.next, () => goTo(state.step + 1), "›");
  const slider = make("input", "");
  Object.assign(slider, { type: "range", min: 1, max: steps.length, step: 1 });
  slider.dataset.id = "slider";
  slider.setAttribute("aria-label", says.slider);
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  const where = make("span", "where");
  where.setAttribute("role", "status");
  const ways = make("div", "ways", back, play, on, slider, where);

  const chips = tokens.map((token, i) => {
    const kind = `chip${frame.includes(i) ? " frame" : ""}`;
    if (i < first) return nameAloud(make("span", kind, token), token);
    return button(`word-${i}`, kind, says.word.replace("{word}", () => token), () => goTo(i - first + 1), token);
  });
  const text = make("div", "text", ...chips);
  const reads = make("p", "reads");
  const guesses = make("div", "guesses");
  const parts = make("div", "parts");
  const film = make("div", "film", ways, text, reads, make("div", "two", guesses, parts));
  film.setAttribute("role", "group");
  film.setAttribute("aria-label", says.group);
  film.addEventListener("keydown", pressed);
  parentElement.replaceChildren(make("style", "", STYLE), film);

  function goTo(step, byFilm = false) {
    if (!byFilm) pause(false);
    state.step = Math.max(1, Math.min(steps.length, step));
    show();
    if (!byFilm) tell();
  }
  function begin() {
    if (state.step === steps.length) state.step = 0;
    state.playing = true;
    advance();
    state.timer = setInterval(advance, 900);
  }
  function advance() {
    goTo(state.step + 1, true);
    if (state.step === steps.length) pause();
  }
  function pause(tells = true) {
    if (!state.playing) return;
    state.playing = false;
    clearInterval(state.timer);
    show();
    if (tells) tell();
  }
  function tell() {
    clearTimeout(state.waiting);
    state.waiting = setTimeout(() => {
      state.told = [...state.told.slice(-20), state.step];
      setTriggerValue("went", { step: state.step });
    }, 250);
  }
  state.stop = () => {
    clearInterval(state.timer);
    clearTimeout(state.waiting);
  };

  function pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const to = { ArrowLeft: state.step - 1, ArrowRight: state.step + 1, Home: 1, End: steps.length }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    goTo(to);
  }

  function show() {
    const step = steps[state.step - 1];
    const at = first + state.step - 1;
    const row = weights.subarray((state.step - 1) * tokens.length, state.step * tokens.length);
    chips.forEach((chip, i) => {
      chip.classList.toggle("now", i === at);
      chip.classList.toggle("asks", i === at - 1);
      chip.classList.toggle("later", i > at);
      const weight = i < at ? row[i] / 65535 : 0;
      chip.style.setProperty("--w", `${Math.round(80 * Math.sqrt(weight))}%`);
      if (i < at) chip.title = percent(weight);
      if (i >= first) chip.setAttribute("aria-current", i === at ? "step" : "false");
    });
    const top = chips[at].offsetTop;
    if (top < text.scrollTop || top + chips[at].offsetHeight > text.scrollTop + text.clientHeight) text.scrollTop = top - text.clientHeight / 2;
    Object.assign(slider, { value: state.step });
    where.textContent = says.where.replace("{n}", state.step).replace("{all}", steps.length);
    slider.setAttribute("aria-valuetext", spoken(`${where.textContent}: ${tokens[at]}`));
    play.textContent = state.playing ? "❚❚" : "▶";
    play.title = state.playing ? says.pause : says.play;
    play.setAttribute("aria-label", play.title);
    back.setAttribute("aria-disabled", state.step === 1);
    on.setAttribute("aria-disabled", state.step === steps.length);
    reads.replaceChildren(...step.reads.map(([said, role]) => (role ? nameAloud(make("b", role, said), said) : said)));
    guesses.replaceChildren(make("h3", "", says.guesses), ...step.guesses.map(guess));
    parts.replaceChildren(make("h3", "", says.parts), stacked(step.parts), make("p", "soft", step.lookback));
  }
  function guess({ word, share, says: said, why }) {
    const bar = make("i", why ? "chosen" : "");
    bar.style.width = `${100 * share}%`;
    return make("div", `guess${why ? " chosen" : ""}`, nameAloud(make("span", "name", word), word), make("span", "bar", bar), make("span", "share", said), make("span", "why", why));
  }
  function stacked(shares) {
    const names = ["frame", "prompt", "own"];
    const bar = make("div", "stack");
    const legend = make("div", "legend");
    shares.forEach(([share, said], i) => {
      if (names[i] === "frame" && !frame.some((at) => at < first)) return;
      const piece = make("i", names[i]);
      piece.style.width = `${100 * share}%`;
      bar.append(piece);
      legend.append(make("span", "", make("i", names[i]), `${says[names[i]]} ${said}`));
    });
    return make("div", "", bar, legend);
  }

  show();
  if (state.playing) state.timer = setInterval(advance, 900);
  if (focused) parentElement.querySelector(`[data-id="${focused}"]`)?.focus({ preventScroll: true });
  return state.stop;
}

/* Two bytes a cell, little-endian, [written word, token]. */
function cells(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true));
}

const STYLE = `
.film { display: grid; gap: calc(10 * var(--hl-px, 1px)); font: calc(14 * var(--hl-px, 1px))/1.5 var(--st-font, sans-serif); color: var(--hl-ink); }
.ways { display: flex; gap: calc(6 * var(--hl-px, 1px)); align-items: center; }
button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; border-radius: calc(7 * var(--hl-px, 1px)); }
button:focus-visible, input:focus-visible { outline: 2px solid var(--hl-amber); outline-offset: 1px; }
.go { width: calc(38 * var(--hl-px, 1px)); height: calc(38 * var(--hl-px, 1px)); flex: none; font-size: calc(18 * var(--hl-px, 1px)); line-height: 1; border: 1px solid var(--hl-line); background: var(--hl-card); }
.play { font-size: calc(13 * var(--hl-px, 1px)); color: var(--hl-amber); }
.go[aria-disabled=true] { opacity: 0.35; cursor: default; }
input { flex: 1; min-width: 60px; accent-color: var(--hl-amber); }
.where { color: var(--hl-soft); white-space: nowrap; font-variant-numeric: tabular-nums; min-width: 8.5em; text-align: right; }
.text { position: relative; display: flex; flex-wrap: wrap; gap: 2px; max-height: calc(190 * var(--hl-px, 1px)); overflow-y: auto; padding: 2px; }
.chip { --w: 0%; font: calc(13.5 * var(--hl-px, 1px))/1.5 var(--hl-mono); padding: 1px calc(5 * var(--hl-px, 1px)); border-radius: calc(6 * var(--hl-px, 1px)); white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; background: color-mix(in srgb, var(--hl-key) var(--w), transparent); }
.chip.frame { color: var(--hl-soft); }
.chip.later { color: var(--hl-soft); opacity: 0.65; }
.chip.asks { box-shadow: inset 0 0 0 1.5px color-mix(in srgb, var(--hl-query) 65%, transparent); }
.chip.now { background: var(--hl-amber-bg); color: var(--hl-amber); font-weight: 700; }
.reads { margin: 0; min-height: 1.5em; }
.reads b { font: 600 calc(13.5 * var(--hl-px, 1px))/1.5 var(--hl-mono); unicode-bidi: isolate; }
.query { color: var(--hl-query); } .key { color: var(--hl-key); }
.two { display: grid; grid-template-columns: 3fr 2fr; gap: calc(10 * var(--hl-px, 1px)) calc(32 * var(--hl-px, 1px)); align-items: start; }
h3 { font: 600 calc(13 * var(--hl-px, 1px))/1.5 var(--st-font, sans-serif); color: var(--hl-soft); margin: 0 0 calc(4 * var(--hl-px, 1px)); }
.guesses { min-height: calc(165 * var(--hl-px, 1px)); }
.guess { display: grid; grid-template-columns: 9em 1fr 4.5em 7em; gap: calc(8 * var(--hl-px, 1px)); align-items: center; line-height: 1.65; }
.guess .name { font: calc(13.5 * var(--hl-px, 1px))/1.6 var(--hl-mono); overflow: hidden; text-overflow: ellipsis; white-space: pre; unicode-bidi: isolate; }
.guess.chosen .name { color: var(--hl-amber); font-weight: 700; }
.bar { height: calc(9 * var(--hl-px, 1px)); background: color-mix(in srgb, var(--hl-ink) 7%, transparent); border-radius: 3px; }
.bar i { display: block; height: 100%; min-width: 1px; border-radius: 3px; background: color-mix(in srgb, var(--hl-ink) 45%, transparent); }
.bar i.chosen { background: var(--hl-amber); }
.share { text-align: right; font-variant-numeric: tabular-nums; }
.why, .soft { color: var(--hl-soft); font-size: calc(13 * var(--hl-px, 1px)); }
.soft { margin: calc(8 * var(--hl-px, 1px)) 0 0; }
.stack { display: flex; height: calc(18 * var(--hl-px, 1px)); border-radius: 4px; overflow: hidden; background: color-mix(in srgb, var(--hl-ink) 7%, transparent); }
.stack i, .legend i { display: block; }
i.frame { background: color-mix(in srgb, var(--hl-ink) 40%, transparent); } i.prompt { background: var(--hl-key); } i.own { background: var(--hl-amber); }
.legend { display: flex; flex-wrap: wrap; gap: 2px calc(14 * var(--hl-px, 1px)); margin-top: calc(5 * var(--hl-px, 1px)); }
.legend span { display: inline-flex; gap: calc(6 * var(--hl-px, 1px)); align-items: center; }
.legend i { width: calc(10 * var(--hl-px, 1px)); height: calc(10 * var(--hl-px, 1px)); border-radius: 3px; }
@media (max-width: 700px) {
  .two { grid-template-columns: 1fr; }
  .ways { flex-wrap: wrap; } .where { min-width: 0; } input { order: 5; flex: 1 0 100%; height: calc(28 * var(--hl-px, 1px)); } .where { margin-left: auto; }
  .guess { grid-template-columns: 7em 1fr 3.6em; } .why { grid-column: 1 / -1; margin-top: -4px; } .why:empty { display: none; }
  .go { width: calc(44 * var(--hl-px, 1px)); height: calc(44 * var(--hl-px, 1px)); }
}
`;
