/* A button that copies a text; also over plain http, where a browser gives pages no clipboard of their own. */
export default function ({ data, parentElement }) {
  const style = document.createElement("style");
  style.textContent = `
    button { font: 600 calc(13.5 * var(--hl-px, 1px))/1.4 var(--st-font); padding: calc(5 * var(--hl-px, 1px)) calc(14 * var(--hl-px, 1px)); border-radius: calc(8 * var(--hl-px, 1px)); cursor: pointer;
      color: var(--st-background-color); background: var(--st-primary-color); border: 1px solid var(--st-primary-color); }
    button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
    span { font: calc(13 * var(--hl-px, 1px))/1.4 var(--st-font); color: var(--st-text-color); margin-left: calc(10 * var(--hl-px, 1px)); }`;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = data.label;
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  button.onclick = async () => {
    said.textContent = ""; // said anew each time
    said.textContent = (await copied(data.text, button)) ? data.done : data.refused;
  };
  parentElement.replaceChildren(style, button, said);
  enter(button);
}

/* A popover stands at the end of the document, far from its button: whoever opened it by keyboard goes on inside. */
function enter(button) {
  const host = button.getRootNode().host ?? button;
  const popover = host.closest("[data-testid=stPopoverBody]");
  if (!popover || !document.activeElement?.closest("[data-testid=stPopover]")) return;
  popover.tabIndex = -1;
  popover.style.outline = "none";
  popover.focus({ preventScroll: true });
}

async function copied(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const box = document.createElement("textarea");
    box.value = text;
    box.style.cssText = "position: fixed; opacity: 0";
    button.after(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    button.focus();
    return done;
  }
}
