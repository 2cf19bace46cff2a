/* What every picture of ours needs: packets, both themes' colours, weights as words. It stands before overview.js or
   links.js and makes one module with it, which asks nothing of any other host. */

/* A packet: 4 bytes header length, JSON header, cells (see attn_core/figures/tiles.py). */
function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { header, body: bytes.slice(4 + length) };
}

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children); // strings become text nodes: what somebody typed is never markup
  return node;
}

/* The theme as the page shows it. `repaint` is called when it changes, without polling: a colour that depends on it
   starts a transition. */
function watchTheme(root, repaint) {
  const probe = element("i", "probe");
  root.append(probe);
  probe.addEventListener("transitionend", repaint);
  return () => (getComputedStyle(probe).color === "rgb(255, 255, 255)" ? "dark" : "light");
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

function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/* A weight as people say it: two digits, more only where 100 % would be untrue. Its space never breaks. */
function percent(weight) {
  if (weight <= 0) return "0\u00a0%";
  if (weight < 0.0001) return "< 0.01\u00a0%";
  if (weight < 0.0995) return `${Number((100 * weight).toPrecision(2))}\u00a0%`;
  return `${(100 * weight).toFixed(weight >= 0.995 && weight < 0.99995 ? 2 : 0)}\u00a0%`;
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

/* What Python wants shown (the chosen head, the pinned word, the scale) comes beside the cells, so that the cells need
   not be sent again. */
function followView(target, update) {
  const views = (globalThis.headlightViews ??= new Map());
  if (views.has(target)) update(views.get(target));
  const listen = (event) => event.detail.target === target && update(event.detail.view);
  globalThis.addEventListener("headlight:view", listen);
  return () => globalThis.removeEventListener("headlight:view", listen);
}

/* A picture as a Streamlit component. Its packet comes with its name before it (see ui/components.py); `callbacksOf`
   makes the callbacks of `draw` from a function that tells Python. */
function inApp(draw, callbacksOf) {
  return ({ data, parentElement, setTriggerValue }) => {
    parentElement.headlight?.(); // the same element is mounted again for new cells
    const length = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
    const name = new TextDecoder().decode(data.subarray(4, 4 + length));
    const drawn = draw(parentElement, data.subarray(4 + length), callbacksOf(setTriggerValue));
    const forget = followView(name, drawn.update);
    parentElement.headlight = () => {
      forget();
      drawn.destroy();
    };
    return parentElement.headlight;
  };
}

const SHARED_STYLE = `
  :host, .figure { display: block; }
  .figure { position: relative; min-width: 0; color: var(--ink); font: 13px/1.45 var(--st-font, Inter, "Source Sans 3", "Noto Sans", system-ui, sans-serif);
    --mono: "JetBrains Mono", "Source Code Pro", "DejaVu Sans Mono", monospace; }
  .probe { position: absolute; visibility: hidden; color: light-dark(rgb(0, 0, 0), rgb(255, 255, 255)); transition: color 1ms; }
  .scroll { overflow: auto; overscroll-behavior: auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .note { margin: 6px 0 0; color: var(--soft); font-size: 12px; }
  .query { color: var(--query); font-weight: 600; } .key { color: var(--key); font-weight: 600; }
  canvas { display: block; }
`;
