/* What concerns the page as a whole: a page that was opened is one entry in the browser's history, and on paper it is
   light and nothing of it is cut. Set up once a visit. */
const PAPER = 1046; // CSS pixels between the margins of a sheet: A4, landscape

export default function () {
  if (globalThis.headlightWholePage) return;
  globalThis.headlightWholePage = true;
  keepOneEntry();
  printAllOfIt();
}

/* A page that is opened from the menu comes with a short address and then writes the full one. Streamlit makes an entry
   of each, so Back would need two presses; until somebody does something, the second takes the place of the first. What a
   page that is being left still writes makes no entry either. */
function keepOneEntry() {
  const push = history.pushState;
  let arriving = false;
  history.pushState = (state, title, address) => {
    const isOther = new URL(address, location).pathname !== location.pathname;
    if (arriving && !isOther) return history.replaceState(state, title, address);
    arriving = isOther;
    return push.call(history, state, title, address);
  };
  const leadsElsewhere = (event) =>
    event.composedPath().some((each) => each.href && new URL(each.href, location).pathname !== location.pathname);
  addEventListener("click", (event) => (arriving = leadsElsewhere(event)), { capture: true });
  addEventListener("keydown", () => (arriving = false), { capture: true });
}

/* Paper keeps the arrangement of the screen: all of it becomes smaller by one factor, so pictures still fit their
   places. Pictures are painted in the light colours; charts, whose colours were made on the server, are turned over. */
function printAllOfIt() {
  const root = document.documentElement;
  const main = () => document.querySelector(".stMainBlockContainer");
  function prepare() {
    if (globalThis.headlightPrinting || !main()) return;
    root.classList.toggle("hl-dark", isDark());
    root.style.setProperty("--hl-paper", Math.min(1, PAPER / main().clientWidth));
    main().dataset.shows = [...shown()].join(" · ");
    paint(true);
  }
  function restore() {
    if (globalThis.headlightPrinting) paint(false);
  }
  function paint(onPaper) {
    globalThis.headlightPrinting = onPaper;
    globalThis.dispatchEvent(new CustomEvent("headlight:paper"));
  }
  function isDark() {
    const background = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
    return background.match(/\d+/g).slice(0, 3).every((part) => part < 128);
  }
  /* The sentence and the model, which on screen stand in boxes. */
  function* shown() {
    const sentence = document.querySelector(".st-key-text input")?.value;
    const model = document.querySelector(".st-key-model [role=group], .st-key-model [data-baseweb=select]");
    const name = model?.querySelector("input")?.value || model?.innerText;
    if (sentence) yield `“${sentence}”`;
    if (name) yield name.trim();
  }
  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", restore);
  const paper = matchMedia("print");
  const follow = () => (paper.matches ? prepare() : restore());
  paper.addEventListener("change", follow);
  follow(); // a page may be on paper already
}
