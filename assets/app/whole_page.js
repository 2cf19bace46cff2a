/* What concerns the page as a whole: a page that was opened is one entry in the browser's history, and on paper it is
   light and nothing of it is cut. Set up once a visit. */
const PAPER = 1046; // CSS pixels between the margins of a sheet: A4, landscape

export default function () {
  if (globalThis.headlightWholePage) return;
  globalThis.headlightWholePage = true;
  keepOneEntry();
  keepExplanationsInside();
  printAllOfIt();
  takeSentences();
  openPages();
}

/* A page that is opened from the menu comes with a short address and then writes the full one. Streamlit makes an entry
   of each, so Back would need two presses; until somebody does something, the second takes the place of the first. What a
   page that is being left still writes makes no entry either. */
function keepOneEntry() {
  const push = history.pushState;
  let arriving = false;
  let linked = false; // … a link into the page itself was clicked: its short address is one entry, the full one none
  history.pushState = (state, title, address) => {
    const isOther = new URL(address, location).pathname !== location.pathname;
    path = new URL(address, location).pathname;
    if (linked && !isOther) [linked, arriving] = [false, true];
    else if (arriving && !isOther) return history.replaceState(state, title, address);
    else arriving = isOther;
    return push.call(history, state, title, address);
  };
  let path = location.pathname;
  addEventListener("popstate", () => {
    if (path === location.pathname && !location.search) location.reload(); // a bare address says nothing to go back to
    path = location.pathname;
  });
  function clicked(event) {
    const link = event.composedPath().find((each) => each.href && each.target !== "_blank");
    const isHere = link && new URL(link.href, location).pathname === location.pathname;
    [arriving, linked] = [Boolean(link) && !isHere, Boolean(isHere)];
  }
  addEventListener("click", clicked, { capture: true });
  addEventListener("keydown", () => ([arriving, linked] = [false, false]), { capture: true });
}

/* The menu's links are ordinary ones: they can be read, copied and opened in another tab. A plain click, or Enter, changes
   the page without loading it anew: Streamlit opens what stands in the address bar when it hears of a step in the
   history. Without a connection the browser loads the page itself. */
function openPages() {
  addEventListener("click", (event) => {
    const link = event.composedPath().find((each) => each.matches?.("a.hl-page"));
    const elsewhere = event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    const connected = document.querySelector("[data-testid=stApp][data-test-connection-state=CONNECTED]");
    if (!link || elsewhere || !connected) return;
    event.preventDefault();
    history.pushState({}, "", link.href);
    dispatchEvent(new PopStateEvent("popstate", { state: {} }));
  });
}

/* The explanation of a term begins under the term; near the right edge it is moved to the left, as far as it needs. */
function keepExplanationsInside() {
  function place(event) {
    const term = event.target.closest?.(".hl-term");
    if (!term) return;
    const { width, paddingLeft, paddingRight } = getComputedStyle(term, "::after");
    const wide = [width, paddingLeft, paddingRight].reduce((sum, each) => sum + (parseFloat(each) || 0), 14);
    const room = document.documentElement.clientWidth - term.getBoundingClientRect().left - wide;
    term.style.setProperty("--hl-shift", `${Math.min(0, room)}px`);
  }
  addEventListener("pointerover", place);
  addEventListener("focusin", place);
  document.querySelectorAll(".hl-term:is(:hover, :focus)").forEach((target) => place({ target })); // before this script came
}

/* A box for a sentence takes several lines. Enter hands in what is typed while it is one line; Shift and Enter begins
   another, and then Ctrl (or Cmd) and Enter hand it in. While somebody types, the place of the number of tokens says
   which of the two it is, and how much is read at most. */
function takeSentences() {
  const ctrl = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";
  const boxOf = (event) => event.target.closest?.("[class*=st-key-sentence] textarea");
  const counterOf = (box) => box.closest(".st-key-sentence")?.querySelector(".hl-count");
  function typed(event) {
    const box = boxOf(event), counter = box && counterOf(box);
    if (!counter) return;
    const way = box.value.includes("\n") ? `${ctrl}+Enter` : "Enter";
    const boxes = box.closest(".st-key-sentence").querySelectorAll("textarea"); // of a pair both count
    const size = [...boxes].reduce((sum, each) => sum + [...each.value].length, 0), most = Number(counter.dataset.most);
    const slots = { size: size.toLocaleString("en"), most: most.toLocaleString("en"), keys: way, line: "\n" };
    const says = size > most ? counter.dataset.beyond : counter.dataset.within; // the page's own words
    counter.dataset.typing = says.replace(/\{(\w+)\}/g, (_, name) => slots[name]);
  }
  function pressed(event) {
    const box = boxOf(event), held = event.ctrlKey || event.metaKey;
    if (!box || event.key !== "Enter" || event.isComposing) return;
    if (held) return left(event);
    if (event.shiftKey || event.altKey || box.value.includes("\n")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    handIn(box);
  }
  function handIn(box) {
    const keys = { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true };
    box.dispatchEvent(new KeyboardEvent("keydown", keys));
  }
  /* An Enter that was pressed before this script came has made a line break: it is taken away, and the line handed in. */
  function handInEarly(box) {
    if (!box || !/^[^\n]+\n$/.test(box.value)) return;
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(box, box.value.slice(0, -1));
    box.dispatchEvent(new Event("input", { bubbles: true }));
    setTimeout(() => handIn(box)); // once Streamlit has seen the line
  }
  function left(event) {
    const box = boxOf(event), counter = box && counterOf(box);
    if (counter) delete counter.dataset.typing;
  }
  addEventListener("input", typed, { capture: true });
  addEventListener("keydown", pressed, { capture: true });
  addEventListener("focusout", left, { capture: true });
  handInEarly(boxOf({ target: document.activeElement }));
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
  /* The sentences and the model, which on screen stand in boxes; a box beside the first is called by its name. */
  function* shown() {
    const model = document.querySelector(".st-key-model [role=group], .st-key-model [data-baseweb=select]");
    const name = model?.querySelector("input")?.value || model?.innerText;
    for (const box of main().querySelectorAll("[data-testid=stTextInput] input, [data-testid=stTextArea] textarea")) {
      const label = box.closest(".st-key-text") ? "" : `${box.ariaLabel ?? ""}: `;
      if (box.value && !box.closest("details:not([open])")) yield `${label}“${box.value}”`;
    }
    if (name) yield name.trim();
  }
  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", restore);
  const paper = matchMedia("print");
  const follow = () => (paper.matches ? prepare() : restore());
  paper.addEventListener("change", follow);
  follow(); // a page may be on paper already
}
