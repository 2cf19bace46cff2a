/* Elements of the pages' small scripts. Strings become text nodes, so what somebody typed or said is never markup. */
function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/* A button that is read aloud as `label`; `id` finds it again after the page has drawn it anew. A press that began on the
   button before, which an answer has replaced, ends on this one: the browser makes no click of the two. */
function button(id, className, label, tell, ...children) {
  const node = make("button", className, ...children);
  Object.assign(node, { type: "button", title: label });
  node.dataset.id = id;
  node.setAttribute("aria-label", spoken(label));
  node.addEventListener("click", tell);
  node.addEventListener("pointerdown", () => (globalThis.headlightPress = { id, node }));
  node.addEventListener("pointerup", (event) => {
    const press = globalThis.headlightPress;
    globalThis.headlightPress = undefined;
    if (press?.id === id && !press.node.isConnected) tell(event);
  });
  return node;
}

