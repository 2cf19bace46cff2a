/* A recording and its transcript on one axis of time: waveform, log-mel, cross-attention, a row a token. The chosen word
   lights up where it was said. A click or Enter on a word plays it; arrow keys go from word to word. */
export default function ({ data, parentElement, setTriggerValue }) {
  const { seconds, rate, words, tokens, bands, says } = data;
  const wave = new Int8Array(bytes(data.wave).buffer);
  const mel = bytes(data.mel);
  const rows = bytes(data.rows);
  const frames = mel.length / bands;
  const columns = rows.length / tokens.length;
  const old = parentElement.headlightRecording;
  old?.stop();
  const state = { chosen: data.chosen, at: null, playing: null };
  if (old && old.told.includes(data.chosen) && old.count === words.length) state.chosen = old.chosen;
  const told = old?.told ?? [];
  const focused = parentElement.querySelector?.(":focus")?.dataset.id ?? parentElement.activeElement?.dataset.id;

  const all = make("button", "all");
  Object.assign(all, { type: "button" });
  all.dataset.id = "all";
  all.addEventListener("click", () => (state.playing === "all" ? silence() : hear("all", 0, seconds)));
  const chips = words.map(({ label, begins, ends }, i) => {
    const name = says.word.replace("{word}", () => label).replace("{begins}", begins.toFixed(2)).replace("{ends}", ends.toFixed(2));
    const tell = () => {
      choose(i);
      hear(i, begins, Math.max(ends, begins + 0.1));
    };
    return button(`word-${i}`, "chip", name, tell, label);
  });
  const line = make("div", "words", all, ...chips);
  line.setAttribute("role", "group");
  line.setAttribute("aria-label", says.words);
  line.addEventListener("keydown", pressed);
  const canvas = make("canvas", "");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", says.picture);
  const box = make("div", "box", canvas);
  const when = make("p", "when");
  when.setAttribute("role", "status");
  const probe = make("i", "probe");
  parentElement.replaceChildren(make("style", "", STYLE), make("div", "recording", line, when, box, probe));

  const wide = new ResizeObserver(() => paint());
  wide.observe(box);
  parentElement.headlightRecording = {
    told,
    count: words.length,
    get chosen() {
      return state.chosen;
    },
    stop: () => {
      wide.disconnect();
      silence();
    },
  };

  function choose(i) {
    state.chosen = i;
    told.push(i);
    if (told.length > 30) told.shift();
    show();
    setTriggerValue("chosen", { word: i });
  }
  function hear(what, from, to) {
    state.playing = what;
    show();
    globalThis.headlightSound?.play(
      from,
      to,
      (at) => {
        state.at = at;
        if (what === "all") state.lit = words.findIndex(({ begins, ends }) => at >= begins && at < ends);
        show();
      },
      silence,
    );
  }
  function silence() {
    globalThis.headlightSound?.stop();
    Object.assign(state, { playing: null, at: null, lit: undefined });
    if (canvas.isConnected) show();
  }
  function pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const to = { ArrowLeft: state.chosen - 1, ArrowRight: state.chosen + 1, Home: 0, End: words.length - 1 }[event.key];
    if (to === undefined || to < 0 || to >= words.length) return;
    event.preventDefault();
    choose(to);
    chips[to].focus();
  }
  canvas.addEventListener("click", (event) => {
    const { x, y } = event;
    const { left, top } = canvas.getBoundingClientRect();
    const place = layout();
    const row = Math.floor((y - top - place.cross) / place.row);
    const at = ((x - left - place.gutter) / place.width) * seconds;
    const inRows = row >= 0 && row < tokens.length;
    const found = words.findIndex(({ first, end, begins, ends }) => (inRows ? row >= first && row < end : at >= begins && at < ends));
    if (found >= 0) chips[found].click();
  });

  function layout() {
    const whole = box.clientWidth;
    const large = Number(getComputedStyle(box).getPropertyValue("--hl-scale")) || 1; // the presenter's size
    const gutter = Math.min(110 * large, Math.max(56 * large, whole * 0.13));
    const row = large * Math.max(12, Math.min(20, 420 / tokens.length));
    const [wave, mel, cross] = [4, 66 * large, 164 * large];
    return { whole, large, gutter, width: whole - gutter - 8, wave, waveHeight: 56 * large, mel, melHeight: 90 * large, cross, row, height: cross + row * tokens.length + 34 * large };
  }
  const lit = () => (state.lit === undefined || state.lit < 0 ? state.chosen : state.lit);

  function show() {
    const word = words[lit()];
    chips.forEach((chip, i) => {
      chip.classList.toggle("now", i === lit());
      chip.setAttribute("aria-pressed", i === lit());
      chip.tabIndex = i === state.chosen ? 0 : -1;
    });
    all.textContent = state.playing === "all" ? `❚❚ ${says.stop}` : `▶ ${says.all}`;
    when.textContent = says.word.replace("{word}", () => word.label).replace("{begins}", word.begins.toFixed(2)).replace("{ends}", word.ends.toFixed(2));
    paint();
  }
  function colour(name) {
    probe.style.color = `var(--hl-${name})`;
    return getComputedStyle(probe).color;
  }
  function image(width, height, value, rgb) {
    const [r, g, b] = rgb.match(/[\d.]+/g).map(Number);
    const made = new OffscreenCanvas(width, height);
    const pen = made.getContext("2d");
    const pixels = pen.createImageData(width, height);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) pixels.data.set([r, g, b, value(x, y)], 4 * (y * width + x));
    pen.putImageData(pixels, 0, 0);
    return made;
  }
  let pictures = null;
  function paint() {
    const place = layout();
    if (place.width < 40) return;
    const sharp = devicePixelRatio || 1;
    canvas.style.height = `${place.height}px`;
    Object.assign(canvas, { width: place.whole * sharp, height: place.height * sharp });
    const pen = canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const ink = colour("ink");
    const soft = colour("soft");
    const amber = colour("amber");
    pictures ??= {
      mel: image(frames, bands, (x, y) => mel[(bands - 1 - y) * frames + x], ink),
      cross: image(columns, tokens.length, (x, y) => rows[y * columns + x], colour("key")),
    };
    const x = (at) => place.gutter + (at / seconds) * place.width;
    const bottom = place.cross + place.row * tokens.length;
    const word = words[lit()];
    pen.font = `${12 * place.large}px sans-serif`;
    pen.textBaseline = "middle";
    pen.fillStyle = amber;
    pen.globalAlpha = 0.16;
    pen.fillRect(x(word.begins), place.wave, Math.max(2, x(word.ends) - x(word.begins)), bottom - place.wave);
    pen.globalAlpha = 1;
    pen.imageSmoothingEnabled = true;
    pen.drawImage(pictures.mel, place.gutter, place.mel, place.width, place.melHeight);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(pictures.cross, place.gutter, place.cross, (place.width * columns) / (rate * seconds), place.row * tokens.length);
    drawWave(pen, place, x, soft, amber, word);
    drawRows(pen, place, x, { ink, soft, amber }, word);
    drawTime(pen, place, x, soft, bottom);
    pen.fillStyle = soft;
    pen.textAlign = "right";
    pen.fillText(says.wave, place.gutter - 6, place.wave + place.waveHeight / 2);
    pen.fillText(says.mel, place.gutter - 6, place.mel + place.melHeight / 2);
    if (state.at !== null) {
      pen.fillStyle = amber;
      pen.fillRect(x(state.at) - 1, place.wave, 2, bottom - place.wave);
    }
  }
  function drawWave(pen, place, x, soft, amber, word) {
    const bins = wave.length / 2;
    const middle = place.wave + place.waveHeight / 2;
    for (let i = 0; i < bins; i++) {
      const at = (i / bins) * seconds;
      const high = (wave[bins + i] / 127) * (place.waveHeight / 2);
      const low = (wave[i] / 127) * (place.waveHeight / 2);
      pen.fillStyle = at >= word.begins && at < word.ends ? amber : soft;
      pen.fillRect(x(at), middle - high, Math.max(1, place.width / bins), Math.max(1, high - low));
    }
  }
  function drawRows(pen, place, x, { ink, soft, amber }, word) {
    words.forEach((each) => {
      const top = place.cross + place.row * each.first;
      pen.strokeStyle = each === word ? amber : soft;
      pen.globalAlpha = each === word ? 1 : 0.55;
      pen.lineWidth = each === word ? 1.5 : 1;
      pen.strokeRect(x(each.begins) + 0.5, top + 0.5, Math.max(1, x(each.ends) - x(each.begins) - 1), place.row * (each.end - each.first) - 1);
    });
    pen.globalAlpha = 1;
    pen.textAlign = "right";
    tokens.forEach((token, i) => {
      const own = i >= word.first && i < word.end;
      pen.font = `${own ? "700 " : ""}${12 * place.large}px ui-monospace, monospace`;
      pen.fillStyle = own ? amber : ink;
      const shown = token.length > 11 && place.gutter < 80 * place.large ? `${token.slice(0, 6)}…` : token;
      pen.fillText(shown, place.gutter - 6, place.cross + place.row * (i + 0.5));
    });
    pen.font = `${12 * place.large}px sans-serif`;
  }
  function drawTime(pen, place, x, soft, bottom) {
    const step = [0.1, 0.25, 0.5, 1, 2, 5].find((each) => (each / seconds) * place.width > 44 * place.large) ?? 10;
    pen.fillStyle = soft;
    pen.textAlign = "center";
    for (let at = 0; at <= seconds + 1e-6; at += step) {
      pen.fillRect(x(at), bottom, 1, 5);
      pen.fillText(`${Number(at.toFixed(2))} s`, Math.min(x(at), place.whole - 14 * place.large), bottom + 15 * place.large);
    }
  }

  show();
  if (focused) parentElement.querySelector(`[data-id="${focused}"]`)?.focus({ preventScroll: true });
  return parentElement.headlightRecording.stop;
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

const STYLE = `
.recording { display: grid; gap: calc(8 * var(--hl-px, 1px)); font: calc(14 * var(--hl-px, 1px))/1.5 var(--st-font, sans-serif); color: var(--hl-ink); }
.words { display: flex; flex-wrap: wrap; gap: calc(4 * var(--hl-px, 1px)); align-items: center; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--hl-line); cursor: pointer; border-radius: calc(8 * var(--hl-px, 1px)); padding: calc(5 * var(--hl-px, 1px)) calc(11 * var(--hl-px, 1px)); }
button:focus-visible { outline: 2px solid var(--hl-amber); outline-offset: 1px; }
.chip { font: calc(15 * var(--hl-px, 1px))/1.5 var(--hl-mono); border-color: transparent; unicode-bidi: isolate; overflow-wrap: anywhere; }
.chip:hover { background: color-mix(in srgb, var(--hl-amber) 10%, transparent); }
.chip.now { background: var(--hl-amber-bg); color: var(--hl-amber); font-weight: 700; }
.all { color: var(--hl-amber); white-space: nowrap; min-width: 7em; }
.when { margin: 0; color: var(--hl-soft); min-height: 1.5em; }
.box { min-width: 0; }
canvas { display: block; width: 100%; cursor: pointer; }
.probe { display: none; }
@media (max-width: 700px) { .chip { padding: calc(8 * var(--hl-px, 1px)) calc(9 * var(--hl-px, 1px)); } .all { min-height: calc(44 * var(--hl-px, 1px)); } }
`;
