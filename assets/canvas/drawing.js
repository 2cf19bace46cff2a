/* What every picture draws with: elements whose text is never markup, both themes' colours, sharp canvases, the hatch
   of what is masked, legends, and sentences whose words have their roles' colours. */

const MONO = '"JetBrains Mono", "Source Code Pro", "DejaVu Sans Mono", monospace';
const SLANT = Math.PI / 3.2; // of labels along the top

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children); // strings become text nodes: what somebody typed is never markup
  return node;
}

/* A word in its role's colour. */
function wordSpan(role, word) {
  return nameAloud(element("span", role, word), word);
}

function applyRoles(root, roles) {
  for (const [role, colour] of Object.entries(roles)) root.style.setProperty(`--${role}`, colour);
}

function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/* The colour at t in [0, 1] of a list of evenly spaced colours. */
function mix(steps, t) {
  const at = Math.max(0, Math.min(1, t)) * (steps.length - 1);
  const low = Math.min(Math.floor(at), steps.length - 2);
  const [a, b] = [channels(steps[low]), channels(steps[low + 1])];
  return a.map((value, i) => Math.round(value + (b[i] - value) * (at - low)));
}

/* The ink that can be read on a colour (WCAG 2); the rule is that of attn_core/figures/colours.py. */
function inkOn(colour, colours) {
  return colours.inks[luminance(colour) > 0.2 ? 0 : 1];
}

function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/* A canvas of the given size in CSS pixels, sharp on any screen, cleared. */
function context(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  return g;
}

/* What is masked is hatched, everywhere. */
function hatch(g, x, y, width, height, colour, gap = 5) {
  g.save();
  g.beginPath();
  g.rect(x, y, width, height);
  g.clip();
  g.strokeStyle = colour;
  g.lineWidth = 1;
  g.beginPath();
  for (let d = -height; d < width; d += gap) {
    g.moveTo(x + d, y + height);
    g.lineTo(x + d + height, y);
  }
  g.stroke();
  g.restore();
}

/* How much larger than usual all letters and lengths are: the page's --hl-scale, 1.5 in the presenter's size. A picture
   reads it once, as it begins to paint. */
let scale = 1;
function readScale(node) {
  scale = Number(getComputedStyle(node).getPropertyValue("--hl-scale")) || 1;
}

const font = (size, weight = 400) => `${weight} ${size * scale}px ${MONO}`;

/* A label along the top, leaning to the right; at most `room` pixels long where that is given. */
function slanted(g, text, x, y, room) {
  g.save();
  g.translate(x, y);
  g.rotate(-SLANT);
  g.textAlign = "left";
  g.fillText(text, 0, 0, room);
  g.restore();
}

/* The bar of a packet (attn_core/figures/colour_bars.py): the words at its ends, its colours, its title. */
function barLegend(bar, colours, scale) {
  const ramp = element("i", "ramp");
  ramp.style.background = `linear-gradient(90deg, ${bar.signed ? colours.diverging : colours.sequential})`;
  const [low, high] = [bar.ticks[0]?.[1] ?? "", bar.ticks.at(-1)?.[1] ?? ""].map(unbroken);
  return element("span", "", low, ramp, high, element("span", "", bar.titles[scale]));
}

/* A small drawing and what it stands for. */
function swatchLegend(text, paint, width = 22, height = 11) {
  const swatch = element("canvas");
  paint(context(swatch, width, height));
  return element("span", "", swatch, text);
}

function maskedLegend(text, colours) {
  return swatchLegend(text, (g) => hatch(g, 0, 0, 22, 11, colours.roles.masked, 4));
}

/* The colour of a number on a packet's bar, as [red, green, blue]. */
function colourOn(bar, colours, number, scale) {
  const [low, high] = bar.domain;
  const share = (number - low) / (high - low);
  if (bar.signed) return mix(colours.diverging, share);
  return mix(colours.sequential, scale === "sqrt" ? Math.sqrt(Math.max(0, share)) : share);
}

/* A packet's sentence, "To update {query}, …", as nodes: each {name} becomes what `parts` has for it. */
function sentence(template, parts) {
  return template.split(/(\{\w+\})/).flatMap((piece) => parts[piece.slice(1, -1)] ?? (piece ? [piece] : []));
}

/* The same as plain text, for labels and titles: "head {layer}.{head}". */
function filled(template, slots) {
  return template.replace(/\{(\w+)\}/g, (_, name) => slots[name]);
}

const SHARED_STYLE = `
  :host, .figure { display: block; }
  .figure { position: relative; min-width: 0; color: var(--ink); font: calc(13 * var(--hl-px, 1px))/1.45 var(--st-font, Inter, "Source Sans 3", "Noto Sans", system-ui, sans-serif);
    --mono: ${MONO}; }
  .probe { position: absolute; visibility: hidden; color: light-dark(rgb(0, 0, 0), rgb(255, 255, 255)); width: var(--hl-px, 1px);
    transition: color 1ms, width 1ms; }
  .scroll { overflow: auto; overscroll-behavior: auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  @media print { .scroll { overflow: visible; max-height: none !important; } }
  .note { margin: calc(6 * var(--hl-px, 1px)) 0 0; color: var(--soft); font-size: calc(12 * var(--hl-px, 1px)); }
  .query { color: var(--query); font-weight: 600; } .key { color: var(--key); font-weight: 600; }
  canvas { display: block; }
  .legend { display: flex; flex-wrap: wrap; gap: 4px calc(16 * var(--hl-px, 1px)); margin-top: calc(8 * var(--hl-px, 1px)); font-size: calc(12 * var(--hl-px, 1px)); color: var(--soft); }
  .legend span { display: inline-flex; gap: calc(6 * var(--hl-px, 1px)); align-items: center; font-variant-numeric: tabular-nums; }
  .ramp { width: calc(120 * var(--hl-px, 1px)); height: calc(9 * var(--hl-px, 1px)); border-radius: 3px; border: 1px solid var(--line); }
`;
