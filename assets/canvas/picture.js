/* The life of every canvas picture: mounted from a packet, painted when its width or the theme changes, told what to
   show, pointed at, steered by keys, and taken down. A picture's own file builds its elements, paints, and finds what
   lies under the pointer. */

/* A packet: 4 bytes header length, JSON header, cells (see attn_core/figures/canvas/packet.py). */
function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { header, body: bytes.slice(4 + length) };
}

/* The theme as the page shows it. `repaint` is called when it or the size of letters changes, without polling: a colour
   and a length that depend on them start a transition. */
function watchTheme(root, repaint) {
  const probe = element("i", "probe");
  root.append(probe);
  probe.addEventListener("transitionend", repaint);
  const isDark = () => !globalThis.headlightPrinting && getComputedStyle(probe).color === "rgb(255, 255, 255)";
  return () => (isDark() ? "dark" : "light"); // paper is light
}

/* A picture in `root`: what its packet holds, an empty figure, and `view`, what the page wants shown of the packet.
   Build the elements into `figure`, then bring it to life:
     return picture.live({ paint, update, leave });
   `paint(colours)` draws all of it. `update(next)` takes what the page wants shown from now on; without it, that goes
   into `view` and all is painted again. `leave()` is called before the picture is taken down. */
function mount(root, packet, style, callbacks, view = {}) {
  const { header, body } = unpack(packet);
  const figure = element("div", "figure");
  root.replaceChildren(element("style", "", SHARED_STYLE + style), figure);
  const picture = { root, header, body, figure, callbacks, view: { ...view, ...callbacks.view }, theme: "light" };

  picture.live = ({ paint, update, leave }) => {
    let width = 0;
    const themeNow = watchTheme(figure, () => picture.paint());
    picture.paint = () => {
      figure.style.zoom = "";
      width = figure.clientWidth;
      if (!width) return; // not on the page yet
      readScale(figure);
      picture.theme = themeNow();
      const colours = header.palette[picture.theme];
      applyRoles(figure, colours.roles);
      paint(colours);
      fitPaper(figure);
    };
    const again = () => picture.paint();
    globalThis.addEventListener("headlight:paper", again); // assets/app/whole_page.js
    const resized = new ResizeObserver(() => figure.clientWidth !== width && picture.paint());
    resized.observe(figure);
    picture.paint();
    const show = update ?? ((next) => {
      Object.assign(picture.view, next);
      picture.paint();
    });
    return {
      update: show,
      destroy() {
        resized.disconnect();
        globalThis.removeEventListener("headlight:paper", again);
        leave?.();
      },
    };
  };
  return picture;
}

/* On paper nothing scrolls: a picture that is wider than its place becomes smaller. */
function fitPaper(figure) {
  if (!globalThis.headlightPrinting) return;
  const wide = Math.max(0, ...[...figure.querySelectorAll(".scroll")].map((part) => part.scrollWidth));
  if (wide > figure.clientWidth + 2) figure.style.zoom = figure.clientWidth / wide;
}

/* `show` gets what `find(event)` finds under the pointer as it moves, and null when the pointer leaves. */
function follow(target, find, show, fingers = true) {
  target.addEventListener("pointermove", (event) => (fingers || event.pointerType !== "touch") && show(find(event)));
  target.addEventListener("pointerleave", () => show(null));
}

/* `answer(key, event)` says true where it did something with a key, which is then no longer the page's. */
function steer(target, answer) {
  target.addEventListener("keydown", (event) => answer(event.key, event) && event.preventDefault());
}

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/* Where an arrow key leads from [row, column] in a grid of so many rows and columns; null for any other key. */
function moved(key, [row, column], [rows, columns]) {
  const by = ARROWS[key];
  if (!by) return null;
  const inside = (at, count) => Math.max(0, Math.min(count - 1, at));
  return [inside(row + by[0], rows), inside(column + by[1], columns)];
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

/* A picture as a Streamlit component. Its packet comes with its name before it (see ui/drawing/canvas.py); `callbacksOf`
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
