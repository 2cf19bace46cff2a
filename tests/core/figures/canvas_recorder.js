/* A page as far as the canvas pictures need one, without a browser: elements, styles, pointers, and canvases that write
   down what is drawn on them. Reads a case a line (see canvas_recorder.py), answers each with what was drawn and said. */

const LETTER = 0.6; // of a letter's size: every letter is as wide as any other
const round = (number) => Math.round(number * 1000) / 1000;

class Style {
  setProperty(name, value) {
    this[name] = value;
  }
}

class Node {
  constructor(tag) {
    Object.assign(this, { tag, children: [], parent: null, attributes: {}, heard: {}, style: new Style(), tabIndex: null });
    this.classes = new Set();
    this.dataset = new Proxy({}, { set: (own, name, value) => ((own[name] = String(value)), true) }); // as in a browser
    this.classList = {
      toggle: (name, on) => (on ? this.classes.add(name) : this.classes.delete(name)),
      add: (name) => this.classes.add(name),
      contains: (name) => this.classes.has(name),
    };
    [this.scrollTop, this.scrollLeft] = [0, 0];
  }
  set className(names) {
    this.classes = new Set(names.split(" "));
  }
  append(...nodes) {
    for (const node of nodes) {
      if (node instanceof Node) node.parent = this;
      this.children.push(node instanceof Node ? node : String(node));
    }
  }
  replaceChildren(...nodes) {
    this.children = [];
    this.append(...nodes);
  }
  setAttribute(name, value) {
    this.attributes[name] = String(value);
  }
  set ariaLabel(text) {
    this.setAttribute("aria-label", text);
  }
  set role(text) {
    this.setAttribute("role", text);
  }
  get firstChild() {
    return this.children[0];
  }
  set textContent(text) {
    this.children = text === "" ? [] : [String(text)];
  }
  get isConnected() {
    return true;
  }
  get textContent() {
    return this.children.map((child) => (child instanceof Node ? child.textContent : child)).join("");
  }
  all() {
    return [this, ...this.children.flatMap((child) => (child instanceof Node ? child.all() : []))];
  }
  querySelectorAll(selector) {
    return this.all().slice(1).filter((node) => node.matches(selector));
  }
  querySelector(selector) {
    return this.querySelectorAll(selector)[0] ?? null;
  }
  matches(selector) {
    if (selector === ":popover-open") return this.isOpen === true;
    if (selector === ":focus-visible") return true;
    return selector.startsWith(".") ? this.classes.has(selector.slice(1)) : this.tag === selector;
  }
  closest(selector) {
    for (let node = this; node; node = node.parent) if (node.matches(selector)) return node;
    return null;
  }
  showPopover() {
    this.isOpen = true;
  }
  hidePopover() {
    this.isOpen = false;
  }
  get clientWidth() {
    return page.width;
  }
  get clientHeight() {
    return pixels(this.style.height ?? this.style.maxHeight);
  }
  get offsetWidth() {
    return pixels(this.style.width);
  }
  get offsetHeight() {
    return pixels(this.style.height);
  }
  getBoundingClientRect() {
    const [left, top] = [pixels(this.style.left), pixels(this.style.top)];
    const [width, height] = [pixels(this.style.width), pixels(this.style.height)];
    return { left, top, width, height, right: left + width, bottom: top + height };
  }
  addEventListener(name, listener) {
    (this.heard[name] ??= []).push(listener);
  }
  click() {
    dispatch(this, "click", {});
  }
  focus() {
    page.focused = this;
    dispatch(this, "focusin", {});
  }
}

const pixels = (text) => Number.parseFloat(text) || 0;

/* An event at a node and, from there, at all that hold it. */
function dispatch(node, type, more) {
  const event = { type, target: node, preventDefault() {}, stopPropagation() {}, stopImmediatePropagation() {}, composedPath: () => [node], ...more };
  for (const listener of page.global[type] ?? []) listener(event);
  const bubbles = !["focus", "blur", "pointerleave"].includes(type);
  for (let at = node; at; at = bubbles ? at.parent : null) for (const listener of at.heard[type] ?? []) listener(event);
}

class Canvas extends Node {
  constructor(wide = 300, high = 150) {
    super("canvas");
    [this.wide, this.high, this.drawn] = [wide, high, []];
    this.pen = new Pen(this);
  }
  set width(wide) {
    [this.wide, this.drawn] = [wide, []]; // a canvas that gets a size is empty, and its pen as new
    this.pen.renew();
  }
  get width() {
    return this.wide;
  }
  set height(high) {
    [this.high, this.drawn] = [high, []];
    this.pen.renew();
  }
  get height() {
    return this.high;
  }
  getContext() {
    return this.pen;
  }
}

/* A 2D context that writes down, in the canvas' own pixels, what it is asked to draw and with what. */
class Pen {
  constructor(canvas) {
    this.canvas = canvas;
    this.renew();
  }
  renew() {
    const style = { fillStyle: "#000000", strokeStyle: "#000000", lineWidth: 1, globalAlpha: 1, font: "10px sans-serif" };
    Object.assign(this, style, { textAlign: "start", textBaseline: "alphabetic", imageSmoothingEnabled: true });
    Object.assign(this, { matrix: [1, 0, 0, 1, 0, 0], clipped: null, kept: [], path: [] });
  }
  save() {
    const { fillStyle, strokeStyle, lineWidth, globalAlpha, font, textAlign, textBaseline, matrix, clipped } = this;
    this.kept.push({ fillStyle, strokeStyle, lineWidth, globalAlpha, font, textAlign, textBaseline, matrix, clipped });
  }
  restore() {
    Object.assign(this, this.kept.pop());
  }
  turned([a, b, c, d, e, f]) {
    const [A, B, C, D, E, F] = this.matrix;
    this.matrix = [A * a + C * b, B * a + D * b, A * c + C * d, B * c + D * d, A * e + C * f + E, B * e + D * f + F];
  }
  scale(x, y) {
    this.turned([x, 0, 0, y, 0, 0]);
  }
  translate(x, y) {
    this.turned([1, 0, 0, 1, x, y]);
  }
  rotate(angle) {
    this.turned([Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle), 0, 0]);
  }
  at(x, y) {
    const [a, b, c, d, e, f] = this.matrix;
    return [round(a * x + c * y + e), round(b * x + d * y + f)];
  }
  box(x, y, width, height) {
    const [left, top] = this.at(x, y);
    const [right, bottom] = this.at(x + width, y + height);
    return [left, top, round(right - left), round(bottom - top)];
  }
  note(what, { colour, ...more }) {
    this.canvas.drawn.push({ what, ...more, colour: hex(colour), ...(this.globalAlpha === 1 ? {} : { alpha: round(this.globalAlpha) }) });
  }
  fillRect(...box) {
    this.note("rect", { box: this.box(...box), colour: this.fillStyle });
  }
  strokeRect(...box) {
    this.note("frame", { box: this.box(...box), colour: this.strokeStyle, width: this.lineWidth });
  }
  fillText(text, x, y, room) {
    const lean = round((Math.atan2(this.matrix[1], this.matrix[0]) * 180) / Math.PI);
    const [first, second] = this.font.split(" ");
    const [weight, size] = first.endsWith("px") ? ["400", pixels(first)] : [first, pixels(second)];
    const style = { colour: this.fillStyle, align: this.textAlign, base: this.textBaseline, weight, size, lean };
    this.note("text", { text: String(text), at: this.at(x, y), ...style, ...(room === undefined ? {} : { room: round(room) }) });
  }
  measureText(text) {
    return { width: [...String(text)].length * LETTER * pixels(this.font.split(" ")[1]) };
  }
  beginPath() {
    this.path = [];
  }
  moveTo(x, y) {
    this.path.push(["from", ...this.at(x, y)]);
  }
  lineTo(x, y) {
    this.path.push(["to", ...this.at(x, y)]);
  }
  bezierCurveTo(a, b, c, d, x, y) {
    this.path.push(["curve", ...this.at(a, b), ...this.at(c, d), ...this.at(x, y)]);
  }
  rect(...box) {
    this.path.push(["box", ...this.box(...box)]);
  }
  roundRect(x, y, width, height) {
    this.rect(x, y, width, height);
  }
  clip() {
    this.clipped = this.path[0].slice(1);
  }
  fill() {
    this.note("filled", { box: this.path[0].slice(1), colour: this.fillStyle });
  }
  stroke() {
    const style = { colour: this.strokeStyle, width: round(this.lineWidth) };
    if (this.clipped) this.note("hatch", { box: this.clipped, lines: this.path.length / 2, ...style });
    else this.note("line", { path: this.path, ...style });
  }
  createImageData(width, height) {
    return new ImageData(width, height);
  }
  putImageData(image) {
    this.canvas.image = image;
  }
  drawImage(source, ...place) {
    const box = this.box(...(place.length === 2 ? [...place, source.width, source.height] : place));
    if (source.image) this.note("stamp", { box, cells: colourRows(source.image), smooth: this.imageSmoothingEnabled, ...veil(source.image) });
    else this.canvas.drawn.push(...source.drawn); // a picture that was prepared, at the same place
  }
}

/* "rgb(1,2,3)" as "#010203", as a browser gives it back. */
const hexOf = (channels) => `#${channels.map((c) => Number(c).toString(16).padStart(2, "0")).join("")}`;
const hex = (colour) => (colour?.startsWith("rgb(") ? hexOf(colour.slice(4, -1).split(",").map(Number)) : colour);

/* The colours of an image's pixels, row by row; null where it is transparent. */
function colourRows({ data, width, height }) {
  const at = (i) => (data[i + 3] ? hexOf([...data.slice(i, i + 3)]) : null);
  return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => at(4 * (y * width + x))));
}

/* How much each pixel covers, of 255, row by row, where some are seen through. */
function veil({ data, width, height }) {
  const at = (x, y) => data[4 * (y * width + x) + 3];
  const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => at(x, y)));
  return rows.flat().some((alpha) => alpha % 255) ? { alphas: rows } : {};
}

const page = {};
const waiting = [];
Object.assign(globalThis, {
  document: {
    createElement: (tag) => (tag === "canvas" ? new Canvas() : new Node(tag)),
    documentElement: { clientWidth: 1280 },
    querySelector: () => null,
    addEventListener: (name, listener) => (page.global[name] ??= []).push(listener),
    removeEventListener: (name, listener) => (page.global[name] = (page.global[name] ?? []).filter((each) => each !== listener)),
  },
  innerHeight: 900,
  OffscreenCanvas: Canvas,
  ImageData: class {
    constructor(width, height) {
      Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
    }
  },
  ResizeObserver: class {
    observe() {}
    disconnect() {}
  },
  getComputedStyle: (node) => ({
    color: colourOf(node) ?? (page.theme === "dark" ? "rgb(255, 255, 255)" : "rgb(0, 0, 0)"),
    fontFamily: "sans",
    getPropertyValue: (name) => (name === "--hl-scale" ? String(page.scale) : ""),
  }),
  requestAnimationFrame: (then) => waiting.push(then),
  setInterval: () => 0,
  addEventListener: (name, listener) => (page.global[name] ??= []).push(listener),
  removeEventListener: (name, listener) => (page.global[name] = (page.global[name] ?? []).filter((each) => each !== listener)),
});

/* The colour of an element that was given one of the page's own, "var(--hl-ink)". */
function colourOf(node) {
  const name = node.style?.color?.match(/^var\(--hl-(\w+)\)$/)?.[1];
  const hex = page.colours[name];
  return hex && `rgb(${[1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)).join(", ")})`;
}

/* An element as data: tag, classes, text of its own or what it holds, and what else was set. */
function described(node) {
  if (!(node instanceof Node)) return node;
  const style = { ...node.style };
  const found = { tag: node.tag, classes: [...node.classes], says: node.textContent, ...node.attributes, style };
  if (node.isOpen) found.open = true;
  if (node.disabled) found.disabled = true;
  if (node.title) found.title = node.title;
  if (node.tabIndex !== null) found.tab = node.tabIndex;
  if (node.tag === "canvas") return { ...found, size: [node.width, node.height], drawn: node.drawn };
  return { ...found, inside: node.tag === "style" ? [] : node.children.map(described) };
}

function become(theme, probe) {
  page.theme = theme;
  for (const listener of probe.heard.transitionend) listener();
}

/* A click on a head in an overview beside the picture, whose tile has these cells. */
function openedBeside({ head, cells, pool, trouble }) {
  const openHead = globalThis.headlightOpenHead;
  openHead.provide({}, () => (cells ? { cells: Uint8Array.from(cells), pool } : null));
  openHead.trouble = trouble ?? "";
  openHead.show(head);
}

/* A picture from its packet, a page's small script from its data, or a saved page from its numbers. */
function recorded({ script, packet, data, numbers, colours = {}, view = {}, theme = "light", scale = 1, width = 900, ratio = 1, acts = [] }) {
  Object.assign(page, { theme, scale, width, colours, global: {}, focused: null });
  Object.assign(globalThis, { devicePixelRatio: ratio });
  delete globalThis.headlightOpenHead;
  delete globalThis.headlightViews;
  const told = [];
  const tell = Object.fromEntries(["open", "choose", "pin", "enter"].map((name) => [name, (what) => told.push([name, what])]));
  const root = new Node("main");
  let drawn = null;
  if (numbers !== undefined) {
    Object.assign(document, { body: root, getElementById: () => ({ textContent: numbers }) });
    new Function(script)();
  } else if (data !== undefined) {
    const component = new Function(`${script}; return component;`)();
    component({ data, parentElement: root, setTriggerValue: (name, value) => told.push([name, value]) });
  } else {
    const draw = new Function(`${script}; return draw;`)();
    drawn = draw(root, Uint8Array.from(Buffer.from(packet, "base64")), { view, ...tell });
  }
  waiting.splice(0).forEach((then) => then());
  for (const [type, where, more] of acts) {
    if (type === "update") drawn.update(more);
    else if (type === "theme") become(more, root.querySelector(".probe"));
    else if (type === "opened") openedBeside(more);
    else {
      const [selector, at = "0"] = where.split(":");
      const node = where ? root.querySelectorAll(selector)[Number(at)] : page.focused;
      if (type === "focus") node.focus();
      else dispatch(node, type, more ?? {});
    }
  }
  return { root: described(root), told };
}

function answer(line) {
  const given = JSON.parse(line);
  if (given.run === undefined) return recorded(given);
  return new Function("given", given.run)(given.given);
}

require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", async (line) => {
    let said;
    try {
      said = { is: await answer(line) };
    } catch (error) {
      said = { failed: String(error.stack) };
    }
    process.stdout.write(`${JSON.stringify(said)}\n`);
  });
